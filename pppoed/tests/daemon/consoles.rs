//! Consoles that break the rules of the control socket. Everybody else is served all the while.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::thread;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use ppp_ipc::codec;
use ppp_ipc::control::{self, ClientHello, Failure, Request, Response, Selector, ServerHello, VERSION};
use ppp_ipc::frame::MAX_BODY_LEN;
use ppp_ipc::name::Name;

use super::console::Console;
use super::lab::{Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 9] = [
        ("who may look can change nothing", who_may_look),
        ("who may look takes nothing from root", looking_takes_nothing),
        ("workers have nothing to say on the control socket", workers_are_strangers),
        ("the control socket is for root", for_root),
        ("a console that sends anything else", sends_anything_else),
        ("a console of another version", other_version),
        ("consoles that say nothing", say_nothing),
        ("a console that does not read", does_not_read),
        ("the longest names fit into the answers", longest_names),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

fn for_root() {
    let lab = Lab::start(&[]);
    let path = lab.path("run/control.sock");
    // The directories around it, so that it is the socket that refuses.
    lab.let_all_pass();
    let stranger = {
        let path = path.clone();
        // These identities are of one thread.
        thread::spawn(move || {
            setfsgid(Gid::from_raw(65534));
            setfsuid(Uid::from_raw(65534));
            UnixStream::connect(path).unwrap_err()
        })
    };
    assert_eq!(stranger.join().unwrap().kind(), ErrorKind::PermissionDenied);

    let socket = fs::metadata(&path).unwrap();
    assert!(socket.file_type().is_socket() && socket.uid() == 0);
    assert_eq!(socket.mode() & 0o007, 0, "{:o}", socket.mode());
    for directory in ["run", "run/empty"] {
        let directory = fs::metadata(lab.path(directory)).unwrap();
        assert_eq!((directory.uid(), directory.mode() & 0o7777), (0, 0o755));
    }
    assert!(lab.console().sessions().is_empty());
    lab.stop_with(&mut []);
}

fn who_may_look() {
    let lab = Lab::start(&["--view-group", "nogroup"]);
    let path = lab.path("run/control.view.sock");
    let metadata = fs::metadata(&path).unwrap();
    let nogroup = nix::unistd::Group::from_name("nogroup").unwrap().unwrap().gid;
    assert_eq!((metadata.gid(), metadata.mode() & 0o777), (nogroup.as_raw(), 0o660));
    let mut viewer = Console::connect(&path);
    assert!(viewer.sessions().is_empty());
    let changes = [
        Request::Terminate(Selector::All),
        Request::Drain { on: true },
        Request::Shutdown(control::Shutdown::Hard),
        Request::SetLogLevel { level: Some(control::LogLevel::Error), session: None },
    ];
    for request in changes {
        assert_eq!(viewer.ask(&request), [Response::Failed(Failure::NotAllowed)], "{request:?}");
    }
    assert!(viewer.sessions().is_empty());
    assert!(!lab.log().contains("command="), "nothing was done that would have to be told");
    lab.stop_with(&mut []);
    assert!(!path.exists());
}

/// A member of the group that may look has all the streams that there are for it, and fills the log as fast as it can.
fn looking_takes_nothing() {
    let lab = Lab::start(&["--view-group", "nogroup"]);
    let (view, full) = (lab.path("run/control.view.sock"), lab.path("run/control.sock"));
    let monitor = |path: &std::path::Path| {
        let mut console = Console::connect(path);
        console.send(&Request::Monitor(control::EventFilter::default()));
        console
    };
    let mut viewers: Vec<Console> = (0..51).map(|_| monitor(&view)).collect();
    // The last of them is one too many, and the first to be told anything.
    let refused = viewers.last_mut().unwrap().receive::<Response>();
    assert!(matches!(refused, Some(Response::Failed(Failure::Busy(_)))), "{refused:?}");
    let mut root = monitor(&full);
    let before = lab.log().len();
    for _ in 0..500 {
        let mut bad = Console::open(&view);
        bad.send_bytes(b"\x1b[2J GET / HTTP/1.0\r\n\r\n");
    }
    until("the clients to be dropped", || lab.log().contains("control client dropped"));
    assert!(lab.console().sessions().is_empty());
    let written = lab.log().len() - before;
    assert!(lab.log().matches("control client dropped").count() <= 10 && written < 10_000, "{written} bytes");
    // What happens is told to root all the while.
    let mut subscriber = Subscriber::open(good_mac(1));
    assert!(matches!(root.receive::<Response>(), Some(Response::Event(_))));
    drop(viewers);
    lab.stop_with(&mut [&mut subscriber]);
}

/// As one of them would be that has got out of its sandbox.
fn workers_are_strangers() {
    let lab = Lab::start(&["--worker-user", "games", "--control-group", "games"]);
    let path = lab.path("run/control.sock");
    lab.let_all_pass();
    let user = nix::unistd::User::from_name("games").unwrap().unwrap();
    let mut command = std::process::Command::new("perl");
    command.args(["-MSocket", "-e", CONNECT]).arg(&path).uid(user.uid.as_raw()).gid(user.gid.as_raw());
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "connected, and hung up on\n", "{output:?}");
    lab.logged(&["control client dropped", "as which workers run"]);
    lab.stop_with(&mut []);
}

/// Connects, and says whether anybody answers.
const CONNECT: &str = r#"
    socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die $!;
    connect($socket, sockaddr_un($ARGV[0])) or die $!;
    print "connected, and ", sysread($socket, my $byte, 1) ? "answered" : "hung up on", "\n";
"#;

fn sends_anything_else() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    let hello = codec::encode(&ClientHello { version: VERSION }).unwrap();
    let too_long = u32::try_from(MAX_BODY_LEN + 1).unwrap().to_le_bytes();
    let long_hello = [&7_u32.to_le_bytes()[..], &[1, 0, 0, 0, 0, 0, 0]].concat();
    let cases: [(&[u8], &str); 7] = [
        (b"\x1b[2J GET / HTTP/1.0\r\n\r\n", "invalid framing"),
        (&[0; 4], "invalid framing"),
        (&too_long, "invalid framing"),
        (&long_hello, "invalid request"),
        (&[2, 0, 0, 0, 1], "in the middle of a message"),
        (&[hello.as_slice(), &[1, 0, 0, 0, 0xee]].concat(), "invalid request"),
        (&[hello.as_slice(), &[9, 0, 0, 0, 0]].concat(), "in the middle of a message"),
    ];
    for (bytes, why) in cases {
        let drops = lab.log().matches("control client dropped").count();
        let mut console = Console::open(&lab.path("run/control.sock"));
        console.send_bytes(bytes);
        console.end_of_input();
        if bytes.starts_with(&hello) {
            assert!(console.receive::<ServerHello>().is_some());
        }
        assert!(console.receive::<Response>().is_none(), "{bytes:?} was answered");
        let line = super::lab::until_some("the log to say so", || {
            lab.log()
                .lines()
                .filter(|line| line.contains("control client dropped"))
                .nth(drops)
                .map(str::to_owned)
        })
        .unwrap();
        assert!(line.contains(why), "{bytes:?}: {line}");
        assert_eq!(lab.console().sessions().len(), 1);
    }
    assert!(!lab.log().contains('\u{1b}'));
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}

fn other_version() {
    let lab = Lab::start(&[]);
    let mut console = Console::open(&lab.path("run/control.sock"));
    console.send(&ClientHello { version: VERSION + 1 });
    // It is told which version would do.
    assert_eq!(console.receive::<ServerHello>().unwrap().version, VERSION);
    assert!(console.receive::<Response>().is_none());
    lab.logged(&["control client dropped", &format!("speaks version {}", VERSION + 1)]);
    lab.stop_with(&mut []);
}

/// More of them than are served at once.
fn say_nothing() {
    let lab = Lab::start(&[]);
    let path = lab.path("run/control.sock");
    let silent: Vec<Console> = (0..120).map(|_| Console::open(&path)).collect();
    assert!(lab.console().sessions().is_empty());
    drop(silent);
    lab.stop_with(&mut []);
}

/// It asks again and again without reading an answer, until neither side can write.
fn does_not_read() {
    let lab = Lab::start(&[]);
    let mut greedy = lab.console();
    greedy.ask_until_stuck(&Request::ShowStats);
    assert!(lab.console().sessions().is_empty());
    lab.logged(&["control client dropped", "client timeout"]);
    lab.stop_with(&mut []);
}

/// Each byte of these names is four characters when it is shown.
fn longest_names() {
    const SUBSCRIBERS: u8 = 40;
    let lab = Lab::start(&[
        "-N",
        "41",
        "--max-starting",
        "0",
        "--lcp-deadline",
        "60",
        "--auth-tries",
        "20",
        "--refusal-delay",
        "0",
    ]);
    let mut subscribers: Vec<Subscriber> =
        (1..=SUBSCRIBERS).map(|number| Subscriber::begin(Host::dial(good_mac(number)), &[1; 256])).collect();
    until("all to be let in", || {
        subscribers.iter_mut().for_each(Subscriber::drive);
        lab.log().matches("INFO authenticated").count() == usize::from(SUBSCRIBERS)
    });
    let sessions = lab.console().sessions();
    assert_eq!(sessions.len(), usize::from(SUBSCRIBERS));
    assert!(sessions.iter().all(|session| session.username == Some(Name::new([1; 256]))));

    // No line of a secrets file can have a name that is longer, but a peer can.
    let mut guest = Subscriber::begin(Host::dial(good_mac(0)), &[1; 1400]);
    until("it to be refused again and again", || {
        guest.drive();
        lab.log().matches("authentication refused").count() == 20
    });
    let detail = match lab.console().ask(&Request::ShowSession { id: guest.session_id }).remove(0) {
        Response::Session(detail) => detail,
        other => panic!("{other:?}"),
    };
    let refusals = detail.history.iter().filter(|entry| entry.event.starts_with("refused as "));
    assert!(refusals.count() > 10, "{:?}", detail.history);
    lab.stop_with(&mut subscribers.iter_mut().collect::<Vec<_>>());
}
