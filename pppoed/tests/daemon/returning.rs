//! Ends that the next server is told of: a worker may claim only those that it can know of, and what the last server decided
//! is in the record.

use std::os::fd::{AsFd, AsRawFd};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{read, write};
use ppp_ipc::adoption::{Claim, Returning, SOCKET_NAME, Ticket};
use ppp_ipc::codec;
use ppp_ipc::control::{Phase, Selector};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{Ended, ToWorker, VERSION};

use super::adoption::known;
use super::lab::{Lab, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::{Pipe, good_mac, returning_mac, sleep_for_ever};

const GO_ON: &[&str] = &["--orphan-timeout", "20"];

/// What a worker claims, and what comes of it.
const CLAIMS: [(EndReason, EndReason); 5] = [
    (EndReason::Admin, EndReason::WorkerCrash),
    (EndReason::Quota, EndReason::WorkerCrash),
    (EndReason::Padt, EndReason::WorkerCrash),
    // Nobody came in time.
    (EndReason::Shutdown, EndReason::Shutdown),
    (EndReason::EchoLost, EndReason::EchoLost),
];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("a worker that comes back claims an end that is not its own", claims),
        ("an end that was decided before a restart keeps its reason", decided),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// Opens, loses its server, and tells the next one that the session has ended.
pub(crate) fn come_back(number: u8, mut pipe: Pipe) -> ! {
    pipe.open();
    let mut ticket: Option<Ticket> = None;
    while let Some(message) = pipe.receive_unless_alone() {
        if let ToWorker::Record(record) = message {
            ticket = Some(record);
        }
    }
    let reason = CLAIMS[usize::from(number)].0;
    let claim = codec::encode(&Claim::Session(Box::new(Returning {
        version: VERSION,
        ticket: ticket.unwrap(),
        counters: -1,
        lcp: None,
        authenticated: true,
        network: None,
        ipv6: None,
        ended: Some(Ended { reason, detail: b"requested by NOC".to_vec() }),
    })))
    .unwrap();
    let path = UnixAddr::new(format!("/{SOCKET_NAME}").as_str()).unwrap();
    loop {
        // As the real one makes it: its sandbox permits no other.
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        if connect(socket.as_raw_fd(), &path).is_ok() {
            write(&socket, &claim).unwrap();
            poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
            // It is taken, or hung up on.
            if matches!(read(&socket, &mut [0; 64]), Ok(count) if count > 0) {
                sleep_for_ever();
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn claims() {
    let flags = [GO_ON, &["-N", "5"]].concat();
    let mut lab = Lab::start(&flags);
    let macs = (0..5).map(returning_mac);
    let mut hosts: Vec<Host> = macs.clone().map(Host::dial).collect();
    for host in &mut hosts {
        let id = host.connected().session_id;
        lab.in_phase(id, Phase::Open);
        let record = lab.path(&format!("run/sessions/{id}"));
        until("its record", || record.exists());
    }
    lab.kill();
    lab.restart(&flags);
    for (mac, (claimed, counted)) in macs.zip(CLAIMS) {
        let line = lab.logged(&["session ended", &format!("peer_mac={mac}")]);
        assert!(line.contains(&format!("reason=\"{counted}\"")), "{claimed}: {line}");
        let is_believed = line.contains("requested by NOC");
        assert_eq!(is_believed, claimed == counted, "{line}");
        assert!(is_believed || line.contains("it reported an end reason that only pppoed decides"), "{line}");
    }
    lab.stop_with(&mut []);
}

fn decided() {
    let mut lab = Lab::start(GO_ON);
    let told = known(&lab, Subscriber::open(good_mac(1)));
    let gone = known(&lab, Subscriber::open(good_mac(2)));
    let before = [&told, &gone].map(|subscriber| {
        let record = lab.path(&format!("run/sessions/{}", subscriber.session_id));
        std::fs::metadata(record).unwrap().modified().unwrap()
    });
    for subscriber in [&told, &gone] {
        // Its peer does not answer the Terminate-Request.
        lab.console().terminate(Selector::Id(subscriber.session_id));
    }
    until("the records to say so", || {
        [&told, &gone].into_iter().zip(before).all(|(subscriber, before)| {
            let record = lab.path(&format!("run/sessions/{}", subscriber.session_id));
            std::fs::metadata(record).is_ok_and(|found| found.modified().unwrap() > before)
        })
    });
    lab.kill();
    lab.restart(GO_ON);
    for subscriber in [&told, &gone] {
        lab.logged(&["session ended", &format!("session={} ", subscriber.session_id), "reason=\"admin\""]);
    }
    lab.stop_with(&mut []);
}
