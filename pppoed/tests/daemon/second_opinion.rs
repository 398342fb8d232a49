//! What a worker says of itself, against what the kernel says: its traffic, its rate, and what is to keep it in.

use std::fs;

use ppp_ipc::control::Phase;
use ppp_ipc::worker::Network;
use ppp_linux::device::{Line, Open};
use ppp_linux::interface::IfIndex;

use super::devices::{detail, interface, programs};
use super::lab::{self, ACCESS, Lab, SECRET, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::{Pipe, good_mac, liar_mac, sleep_for_ever};

/// Bytes of a packet that a worker hands over.
const PACKET: usize = 1400;
/// More of them than anybody overlooks: 4 MB.
const PACKETS: usize = 3000;
const WITHOUT_REPAIR: &[&str] = &["--reconcile-interval", "0"];

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 5] = [
        ("a worker that does not keep its rate is found out", rate),
        ("a worker that claims less than it carried pays for all of it", accounting),
        ("a protection that is missing is noted", noted),
        ("a protection that is missing ends sessions where it has to", refused),
        ("a session that somebody takes out of the maps is put back", put_back),
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
    lab.logged(&["worker reports less traffic than its interface", "claimed_rx_bytes=0"]);
    let carried = u64::try_from(PACKET * PACKETS).unwrap();
    let shown = lab.console().sessions().remove(0).traffic;
    assert!(shown.rx_bytes >= carried, "{shown:?}");
    host.hang_up();
    let line = lab.logged(&["session ended", "reason=\"padt\""]);
    let rx = line.split(' ').find_map(|word| word.strip_prefix("rx_bytes=")).unwrap();
    assert!(rx.parse::<u64>().unwrap() >= carried, "{line}");
    lab.stop_with(&mut []);
}

/// What is missing, as `show session` has it.
fn missing(lab: &Lab, id: u16) -> Vec<String> {
    let phrases = detail(lab, id).sandbox.into_iter();
    phrases.filter(|phrase| phrase.starts_with("NOT ") || phrase.starts_with("unknown")).collect()
}

/// Takes the session out of the maps of the kernel's programs, and returns how it was there.
fn take_out(lab: &Lab, id: u16) -> (IfIndex, Line) {
    let (device, access) = (interface("ppp0").id.index, interface(ACCESS));
    let line = Line { access: access.id.index, session_id: id, own: access.mac.unwrap(), peer: good_mac(1) };
    programs(lab).remove(device, &line).unwrap();
    (device, line)
}

fn noted() {
    let lab = Lab::start(WITHOUT_REPAIR);
    let mut subscriber = Subscriber::open(good_mac(1));
    let id = subscriber.session_id;
    lab.in_phase(id, Phase::Open);
    let (device, line) = take_out(&lab, id);
    assert_eq!(missing(&lab, id), ["NOT own device: it is not in the eBPF maps"]);
    lab.logged(&["WARN", "session protection not in force", "it is not in the eBPF maps"]);
    let open = Open { ipv4: subscriber.address(), ..Open::default() };
    programs(&lab).set_open(device, &line, open).unwrap();
    assert_eq!(missing(&lab, id), Vec::<String>::new());
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}

fn refused() {
    let lab = Lab::start(&[WITHOUT_REPAIR, &["--missing-protection", "refuse"]].concat());
    let subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    take_out(&lab, subscriber.session_id);
    let line = lab.logged(&["session ended", "reason=\"system-error\""]);
    assert!(line.contains("NOT own device") && line.contains("--missing-protection refuse"), "{line}");
    lab.stop_with(&mut []);
}

/// Nobody hears a session that is in no map, so this is put right by what compares sessions with the kernel.
fn put_back() {
    let lab = Lab::start(&["--reconcile-interval", "1"]);
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.in_phase(subscriber.session_id, Phase::Open);
    take_out(&lab, subscriber.session_id);
    lab.logged(&["WARN", "kernel state of a session repaired", "kind=\"rule\""]);
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}
