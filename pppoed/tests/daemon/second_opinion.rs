//! What a worker says of itself, against what the kernel says: its traffic, its rate, and what is to keep it in.

use std::fs;
use std::net::Ipv4Addr;

use ppp_ipc::control::{Phase, Request, Response};
use ppp_ipc::worker::Network;

use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::{Pipe, good_mac, liar_mac, sleep_for_ever};

/// Bytes of a packet that a worker hands over.
const PACKET: usize = 1400;
/// More of them than anybody overlooks: 4 MB.
const PACKETS: usize = 3000;
const ALL: &str = "/proc/sys/net/ipv4/conf/all/rp_filter";
const OWN: &str = "/proc/sys/net/ipv4/conf/ppp0/rp_filter";

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 5] = [
        ("a worker that does not keep its rate is found out", rate),
        ("a worker that claims less than it carried pays for all of it", accounting),
        ("a source check that the system makes void is noted", noted),
        ("a source check that the system makes void ends sessions where it has to", refused),
        ("a protection that somebody switches off is put back", put_back),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// Hands over 4 MB of its peer, and says nothing of it.
pub(crate) fn lie(number: u8, mut pipe: Pipe) -> ! {
    let Network { local, remote, .. } = pipe.open_granted(if number == 0 { "slow" } else { "mallory" });
    let mut packet = vec![0; PACKET];
    packet[..4].copy_from_slice(&[0x45, 0, 0x05, 0x78]);
    packet[8..10].copy_from_slice(&[64, 17]);
    packet[12..16].copy_from_slice(&remote.octets());
    packet[16..20].copy_from_slice(&local.octets());
    for _ in 0..PACKETS {
        pipe.relay(&packet);
    }
    sleep_for_ever()
}

fn rate() {
    let directory = lab::directory();
    let secrets = format!("* * \"{SECRET}\" *\nslow * \"{SECRET}\" * -- rate-up 80\n");
    fs::write(directory.path().join("secrets"), secrets).unwrap();
    let lab = Lab::start_in(directory, &[]);
    let mut bystander = Subscriber::open(good_mac(1));
    let mut host = Host::dial(liar_mac(0));
    host.connected();
    assert_eq!(host.terminated(), "worker-crash");
    lab.logged(&["session ended", "reason=\"worker-crash\"", "does not keep rate-up 80 kbit/s"]);
    bystander.assert_alive();
    lab.stop_with(&mut [&mut bystander]);
}

fn accounting() {
    let lab = Lab::start(&[]);
    let mut host = Host::dial(liar_mac(1));
    let id = host.connected().session_id;
    lab.in_phase(id, Phase::Open);
    lab.logged(&["the worker claims less traffic than its interface has carried", "claimed_rx_bytes=0"]);
    let carried = u64::try_from(PACKET * PACKETS).unwrap();
    let shown = lab.console().sessions().remove(0).traffic;
    assert!(shown.rx_bytes >= carried, "{shown:?}");
    host.hang_up();
    let line = lab.logged(&["session ended", "reason=\"padt\""]);
    let rx = line.split(' ').find_map(|word| word.strip_prefix("rx_bytes=")).unwrap();
    assert!(rx.parse::<u64>().unwrap() >= carried, "{line}");
    lab.stop_with(&mut []);
}

fn sandbox(lab: &Lab, id: u16) -> Vec<String> {
    match lab.console().ask(&Request::ShowSession { id }).remove(0) {
        Response::Session(detail) => detail.sandbox,
        other => panic!("{other:?}"),
    }
}

fn noted() {
    fs::write(ALL, "2").unwrap();
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::open(good_mac(1));
    assert_eq!(subscriber.address(), Some(Ipv4Addr::new(10, 0, 0, 2)));
    let line =
        lab.logged(&["WARN", "a protection of sessions is not in force", "protection=\"IPv4 source check\""]);
    assert!(line.contains("net.ipv4.conf.all.rp_filter is 2"), "{line}");
    let missing = |id| {
        let shown = sandbox(&lab, id);
        shown
            .into_iter()
            .filter(|phrase| phrase.starts_with("NOT ") || phrase.starts_with("unknown"))
            .collect()
    };
    let shown: Vec<String> = missing(subscriber.session_id);
    assert!(matches!(shown.as_slice(), [one] if one.contains("all.rp_filter is 2")), "{shown:?}");
    // One line, however many sessions.
    let mut second = Subscriber::open(good_mac(2));
    lab.in_phase(second.session_id, Phase::Open);
    assert_eq!(lab.log().matches("a protection of sessions is not in force").count(), 1);
    // What is put right is seen.
    fs::write(ALL, "1").unwrap();
    assert_eq!(missing(subscriber.session_id), Vec::<String>::new());
    lab.stop_with(&mut [&mut subscriber, &mut second]);
}

fn refused() {
    fs::write(ALL, "2").unwrap();
    let lab = Lab::start(&["--missing-protection", "refuse"]);
    let mut subscriber = Subscriber::begin(Host::dial(good_mac(1)), b"alice");
    until("the end of the link", || {
        subscriber.drive();
        subscriber.is_over()
    });
    let line = lab.logged(&["session ended", "reason=\"system-error\""]);
    assert!(line.contains("all.rp_filter is 2") && line.contains("--missing-protection refuse"), "{line}");
    assert!(!lab.log().contains("session up"), "no packet was let through");
    fs::write(ALL, "0").unwrap();
    let mut again = Subscriber::open_again(good_mac(1), 2);
    lab.in_phase(again.session_id, Phase::Open);
    lab.stop_with(&mut [&mut again]);
}

fn put_back() {
    let lab = Lab::start(&["--protection-check", "1"]);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    assert_eq!(fs::read_to_string(OWN).unwrap().trim(), "1");
    fs::write(ALL, "0").unwrap();
    fs::write(OWN, "0").unwrap();
    let shown = sandbox(&lab, subscriber.session_id);
    assert!(shown.iter().any(|phrase| phrase.starts_with("NOT IPv4 source check")), "{shown:?}");
    lab.logged(&["WARN", "was missing, and is in force again", "protection=\"IPv4 source check\""]);
    assert_eq!(fs::read_to_string(OWN).unwrap().trim(), "1");
    lab.stop_with(&mut [&mut subscriber]);
}
