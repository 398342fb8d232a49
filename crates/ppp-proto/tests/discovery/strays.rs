//! Session data of no session.

use std::time::Duration;

use ppp_proto::discovery::server::{Admission, Limits};
use ppp_proto::discovery::{DropCause, DropCounters};
use ppp_proto::token_bucket::Rate;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader};
use ppp_wire::pppoe::{Code, TagType, emit_session_header};

use crate::support::{AC, Bench, Frame, HOST, OTHER};

/// An LCP Echo-Request.
const ECHO: [u8; 10] = [0xc0, 0x21, 9, 1, 0, 8, 1, 2, 3, 4];

fn stray(source: MacAddr, session_id: u16) -> Vec<u8> {
    // Some configure another EtherType.
    let header = EthernetHeader { destination: AC, source, ether_type: EtherType::from(0x3c13) };
    let mut bytes = emit_session_header(&header, session_id, 10).to_vec();
    bytes.extend(ECHO);
    bytes.resize(60, 0);
    bytes
}

impl Bench {
    fn feed_stray(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.server.handle_stray(bytes, &self.table, self.now);
        self.sent()
    }

    fn assert_stray_dropped(&mut self, bytes: &[u8], cause: DropCause) {
        let before: DropCounters = *self.server.drops();
        assert_eq!(self.feed_stray(bytes), [], "{cause:?}");
        assert_eq!(self.server.drops().get(cause) - before.get(cause), 1, "{cause:?}");
        assert_eq!(self.server.drops().total() - before.total(), 1, "{cause:?}");
    }
}

#[test]
fn who_has_no_session_is_told_so() {
    let mut bench = Bench::new(|_| {});
    bench.table.owners.insert(7, OTHER);
    // One that nobody has, and one that somebody else has.
    for session_id in [1, 7, 0xfffe] {
        let [padt] = bench.feed_stray(&stray(HOST, session_id)).try_into().unwrap();
        assert_eq!((padt.destination, padt.source), (HOST, AC));
        assert_eq!((padt.code, padt.session_id), (Code::Padt, session_id));
        assert_eq!(padt.tag(TagType::GenericError), Some(&b"there is no such session"[..]));
    }
    assert_eq!(bench.events(), []);
    assert_eq!(bench.server.drops().total(), 0);
}

#[test]
fn it_is_short() {
    let mut bench = Bench::new(|_| {});
    let bytes = stray(HOST, 1);
    bench.server.handle_stray(&bytes, &bench.table, bench.now);
    assert_eq!(bench.server.poll_transmit().map(|padt| padt.len()), Some(bytes.len()));
}

#[test]
fn a_session_that_begins_or_ends_is_left_alone() {
    let mut bench = Bench::new(|_| {});
    bench.table.owners.insert(7, HOST);
    bench.assert_stray_dropped(&stray(HOST, 7), DropCause::EarlyOrLate);
}

#[test]
fn what_is_no_session_data_for_us_is_not_answered() {
    let mut bench = Bench::new(|_| {});
    let good = stray(HOST, 1);
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let cases = [
        (stray(HOST, 0), DropCause::SessionId),
        (stray(HOST, 0xffff), DropCause::SessionId),
        (stray(AC, 1), DropCause::OwnFrame),
        (stray(MacAddr::BROADCAST, 1), DropCause::SourceNotUnicast),
        (changed(5, 0xad), DropCause::Destination),
        (changed(14, 0x21), DropCause::VersionType),
        (changed(15, 0xa7), DropCause::Code),
        (changed(18, 1), DropCause::Truncated),
    ];
    for (bytes, cause) in cases {
        bench.assert_stray_dropped(&bytes, cause);
    }
    for length in 0..20 {
        bench.assert_stray_dropped(&good[..length], DropCause::Truncated);
    }
    bench.table.admission.set(Admission::Forbidden);
    bench.assert_stray_dropped(&good, DropCause::MacNotAllowed);
    // To be closed to new sessions is no reason to let an old one hope.
    bench.table.admission.set(Admission::Silence);
    assert_eq!(bench.feed_stray(&good).len(), 1);
}

#[test]
fn padts_are_limited_for_each_peer_and_for_all() {
    let rate = |count: u32| Some(Rate::per_second(count.try_into().unwrap()));
    let mut bench = Bench::new(|config| {
        config.limits = Limits { padt: rate(3), per_mac: rate(2), ..Limits::DEFAULT };
    });
    let third = MacAddr([2, 0, 0, 0, 0, 0x33]);
    for (source, expected) in [(HOST, 1), (HOST, 1), (HOST, 0), (OTHER, 1), (OTHER, 0), (third, 0)] {
        assert_eq!(bench.feed_stray(&stray(source, 1)).len(), expected, "{source}");
    }
    assert_eq!(bench.server.drops().get(DropCause::MacRate), 1);
    assert_eq!(bench.server.drops().get(DropCause::PadtRate), 2);
    bench.now += Duration::from_secs(1);
    assert_eq!(bench.feed_stray(&stray(third, 1)).len(), 1);
}
