//! Hook scripts in a whole server: when they are called, what their answers do, and what their failures do not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ppp_ipc::control::{EventFilter, EventName, Failure, HookTrial, Request, Response, Selector};
use ppp_ipc::name::Name;
use tempfile::TempDir;

use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 17] = [
        ("hooks see a session's life in its order", life),
        ("without scripts there is no hook host", no_scripts),
        ("scripts that do not load stop the start", not_loaded),
        ("a hook supplies the secret, the address and the limits", auth_supplies),
        ("a hook refuses at the authentication", auth_refuses),
        ("a hook vetoes, and ip_down is called", veto),
        ("a failing hook refuses, unless it is allowed to fail", failure_policy),
        ("a hook that hangs is killed, and only its own session waits", hanging),
        ("an address is free after ip_down", address_after_ip_down),
        ("ip_down is called when a worker is killed", worker_killed),
        ("ip_down waits for ip_up", order_of_up_and_down),
        ("scripts are loaded anew, or stay as they were", reload),
        ("functions are called every so often, and the store lasts", every_and_store),
        ("a hook ends a session", terminate),
        ("a hook decides who gets an offer", offers),
        ("consoles see and try hooks", consoles),
        ("consoles are told of calls, and what a reload loads", told),
    ];
    let test = |(name, test): (&str, fn())| -> super::Test {
        (format!("hooks: {name}"), Box::new(move || with_wire(test)))
    };
    tests.into_iter().map(test).collect()
}

/// Scripts in a directory, and a file that they write to.
struct Scripts {
    directory: TempDir,
}

/// Defines `note(...)`, which writes a line that the test reads.
const NOTE: &str = "function note(...) local t = {...} for i = 1, select('#', ...) do t[i] = tostring(t[i]) end \
                    assert(file.append(NOTES, table.concat(t, ' ') .. '\\n')) end\n";

impl Scripts {
    fn new(scripts: &[(&str, &str)]) -> Self {
        let scripts_of = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(scripts_of.hooks()).unwrap();
        scripts.iter().for_each(|(name, source)| scripts_of.write(name, source));
        scripts_of
    }

    fn hooks(&self) -> PathBuf {
        self.directory.path().join("hooks.d")
    }

    fn notes_path(&self) -> PathBuf {
        self.directory.path().join("notes")
    }

    fn write(&self, name: &str, source: &str) {
        let notes = format!("NOTES = {:?} ", self.notes_path());
        fs::write(self.hooks().join(name), notes + NOTE.trim_end() + " " + source).unwrap();
    }

    fn start(&self, flags: &[&str]) -> Lab {
        let store = self.directory.path().join("store");
        let hooks = self.hooks();
        let mut all = vec!["--hooks-dir", text(&hooks), "--hook-store", text(&store)];
        all.extend(flags);
        Lab::start(&all)
    }

    fn notes(&self) -> String {
        fs::read_to_string(self.notes_path()).unwrap_or_default()
    }

    /// Waits until a line begins so.
    fn noted(&self, start: &str) -> String {
        let mut found = None;
        until(&format!("the note {start:?} in {:?}", self.notes()), || {
            found = self.notes().lines().find(|line| line.starts_with(start)).map(str::to_owned);
            found.is_some()
        });
        found.unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Hosts of the server, by their process ids.
fn hook_hosts(lab: &Lab) -> Vec<i32> {
    let is_host = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "pppoed-hooks")
    };
    lab::children(lab.pid()).into_iter().map(Pid::as_raw).filter(is_host).collect()
}

fn life() {
    let scripts = Scripts::new(&[(
        "a.lua",
        "function server_start(v) note('server_start', v.sessions, v.interfaces[1]) end\n\
         function auth(s, p) note('auth', s.username, p.method, #p.response, s.ipremote) end\n\
         function auth_up(s) note('auth_up', s.username, s.secret_origin ~= nil) end\n\
         function ip_pre_up(s) note('ip_pre_up', s.ifname, s.ipremote, file.read('/proc/net/dev'):find(s.ifname) ~= nil) end\n\
         function ip_up(s) note('ip_up', s.id, s.mac, s.ipv4_open, s.mtu, s.state) end\n\
         function ip_down(s) note('ip_down', s.reason, s.ipremote, s.connect_time, file.read('/proc/net/dev'):find(s.ifname) ~= nil) end\n\
         function auth_down(s) note('auth_down', s.sid:len(), s.username) end\n\
         function server_stop() note('server_stop') end",
    )]);
    let lab = scripts.start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    scripts.noted("ip_up");
    subscriber.assert_alive();
    subscriber.host.hang_up();
    scripts.noted("auth_down");
    lab.stop_with(&mut []);
    let mac = good_mac(1);
    let expected = format!(
        "server_start 0 access0\n\
         auth alice chap-md5 16 nil\n\
         auth_up alice true\n\
         ip_pre_up ppp0 10.0.0.2 true\n\
         ip_up 1 {mac} true 1492 open\n\
         ip_down padt 10.0.0.2 0 false\n\
         auth_down 16 alice\n\
         server_stop\n"
    );
    assert_eq!(scripts.notes(), expected);
}

fn no_scripts() {
    let scripts = Scripts::new(&[]);
    let lab = scripts.start(&[]);
    Subscriber::open(good_mac(1)).assert_alive();
    assert_eq!(hook_hosts(&lab), [0; 0]);
    scripts.write("a.lua", "function ip_up(s) note('ip_up', s.id) end");
    lab.signal(Signal::SIGHUP);
    until("the hosts", || hook_hosts(&lab).len() == 4);
    Subscriber::open(good_mac(2)).assert_alive();
    scripts.noted("ip_up 2");
    fs::remove_file(scripts.hooks().join("a.lua")).unwrap();
    lab.signal(Signal::SIGHUP);
    until("the hosts to end", || hook_hosts(&lab).is_empty());
}

fn not_loaded() {
    let scripts = Scripts::new(&[("good.lua", ""), ("bad.lua", "function ip_up(s)\nif")]);
    let run = |argument: &[&str]| {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_pppoed")).args(argument).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let hooks = scripts.hooks();
    let (ok, said) = run(&["--check-hooks", text(&hooks)]);
    assert!(!ok && said.contains("bad.lua:2:"), "{said}");
    // Several at once: all are looked at, whatever is wrong with the first.
    let (good, bad) = (hooks.join("good.lua"), hooks.join("bad.lua"));
    let (ok, said) = run(&["--check-hooks", text(&bad), "--check-hooks", text(&good)]);
    assert!(!ok && said.contains("bad.lua:2:") && !said.contains("good.lua"), "{said}");
    assert!(run(&["--check-hooks", text(&good), "--check-hooks", text(&good)]).0);
    let run_dir = scripts.directory.path().join("run");
    let (ok, said) = run(&["-F", "-I", "lo", "--hooks-dir", text(&hooks), "--run-dir", text(&run_dir)]);
    assert!(!ok && said.contains("bad.lua:2:"), "{said}");
}

fn auth_supplies() {
    let source = format!(
        "function auth(s, proof) return {{secret = '{SECRET}', address = '192.0.2.77', dns = {{'9.9.9.9'}}, \
         session_timeout = 3, options = {{'set', 'PLAN=gold'}}}} end\n\
         function ip_up(s) note('up', s.ipremote, s.dns1, s.session_timeout, s.env.PLAN, s.secret_origin) end"
    );
    let scripts = Scripts::new(&[("a.lua", &source)]);
    // The secrets files do not know her.
    let lab = scripts.start(&["--chap-secrets", "/dev/null"]);
    let mut subscriber = Subscriber::open(good_mac(1));
    assert_eq!(subscriber.address(), Some([192, 0, 2, 77].into()));
    assert_eq!(scripts.noted("up"), "up 192.0.2.77 9.9.9.9 3 gold hook a.lua");
    subscriber.assert_alive();
    lab.logged(&["session ended", "session-timeout"]);
}

fn refused_login(lab: &Lab) {
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(1)), b"alice");
    until("the refusal", || subscriber.is_over());
    lab.logged(&["session ended", "reason=\"auth-failed\""]);
}

fn auth_refuses() {
    let scripts = Scripts::new(&[
        ("a.lua", "function auth(s) if s.username == 'alice' then return false, 'closed on Sundays' end end"),
        ("b.lua", "function auth(s) return {accept = true} end"),
    ]);
    let lab = scripts.start(&[]);
    refused_login(&lab);
    lab.logged(&["authentication refused", "reason=\"hook a.lua: closed on Sundays\"", "username=\"alice\""]);
    let mut other = Subscriber::begin(Host::dial(good_mac(2)), b"bob");
    until("IPCP to open", || {
        other.drive();
        other.address().is_some()
    });
}

fn veto() {
    let scripts = Scripts::new(&[
        ("a.lua", "function ip_pre_up(s) note('pre', s.id) return false, 'no room' end"),
        (
            "b.lua",
            "function ip_up(s) note('up') end function ip_down(s) note('down', s.reason, s.detail) end",
        ),
    ]);
    let lab = scripts.start(&[]);
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(1)), b"alice");
    until("the veto", || subscriber.is_over());
    assert_eq!(scripts.noted("down"), "down hook-veto hook a.lua: no room");
    lab.logged(&["session ended", "reason=\"hook-veto\"", "hook a.lua: no room"]);
    assert_eq!(scripts.notes().lines().count(), 2, "{}", scripts.notes());
}

fn failure_policy() {
    let scripts = Scripts::new(&[("a.lua", "function auth(s)\n  return s.nothing.at_all\nend")]);
    let lab = scripts.start(&[]);
    refused_login(&lab);
    lab.logged(&[
        "hook failed",
        "hook=\"auth\"",
        "a.lua:2: attempt to index a nil value",
        "username=\"alice\"",
    ]);
    drop(lab);
    let lab = scripts.start(&["--hook-failure", "allow"]);
    Subscriber::open(good_mac(1)).assert_alive();
    drop(lab);
    scripts.write("a.lua", "function ip_pre_up(s)\n  return 7\nend");
    let lab = scripts.start(&[]);
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(1)), b"alice");
    until("the veto", || subscriber.is_over());
    lab.logged(&["hook failed", "hook=\"ip_pre_up\"", "it returned a integer"]);
}

fn hanging() {
    let scripts = Scripts::new(&[
        (
            "a.lua",
            "function ip_up(s)\n if s.id == 1 then\n while true do pcall(function() while true do end end) end end note('up', s.id) end",
        ),
        (
            "b.lua",
            "function ip_up(s) note('other', s.id) end function ip_down(s) note('down', s.id, s.reason) end",
        ),
    ]);
    // One host is enough to see that it is replaced; with two, others go on beside it.
    let lab = scripts.start(&["--hook-deadline", "2", "--hook-hosts", "2"]);
    let mut first = Subscriber::open(good_mac(1));
    let begun = Instant::now();
    let mut second = Subscriber::open(good_mac(2));
    scripts.noted("other 2");
    assert!(begun.elapsed() < Duration::from_secs(2), "it waited for the other");
    lab.logged(&[
        "hook failed",
        "session=1",
        "hook=\"ip_up\"",
        "a.lua",
        "timeout after 2s",
        "last seen at a.lua:3",
    ]);
    // The other file's function is called all the same, in a new host.
    scripts.noted("other 1");
    first.assert_alive();
    second.assert_alive();
    until("the new host", || hook_hosts(&lab).len() == 2);
    lab.stop_with(&mut [&mut first, &mut second]);
    assert!(scripts.notes().contains("down 1 shutdown\n"), "{}", scripts.notes());
}

fn address_after_ip_down() {
    let scripts = Scripts::new(&[(
        "a.lua",
        "function auth(s) return {address = '192.0.2.9'} end\n\
         function ip_up(s) note('up', s.sid) end\n\
         function ip_down(s) exec{'sleep', '0.7'} note('down', s.sid) end",
    )]);
    let lab = scripts.start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    scripts.noted("up");
    // It takes over from itself, and wants the same address.
    let mut second = Subscriber::open_again(good_mac(1), 2);
    assert_eq!(first.host.terminated(), "replaced");
    assert_eq!(second.address(), Some([192, 0, 2, 9].into()));
    until("the second ip_up", || scripts.notes().lines().count() >= 3);
    let notes = scripts.notes();
    let words: Vec<&str> = notes.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["up", "down", "up"], "{notes}");
    second.assert_alive();
    lab.stop_with(&mut [&mut second]);
}

fn worker_killed() {
    let scripts = Scripts::new(&[(
        "a.lua",
        "function ip_up(s) note('up', s.worker_pid) end function ip_down(s) note('down', s.reason, s.rx_packets) end",
    )]);
    let lab = scripts.start(&[]);
    let _subscriber = Subscriber::open(good_mac(1));
    let noted = scripts.noted("up");
    kill(Pid::from_raw(noted.split(' ').nth(1).unwrap().parse().unwrap()), Signal::SIGKILL).unwrap();
    assert!(scripts.noted("down").starts_with("down worker-crash "));
    until("the session to go", || lab.console().sessions().is_empty());
}

fn order_of_up_and_down() {
    let scripts = Scripts::new(&[(
        "a.lua",
        "function ip_up(s) note('begin', s.id) exec{'sleep', '0.7'} note('up', s.id) end\n\
         function ip_down(s) note('down', s.id) end",
    )]);
    let _lab = scripts.start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    scripts.noted("begin");
    subscriber.host.hang_up();
    scripts.noted("down");
    assert_eq!(scripts.notes(), "begin 1\nup 1\ndown 1\n");
}

fn reload() {
    let scripts = Scripts::new(&[("a.lua", "function ip_up(s) note('old', s.id) end")]);
    let lab = scripts.start(&[]);
    let mut first = Subscriber::open(good_mac(1));
    scripts.noted("old 1");
    scripts.write("a.lua", "function ip_up(s) note('broken') end }");
    lab.signal(Signal::SIGHUP);
    lab.logged(&["keeping the previous hook scripts", "a.lua:1:"]);
    // A host that is replaced has the scripts that were good.
    for host in hook_hosts(&lab) {
        kill(Pid::from_raw(host), Signal::SIGKILL).unwrap();
    }
    let mut second = Subscriber::open(good_mac(2));
    scripts.noted("old 2");
    second.host.hang_up();
    until("the session to go", || lab.console().sessions().len() == 1);
    scripts.write(
        "a.lua",
        "function reload(v) note('reload', v.sessions) end function ip_up(s) note('new', s.id) end",
    );
    lab.signal(Signal::SIGHUP);
    scripts.noted("reload 1");
    Subscriber::open(good_mac(3)).assert_alive();
    scripts.noted("new 2");
    first.assert_alive();
}

fn every_and_store() {
    let scripts = Scripts::new(&[(
        "a.lua",
        "every(1, function() note('tick', store.add('a.ticks', 1), #sessions()) end)\n\
         function server_stop() store.set('a.text', 'kept') end",
    )]);
    let lab = scripts.start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    scripts.noted("tick 2 1");
    lab.stop_with(&mut [&mut subscriber]);
    let _lab = scripts.start(&[]);
    let ticks = scripts.notes().lines().count();
    scripts.noted(&format!("tick {} 0", ticks + 1));
    let store = fs::read_to_string(scripts.directory.path().join("store")).unwrap();
    assert!(store.contains(r#"{"key":"a.text","value":"kept"}"#), "{store}");
}

fn consoles() {
    let scripts = Scripts::new(&[
        (
            "a.lua",
            "function ip_up(s) note('up', s.user, s.ipremote, s.mtu) log.warn('hello') return s.id, 'x' end",
        ),
        ("b.lua", "function ip_up(s)\n return s.nothing.at_all\nend"),
    ]);
    let lab = scripts.start(&[]);
    let _subscriber = Subscriber::open(good_mac(1));
    scripts.noted("up alice 10.0.0.2 1492");
    let run = |trial: HookTrial| lab.console().ask(&Request::RunHook(Box::new(trial)));
    let trial = |function: &str| HookTrial { function: function.to_owned(), ..HookTrial::default() };
    let runs = run(HookTrial {
        fields: vec![("username".into(), Name::new("bob")), ("mtu".into(), Name::new("77"))],
        ..trial("ip_up")
    });
    scripts.noted("up bob 192.0.2.2 77");
    lab.logged(&["command=\"hooks run ip_up --set username=bob --set mtu=77\""]);
    let [Response::HookRun(first), Response::HookRun(second)] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!((first.file.as_str(), first.returned.as_deref()), ("a.lua", Some("1, \"x\"")));
    assert_eq!((first.logged.as_slice(), first.error.len()), (["warn: hello".to_owned()].as_slice(), 0));
    assert!(second.error[0].starts_with("b.lua:2: attempt to index a nil value"), "{second:?}");
    let runs = run(HookTrial { session: Some(1), file: Some("a.lua".into()), ..trial("ip_up") });
    assert!(matches!(runs.as_slice(), [Response::HookRun(_)]), "{runs:?}");
    let runs = run(HookTrial { session: Some(9), ..trial("ip_up") });
    assert_eq!(runs, [Response::Failed(Failure::NoSuchSession)]);
    for (function, why) in [("ip-up", "there is no hook \"ip-up\""), ("auth", "no hook script has")] {
        let refused = run(trial(function));
        let [Response::Failed(Failure::Refused(said))] = refused.as_slice() else { panic!("{refused:?}") };
        assert!(said.starts_with(why), "{said}");
    }
    // The calls of a job are counted when all of them are made.
    until("all to be counted", || {
        let stats = lab.console().ask(&Request::ShowHooks);
        let [Response::HookFunctions(functions), Response::Hooks(summary)] = stats.as_slice() else {
            panic!("{stats:?}")
        };
        assert_eq!(
            (summary.files.as_slice(), summary.hosts),
            (["a.lua".into(), "b.lua".into()].as_slice(), 4)
        );
        let counts: Vec<_> =
            functions.iter().map(|one| (one.file.as_str(), one.calls, one.failures, one.timeouts)).collect();
        counts == [("a.lua", 3, 0, 0), ("b.lua", 2, 2, 0)]
    });
}

fn offers() {
    let source = format!(
        "function padi(p) note('padi', p.mac, p.interface, p.sessions) if p.mac == '{}' then return false end \
         return 50 end",
        good_mac(2)
    );
    let scripts = Scripts::new(&[("a.lua", &source)]);
    let lab = scripts.start(&[]);
    let mut unwanted = Host::dial(good_mac(2));
    let mut wanted = Subscriber::open(good_mac(1));
    scripts.noted(&format!("padi {} access0", good_mac(1)));
    unwanted.drive();
    scripts.noted(&format!("padi {} access0", good_mac(2)));
    wanted.assert_alive();
    assert!(unwanted.is_undisturbed() && !unwanted.was_refused());
    // It asks again after two seconds, and is let in by other scripts only.
    scripts.write("a.lua", "function padi(p) error('oops') end");
    lab.signal(Signal::SIGHUP);
    until("it to ask again", || {
        unwanted.drive();
        lab.log().contains("hook=\"padi\"") && lab.log().contains("oops")
    });
    assert!(unwanted.is_undisturbed());
}

fn terminate() {
    let scripts = Scripts::new(&[(
        "a.lua",
        "function ip_up(s) note('up', session(s.sid).id, session(99), select(2, terminate(99))) terminate(s.id, 'enough\\n') end\n\
         function ip_down(s) note('down', s.reason) end",
    )]);
    let lab = scripts.start(&[]);
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(1)), b"alice");
    until("the end", || subscriber.is_over());
    assert_eq!(scripts.noted("up"), "up 1 nil there is no such session");
    scripts.noted("down admin");
    lab.logged(&["session ended", "reason=\"admin\"", r"by hook a.lua: enough\\n"]);
    lab.console().terminate(Selector::All);
}

fn told() {
    let scripts = Scripts::new(&[
        ("a.lua", "function ip_up(s) note('up', s.id) end"),
        ("b.lua", "function ip_up(s)\n return s.nothing.at_all\nend"),
    ]);
    let lab = scripts.start(&[]);
    let mut monitor = lab.console();
    let names = vec![EventName::Hook];
    monitor.send(&Request::Monitor(EventFilter { names, sessions: Some(Selector::Id(1)) }));
    lab.console().sessions();
    let mut subscriber = Subscriber::open(good_mac(1));
    for (file, outcome) in [("a.lua", "ok"), ("b.lua", "failed: b.lua:2: attempt to index a nil value")] {
        let Some(Response::Event(event)) = monitor.receive() else { panic!("no event") };
        let detail = event.detail.unwrap();
        assert!(detail.starts_with(&format!("{file} ip_up took ")) && detail.ends_with(" ms"), "{detail}");
        assert!(event.reason.unwrap().starts_with(outcome));
    }
    let answer = lab.console().ask(&Request::ShowSession { id: 1 });
    let [Response::Session(detail)] = answer.as_slice() else { panic!("{answer:?}") };
    let calls: Vec<_> =
        detail.hooks.iter().map(|call| (call.file.as_str(), call.function.as_str())).collect();
    assert_eq!(calls, [("a.lua", "ip_up"), ("b.lua", "ip_up")]);
    assert!(detail.hooks[0].took_us > 0 && detail.hooks[0].outcome == "ok", "{:?}", detail.hooks);

    let remarks = |check| {
        let answer = lab.console().ask(&Request::Reload { check });
        let [.., Response::Reloaded(summary)] = answer.as_slice() else { panic!("{answer:?}") };
        summary.remarks.clone()
    };
    assert_eq!(remarks(false), ["2 hook scripts are loaded"]);
    scripts.write("a.lua", "function ip_up(s) }");
    let told = remarks(false);
    assert!(
        told[0].starts_with("keeping the previous hook scripts; cannot load: ")
            && told[0].contains("a.lua:1"),
        "{told:?}"
    );
    // They are looked at when they are loaded, and not before.
    assert!(remarks(true).is_empty());
    lab.stop_with(&mut [&mut subscriber]);
}
