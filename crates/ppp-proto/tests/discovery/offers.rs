//! Offers that somebody else decides on, and what access nodes add.

use std::time::Duration;

use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::server::{Asks, Event};
use ppp_wire::pppoe::{Code, TagType};

use crate::support::{Bench, HOST, padi};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const UNIQ: (TagType, &[u8]) = (TagType::HostUniq, &[0xde, 0xad]);

/// Broadband Forum TR-101 section 3.9.2, with a part that nobody knows, and parts that are cut off.
#[test]
fn an_access_node_names_the_line() {
    const NODE: (TagType, &[u8]) =
        (TagType::VendorSpecific, b"\0\0\x0d\xe9\x01\x05eth 1\x81\x01x\x02\x03bob\x01\x01z");
    for (tag, circuit_id, remote_id) in [
        (NODE, Some(b"eth 1".as_slice()), Some(b"bob".as_slice())),
        ((TagType::VendorSpecific, b"\0\0\x0d\xe9\x01\x05eth"), None, None),
        ((TagType::VendorSpecific, b"\0\0\x0d\xe9\x02\x00\x01"), None, Some(b"".as_slice())),
        ((TagType::VendorSpecific, b"\0\0\x0d\xea\x01\x01x"), None, None),
        ((TagType::VendorSpecific, b"\0\0"), None, None),
    ] {
        let mut bench = Bench::new(|_| {});
        let (_, request) = bench.request(&[ANY, tag]);
        assert_eq!((request.circuit_id.as_deref(), request.remote_id.as_deref()), (circuit_id, remote_id));
    }
}

#[test]
fn a_supervisor_may_decide_on_each_offer() {
    let mut bench = Bench::new(|_| {});
    bench.table.asks.set(Asks::Busy);
    bench.server.handle_frame(&padi(&[ANY]), &bench.table, bench.now);
    assert_eq!((bench.sent().len(), bench.server.drops().get(DropCause::HookBusy)), (0, 1));

    bench.table.asks.set(Asks::Yes);
    bench.server.handle_frame(&padi(&[ANY, UNIQ]), &bench.table, bench.now);
    assert_eq!(bench.sent().len(), 0, "not yet");
    let Some(Event::OfferRequest(request)) = bench.server.poll_event() else { panic!("nobody was asked") };
    assert_eq!((request.peer_mac, request.host_uniq.as_deref()), (HOST, Some(UNIQ.1)));
    bench.server.withhold(&request);
    assert_eq!((bench.sent().len(), bench.server.drops().get(DropCause::HookRefused)), (0, 1));

    bench.server.offer(&request, Duration::ZERO, bench.now);
    let [pado] = bench.sent().try_into().unwrap();
    assert_eq!((pado.code, pado.destination), (Code::Pado, HOST));
    assert!(pado.tags.contains(&(UNIQ.0, UNIQ.1.to_vec())));

    // Not later than half of the time that its cookie lives.
    bench.server.offer(&request, Duration::from_secs(3600), bench.now);
    assert_eq!(bench.sent().len(), 0);
    let due = bench.server.poll_timeout().unwrap();
    assert_eq!(due - bench.now, Duration::from_millis(2500));
    bench.server.handle_timeout(due);
    assert_eq!(bench.sent().len(), 1);
}
