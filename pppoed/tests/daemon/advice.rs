//! What an administrator is told who looks before it matters: what a login would come to, where an address is from, what an
//! interface is called now, and why a dial failed.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use ppp_ipc::control::{
    AddressSource, AuthTest, AuthVerdict, Password, Phase, PoolLease, Request, Response, Selector,
};
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, PolicyChange, PolicyRequest, Subject};
use ppp_proto::auth::AuthMethod;
use ppp_wire::ethernet::{EtherType, EthernetFrame};
use ppp_wire::pppoe::PppoePacket;

use super::lab::{self, Lab, SECRET, until, with_wire};
use super::peer::{Host, Subscriber, socket};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 7] = [
        ("a login that would be refused is told with the reason", logins),
        ("who gave an address is shown, after a restart with another pool, too", sources),
        ("our own end cannot be the address of a client that goes on", own_end),
        ("a session's interface that is renamed is followed", renames),
        ("what a client wants that refuses our methods is told", refusals),
        ("a line that sends everything back is told", reflections),
        ("a script of pppd that nothing runs is told", idle_script),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// A server for these users.
fn serve(secrets: &str, flags: &[&str]) -> Lab {
    let directory = lab::directory();
    fs::write(directory.path().join("secrets"), secrets).unwrap();
    Lab::start_in(directory, flags)
}

fn ask(lab: &Lab, user: &str, password: &str) -> AuthVerdict {
    let password = Some(Password(password.as_bytes().to_vec()));
    let answer = lab.console().ask(&Request::AuthTest(AuthTest { user: Name::new(user), password }));
    match answer.into_iter().next() {
        Some(Response::AuthVerdict(chap)) => *chap,
        other => panic!("{other:?}"),
    }
}

fn logins() {
    let secrets = format!(
        "alice * \"{SECRET}\" 10.0.0.9\nnowhere * \"{SECRET}\"\ncarol * \"{SECRET}\" *\nsame * \"{SECRET}\" 10.0.0.9\n"
    );
    let lab = serve(&secrets, &["-N", "3"]);
    let refusal = |user: &str| {
        let verdict = ask(&lab, user, SECRET);
        assert!(verdict.would_get.is_none() || verdict.refusal.is_none(), "{verdict:?}");
        verdict.refusal.unwrap_or_default()
    };
    assert_eq!(ask(&lab, "alice", SECRET).would_get.as_deref(), Some("10.0.0.9"));
    assert_eq!(ask(&lab, "carol", SECRET).would_get.as_deref(), Some("an address of pool default"));
    assert!(ask(&lab, "carol", "a guess").refusal.unwrap().contains("wrong password"));
    assert!(refusal("nowhere").contains("the address list is empty; add \"*\" or the address"));
    assert!(refusal("nobody").contains("has no line for user \"nobody\""));

    let mut alice = Subscriber::open(good_mac(1));
    lab.in_phase(alice.session_id, Phase::Open);
    assert_eq!(alice.address().unwrap().to_string(), "10.0.0.9");
    let held = format!("address 10.0.0.9 is in use by session {} of {}", alice.session_id, good_mac(1));
    assert!(refusal("same").contains(&held), "{}", refusal("same"));
    let change =
        PolicyChange::List { list: ListName::Deny, who: Subject::User(NamePattern::from_text("carol")) };
    lab.console().ask(&Request::Policy(Box::new(PolicyRequest { change, dry_run: false, end: false })));
    assert!(refusal("carol").contains("denied at the console"), "{}", refusal("carol"));
    lab.stop_with(&mut [&mut alice]);
}

fn leases(lab: &Lab) -> Vec<PoolLease> {
    let of = |response| match response {
        Response::Leases(leases) => leases,
        Response::Pool(_) => Vec::new(),
        other => panic!("{other:?}"),
    };
    lab.console().ask(&Request::ShowPool).into_iter().flat_map(of).collect()
}

fn sources() {
    let secrets = format!("alice * \"{SECRET}\" *\nfixed * \"{SECRET}\" 10.9.0.7\n");
    let mut lab = serve(&secrets, &["--orphan-timeout", "60"]);
    let mut alice = Subscriber::open(good_mac(1));
    let mut fixed = Subscriber::begin(Host::dial(good_mac(2)), b"fixed");
    until("both sessions", || {
        alice.drive();
        fixed.drive();
        fixed.address().is_some()
    });
    let ids = [alice.session_id, fixed.session_id];
    ids.iter().for_each(|id| lab.in_phase(*id, Phase::Open));
    let shown = |lab: &Lab| ids.map(|id| leases(lab).iter().find(|lease| lease.id == id).unwrap().source);
    assert_eq!(shown(&lab), [AddressSource::Pool, AddressSource::User]);
    lab.kill();
    lab.restart(&["-R", "10.7.0.2", "--orphan-timeout", "60"]);
    ids.iter().for_each(|id| lab.in_phase(*id, Phase::Open));
    assert_eq!(shown(&lab), [AddressSource::FormerPool, AddressSource::User]);
    lab.stop_with(&mut [&mut alice, &mut fixed]);
}

fn own_end() {
    let mut lab = Lab::start(&["--orphan-timeout", "60"]);
    let mut alice = Subscriber::open(good_mac(1));
    lab.in_phase(alice.session_id, Phase::Open);
    let address = alice.address().unwrap().to_string();
    let record = lab.path(&format!("run/sessions/{}", alice.session_id));
    until("its record", || record.exists());
    lab.kill();
    until("the configuration to be kept", || lab.path("run/last-good/index.json").exists());
    // No reason to end alice: the configuration that she logged in with stays in force.
    lab.restart(&["-L", &address, "-R", "10.7.0.2", "--orphan-timeout", "60"]);
    let expected = format!(
        "{address} is to be our own end of links (-L), and the client of session {}",
        alice.session_id
    );
    lab.logged(&["ERROR", "the last good one is in force", &expected]);
    lab.in_phase(alice.session_id, Phase::Open);
    alice.assert_alive();
    let mut bob = super::exhaustion::dial_until_served(&lab, 2);
    assert_eq!(bob.address().unwrap().to_string(), "10.0.0.3");
    lab.stop_with(&mut [&mut alice, &mut bob]);
}

fn renames() {
    let mut lab = Lab::start(&["--orphan-timeout", "60"]);
    let mut alice = Subscriber::open(good_mac(1));
    lab.in_phase(alice.session_id, Phase::Open);
    let ip = |arguments: &str| {
        let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
        assert!(status.success(), "ip {arguments}");
    };
    let name = |lab: &Lab| lab.console().sessions()[0].ifname.clone();
    assert_eq!(name(&lab), "ppp0");
    // Without setting it down, which would end the session: since Linux 6.2 an interface that is up can be renamed.
    ip("link set ppp0 name cust-alice");
    until("the new name", || name(&lab) == "cust-alice");
    // The next server finds what it is called by then, and follows on.
    lab.kill();
    ip("link set cust-alice name cust-bob");
    lab.restart(&["--orphan-timeout", "60"]);
    lab.in_phase(alice.session_id, Phase::Open);
    until("the name that it got meanwhile", || name(&lab) == "cust-bob");
    ip("link set cust-bob name ppp7");
    until("the third name", || name(&lab) == "ppp7");
    let selector = Selector::Interface("ppp7".into());
    lab.console().ask(&Request::Terminate(selector));
    until("the end", || alice.is_over());
    lab.logged(&["session ended", "ifname=\"ppp7\""]);
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}

fn refusals() {
    let lab = Lab::start(&[]);
    let mut subscriber = Subscriber::begin_by(Host::dial(good_mac(1)), b"alice", AuthMethod::Pap, SECRET);
    until("the end", || subscriber.is_over());
    lab.logged(&["session ended", "the peer wants to authenticate itself by PAP; allowed: CHAP-MD5"]);
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}

fn idle_script() {
    let directory = lab::directory();
    let options = directory.path().join("options");
    let before = fs::read_to_string(&options).unwrap();
    fs::write(&options, format!("{before}ip-up-script /etc/ppp/mine\n")).unwrap();
    let lab = Lab::start_in(directory, &[]);
    lab.logged(&["WARN", "nothing runs /etc/ppp/mine", "compat.lua"]);
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}

/// As a hub that is patched to itself does, or a modem in a test mode.
fn reflections() {
    let lab = Lab::start(&[]);
    let mut host = Host::dial(good_mac(1));
    let wire = socket(EtherType::PppoeSession);
    let session = host.connected();
    let mut buffer = [0; 2048];
    until("the end", || {
        host.drive();
        while let Ok(received) = wire.recv(&mut buffer) {
            let mut frame = buffer[..received.len].to_vec();
            let ethernet = EthernetFrame::new_checked(&frame).unwrap();
            let packet = PppoePacket::new_checked(ethernet.payload()).unwrap();
            if ethernet.source() == session.ac_mac && packet.session_id() == session.session_id {
                let (destination, rest) = frame.split_at_mut(6);
                destination.swap_with_slice(&mut rest[..6]);
                wire.send(&frame).unwrap();
            }
        }
        lab.log().contains("session ended")
    });
    lab.logged(&["session ended", "reason=\"loopback\""]);
    lab.signal(Signal::SIGTERM);
    lab.wait_stopped();
}
