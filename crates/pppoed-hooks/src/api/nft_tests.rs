use proptest::prelude::*;

use super::*;

type Command = Box<dyn Fn(&[Value]) -> Result<Vec<String>, Wrong>>;

/// What is put together by `statements` on `t`.
fn script(statements: &str) -> Result<String, String> {
    let lua = Lua::new();
    let collected = Rc::new(RefCell::new(String::new()));
    let object = lua.create_table().unwrap();
    let add = |name: &'static str, command: Command| {
        let collected = collected.clone();
        let method = lua.create_function(move |_, (_, words): (Table, Variadic<Value>)| {
            let commands = command(&words).map_err(mlua::Error::runtime)?;
            for command in commands {
                let mut script = collected.borrow_mut();
                script.push_str(&command);
                script.push('\n');
            }
            Ok(())
        });
        object.raw_set(name, method.unwrap()).unwrap();
    };
    for (method, kind, verb) in OBJECTS {
        add(method, Box::new(move |words| object_command(verb, kind, words)));
    }
    add("add_element", Box::new(|words| element_command("add", words)));
    add("delete_element", Box::new(|words| element_command("delete", words)));
    add("add_rule", Box::new(|words| rule_command("add", words)));
    add("insert_rule", Box::new(|words| rule_command("insert", words)));
    lua.globals().set("t", object).unwrap();
    lua.load(statements).exec().map_err(|error| error.to_string())?;
    let script = collected.borrow().clone();
    Ok(script)
}

#[test]
fn commands_are_those_of_nft() {
    for (statement, expected) in [
        ("t:add_table('inet', 'shop')", "add table inet shop\n"),
        ("t:delete_table('ip', 'shop')", "add table ip shop\ndelete table ip shop\n"),
        ("t:flush_chain('inet', 'shop', 'c')", "flush chain inet shop c\n"),
        ("t:add_chain('inet', 'shop', 'c')", "add chain inet shop c\n"),
        (
            "t:add_chain('inet', 's', 'c', {type = 'nat', hook = 'postrouting', priority = -100, policy = 'accept'})",
            "add chain inet s c { type nat hook postrouting priority -100; policy accept; }\n",
        ),
        (
            "t:add_chain('netdev', 's', 'c', {type = 'filter', hook = 'ingress', device = 'eth0', priority = 0})",
            "add chain netdev s c { type filter hook ingress device \"eth0\" priority 0; }\n",
        ),
        ("t:add_set('inet', 's', 'm', {type = 'ipv4_addr'})", "add set inet s m { type ipv4_addr; }\n"),
        (
            "t:add_set('inet', 's', 'm', {type = {'ipv4_addr', 'inet_service'}, flags = {'interval', 'timeout'}, \
             timeout = '1h', size = 10})",
            "add set inet s m { type ipv4_addr . inet_service; flags interval, timeout; timeout 1h; size 10; }\n",
        ),
        (
            "t:add_map('inet', 's', 'm', {type = 'ipv4_addr', value = 'mark'})",
            "add map inet s m { type ipv4_addr : mark; }\n",
        ),
        (
            "t:add_element('inet', 's', 'm', '192.0.2.1', '192.0.2.0/24')",
            "add element inet s m { 192.0.2.1, 192.0.2.0/24 }\n",
        ),
        (
            "t:delete_element('inet', 's', 'm', {'192.0.2.1', 80})",
            "add element inet s m { 192.0.2.1 . 80 }\ndelete element inet s m { 192.0.2.1 . 80 }\n",
        ),
        (
            "t:add_element('inet', 's', 'm', {key = '192.0.2.1', value = 7, timeout = '5s'})",
            "add element inet s m { 192.0.2.1 timeout 5s : 7 }\n",
        ),
        (
            "t:add_rule('inet', 's', 'c', 'ip saddr @m oifname != %q meta mark set %s limit rate 5%%', 'ppp*', 7)",
            "add rule inet s c ip saddr @m oifname != \"ppp*\" meta mark set 7 limit rate 5%\n",
        ),
        (
            "t:insert_rule('inet', 's', 'c', 'tcp dport { 80, 443 } accept')",
            "insert rule inet s c tcp dport { 80, 443 } accept\n",
        ),
    ] {
        assert_eq!(script(statement).unwrap(), expected, "{statement}");
    }
}

#[test]
fn what_could_be_another_command_is_refused() {
    for statement in [
        "t:add_table('inet ', 'shop')",
        "t:add_table('inet', 'shop; flush ruleset')",
        "t:add_table('inet', '-f')",
        "t:add_table('inet', 'a\\nb')",
        "t:add_table('inet', '')",
        "t:add_table('inet')",
        "t:add_table('inet', 'a', 'b')",
        "t:add_table('inet', ('x'):rep(129))",
        "t:add_chain('inet', 's', 'c', {type = 'nat'})",
        "t:add_chain('inet', 's', 'c', {type = 'nat }', hook = 'output', priority = 0})",
        "t:add_chain('inet', 's', 'c', {typ = 'nat'})",
        "t:add_set('inet', 's', 'm')",
        "t:add_set('inet', 's', 'm', {type = {}})",
        "t:add_map('inet', 's', 'm', {type = 'ipv4_addr'})",
        "t:add_element('inet', 's', 'm')",
        "t:add_element('inet', 's', 'm', '1.2.3.4 }; flush ruleset')",
        "t:add_element('inet', 's', 'm', nil)",
        "t:add_element('inet', 's', 'm', {value = 1})",
        "t:add_rule('inet', 's', 'c', 'accept; flush ruleset')",
        "t:add_rule('inet', 's', 'c', 'accept # x')",
        "t:add_rule('inet', 's', 'c', 'accept\\nflush ruleset')",
        "t:add_rule('inet', 's', 'c', 'iifname \"x\"')",
        "t:add_rule('inet', 's', 'c', 'iifname %q', 'a\"; flush ruleset')",
        "t:add_rule('inet', 's', 'c', 'iifname %q', 'a\\\\')",
        "t:add_rule('inet', 's', 'c', 'ip saddr %s', 'a b')",
        "t:add_rule('inet', 's', 'c', 'ip saddr %s')",
        "t:add_rule('inet', 's', 'c', 'ip saddr', 'x')",
        "t:add_rule('inet', 's', 'c', 'ip saddr %d', 7)",
        "t:add_rule('inet', 's', 'c', 'x %')",
        "t:add_rule('inet', 's', 'c', ('x'):rep(4097))",
    ] {
        script(statement).expect_err(statement);
    }
}

#[test]
fn a_transaction_has_a_limit() {
    let mut transaction = Transaction::default();
    for _ in 0..MAX_COMMANDS {
        transaction.add("x").unwrap();
    }
    transaction.add("x").unwrap_err();
    assert!(Transaction::default().add(&"x".repeat(MAX_SCRIPT)).is_err());
}

proptest! {
    /// Whatever a peer is called: what comes out is the words that were put in, in their places, or nothing.
    #[test]
    fn no_word_leaves_its_place(word in prop::collection::vec(any::<u8>(), 0..40)) {
        let lua = Lua::new();
        let value = Value::String(lua.create_string(&word).unwrap());
        if let Ok(rule) = fill(b"a %s b", std::slice::from_ref(&value)) {
            let middle = rule.strip_prefix("a ").unwrap().strip_suffix(" b").unwrap();
            prop_assert_eq!(middle.as_bytes(), &word);
            let has_strange = middle.contains(|c: char| c.is_whitespace() || ";{}#\"'\\$,!*".contains(c));
            prop_assert!(!has_strange);
        }
        if let Ok(rule) = fill(b"a %q b", std::slice::from_ref(&value)) {
            let middle = rule.strip_prefix("a \"").unwrap().strip_suffix("\" b").unwrap();
            prop_assert_eq!(middle.as_bytes(), &word);
            let has_strange = middle.contains(['"', '\\', '\n', '\0']);
            prop_assert!(!has_strange);
        }
        if let Ok(commands) = element_command("add", &[
            Value::String(lua.create_string("inet").unwrap()),
            Value::String(lua.create_string("t").unwrap()),
            Value::String(lua.create_string("s").unwrap()),
            value,
        ]) {
            prop_assert_eq!(commands.len(), 1);
            prop_assert_eq!(commands[0].split_whitespace().count(), 8);
        }
    }
}
