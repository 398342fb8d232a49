//! Workers that break the rules, each in its own way. Only their own session may end by it.

use std::io::Write;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise, sigprocmask};
use ppp_ipc::control::{Phase, Selector};
use ppp_ipc::frame::MAX_BODY_LEN;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{
    AuthMethod, Ended, FromWorker, Ipv6Report, Network, NetworkReport, Proof, ToWorker, VERSION, Verdict,
};
use ppp_linux::sandbox::Protections;
use ppp_wire::MacAddr;

use super::lab::{FRUGAL_USER, Lab, SHORT_USER, until, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::{self, EXIT_STATUS, Pipe, bad_mac, good_mac, lcp_opened, proof};

/// A way to misbehave, and what has to come of it.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) behave: fn(Pipe),
    peer: Peer,
    reason: EndReason,
    /// What the log says about the end, besides the reason.
    detail: &'static str,
}

/// What the peer gets to see.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A PADS that refuses.
    Refused,
    /// A PADS, and later a PADT.
    CutOff,
    /// As above, once the session is in this phase and an administrator terminates it.
    CutOffByAdmin(Phase),
    /// A PADS, and an open session until it hangs up itself.
    Served,
}

use EndReason::{Admin, Padt, PeerTerminated, ProtocolError, SetupTimeout, SystemError, WorkerCrash};
use Peer::{CutOff, CutOffByAdmin, Refused, Served};

pub(crate) const CASES: &[Case] = &[
    // Before it is ready.
    case("exits at once", |_| (), Refused, WorkerCrash, "the worker exited with status 7"),
    case(
        "is killed at once",
        |_| raise(Signal::SIGABRT).unwrap(),
        Refused,
        WorkerCrash,
        "killed by signal 6 (SIGABRT)",
    ),
    case("is never ready", Pipe::stay_silent, Refused, SystemError, "the worker was not ready in time"),
    case("cannot enter its sandbox", sandbox_fails, Refused, SystemError, r"no \\u{1b}[31msandbox"),
    case("lacks a protection", lacks_protection, Refused, WorkerCrash, "it is not in its whole sandbox"),
    case("has another version", other_version, Refused, WorkerCrash, "it has another version"),
    case("speaks before it is ready", speaks_early, Refused, WorkerCrash, "it spoke before it was ready"),
    case("ends before it is ready", ends_early, Refused, PeerTerminated, "early"),
    // Framing.
    case(
        "announces too much",
        announces_too_much,
        CutOff,
        WorkerCrash,
        "a frame of 65537 bytes was announced",
    ),
    case(
        "announces nothing",
        |mut pipe| {
            pipe.ready();
            pipe.send_bytes(&[0; 4]);
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "an empty frame",
    ),
    case(
        "sends garbage",
        |mut pipe| {
            pipe.ready();
            pipe.send_body(&[0xee; 40]);
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "a frame does not hold a valid message",
    ),
    case("sends more than a message", more_than_a_message, CutOff, WorkerCrash, "1 bytes follow the message"),
    case(
        "hangs up in a message",
        |mut pipe| {
            pipe.ready();
            pipe.send_bytes(&[9, 0, 0, 0, 1]);
            pipe.close()
        },
        CutOff,
        WorkerCrash,
        "the worker closed its socket in a message",
    ),
    case("floods", floods, CutOff, ProtocolError, "more than 64 messages at once"),
    case(
        "floods with questions",
        floods_with_questions,
        CutOff,
        ProtocolError,
        "more than 64 messages at once",
    ),
    // Out of turn.
    case(
        "is ready twice",
        |mut pipe| {
            pipe.ready();
            pipe.send(&worker::ready());
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "it was ready already",
    ),
    case(
        "needs no proof",
        |mut pipe| {
            pipe.ready();
            pipe.send(&lcp_opened(None));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "without the authentication that is required",
    ),
    case(
        "takes a weaker proof",
        |mut pipe| {
            pipe.ready();
            pipe.send(&lcp_opened(Some(AuthMethod::Pap)));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "without the authentication that is required",
    ),
    case(
        "asks for a challenge too early",
        |mut pipe| {
            pipe.ready();
            pipe.send(&FromWorker::ChallengeNeeded);
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "a challenge that it cannot use",
    ),
    case(
        "answers no challenge",
        |mut pipe| {
            pipe.establish();
            pipe.send(&proof(1, b"mine"));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "a proof that answers nothing",
    ),
    case("answers another challenge", other_identifier, CutOff, WorkerCrash, "a proof that answers nothing"),
    case("answers a challenge twice", replays, CutOff, WorkerCrash, "a proof"),
    case("answers too shortly", short_response, CutOff, WorkerCrash, "a response that has not 16 bytes"),
    case("has a name of 60 kB", long_name, CutOff, WorkerCrash, "a name that is longer than a packet"),
    case("answers by PAP", pap_proof, CutOff, WorkerCrash, "a proof that answers nothing"),
    case(
        "opens IPCP without leave",
        |mut pipe| {
            pipe.establish();
            pipe.send(&network_up(Ipv4Addr::new(10, 0, 0, 3)));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "its IPCP opened without leave",
    ),
    case(
        "opens IPCP before the verdict",
        before_the_verdict,
        CutOff,
        WorkerCrash,
        "its IPCP opened without leave",
    ),
    case(
        "guesses and begins anew",
        guesses_and_begins_anew,
        CutOff,
        EndReason::AuthFailed,
        "began anew before the verdict",
    ),
    case("guesses on", guesses_on, CutOff, EndReason::AuthFailed, "gave a wrong password"),
    case(
        "opens IPV6CP though IPv6 is off",
        opens_ipv6cp,
        CutOff,
        WorkerCrash,
        "its IPV6CP opened though IPv6 is off",
    ),
    case(
        "takes another address",
        other_address,
        CutOff,
        WorkerCrash,
        "with other addresses than it was given",
    ),
    case(
        "opens IPCP twice",
        |mut pipe| {
            pipe.open();
            pipe.send(&network_up(Ipv4Addr::new(10, 0, 0, 3)));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "its IPCP opened without leave",
    ),
    // Not going, or going strangely.
    case(
        "never gets further",
        |mut pipe| {
            pipe.establish();
            pipe.stay()
        },
        CutOff,
        SetupTimeout,
        "the session was not open in time",
    ),
    case("begins anew for ever", begins_anew, CutOff, SetupTimeout, "the session was not open in time"),
    case(
        "carries on after its time",
        carries_on,
        CutOff,
        EndReason::SessionTimeout,
        "the session's time is up",
    ),
    case("claims no traffic", claims_no_traffic, CutOff, EndReason::Quota, "11000 bytes used of 10000"),
    case(
        "stops itself",
        |mut pipe| {
            pipe.establish();
            raise(Signal::SIGSTOP).unwrap()
        },
        CutOff,
        SetupTimeout,
        "the session was not open in time",
    ),
    case(
        "ignores a Terminate",
        |mut pipe| {
            ignore_signals();
            pipe.ready();
            pipe.wait_for_hang_up()
        },
        CutOffByAdmin(Phase::Establish),
        Admin,
        "by uid 0 with pppctl",
    ),
    case(
        "stops itself when open",
        |mut pipe| {
            pipe.open();
            raise(Signal::SIGSTOP).unwrap()
        },
        CutOffByAdmin(Phase::Open),
        Admin,
        "by uid 0 with pppctl",
    ),
    case(
        "hangs up and stays",
        |mut pipe| {
            ignore_signals();
            pipe.open();
            pipe.close();
            worker::sleep_for_ever()
        },
        CutOff,
        WorkerCrash,
        "the worker closed its socket and did not exit",
    ),
    case("says that it ends and stays", ends_and_stays, CutOff, PeerTerminated, "bye"),
    case("exits when open", Pipe::open_and_exit, CutOff, WorkerCrash, "the worker exited with status 7"),
    // Strange, but not against the rules: a peer that begins anew can make a good worker do this.
    case("uses a challenge of before", challenge_of_before, Served, Padt, ""),
    case("closes IPCP and opens it again", reopens_ipcp, Served, Padt, ""),
    case("hears late of a new beginning", overtaken_proof, Served, Padt, ""),
    // Lying.
    case(
        "claims an end that is not its own",
        |mut pipe| {
            pipe.open();
            pipe.send(&ended(Admin, b"by uid 0 with pppctl"));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "it reported an end reason that only pppoed decides",
    ),
    case(
        "claims a PADT",
        |mut pipe| {
            pipe.open();
            pipe.send(&ended(EndReason::Padt, b""));
            pipe.stay()
        },
        CutOff,
        WorkerCrash,
        "it reported an end reason that only pppoed decides",
    ),
    case("ends with a novel", ends_with_a_novel, CutOff, PeerTerminated, r"\\u{1b}]0;owned\\u{7}"),
    case("writes to the log", writes_to_the_log, CutOff, WorkerCrash, "the worker exited with status 7"),
];

pub(crate) const fn case(
    name: &'static str,
    behave: fn(Pipe),
    peer: Peer,
    reason: EndReason,
    detail: &'static str,
) -> Case {
    Case { name, behave, peer, reason, detail }
}

pub(crate) fn tests() -> Vec<super::Test> {
    let test = |(number, case): (usize, &'static Case)| -> super::Test {
        (
            format!("a worker that {}", case.name),
            Box::new(move || with_wire(|| check(bad_mac(number), case, &[]))),
        )
    };
    CASES.iter().enumerate().map(test).collect()
}

/// The address of the peer whose worker does this.
pub(crate) fn mac_of(name: &str) -> MacAddr {
    bad_mac(CASES.iter().position(|case| case.name == name).unwrap())
}

/// Serves the bad worker of `mac` beside a good one, with these flags.
pub(crate) fn check(mac: MacAddr, case: &Case, flags: &[&str]) {
    let lab = Lab::start(flags);
    let mut bystander = Subscriber::open(good_mac(1));
    let before = lab.console().sessions();
    assert_eq!((before.len(), before[0].ip), (1, Some(Ipv4Addr::new(10, 0, 0, 2))), "{before:?}");

    let mut victim = Host::dial(mac);
    match case.peer {
        Refused => victim.refused(),
        CutOff => {
            victim.connected();
            assert_eq!(victim.terminated(), case.reason.as_str());
        }
        CutOffByAdmin(phase) => {
            let id = victim.connected().session_id;
            lab.in_phase(id, phase);
            lab.console().terminate(Selector::Id(id));
            assert_eq!(victim.terminated(), case.reason.as_str());
        }
        Served => {
            lab.in_phase(victim.connected().session_id, Phase::Open);
            assert!(victim.is_undisturbed());
            victim.hang_up();
        }
    }
    let line = lab.logged(&["session ended", &format!("peer_mac={mac}")]);
    assert!(line.contains(&format!("reason=\"{}\"", case.reason)), "{line}");
    assert!(line.contains(case.detail), "{line}");
    assert!(line.len() < 5000, "{} bytes: {line}", line.len());
    let log = lab.log();
    let raw = log.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(raw, None, "the log has a control character");
    assert!(log.lines().all(|line| line.starts_with("20")), "the log has a line that is not ours: {log}");

    // Nobody else noticed, and slot, address and interface are free again.
    bystander.assert_alive();
    until("the bad session to be gone", || lab.console().sessions().len() == 1);
    let mut next = Subscriber::open(good_mac(2));
    let sessions = lab.console().sessions();
    let next_summary = sessions.iter().find(|session| session.id == next.session_id).unwrap();
    assert_eq!(next_summary.ip, Some(Ipv4Addr::new(10, 0, 0, 3)), "{sessions:?}");
    assert_eq!(next_summary.ifname, "ppp1", "{sessions:?}");
    next.assert_alive();
    bystander.assert_alive();
    lab.stop_with(&mut [&mut bystander, &mut next]);
}

fn ended(reason: EndReason, detail: &[u8]) -> FromWorker {
    FromWorker::Ended(Ended { reason, detail: detail.to_vec() })
}

fn network_up(remote: Ipv4Addr) -> FromWorker {
    FromWorker::NetworkUp(NetworkReport { local: Ipv4Addr::new(10, 0, 0, 1), remote })
}

fn ignore_signals() {
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&SigSet::all()), None).unwrap();
}

impl Pipe {
    fn stay_silent(self) {
        self.stay()
    }

    fn open_and_exit(mut self) {
        self.open();
    }

    /// Answers the challenge and opens IPCP; then does as it is told.
    fn finish(mut self, identifier: u8, value: &[u8]) {
        self.send(&proof(identifier, value));
        let Network { local, remote, .. } = loop {
            match self.receive() {
                ToWorker::Verdict(Verdict::Accept { network, .. }) => break network,
                ToWorker::Verdict(Verdict::Reject { .. }) => {}
                other => panic!("no verdict: {other:?}"),
            }
        };
        self.send(&FromWorker::NetworkUp(NetworkReport { local, remote }));
        self.wait_for_hang_up()
    }
}

fn sandbox_fails(mut pipe: Pipe) {
    pipe.send(&FromWorker::SandboxFailed { why: "no \u{1b}[31msandbox".to_owned() });
    pipe.stay()
}

fn lacks_protection(mut pipe: Pipe) {
    let protections = Protections::all().difference(Protections::SYSTEM_CALLS).bits() | 1 << 31;
    pipe.send(&FromWorker::Ready { version: VERSION, protections });
    pipe.stay()
}

fn other_version(mut pipe: Pipe) {
    pipe.send(&FromWorker::Ready { version: VERSION + 1, protections: Protections::all().bits() });
    pipe.stay()
}

fn speaks_early(mut pipe: Pipe) {
    pipe.send(&lcp_opened(Some(AuthMethod::ChapMd5)));
    pipe.stay()
}

fn ends_early(mut pipe: Pipe) {
    pipe.send(&ended(PeerTerminated, b"early"));
    pipe.wait_for_hang_up()
}

fn announces_too_much(mut pipe: Pipe) {
    pipe.ready();
    pipe.send_bytes(&u32::try_from(MAX_BODY_LEN + 1).unwrap().to_le_bytes());
    pipe.stay()
}

fn more_than_a_message(mut pipe: Pipe) {
    pipe.ready();
    let mut body = worker::body(&FromWorker::NetworkDown);
    body.push(0);
    pipe.send_body(&body);
    pipe.stay()
}

fn floods(mut pipe: Pipe) {
    pipe.ready();
    let one = worker::body(&FromWorker::NetworkDown);
    for _ in 0..1000 {
        pipe.send_body(&one);
    }
    pipe.stay()
}

fn floods_with_questions(mut pipe: Pipe) {
    pipe.establish();
    for _ in 0..1000 {
        pipe.send(&FromWorker::ChallengeNeeded);
    }
    pipe.stay()
}

fn other_identifier(mut pipe: Pipe) {
    let (identifier, value) = pipe.challenge();
    pipe.send(&proof(identifier.wrapping_add(1), &value));
    pipe.stay()
}

fn replays(mut pipe: Pipe) {
    let (identifier, value) = pipe.challenge();
    pipe.send(&proof(identifier, &value));
    pipe.send(&proof(identifier, &value));
    pipe.stay()
}

fn short_response(mut pipe: Pipe) {
    let (identifier, _) = pipe.challenge();
    let short = Proof::Chap { identifier, response: vec![0; 15], name: b"mallory".to_vec() };
    pipe.send(&FromWorker::Authenticate(short));
    pipe.stay()
}

fn long_name(mut pipe: Pipe) {
    let (identifier, value) = pipe.challenge();
    pipe.send(&worker::proof_of(&[b'x'; 60_000], identifier, &value));
    pipe.stay()
}

fn pap_proof(mut pipe: Pipe) {
    pipe.challenge();
    let password = super::lab::SECRET.as_bytes().to_vec();
    pipe.send(&FromWorker::Authenticate(Proof::Pap { name: b"mallory".to_vec(), password }));
    pipe.stay()
}

fn before_the_verdict(mut pipe: Pipe) {
    pipe.challenge();
    pipe.send(&network_up(Ipv4Addr::new(10, 0, 0, 3)));
    pipe.stay()
}

fn guesses_on(mut pipe: Pipe) {
    let (identifier, value) = pipe.challenge();
    pipe.send(&proof(identifier, &[value.as_slice(), b"!"].concat()));
    assert!(matches!(pipe.receive(), ToWorker::Verdict(Verdict::Reject { .. })));
    pipe.send(&FromWorker::ChallengeNeeded);
    loop {
        if let ToWorker::Challenge { identifier, value } = pipe.receive() {
            pipe.send(&proof(identifier, &value));
        }
    }
}

/// It never waits for a verdict: that is no way to guess for nothing.
fn guesses_and_begins_anew(mut pipe: Pipe) {
    let (mut identifier, mut value) = pipe.challenge();
    loop {
        pipe.send(&proof(identifier, &[value.as_slice(), b"!"].concat()));
        pipe.send(&lcp_opened(Some(AuthMethod::ChapMd5)));
        pipe.send(&FromWorker::ChallengeNeeded);
        (identifier, value) = loop {
            if let ToWorker::Challenge { identifier, value } = pipe.receive() {
                break (identifier, value);
            }
        };
    }
}

fn other_address(mut pipe: Pipe) {
    let Network { local, remote, .. } = pipe.authenticate();
    let wanted = Ipv4Addr::from_bits(remote.to_bits() + 1);
    pipe.send(&FromWorker::NetworkUp(NetworkReport { local, remote: wanted }));
    pipe.stay()
}

fn opens_ipv6cp(mut pipe: Pipe) {
    pipe.authenticate();
    pipe.send(&FromWorker::Ipv6Up(Ipv6Report { local: [1; 8], remote: [2; 8] }));
    pipe.stay()
}

/// At first while the interface is still being configured.
fn reopens_ipcp(mut pipe: Pipe) {
    let Network { local, remote, .. } = pipe.authenticate();
    let up = || FromWorker::NetworkUp(NetworkReport { local, remote });
    for message in [up(), FromWorker::NetworkDown, up()] {
        pipe.send(&message);
    }
    for _ in 0..3 {
        loop {
            if matches!(pipe.receive(), ToWorker::Relay(relay) if relay.ipv4) {
                break;
            }
        }
        pipe.send(&FromWorker::NetworkDown);
        pipe.send(&up());
    }
    pipe.wait_for_hang_up()
}

fn challenge_of_before(mut pipe: Pipe) {
    let (identifier, value) = pipe.challenge();
    pipe.send(&lcp_opened(Some(AuthMethod::ChapMd5)));
    pipe.finish(identifier, &value)
}

fn overtaken_proof(mut pipe: Pipe) {
    let (identifier, value) = pipe.challenge();
    pipe.send(&proof(identifier, &value));
    pipe.send(&lcp_opened(Some(AuthMethod::ChapMd5)));
    pipe.send(&FromWorker::ChallengeNeeded);
    // The verdict on the first proof and the challenge come in any order.
    let challenge = loop {
        if let ToWorker::Challenge { identifier, value } = pipe.receive() {
            break (identifier, value);
        }
    };
    pipe.finish(challenge.0, &challenge.1)
}

fn begins_anew(mut pipe: Pipe) {
    pipe.ready();
    begins_anew_forever(pipe)
}

fn begins_anew_forever(mut pipe: Pipe) -> ! {
    loop {
        pipe.send(&lcp_opened(Some(AuthMethod::ChapMd5)));
        thread::sleep(Duration::from_secs(1));
    }
}

/// Once open, it says again and again that LCP begins anew.
fn carries_on(mut pipe: Pipe) {
    pipe.open_as(SHORT_USER);
    begins_anew_forever(pipe)
}

/// Its counters stay zero.
fn claims_no_traffic(mut pipe: Pipe) {
    pipe.open_as(FRUGAL_USER);
    let mut packet = [0; 1000];
    packet[0] = 0x45;
    for _ in 0..11 {
        pipe.relay(&packet);
    }
    pipe.wait_for_hang_up()
}

fn ends_and_stays(mut pipe: Pipe) {
    pipe.open();
    pipe.send(&ended(PeerTerminated, b"bye"));
    pipe.send(&FromWorker::NetworkDown);
    pipe.stay()
}

fn ends_with_a_novel(mut pipe: Pipe) {
    pipe.open();
    let mut detail = b"\x1b]0;owned\x07\r\n2026-01-01T00:00:00Z  INFO session ended".to_vec();
    detail.resize(60_000, 0x1b);
    pipe.send(&ended(PeerTerminated, &detail));
    pipe.wait_for_hang_up()
}

fn writes_to_the_log(mut pipe: Pipe) {
    pipe.open();
    let mut stderr = std::io::stderr();
    let _ = stderr.write_all(b"\x1b]0;owned\x07\r\nFORGED line\n");
    for _ in 0..20_000 {
        let _ = stderr.write_all(b"spam spam spam spam spam spam spam spam spam\n");
    }
    std::process::exit(EXIT_STATUS);
}
