//! A service manager is told when the server is ready, that it lives, and that it stops.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::lab::{Lab, PATIENCE, with_wire};

/// Time after which the manager takes the server for dead.
const WATCHDOG: Duration = Duration::from_millis(400);

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("a service manager is told of start, life and stop", told),
        ("a stopped server shows no sign of life", hung),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// The manager's end of the socket.
struct Manager {
    socket: UnixDatagram,
    _directory: tempfile::TempDir,
}

impl Manager {
    /// A manager, and a server that it has started.
    fn start() -> (Self, Lab) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let watchdog = WATCHDOG.as_micros().to_string();
        let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", &watchdog)];
        let lab = Lab::start_with(&[], &environment);
        (Self { socket, _directory: directory }, lab)
    }

    /// What the server says next, if it does in this time.
    fn hear(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 256];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer.get(..length)?.to_vec()).unwrap())
    }

    /// Everything up to the message that begins so.
    fn hear_until(&self, start: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = Vec::new();
        while let Some(message) = self.hear(deadline.saturating_duration_since(Instant::now()).max(WATCHDOG))
        {
            let is_last = message.starts_with(start);
            heard.push(message);
            if is_last {
                return heard;
            }
        }
        panic!("no {start:?} after {heard:?}");
    }
}

fn told() {
    let (manager, lab) = Manager::start();
    // Nothing before it listens: those who wait for it dial now.
    assert_eq!(manager.hear_until("READY=1"), ["READY=1\nSTATUS=Serving up to 2 sessions\n"]);
    for _ in 0..3 {
        assert_eq!(manager.hear_until("WATCHDOG"), ["WATCHDOG=1\n"]);
    }
    lab.signal(Signal::SIGTERM);
    manager.hear_until("STOPPING=1");
    lab.wait_stopped();
}

fn hung() {
    let (manager, lab) = Manager::start();
    manager.hear_until("WATCHDOG");
    lab.signal(Signal::SIGSTOP);
    // What it said before it stopped.
    while manager.hear(Duration::from_millis(1)).is_some() {}
    assert_eq!(manager.hear(WATCHDOG * 3), None);
    lab.signal(Signal::SIGCONT);
    manager.hear_until("WATCHDOG");
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}
