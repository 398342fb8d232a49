use std::time::{Duration, Instant};

use ppp_ipc::hooks::{Answer, Event, Level, Question, Reply, SessionFields, StoreValue, Value, Which};

use super::host::{Host, error_of, evaluate};

#[test]
fn functions_are_found_and_called_with_tables() {
    let (mut host, reports) = Host::start(&[
        (
            "10-a.lua",
            "deadline(60) every(5, function() log.info('tick') end)\n\
             function ip_pre_up(s) return s.username ~= 'mallory', s.username end\n\
             function helper() end",
        ),
        ("20-b.lua", "function ip_pre_up(s) return helper == nil end"),
    ])
    .unwrap();
    assert_eq!((reports[0].events.as_slice(), reports[0].deadline), ([Event::IpPreUp].as_slice(), Some(60)));
    assert_eq!((reports[0].every.as_slice(), reports[1].deadline), ([5].as_slice(), None));
    let named = |name: &[u8]| [("username".to_owned(), Value::from(name))];
    assert_eq!(host.call(Event::IpPreUp, &named(b"alice")).result, Ok(Answer::None));
    let denied = Answer::Deny(Some(b"mallory".to_vec()));
    assert_eq!(host.call(Event::IpPreUp, &named(b"mallory")).result, Ok(denied));
    // Peers' bytes arrive as they are.
    assert_eq!(host.call(Event::IpPreUp, &named(b"\xff\0'\n")).result, Ok(Answer::None));
    assert_eq!(host.call(Event::IpUp, &[]).result, Ok(Answer::None), "there is no such function");
}

#[test]
fn what_executes_or_loads_foreign_code_is_not_there() {
    assert_eq!(
        evaluate(
            "{io, os.execute, os.exit, os.getenv, os.remove, require, package, dofile, loadfile, string.dump, debug.getregistry, collectgarbage('count') > 0}"
        ),
        "{\"12\":true}"
    );
    let bytecode = evaluate("select(2, load('\\27Lua', 'x', 'b'))");
    assert!(bytecode.contains("binary"), "{bytecode}");
    assert_eq!(evaluate("load('return 1 + 1')()"), "2");
    assert_eq!(evaluate("load('return x', 'n', 't', {x = 7})()"), "7");
}

#[test]
fn programs_are_executed_without_a_shell() {
    assert_eq!(evaluate("exec{'/bin/echo', '$HOME;', '`id`', 7}.stdout"), r#""$HOME; `id` 7\n""#);
    assert_eq!(
        evaluate("exec{'/usr/bin/env', env = {A = 'x', B = 7}, clear_env = true}.stdout"),
        r#""A=x\nB=7\n""#
    );
    assert_eq!(
        evaluate("exec{'env'}.stdout"),
        "\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\\n\""
    );
    assert_eq!(
        evaluate("exec{'sh', '-c', 'echo no >&2; exit 3'}"),
        r#"{"ok":false,"status":3,"stderr":"no\n","stdout":"","timed_out":false,"truncated":false}"#
    );
    assert_eq!(evaluate("exec{'sh', '-c', 'kill -9 $$'}.signal"), "9");
    assert_eq!(
        evaluate("exec{'cat', stdin = string.rep('x', 300000), max_output = 1048576}.stdout:len()"),
        "300000"
    );
    assert_eq!(
        evaluate("exec{'sh', '-c', 'pwd; umask; cat', cwd = '/usr', umask = 18}.stdout"),
        "\"/usr\\n0022\\n\""
    );
    let output = evaluate("exec{'sh', '-c', 'head -c 100000 /dev/zero; echo end >&2', max_output = 10}");
    assert!(output.contains(r#""stderr":"end\n""#) && output.contains(r#""truncated":true"#), "{output}");
    assert_eq!(
        evaluate("select('#', exec{'/no/such/program'}), select(3, exec{'/no/such/program'})"),
        "3, \"missing\""
    );
    assert_eq!(evaluate("select(3, exec{'no-such-program'})"), "\"missing\"");
    assert_eq!(evaluate("select(3, exec{'/etc/passwd'})"), "\"failed\"");
}

#[test]
fn a_program_that_takes_too_long_is_killed_with_its_children() {
    let mut host = Host::of(
        "function ip_up() local r = exec{'sh', '-c', 'sleep 600 & echo $!; wait', timeout = 0.3} \
         return r.timed_out, r.ok, tonumber(r.stdout) end",
    );
    let shown = host.run().unwrap();
    let (start, sleeper) = shown.rsplit_once(", ").unwrap();
    assert_eq!(start, "true, false");
    // The signal has been sent; when it is acted on is the kernel's business.
    let state = || std::fs::read_to_string(format!("/proc/{sleeper}/stat")).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(Instant::now() < deadline, "{}", state());
        std::thread::sleep(Duration::from_millis(10));
    }
    let [Some(pid), None] = host.children.as_slice() else { panic!("{:?}", host.children) };
    assert!(*pid > 1);
}

#[test]
fn what_a_program_leaves_in_the_background_is_not_waited_for() {
    let mut host = Host::of(
        "function ip_up() local t = os.time(); local r = exec{'sh', '-c', 'sleep 20 & echo $!'} \
         exec{'kill', r.stdout:match('%d+')} return r.ok, os.time() - t < 15 end",
    );
    assert_eq!(host.run().unwrap(), "true, true");
}

#[test]
fn only_programs_that_only_root_can_change() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("ip-up");
    std::fs::write(&script, "#!/bin/sh\necho $0 $1\n").unwrap();
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let path = script.to_str().unwrap();
    mode(0o755);
    let call = format!("exec{{'{path}', 'ppp0', trusted_only = true}}");
    assert_eq!(evaluate(&format!("{call}.stdout")), format!("\"{path} ppp0\\n\""));
    mode(0o775);
    assert_eq!(evaluate(&format!("select(3, {call})")), "\"untrusted\"");
    std::fs::remove_file(&script).unwrap();
    assert_eq!(evaluate(&format!("select(3, {call})")), "\"missing\"");
}

#[test]
fn wrong_arguments_name_the_line() {
    for (statements, expected) in [
        ("exec{}", "test.lua:2: exec: the list must hold a program"),
        ("exec{'a', nil, 'b'}", "test.lua:2: exec: the list must hold a program"),
        ("\n\nexec{'a', {}}", "test.lua:4: exec: word 2 is a table, not a string"),
        ("exec{'a', 'b\\0c'}", "test.lua:2: exec: a word holds a zero byte"),
        ("exec{'a', shell = true}", "test.lua:2: exec: \"shell\" is not known"),
        ("exec{'a', env = {['A=B'] = 1}}", "test.lua:2: exec: \"A=B\" cannot be the name of a variable"),
        ("exec{'a', umask = 512}", "test.lua:2: exec: \"umask\" must be"),
        ("exec{'a', max_output = 1048577}", "test.lua:2: exec: \"max_output\" must be"),
        ("exec('a')", "test.lua:2: exec: "),
        ("every(1, print)", "test.lua:2: every: only in the main chunk"),
        ("terminate({})", "test.lua:2: terminate: a session is named by its id or its sid"),
        ("store.set('a', {})", "test.lua:2: store.set: the store takes strings, numbers and booleans"),
        ("local x = nil; x.y = 1", "test.lua:2: attempt to index a nil value (local 'x')"),
        ("pcall(error) error('own')", "test.lua:2: own"),
    ] {
        let error = error_of(statements);
        assert!(error.starts_with(expected), "{statements}: {error}");
    }
}

#[test]
fn names_there_and_back() {
    assert_eq!(evaluate(r"names.text('DOM\\bob\255*')"), r#""DOM\\bob\\xff\\x2a""#);
    assert_eq!(evaluate(r"names.bytes([[DOM\bob\xff\x2a]]) == 'DOM\\bob\255*'"), "true");
    assert_eq!(evaluate("names.text(nil), names.bytes(nil)"), "null, null");
}

#[test]
fn json_there_and_back() {
    assert_eq!(
        evaluate("json.encode{b = 1, a = {1, 2.5, 'x\"'}, n = json.null, e = {}, z = json.array()}"),
        r#""{\"a\":[1,2.5,\"x\\\"\"],\"b\":1,\"e\":{},\"n\":null,\"z\":[]}""#
    );
    assert_eq!(
        evaluate("json.decode('{\"a\": [1, null, {\"b\": true}], \"c\": 1.5}')"),
        r#"{"a":[1,null,{"b":true}],"c":1.5}"#
    );
    assert_eq!(evaluate("json.encode('a\\255b\\n')"), r#""\"a�b\\n\"""#);
    assert_eq!(evaluate("json.encode(print)"), r#"null, "JSON has no function""#);
    assert_eq!(evaluate("json.encode(0/0)"), r#"null, "JSON has no NaN""#);
    assert_eq!(evaluate("select('#', json.decode('{'))"), "2");
    let deep = "(function() local t = {} for i = 1, 33 do t = {t} end return json.encode(t) end)()";
    assert_eq!(evaluate(deep), r#"null, "more than 32 tables in each other""#);
    assert_eq!(
        evaluate("json.encode(string.rep('x', 1048577))"),
        r#"null, "the text has more than 1048576 bytes""#
    );
    assert_eq!(evaluate("hex('a\\0\\255')"), r#""6100ff""#);
}

#[test]
fn the_log_gets_text_and_level() {
    let mut host = Host::of(
        "function ip_up() log.warn('a', 1, nil, {} ~= nil) print('b') log.debug(('x'):rep(5000)) end",
    );
    host.run().unwrap();
    assert_eq!(host.logged[0], (Level::Warn, "a\t1\tnil\ttrue".to_owned()));
    assert_eq!(host.logged[1], (Level::Info, "b".to_owned()));
    assert_eq!((host.logged[2].0, host.logged[2].1.len()), (Level::Debug, 4096));
}

#[test]
fn the_server_is_asked() {
    let mut host = Host::of(
        "function ip_up() local all = sessions() return #all, all[2].id, session('x') == nil, store.get('k'), \
         store.add('n', 2), terminate(7, 'bye'), select(2, set_rate(7, 1000, 100)), #store.keys('a') end",
    );
    let session = |id: u16| SessionFields { id, fields: vec![("id".to_owned(), Value::Integer(id.into()))] };
    host.replies = vec![
        Reply::Sessions { sessions: vec![session(3)], more: true },
        Reply::Sessions { sessions: vec![session(9)], more: false },
        Reply::Sessions { sessions: Vec::new(), more: false },
        Reply::Value(Some(StoreValue::Bytes(b"v".to_vec()))),
        Reply::Value(Some(StoreValue::Integer(5))),
        Reply::Done(Ok(())),
        Reply::Done(Err("no such session".to_owned())),
        Reply::Keys { keys: vec![b"a1".to_vec()], more: true },
        Reply::Keys { keys: vec![b"a2".to_vec()], more: false },
    ];
    assert_eq!(host.run().unwrap(), r#"2, 9, true, "v", 5, true, "no such session", 2"#);
    let expected = [
        Question::Sessions { after: 0, fields: Vec::new() },
        Question::Sessions { after: 3, fields: Vec::new() },
        Question::Session(Which::Sid("x".to_owned())),
        Question::StoreGet(b"k".to_vec()),
        Question::StoreAdd(b"n".to_vec(), StoreValue::Integer(2)),
        Question::Terminate { which: Which::Id(7), text: b"bye".to_vec() },
        Question::SetRate { which: Which::Id(7), down: 1000, up: 100 },
        Question::StoreKeys { prefix: b"a".to_vec(), after: None },
        Question::StoreKeys { prefix: b"a".to_vec(), after: Some(b"a1".to_vec()) },
    ];
    assert_eq!(host.questions, expected);
}
