//! The bytes that a new `pppoed` and an old worker exchange. They may only be added to: who has to change a line here
//! ends every session at the next upgrade.

use std::net::Ipv4Addr;

use ppp_ipc::adoption::{Claim, MAX_RECORD_LEN, MIN_VERSION, Returning, TAG_LEN, Ticket, Welcome};
use ppp_ipc::codec::{decode, encode};
use ppp_ipc::frame::HEADER_LEN;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{
    AuthMethod, Ended, FromWorker, Ipv6Report, LcpReport, Network, NetworkReport, Proof, Rates, Relay,
    ToWorker, VERSION, Verdict,
};

const REPORT: NetworkReport =
    NetworkReport { local: Ipv4Addr::new(10, 0, 0, 1), remote: Ipv4Addr::new(10, 0, 0, 2) };
const IPV6: Ipv6Report = Ipv6Report { local: [1; 8], remote: [2; 8] };
const LCP: LcpReport = LcpReport { mru: 1492, peer_mru: 1492, auth: Some(AuthMethod::ChapMd5) };

fn ticket() -> Ticket {
    Ticket { record: vec![0xaa, 0xbb], tag: [0xcc; TAG_LEN] }
}

fn ended() -> Ended {
    Ended { reason: EndReason::PeerTerminated, detail: b"x".to_vec() }
}

fn returning() -> Returning {
    Returning {
        version: 3,
        ticket: ticket(),
        counters: 7,
        lcp: None,
        authenticated: false,
        network: None,
        ipv6: None,
        ended: None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits without what makes them readable.
fn digits(text: &str) -> String {
    text.split_whitespace().collect()
}

fn tag() -> String {
    "cc".repeat(TAG_LEN)
}

#[test]
fn claims_and_their_answer() {
    let full = Returning {
        lcp: Some(LCP),
        authenticated: true,
        network: Some(REPORT),
        ipv6: Some(IPV6),
        ended: Some(ended()),
        ..returning()
    };
    for (claim, pinned) in [
        (returning(), format!("00 03 02aabb {} 0e 00 00 00 00 00", tag())),
        (
            full,
            format!(
                "00 03 02aabb {} 0e 01fbd405fbd4050101 01 01 0a000001 0a000002 01 0101010101010101 0202020202020202 \
                 01 00 0178",
                tag()
            ),
        ),
    ] {
        let claim = Claim::Session(Box::new(claim));
        let body = encode(&claim).unwrap()[HEADER_LEN..].to_vec();
        assert_eq!(hex(&body), digits(&pinned), "{claim:?}");
        assert_eq!(decode::<Claim>(&body).unwrap(), claim);
    }
    let welcome = Welcome::Adopted { version: 3, farewell: true };
    let body = encode(&welcome).unwrap()[HEADER_LEN..].to_vec();
    assert_eq!(hex(&body), "000301");
    assert_eq!(decode::<Welcome>(&body).unwrap(), welcome);
}

#[test]
fn what_pppoed_says_to_workers_that_it_took_over() {
    let network = Network { local: REPORT.local, remote: REPORT.remote, dns: [None; 2], nbns: [None; 2] };
    for (message, pinned) in [
        (ToWorker::Open, "01".to_owned()),
        (ToWorker::Challenge { identifier: 5, value: vec![6, 7] }, "02 05 020607".to_owned()),
        (
            ToWorker::Verdict(Verdict::Accept { message: vec![b'y'], network, idle_ms: 9 }),
            "03 00 0179 0a000001 0a000002 00000000 09".to_owned(),
        ),
        (ToWorker::Verdict(Verdict::Reject { message: vec![b'n'] }), "03 01 016e".to_owned()),
        (
            ToWorker::Relay(Relay { mtu: 1492, ipv4: true, ipv6: Some([2; 8]) }),
            "04 fbd405 01 01 0202020202020202".to_owned(),
        ),
        (ToWorker::Terminate(EndReason::Admin), "05 0b".to_owned()),
        (ToWorker::Ping { sequence: 8 }, "06 08".to_owned()),
        (ToWorker::Record(ticket()), format!("07 02aabb {}", tag())),
        (ToWorker::AnySource, "08".to_owned()),
        (ToWorker::SetRates(Rates { down: 10_000, up: 200, burst: 0 }), "09 fb1027 c8 00".to_owned()),
        (ToWorker::Describe { on: true }, "0a 01".to_owned()),
        (ToWorker::Probe, "0b".to_owned()),
    ] {
        let body = encode(&message).unwrap()[HEADER_LEN..].to_vec();
        assert_eq!(hex(&body), digits(&pinned), "{message:?}");
        assert!((MIN_VERSION..=VERSION).contains(&message.since()), "{message:?}");
    }
}

#[test]
fn what_workers_say_that_were_taken_over() {
    let proof = Proof::Chap { identifier: 1, response: vec![2], name: vec![3] };
    for (message, pinned) in [
        (FromWorker::LcpOpened(LCP), "02 fbd405 fbd405 0101"),
        (FromWorker::ChallengeNeeded, "03"),
        (FromWorker::Authenticate(proof), "04 01 01 0102 0103"),
        (FromWorker::NetworkUp(REPORT), "05 0a000001 0a000002"),
        (FromWorker::NetworkDown, "06"),
        (FromWorker::Ipv6Up(IPV6), "07 0101010101010101 0202020202020202"),
        (FromWorker::Ipv6Down, "08"),
        (FromWorker::Ended(ended()), "09 00 0178"),
        (FromWorker::Pong { sequence: 8 }, "0a 08"),
        (FromWorker::Closing, "0b"),
        (FromWorker::Described { lines: vec!["x".into()], more: 9 }, "0c 01 0178 09"),
    ] {
        let body = encode(&message).unwrap()[HEADER_LEN..].to_vec();
        assert_eq!(hex(&body), digits(pinned), "{message:?}");
    }
}

#[test]
fn the_longest_ticket_fits_into_a_claim() {
    let ticket = Ticket { record: vec![0xff; MAX_RECORD_LEN], tag: [0xff; TAG_LEN] };
    let claim = Claim::Session(Box::new(Returning { ticket: ticket.clone(), ..returning() }));
    encode(&claim).unwrap();
    encode(&ToWorker::Record(ticket)).unwrap();
}
