//! A start that finds something wrong: refused while there is nobody, and with sessions to take over no reason for them to end.

use std::fs;
use std::process::Command;

use ppp_ipc::control::{Request, Response, ServerStats};

use super::adoption::{open, taken_over};
use super::lab::{Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

const GO_ON: &[&str] =
    &["--orphan-timeout", "30", "-N", "4", "-X", "{lab}/pid", "--hooks-dir", "{lab}/hooks"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 10] = [
        ("bad options end no session", bad_options),
        ("a bad pppoed.toml ends no session", bad_toml),
        ("a bad console file ends no session", bad_console_file),
        ("a hook that does not load ends no session", bad_hook),
        ("a damaged store of hooks ends no session", bad_store),
        ("a missing worker program ends no session", no_worker),
        ("an absent interface ends no other session's server", absent_interface),
        ("a log file that cannot be written ends no session", no_log_file),
        ("a pid file that cannot be written ends no session", no_pid_file),
        ("a read-only run directory ends no session", read_only),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// A server with a hook, and a session.
fn begin() -> (Lab, Subscriber) {
    let directory = super::lab::directory();
    let hooks = directory.path().join("hooks");
    fs::create_dir(&hooks).unwrap();
    fs::write(hooks.join("a.lua"), "function ip_up(s) log.info('hook of ' .. s.username) end").unwrap();
    fs::write(directory.path().join("toml"), "").unwrap();
    let lab = Lab::start_in(directory, GO_ON);
    let subscriber = open(&lab, 1);
    until("the configuration to be kept", || lab.path("run/last-good/index.json").exists());
    (lab, subscriber)
}

fn stats(lab: &Lab) -> ServerStats {
    match lab.console().ask(&Request::ShowStats).remove(0) {
        Response::Stats(stats) => *stats,
        other => panic!("{other:?}"),
    }
}

/// Refused without sessions; with one it is taken over, and the problem has these words everywhere.
fn goes_on(flags: &[&str], spoil: impl Fn(&Lab), words: &[&str]) -> (Lab, Subscriber) {
    let (mut lab, mut subscriber) = begin();
    lab.kill();
    spoil(&lab);
    lab.restart(flags);
    taken_over(&lab, 1, 1);
    subscriber.assert_alive();
    lab.logged(&[&["ERROR", "started with errors, to take over sessions"], words].concat());
    let problems = stats(&lab).problems;
    let found = problems.iter().any(|problem| words.iter().all(|word| problem.contains(word)));
    assert!(found, "{words:?}: {problems:?}");
    (lab, subscriber)
}

/// Without sessions the same start is refused.
fn refused_without_sessions(mut lab: Lab, mut subscriber: Subscriber, flags: &[&str], words: &str) {
    subscriber.host.hang_up();
    lab.logged(&["session ended", "session=1 "]);
    lab.kill();
    let said = lab.refused_start(flags);
    assert!(said.contains(words), "{said}");
}

fn write(lab: &Lab, name: &str, text: &str) {
    fs::write(lab.path(name), text).unwrap();
}

fn bad_options() {
    let good = fs::read_to_string(super::lab::directory().path().join("options")).unwrap();
    let spoil = |lab: &Lab| write(lab, "options", &format!("{good}lcp-restart many\n"));
    let words = ["configuration", "the last good one is in force, of 20", "options", "lcp-restart"];
    let (lab, mut subscriber) = goes_on(GO_ON, spoil, &words);
    // As before, for newcomers, too.
    let mut second = open(&lab, 2);
    lab.logged(&["hook of alice"]);
    write(&lab, "options", &good);
    lab.signal(nix::sys::signal::Signal::SIGHUP);
    lab.logged(&["works again", "configuration"]);
    assert!(stats(&lab).problems.is_empty());
    second.close();
    lab.logged(&["session ended", "session=2 "]);
    write(&lab, "options", "lcp-restart many\n");
    subscriber.assert_alive();
    refused_without_sessions(lab, subscriber, GO_ON, "lcp-restart");
}

fn bad_toml() {
    let flags = [GO_ON, &["-c", "{lab}/toml"]].concat();
    let directory = super::lab::directory();
    fs::create_dir(directory.path().join("hooks")).unwrap();
    fs::write(directory.path().join("toml"), "mac-rate = 7\n").unwrap();
    let mut lab = Lab::start_in(directory, &flags);
    let mut subscriber = open(&lab, 1);
    until("the configuration to be kept", || lab.path("run/last-good/index.json").exists());
    lab.kill();
    write(&lab, "toml", "mac-rate = 7\ninterface = [ nonsense\n");
    lab.restart(&flags);
    taken_over(&lab, 1, 1);
    subscriber.assert_alive();
    let problems = stats(&lab).problems;
    assert!(problems[0].contains("toml"), "{problems:?}");
    // A configuration that was kept is not kept again, and outlasts a second bad start.
    lab.kill();
    lab.restart(&flags);
    taken_over(&lab, 1, 2);
    lab.stop_with(&mut [&mut subscriber]);
}

fn bad_console_file() {
    let spoil = |lab: &Lab| write(lab, "console.toml", "nonsense = 7\n");
    let (lab, mut subscriber) = goes_on(GO_ON, spoil, &["configuration", "console.toml"]);
    lab.stop_with(&mut [&mut subscriber]);
}

fn bad_hook() {
    let spoil = |lab: &Lab| write(lab, "hooks/b.lua", "function (");
    let (lab, mut subscriber) = goes_on(GO_ON, spoil, &["hook scripts", "those that were in use", "b.lua:1"]);
    let before = lab.log().matches("hook of alice").count();
    let mut second = open(&lab, 2);
    until("the old hook", || lab.log().matches("hook of alice").count() > before);
    fs::remove_file(lab.path("hooks/b.lua")).unwrap();
    lab.signal(nix::sys::signal::Signal::SIGHUP);
    lab.logged(&["works again", "hook scripts"]);
    lab.stop_with(&mut [&mut subscriber, &mut second]);
}

fn bad_store() {
    let good = "{\"key\":\"a\",\"value\":7}\n{\"key\":\"b\",\"value\":1}\n";
    let spoil = |lab: &Lab| write(lab, "hooks.store", &good.replace("1}", "1"));
    let (lab, mut subscriber) =
        goes_on(GO_ON, spoil, &["hooks' store", "entries in use: 1, lines lost: 1", "hooks.store:2"]);
    assert!(lab.path("hooks.store.damaged").exists());
    until("the store to be written", || {
        fs::read_to_string(lab.path("hooks.store")).is_ok_and(|text| text == "{\"key\":\"a\",\"value\":7}\n")
    });
    lab.stop_with(&mut [&mut subscriber]);
}

fn no_worker() {
    let name = super::worker::NAME;
    let spoil = |lab: &Lab| fs::rename(lab.path(name), lab.path("away")).unwrap();
    let (lab, mut subscriber) = goes_on(GO_ON, spoil, &["worker program", "cannot open program"]);
    Host::dial(good_mac(2)).refused();
    fs::rename(lab.path("away"), lab.path(name)).unwrap();
    // Without anybody who dials.
    lab.logged(&["works again", "worker program"]);
    let mut second = super::exhaustion::dial_until_served(&lab, 3);
    lab.stop_with(&mut [&mut subscriber, &mut second]);
}

fn absent_interface() {
    let flags = [GO_ON, &["-I", "nowhere0"]].concat();
    let (lab, mut subscriber) =
        goes_on(&flags, |_| (), &["access interface", "there is no interface nowhere0"]);
    let mut second = open(&lab, 2);
    second.assert_alive();
    super::lab::add_veth("nowhere0", "nowhere1");
    lab.logged(&["works again", "access interface"]);
    assert!(stats(&lab).problems.is_empty());
    lab.stop_with(&mut [&mut subscriber, &mut second]);
}

fn no_log_file() {
    let (mut lab, mut subscriber) = begin();
    lab.kill();
    let options = fs::read_to_string(lab.path("options")).unwrap();
    write(&lab, "options", &format!("{options}logfile {}\n", lab.path("log2").display()));
    fs::create_dir(lab.path("log2")).unwrap();
    lab.restart(GO_ON);
    taken_over(&lab, 1, 1);
    subscriber.assert_alive();
    assert!(stats(&lab).problems[0].starts_with("log file: "), "{:?}", stats(&lab).problems);
    fs::remove_dir(lab.path("log2")).unwrap();
    until("the log file", || {
        fs::read_to_string(lab.path("log2")).is_ok_and(|text| text.contains("works again"))
    });
    assert!(stats(&lab).problems.is_empty());
    lab.stop_with(&mut [&mut subscriber]);
}

fn no_pid_file() {
    let spoil = |lab: &Lab| {
        let _ = fs::remove_file(lab.path("pid"));
        fs::create_dir(lab.path("pid")).unwrap();
    };
    let (lab, mut subscriber) = goes_on(GO_ON, spoil, &["pid file"]);
    lab.stop_with(&mut [&mut subscriber]);
}

/// Workers come back as soon as it can be written again, which is longer than they are waited for by themselves.
fn read_only() {
    use nix::mount::{MsFlags, mount};
    let none: Option<&str> = None;
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    let directory = super::lab::directory();
    let run = directory.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::create_dir(directory.path().join("hooks")).unwrap();
    mount(Some("tmpfs"), &run, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
    let mut lab = Lab::start_in(directory, GO_ON);
    let mut subscriber = open(&lab, 1);
    lab.kill();
    let remount = |how: &str| {
        assert!(Command::new("mount").args(["-o", how]).arg(&run).status().unwrap().success());
    };
    remount("remount,ro");
    lab.restart(GO_ON);
    lab.logged(&["ERROR", "run directory", "Read-only"]);
    subscriber.assert_alive();
    remount("remount,rw");
    taken_over(&lab, 1, 1);
    subscriber.assert_alive();
    until("the console", || lab.path("run/control.sock").exists());
    assert!(stats(&lab).problems.is_empty());
    lab.stop_with(&mut [&mut subscriber]);
}
