use std::time::Duration;

use ppp_ipc::hooks::{Answer, Argument, Event, Function};

use super::host::Host;

fn fails_to_load(source: &str) -> String {
    match Host::start(&[("test.lua", source)]) {
        Ok(_) => panic!("{source}"),
        Err(errors) => errors.join("\n"),
    }
}

#[test]
fn a_script_that_does_not_load_is_named_with_its_line() {
    for (source, expected) in [
        ("function ip_up(s)\n  if\nend", "test.lua:3:"),
        ("\nlocal x = y.z", "test.lua:2: attempt to index a nil value (global 'y')"),
        ("ip_up = 7", "test.lua: ip_up is the name of a hook, and here a integer"),
        ("exec{'true'}", "test.lua:1: exec: not in the main chunk"),
        ("store.get('x')", "test.lua:1: store.get: not in the main chunk"),
        ("every(0, print)", "test.lua:1: every: the seconds must be from 1 to 604800"),
        ("deadline(601)", "test.lua:1: deadline: the seconds must be from 1 to 600"),
        ("for i = 1, 17 do every(1, print) end", "test.lua:1: every: a file may have 16 of these"),
        ("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end", "not enough memory"),
        ("\u{1b}Lua", "test.lua"),
    ] {
        let errors = fails_to_load(source);
        assert!(errors.contains(expected), "{source}: {errors}");
    }
    let both = Host::start(&[("a.lua", "x("), ("b.lua", "y("), ("c.lua", "")]).err().unwrap();
    assert_eq!(both.len(), 2, "{both:?}");
    assert!(both[0].starts_with("a.lua:1:") && both[1].starts_with("b.lua:1:"), "{both:?}");
}

#[test]
fn an_error_has_a_traceback_and_does_no_harm() {
    let mut host = Host::of(
        "local function inner(s) return s.nothing.at_all end\nlocal function outer(s) return (inner(s)) end\n\
         function ip_up(s) return (outer(s)) end\nfunction ip_down() return 'fine' end",
    );
    let error = host.run().unwrap_err();
    assert!(!error.is_nonsense);
    assert!(
        error.message.starts_with("test.lua:1: attempt to index a nil value (field 'nothing')"),
        "{error:?}"
    );
    for line in ["test.lua:2:", "test.lua:3:"] {
        assert!(error.message.contains(line), "{error:?}");
    }
    assert_eq!(host.call(Event::IpDown, &[]).shown.unwrap(), "\"fine\"");
}

#[test]
fn nonsense_is_an_error() {
    let mut host = Host::of("function auth(s) return {addres = '1.2.3.4'} end");
    let error = host.call(Event::Auth, &[]).result.unwrap_err();
    assert!(error.is_nonsense);
    assert_eq!(error.message, "test.lua: auth: field \"addres\" is not one that auth may return");
}

#[test]
fn memory_has_a_limit_and_who_used_it_up_is_worn() {
    let mut host = Host::of(
        "function ip_up() local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end end\n\
         function ip_down() kept = {} for i = 1, 12 do kept[i] = ('x'):rep(1e6) .. i end end\n\
         function auth_up() local t = {} for i = 1, 12 do t[i] = ('x'):rep(1e6) .. i end end",
    );
    let returned = host.call(Event::AuthUp, &[]);
    assert_eq!((returned.result, returned.is_worn), (Ok(Answer::None), false), "it kept nothing");
    let returned = host.call(Event::IpUp, &[]);
    assert!(returned.result.unwrap_err().message.starts_with("not enough memory"));
    assert!(returned.is_worn);
    assert!(host.call(Event::IpDown, &[]).is_worn, "it kept more than half");
}

#[test]
fn deep_recursion_is_an_error() {
    let mut host = Host::of("function ip_up() local function f(n) return 1 + f(n + 1) end return f(1) end");
    let message = host.run().unwrap_err().message;
    // Whichever limit is reached first.
    assert!(message.contains("stack overflow") || message.contains("not enough memory"), "{message}");
    let mut host = Host::of("function ip_up() return ('x'):rep(1e9) end");
    assert!(host.run().is_err());
}

/// What no limit inside of Lua would stop. Whoever kills the host learns where it was.
#[test]
fn what_does_not_end_can_be_killed_and_is_located() {
    for (source, line) in [
        ("function ip_up()\n while true do end end", "test.lua:2"),
        ("function ip_up()\n while true do\n pcall(function() while true do end end) end end", "test.lua:3"),
        (
            "function ip_up()\n local co = coroutine.wrap(function()\n while true do end end) co() end",
            "test.lua:3",
        ),
        ("function ip_up()\n\n (('a'):rep(30000)):find(('.-'):rep(20) .. 'b') end", "test.lua:1"),
        (
            "function ip_up()\n setmetatable({}, {__gc = function()\n while true do end end}) collectgarbage() end",
            "test.lua:",
        ),
        ("function ip_up()\n exec{'sleep', '600'} end", "test.lua:2"),
    ] {
        let mut host = Host::of(source);
        host.begin(Function::Event(Event::IpUp), vec![Argument::Table(Vec::new())], Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(300));
        assert!(host.place().starts_with(line), "{source}: {}", host.place());
        host.kill();
        assert!(host.finish().is_none(), "{source}");
    }
}

#[test]
fn a_host_ends_with_its_socket() {
    let mut host = Host::of("function ip_up() end");
    host.run().unwrap();
    host.hang_up();
    assert!(host.wait().success());
}

#[test]
fn children_of_a_killed_host_die() {
    let mut host = Host::of("function ip_up() exec{'sleep', '600'} end");
    host.begin(Function::Event(Event::IpUp), Vec::new(), Duration::from_secs(60));
    let child = loop {
        if let Some(ppp_ipc::hooks::FromHost::Child(Some(pid))) = host.receive() {
            break pid;
        }
    };
    host.kill();
    let stat = format!("/proc/{child}/stat");
    let gone = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
    for _ in 0..100 {
        if gone() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("process {child} lives on");
}
