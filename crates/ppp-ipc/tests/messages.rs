//! The messages of both sockets, through the codec and against bytes nobody made.

use std::net::Ipv4Addr;

use ppp_ipc::{
    adoption::Claim,
    codec::{decode, decode_frame, encode},
    control::{AuthTest, Password, Phase, Request, Response, Selector, SessionSummary, Shutdown, Traffic},
    frame::{FrameDecoder, HEADER_LEN, MAX_BODY_LEN},
    name::Name,
    template::{FromTemplate, SandboxParameters, ToTemplate},
    worker::{FromWorker, Network, Proof, ToWorker, Verdict},
};
use proptest::prelude::*;

fn body(bytes: &[u8]) -> &[u8] {
    bytes.get(HEADER_LEN..).unwrap_or_default()
}

fn summary(id: u16) -> SessionSummary {
    SessionSummary {
        id,
        ifname: "ppp65533".into(),
        username: Some(Name::new("u".repeat(255))),
        ip: Some(Ipv4Addr::new(255, 255, 255, 255)),
        mac: "ff:ff:ff:ff:ff:ff".into(),
        interface: "enp175s0f3np31".into(),
        service: Name::new("s".repeat(64)),
        state: Phase::Authenticate,
        uptime_s: u64::MAX,
        traffic: Traffic {
            rx_packets: u64::MAX,
            rx_bytes: u64::MAX,
            tx_packets: u64::MAX,
            tx_bytes: u64::MAX,
        },
    }
}

#[test]
fn every_worker_message_fits_into_a_frame() {
    let proof = FromWorker::Authenticate(Proof::Pap { name: vec![255; 255], password: vec![255; 255] });
    assert!(encode(&proof).unwrap().len() < 1024);
    let network = Network {
        local: Ipv4Addr::BROADCAST,
        remote: Ipv4Addr::BROADCAST,
        dns: [Some(Ipv4Addr::BROADCAST); 2],
        nbns: [Some(Ipv4Addr::BROADCAST); 2],
    };
    let verdict = ToWorker::Verdict(Verdict::Accept { message: vec![255; 255], network, idle_ms: u32::MAX });
    assert!(encode(&verdict).unwrap().len() < 1024);
}

#[test]
fn proofs_are_not_shown() {
    let (name, password) = (b"alice".to_vec(), vec![77; 9]);
    let pap = FromWorker::Authenticate(Proof::Pap { name: name.clone(), password });
    let chap = FromWorker::Authenticate(Proof::Chap { identifier: 7, response: vec![77; 16], name });
    for proof in [pap, chap] {
        let shown = format!("{proof:?}");
        assert!(shown.contains("name: [97, 108") && !shown.contains("77"), "{shown}");
    }
    let test = AuthTest { user: Name::new("alice"), password: Some(Password(vec![77; 9])) };
    let shown = format!("{:?}", Request::AuthTest(test));
    assert!(shown.contains("alice") && !shown.contains("77"), "{shown}");
}

#[test]
fn thirty_two_of_the_longest_summaries_fit_into_a_frame() {
    let response = Response::Sessions((0..32).map(summary).collect());
    let bytes = encode(&response).unwrap();
    assert!(bytes.len() < MAX_BODY_LEN, "{}", bytes.len());
    assert_eq!(decode::<Response>(body(&bytes)).unwrap(), response);
}

#[test]
fn a_template_and_its_supervisor_understand_each_other() {
    let sandbox =
        SandboxParameters { uid: 1, gid: 2, chroot: "/run/empty".into(), address_space_limit: 1 << 26 };
    for message in [ToTemplate::Enter { version: 2, sandbox }, ToTemplate::Fork] {
        assert_eq!(decode_frame::<ToTemplate>(&encode(&message).unwrap()).unwrap(), message);
    }
    for message in [
        FromTemplate::Ready { version: 2 },
        FromTemplate::Failed { why: "root directory".into() },
        FromTemplate::Forked { pid: u32::MAX },
        FromTemplate::NotForked { why: "no memory".into() },
    ] {
        assert_eq!(decode_frame::<FromTemplate>(&encode(&message).unwrap()).unwrap(), message);
    }
}

#[test]
fn requests_survive_the_way_there() {
    for request in [
        Request::ShowSessions,
        Request::ShowSession { id: 7 },
        Request::ShowStats,
        Request::Terminate(Selector::User(Name::new("bob"))),
        Request::Terminate(Selector::Mac([1, 2, 3, 4, 5, 6])),
        Request::Terminate(Selector::Ip(Ipv4Addr::LOCALHOST)),
        Request::Drain { on: true },
        Request::Shutdown(Shutdown::Soft),
    ] {
        let bytes = encode(&request).unwrap();
        assert_eq!(decode::<Request>(body(&bytes)).unwrap(), request);
    }
}

proptest! {
    /// Whatever a worker or a client writes: an error or a message, never a panic, a spin or much memory.
    #[test]
    fn hostile_bytes_are_decoded_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
        let _ = decode::<FromWorker>(&bytes);
        let _ = decode::<ToWorker>(&bytes);
        let _ = decode::<Claim>(&bytes);
        let _ = decode_frame::<FromTemplate>(&bytes);
        let _ = decode::<Request>(&bytes);
        let _ = decode::<Response>(&bytes);
        let mut decoder = FrameDecoder::new();
        decoder.push(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            prop_assert!(frame.len() <= MAX_BODY_LEN);
        }
    }
}
