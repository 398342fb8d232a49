//! `pppoed` as the first process of a container: everything without a parent is its child.

use std::fs;

use nix::unistd::Pid;

use super::lab::{self, Lab, children, until, until_some, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    vec![(
        "what scripts leave behind in a container is waited for".to_owned(),
        Box::new(|| with_wire(waited_for)),
    )]
}

fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.starts_with(" Z"))
}

fn waited_for() {
    let directory = lab::directory();
    let hooks = directory.path().join("hooks.d");
    let notes = directory.path().join("notes");
    fs::create_dir(&hooks).unwrap();
    let left_behind = format!("(sleep 0.1; echo done >> {}) > /dev/null 2>&1 &", notes.display());
    let script = format!("function ip_up(s) exec({{ 'sh', '-c', {left_behind:?} }}) end\n");
    fs::write(hooks.join("a.lua"), script).unwrap();
    let lab = Lab::start_in_container(directory, &["--hooks-dir", "{lab}/hooks.d"]);
    let server = until_some("the server", || children(lab.pid()).pop()).unwrap();
    let mut subscriber = Subscriber::open(good_mac(1));
    until("the script's child", || fs::read_to_string(&notes).is_ok_and(|notes| notes.contains("done")));
    until("its remains to go", || !children(server).into_iter().any(has_ended));
    subscriber.assert_alive();
    // The worker and the others that it knows have not been taken from it.
    subscriber.host.hang_up();
    lab.logged(&["session ended", "reason=\"padt\""]);
}
