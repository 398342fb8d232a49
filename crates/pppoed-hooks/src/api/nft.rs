//! `nft`: commands of nftables, put together so that no name or value can become a command.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

use mlua::{Lua, LuaString, MultiValue, Table, Value, Variadic};

use super::exec::Order;
use super::{Api, When, failure};

/// Commands of one transaction.
const MAX_COMMANDS: usize = 10_000;
/// Bytes of one transaction, which is read from standard input.
const MAX_SCRIPT: usize = 1 << 20;
/// Bytes of a name or word.
const MAX_WORD: usize = 128;
/// Bytes of a rule.
const MAX_RULE: usize = 4096;

const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];

/// Why something cannot be put into a transaction.
type Wrong = String;

/// Commands that wait to be carried out.
#[derive(Debug, Default)]
struct Transaction {
    script: String,
    commands: usize,
}

impl Transaction {
    fn add(&mut self, command: &str) -> Result<(), Wrong> {
        if self.commands == MAX_COMMANDS || self.script.len() + command.len() >= MAX_SCRIPT {
            return Err(format!("a transaction has at most {MAX_COMMANDS} commands and {MAX_SCRIPT} bytes"));
        }
        self.commands += 1;
        self.script.push_str(command);
        self.script.push('\n');
        Ok(())
    }
}

/// Methods with a kind of object and what they do with it.
const OBJECTS: [(&str, &str, &str); 12] = [
    ("add_table", "table", "add"),
    ("delete_table", "table", "delete"),
    ("flush_table", "table", "flush"),
    ("add_chain", "chain", "add"),
    ("delete_chain", "chain", "delete"),
    ("flush_chain", "chain", "flush"),
    ("add_set", "set", "add"),
    ("delete_set", "set", "delete"),
    ("flush_set", "set", "flush"),
    ("add_map", "map", "add"),
    ("delete_map", "map", "delete"),
    ("flush_map", "map", "flush"),
];

pub(super) fn install(api: &Api<'_>, globals: &Table) -> mlua::Result<()> {
    let host = api.host.clone();
    api.add(globals, ("nft", "nft"), When::Always, move |lua, _, ()| {
        let transaction = Rc::new(RefCell::new(Transaction::default()));
        let api = Api { lua, host: &host };
        let object = lua.create_table()?;
        for (method, kind, verb) in OBJECTS {
            add_method(&api, &object, &transaction, method, move |words| object_command(verb, kind, words))?;
        }
        for (method, verb) in [("add_element", "add"), ("delete_element", "delete")] {
            add_method(&api, &object, &transaction, method, move |words| element_command(verb, words))?;
        }
        for (method, verb) in [("add_rule", "add"), ("insert_rule", "insert")] {
            add_method(&api, &object, &transaction, method, move |words| rule_command(verb, words))?;
        }
        let taken = transaction.clone();
        api.add(&object, ("nft.run", "run"), When::InCalls, move |lua, host, _this: Table| {
            let script = std::mem::take(&mut *taken.borrow_mut()).script;
            if script.is_empty() {
                return Ok(MultiValue::from_iter([Value::Boolean(true)]));
            }
            run(lua, host, script)
        })?;
        Ok(object)
    })
}

fn add_method(
    api: &Api<'_>,
    object: &Table,
    transaction: &Rc<RefCell<Transaction>>,
    name: &'static str,
    command: impl Fn(&[Value]) -> Result<Vec<String>, Wrong> + 'static,
) -> mlua::Result<()> {
    let transaction = transaction.clone();
    let body = move |_: &Lua, _: &super::Host, (this, words): (Table, Variadic<Value>)| {
        let mut transaction = transaction.borrow_mut();
        for command in command(&words).map_err(mlua::Error::runtime)? {
            transaction.add(&command).map_err(mlua::Error::runtime)?;
        }
        Ok(this)
    };
    api.add(object, (name, name), When::Always, body)
}

fn run(lua: &Lua, host: &super::Host, script: String) -> mlua::Result<MultiValue> {
    let order = Order::new(&["nft", "-f", "-"], script.into_bytes());
    match order.carry_out(host) {
        Ok(outcome) if outcome.is_success() => Ok(MultiValue::from_iter([Value::Boolean(true)])),
        Ok(outcome) if outcome.timed_out => failure(lua, "nft did not end in time"),
        Ok(outcome) => {
            let said = String::from_utf8_lossy(&outcome.stderr);
            failure(lua, format!("nft {}: {}", outcome.exit, said.trim()))
        }
        Err(error) => failure(lua, error.message),
    }
}

/// `add table inet shop`, with what belongs to an object that is made.
fn object_command(verb: &str, kind: &str, words: &[Value]) -> Result<Vec<String>, Wrong> {
    let mut words = words.iter();
    let mut path = format!("{} {}", family(words.next())?, name("table", words.next())?);
    if kind != "table" {
        write!(path, " {}", name(kind, words.next())?).map_err(|error| error.to_string())?;
    }
    let about = match (verb, kind, words.next()) {
        ("add", "chain", about) => chain(about)?,
        ("add", "set" | "map", Some(Value::Table(about))) => set(kind, about)?,
        ("add", "set" | "map", _) => return Err(format!("a {kind} needs a table with its type")),
        (_, _, None | Some(Value::Nil)) => String::new(),
        _ => return Err("there are too many arguments".to_owned()),
    };
    if words.next().is_some() {
        return Err("there are too many arguments".to_owned());
    }
    Ok(match (verb, kind) {
        // So that there is one to delete. A set cannot be added without knowing its type.
        ("delete", "table" | "chain") => vec![format!("add {kind} {path}"), format!("delete {kind} {path}")],
        _ => vec![format!("{verb} {kind} {path}{about}")],
    })
}

fn chain(about: Option<&Value>) -> Result<String, Wrong> {
    let about = match about {
        None | Some(Value::Nil) => return Ok(String::new()),
        Some(Value::Table(about)) => about,
        Some(other) => {
            return Err(format!("what a chain is like must be a table, not a {}", other.type_name()));
        }
    };
    let fields = Fields::new(about, &["type", "hook", "priority", "device", "policy"])?;
    let mut text = format!(" {{ type {} hook {}", fields.needed("type")?, fields.needed("hook")?);
    if let Some(device) = fields.get("device") {
        text.push_str(&format!(" device {}", quoted(device.as_bytes())?));
    }
    text.push_str(&format!(" priority {};", fields.needed("priority")?));
    if let Some(policy) = fields.get("policy") {
        text.push_str(&format!(" policy {policy};"));
    }
    text.push_str(" }");
    Ok(text)
}

fn set(kind: &str, about: &Table) -> Result<String, Wrong> {
    let fields = Fields::new(about, &["type", "value", "flags", "timeout", "size"])?;
    let mut text = format!(" {{ type {}", fields.needed_list("type", " . ")?);
    match (kind, fields.has("value")) {
        ("map", true) => text.push_str(&format!(" : {}", fields.needed_list("value", " . ")?)),
        ("map", false) => return Err("a map needs the type of its values, \"value\"".to_owned()),
        (_, true) => return Err("a set has no \"value\": that is for maps".to_owned()),
        (_, false) => {}
    }
    text.push(';');
    if fields.has("flags") {
        text.push_str(&format!(" flags {};", fields.needed_list("flags", ", ")?));
    }
    for name in ["timeout", "size"] {
        if let Some(value) = fields.get(name) {
            text.push_str(&format!(" {name} {value};"));
        }
    }
    text.push_str(" }");
    Ok(text)
}

/// The checked fields of a table.
struct Fields(Vec<(String, Vec<String>)>);

impl Fields {
    fn new(table: &Table, known: &[&str]) -> Result<Self, Wrong> {
        let mut fields = Vec::new();
        for pair in table.pairs::<LuaString, Value>() {
            let (name, value) = pair.map_err(|error| error.to_string())?;
            let name = name.to_string_lossy();
            if !known.contains(&name.as_str()) {
                return Err(format!("{name:?} is not one of {}", known.join(", ")));
            }
            fields.push((name, words_of(&value)?));
        }
        Ok(Self(fields))
    }

    fn list(&self, name: &str) -> Option<&[String]> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, words)| words.as_slice())
    }

    fn has(&self, name: &str) -> bool {
        self.list(name).is_some()
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.list(name).and_then(<[String]>::first).map(String::as_str)
    }

    fn needed(&self, name: &str) -> Result<&str, Wrong> {
        self.get(name).ok_or_else(|| format!("{name:?} is missing"))
    }

    fn needed_list(&self, name: &str, between: &str) -> Result<String, Wrong> {
        let words = self.list(name).filter(|words| !words.is_empty());
        words.map(|words| words.join(between)).ok_or_else(|| format!("{name:?} is missing"))
    }
}

fn element_command(verb: &str, words: &[Value]) -> Result<Vec<String>, Wrong> {
    let mut words = words.iter();
    let path =
        format!("{} {} {}", family(words.next())?, name("table", words.next())?, name("set", words.next())?);
    let elements: Vec<String> = words.map(element).collect::<Result<_, _>>()?;
    if elements.is_empty() {
        return Err("there is no element".to_owned());
    }
    let elements = elements.join(", ");
    let command = |verb: &str| format!("{verb} element {path} {{ {elements} }}");
    Ok(match verb {
        // So that there is one to delete; older versions of nft have no "destroy".
        "delete" => vec![command("add"), command("delete")],
        _ => vec![command(verb)],
    })
}

fn element(value: &Value) -> Result<String, Wrong> {
    let Value::Table(table) = value else { return bare(value) };
    if table.raw_len() > 0 {
        return Ok(words_of(value)?.join(" . "));
    }
    let field = |name: &str| table.raw_get::<Value>(name).map_err(|error| error.to_string());
    let part = |value: Value| words_of(&value).map(|words| words.join(" . "));
    let mut text = part(field("key")?)?;
    if text.is_empty() {
        return Err("an element that is a table needs a \"key\"".to_owned());
    }
    match field("timeout")? {
        Value::Nil => {}
        timeout => text.push_str(&format!(" timeout {}", bare(&timeout)?)),
    }
    match field("value")? {
        Value::Nil => {}
        value => text.push_str(&format!(" : {}", part(value)?)),
    }
    Ok(text)
}

fn rule_command(verb: &str, words: &[Value]) -> Result<Vec<String>, Wrong> {
    let mut words = words.iter();
    let path = format!(
        "{} {} {}",
        family(words.next())?,
        name("table", words.next())?,
        name("chain", words.next())?
    );
    let Some(Value::String(template)) = words.next() else {
        return Err("behind the chain there must be the rule, a string".to_owned());
    };
    let rule = fill(&template.as_bytes(), words.as_slice())?;
    Ok(vec![format!("{verb} rule {path} {rule}")])
}

/// Puts words into a rule.
fn fill(template: &[u8], words: &[Value]) -> Result<String, Wrong> {
    let mut words = words.iter();
    let mut rule = String::new();
    let mut bytes = template.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match bytes.next() {
                Some(b'%') => rule.push('%'),
                Some(b's') => {
                    rule.push_str(&bare(words.next().ok_or("there are fewer words than %s and %q")?)?)
                }
                Some(b'q') => {
                    let word = words.next().ok_or("there are fewer words than %s and %q")?;
                    rule.push_str(&quoted(&text(word)?)?);
                }
                _ => return Err("behind % there must be s, q or %".to_owned()),
            },
            b';' | b'#' | b'"' | b'\\' | 0..=31 | 127.. => {
                let shown = char::from(*byte).escape_default();
                return Err(format!("a rule must not hold '{shown}'; strings are put in by %q"));
            }
            _ => rule.push(char::from(*byte)),
        }
        if rule.len() > MAX_RULE {
            return Err(format!("the rule has more than {MAX_RULE} bytes"));
        }
    }
    match words.next() {
        Some(_) => Err("there are more words than %s and %q".to_owned()),
        None => Ok(rule),
    }
}

fn family(value: Option<&Value>) -> Result<String, Wrong> {
    let word = value.map(text).transpose()?.unwrap_or_default();
    let found = FAMILIES.into_iter().find(|family| family.as_bytes() == word);
    found.map(str::to_owned).ok_or_else(|| {
        let shown = ppp_wire::escape::Escaped(&word).to_string();
        format!("the family is \"{shown}\", not one of {}", FAMILIES.join(", "))
    })
}

/// A name of ours: it begins with a letter, so that nothing takes it for a flag, a number or a handle.
fn name(what: &str, value: Option<&Value>) -> Result<String, Wrong> {
    let word = value.map(text).transpose()?.unwrap_or_default();
    let is_good = word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.len() <= MAX_WORD
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-./".contains(byte));
    match String::from_utf8(word) {
        Ok(word) if is_good => Ok(word),
        Ok(word) => Err(format!("{word:?} cannot be the name of a {what}")),
        Err(error) => Err(format!("{:?} cannot be the name of a {what}", error.as_bytes())),
    }
}

fn words_of(value: &Value) -> Result<Vec<String>, Wrong> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Table(table) => table
            .sequence_values::<Value>()
            .map(|word| bare(&word.map_err(|error| error.to_string())?))
            .collect(),
        word => Ok(vec![bare(word)?]),
    }
}

fn text(value: &Value) -> Result<Vec<u8>, Wrong> {
    match value {
        Value::String(text) => Ok(text.as_bytes().to_vec()),
        Value::Integer(number) => Ok(number.to_string().into_bytes()),
        other => Err(format!("a word is a {}, not a string", other.type_name())),
    }
}

/// A word that needs no quotes: an address, a number, a name.
fn bare(value: &Value) -> Result<String, Wrong> {
    let word = text(value)?;
    let is_good = !word.is_empty()
        && word.len() <= MAX_WORD
        && word.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._:/@-".contains(byte));
    let shown = ppp_wire::escape::Escaped(&word).to_string();
    match String::from_utf8(word) {
        Ok(word) if is_good => Ok(word),
        _ => Err(format!(
            "\"{shown}\" cannot be a word: only letters, digits and ._:/@- can be in it (see %q)"
        )),
    }
}

/// A string in quotes, in which nft knows no escapes.
fn quoted(word: &[u8]) -> Result<String, Wrong> {
    let is_good = word.len() <= MAX_WORD
        && word.iter().all(|byte| (b' '..=b'~').contains(byte) && !b"\"\\".contains(byte));
    match is_good {
        true => Ok(format!("\"{}\"", String::from_utf8_lossy(word))),
        false => {
            let shown = ppp_wire::escape::Escaped(word).to_string();
            Err(format!("\"{shown}\" cannot be a string of nft: printable ASCII without \" and \\ only"))
        }
    }
}

#[cfg(test)]
#[path = "nft_tests.rs"]
mod tests;
