//! Against the kernel: the access interface is a TAP, so that the test is the wire.

use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, MIN_FRAME_LEN};

use super::*;
use crate::packet::tests::{PEER, STRANGER, Wire, with_wire};
use crate::packet::{SessionKey, SessionSocket};
use crate::sandbox::without_capability;

const OWNER: &str = "pppoed /run/test";
const OTHER: &str = "pppoed /run/other";

fn open(owner: &str) -> EgressFilter {
    EgressFilter::open(owner, EtherType::PppoeDiscovery).unwrap()
}

/// A filter in force.
fn attached(wire: &Wire, owner: &str) -> EgressFilter {
    let filter = open(owner);
    filter.attach(wire.id()).unwrap();
    filter
}

fn key(wire: &Wire, session_id: u16) -> SessionKey {
    SessionKey { session_id, ..wire.key() }
}

/// The socket of a session that may send.
fn member(wire: &Wire, filter: &EgressFilter, session_id: u16) -> SessionSocket {
    let key = key(wire, session_id);
    filter.permit(wire.id().index, &key).unwrap();
    marked(wire, filter, session_id)
}

fn marked(wire: &Wire, filter: &EgressFilter, session_id: u16) -> SessionSocket {
    let socket = SessionSocket::open(wire.id(), &key(wire, session_id), 65_536).unwrap();
    socket.set_mark(filter.mark(session_id)).unwrap();
    assert_eq!(socket.mark().unwrap(), filter.mark(session_id));
    socket
}

fn frame(wire: &Wire, session_id: u16) -> Vec<u8> {
    wire.frame(PEER, wire.own(), EtherType::PppoeSession, [0x11, 0], session_id, 0x5a)
}

/// Whether a frame gets out.
fn passes(wire: &Wire, socket: &SessionSocket, frame: &[u8]) -> bool {
    let _ = socket.send(frame);
    match wire.sent() {
        Some(sent) => {
            assert_eq!(sent, frame);
            true
        }
        None => false,
    }
}

#[test]
fn a_session_sends_its_own_frames_and_nothing_else() {
    with_wire(|wire| {
        let filter = attached(wire, OWNER);
        assert_eq!(filter.origin(), RulesOrigin::New);
        let socket = member(wire, &filter, 0x1234);
        let own = wire.own();
        let make = |destination, source, ether_type, bytes, id| {
            wire.frame(destination, source, ether_type, bytes, id, 0)
        };
        let (data, discovery) = (EtherType::PppoeSession, EtherType::PppoeDiscovery);
        for good in [frame(wire, 0x1234), make(PEER, own, discovery, [0x11, 0xa7], 0x1234)] {
            assert!(passes(wire, &socket, &good));
        }
        // A long one, of which the kernel's buffer may be in pieces.
        let mut long = frame(wire, 0x1234);
        long.resize(1514, 7);
        assert!(passes(wire, &socket, &long));

        let mut cousins = Vec::new();
        for byte in 0..6 {
            let (mut source, mut destination) = (own, PEER);
            source.0[byte] ^= 1;
            destination.0[byte] ^= 4;
            cousins.push(("another source", make(PEER, source, data, [0x11, 0], 0x1234)));
            cousins.push(("another destination", make(destination, own, data, [0x11, 0], 0x1234)));
        }
        let bad = [
            ("another session", make(PEER, own, data, [0x11, 0], 0x1235)),
            ("its id the other way round", make(PEER, own, data, [0x11, 0], 0x3412)),
            ("to all", make(MacAddr::BROADCAST, own, data, [0x11, 0], 0x1234)),
            ("another version", make(PEER, own, data, [0x12, 0], 0x1234)),
            ("a code in session data", make(PEER, own, data, [0x11, 0xa7], 0x1234)),
            ("a PADO", make(PEER, own, discovery, [0x11, 7], 0x1234)),
            ("a PADS", make(PEER, own, discovery, [0x11, 0x65], 0x1234)),
            ("a PADT of another session", make(PEER, own, discovery, [0x11, 0xa7], 0x1235)),
            ("a PADT to a stranger", make(STRANGER, own, discovery, [0x11, 0xa7], 0x1234)),
            ("session data as discovery", make(PEER, own, discovery, [0x11, 0], 0x1234)),
            ("ARP", make(PEER, own, EtherType::Unknown(0x0806), [0x11, 0], 0x1234)),
            ("IP", make(PEER, own, EtherType::Unknown(0x0800), [0x11, 0], 0x1234)),
            ("a VLAN's", crate::packet::tests::tagged(&frame(wire, 0x1234))),
        ];
        let mut dropped = 0;
        for (what, bad) in bad.into_iter().chain(cousins) {
            let _ = socket.send(&bad);
            // The wire shows PPPoE only, so a good one follows, which is the next to be seen.
            assert!(passes(wire, &socket, &frame(wire, 0x1234)), "{what}");
            dropped += 1;
            assert_eq!(filter.dropped_of(0x1234).unwrap(), Some(dropped), "{what}");
        }
        // Cut before the session id, which the packet socket allows from 14 bytes on.
        for length in [14, 15, 17] {
            assert!(!passes(wire, &socket, &frame(wire, 0x1234)[..length]));
            dropped += 1;
        }
        assert_eq!(filter.dropped_of(0x1234).unwrap(), Some(dropped));
        assert_eq!(filter.dropped().unwrap(), Dropped { forged: dropped, unknown: 0 });
    });
}

#[test]
fn who_has_no_rule_sends_nothing_and_who_has_no_mark_anything() {
    with_wire(|wire| {
        let filter = attached(wire, OWNER);
        let socket = marked(wire, &filter, 7);
        assert!(!passes(wire, &socket, &frame(wire, 7)));
        assert_eq!(filter.dropped().unwrap(), Dropped { forged: 0, unknown: 1 });
        assert_eq!(filter.dropped_of(7).unwrap(), None);

        filter.permit(wire.id().index, &key(wire, 7)).unwrap();
        assert!(passes(wire, &socket, &frame(wire, 7)));
        filter.forbid(7).unwrap();
        filter.forbid(7).unwrap();
        assert!(!passes(wire, &socket, &frame(wire, 7)));

        // No session has this number, and what is under it is no rule.
        let nobody = marked(wire, &filter, 0);
        assert!(!passes(wire, &nobody, &frame(wire, 0)));
        filter.forbid(0).unwrap();
        assert_eq!(filter.dropped_of(0).unwrap(), None);
        assert_eq!(filter.dropped().unwrap(), Dropped { forged: 0, unknown: 3 });

        let stranger = SessionSocket::open(wire.id(), &key(wire, 7), 65_536).unwrap();
        for mark in [0, 7, 0xffff] {
            stranger.set_mark(mark).unwrap();
            assert!(passes(wire, &stranger, &frame(wire, 0x7777)), "{mark:#x}");
        }
    });
}

#[test]
fn a_rule_holds_on_its_own_interface_only() {
    with_wire(|wire| {
        let filter = attached(wire, OWNER);
        let socket = marked(wire, &filter, 7);
        // As if the session were on a VLAN, and its frame were seen once more below.
        let other = crate::interface::IfIndex::new(wire.id().index.get() + 1).unwrap();
        filter.permit(other, &key(wire, 7)).unwrap();
        assert!(passes(wire, &socket, &frame(wire, 8)));
    });
}

#[test]
fn who_comes_next_takes_over_in_one_step() {
    with_wire(|wire| {
        let first = attached(wire, OWNER);
        let socket = member(wire, &first, 7);
        let mut forged = frame(wire, 8);
        assert!(!passes(wire, &socket, &forged));
        drop(first);
        // Nobody is there, and the kernel holds on.
        assert!(passes(wire, &socket, &frame(wire, 7)) && !passes(wire, &socket, &forged));

        let second = open(OWNER);
        assert_eq!(second.origin(), RulesOrigin::Inherited);
        assert_eq!(second.dropped_of(7).unwrap(), Some(2));
        assert_eq!(second.mark(7), socket.mark().unwrap());
        let stranger = SessionKey { peer: STRANGER, ..key(wire, 7) };
        second.permit_anew(wire.id().index, &stranger).unwrap();
        assert_eq!(second.dropped_of(7).unwrap(), Some(2), "a rule that is there already stays");
        second.attach(wire.id()).unwrap();
        assert!(passes(wire, &socket, &frame(wire, 7)) && !passes(wire, &socket, &forged));

        // Another peer has the number now.
        second.permit(wire.id().index, &stranger).unwrap();
        assert_eq!(second.dropped_of(7).unwrap(), Some(0));
        forged[..6].copy_from_slice(&STRANGER.0);
        assert!(!passes(wire, &socket, &frame(wire, 7)) && !passes(wire, &socket, &forged));
        let mut right = frame(wire, 7);
        right[..6].copy_from_slice(&STRANGER.0);
        assert!(passes(wire, &socket, &right));
    });
}

#[test]
fn each_judges_its_own() {
    with_wire(|wire| {
        let (ours, theirs) = (attached(wire, OWNER), attached(wire, OTHER));
        assert_eq!(theirs.origin(), RulesOrigin::New);
        let (a, b) = (member(wire, &ours, 7), member(wire, &theirs, 8));
        assert!(passes(wire, &a, &frame(wire, 7)) && !passes(wire, &a, &frame(wire, 8)));
        assert!(passes(wire, &b, &frame(wire, 8)) && !passes(wire, &b, &frame(wire, 7)));
        ours.detach_all().unwrap();
        assert!(!ours.is_attached(wire.id()).unwrap() && theirs.is_attached(wire.id()).unwrap());
        assert!(passes(wire, &b, &frame(wire, 8)) && !passes(wire, &b, &frame(wire, 7)));
    });
}

#[test]
fn nothing_is_left_behind_and_nothing_of_others_is_taken() {
    with_wire(|wire| {
        let mut netlink = Netlink::open().unwrap();
        let mut clsact_is_there = |id: &InterfaceId| !netlink.make_clsact(id).unwrap();

        // It brought the queueing discipline along, also if another one of us has replaced it since.
        let filter = attached(wire, OWNER);
        attached(wire, OWNER);
        filter.detach_all().unwrap();
        assert!(!clsact_is_there(wire.id()));

        // Now it was there before.
        let filter = attached(wire, OWNER);
        filter.detach_all().unwrap();
        filter.detach_all().unwrap();
        assert!(clsact_is_there(wire.id()));

        // It brought it, and somebody else uses it.
        Netlink::open().unwrap().remove_clsact(wire.id()).unwrap();
        let (first, other) = (attached(wire, OWNER), attached(wire, OTHER));
        first.detach_all().unwrap();
        assert!(clsact_is_there(wire.id()) && other.is_attached(wire.id()).unwrap());
    });
}

#[test]
fn a_place_that_is_taken_is_left_to_who_has_it() {
    with_wire(|wire| {
        let filter = open(OWNER);
        let other = open(OTHER);
        let mut netlink = Netlink::open().unwrap();
        netlink.make_clsact(wire.id()).unwrap();
        netlink
            .set_egress_filter(wire.id(), filter.handle(), None, "somebody", other.program.as_fd())
            .unwrap();
        let error = filter.attach(wire.id()).unwrap_err().to_string();
        assert!(error.contains("called \"somebody\": choose another --run-dir"), "{error}");
        assert!(!filter.is_attached(wire.id()).unwrap());
        filter.detach_all().unwrap();
        assert!(netlink.egress_filter(wire.id(), filter.handle()).unwrap().is_some());
    });
}

#[test]
fn tags_are_marks_that_nobody_has_by_chance() {
    let tags = ["", "a", OWNER, OTHER].map(tag_of);
    assert!(tags.iter().all(|tag| tag & 0x8000 != 0), "{tags:?}");
    assert_ne!(tag_of(OWNER), tag_of(OTHER));
    assert_eq!(tag_of(OWNER), tag_of(OWNER));
}

#[test]
fn a_rule_is_the_start_of_a_frame() {
    let key = SessionKey {
        ether_type: EtherType::PppoeSession,
        session_id: 0x0102,
        own: MacAddr([1, 2, 3, 4, 5, 6]),
        peer: MacAddr([7, 8, 9, 10, 11, 12]),
    };
    let words = Rule::new(IfIndex::new(9).unwrap(), &key, EtherType::PppoeDiscovery).to_words(3);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    assert_eq!(bytes[..16], [7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6, 0x88, 0x64, 0x11, 0]);
    assert_eq!(bytes[16..24], [3, 4, 5, 6, 0x88, 0x63, 0x11, 0xa7]);
    assert_eq!(bytes[24..26], [1, 2]);
    assert_eq!(bytes[28..32], 9_u32.to_ne_bytes());
    assert_eq!((words[4], MIN_FRAME_LEN > 18), (3, true));
}

/// A filter of the same owner whose rules are in a map that a later version does not know.
fn of_another_version(owner: &str) -> EgressFilter {
    let ours = open(owner);
    let rules = HashMap::new("pppoe_egress_0", MAX_SESSIONS).unwrap();
    rules.set(TOTALS, &[0; WORDS]).unwrap();
    let program = ClassifierProgram::load("pppoe_egress", &program(ours.tag, &rules)).unwrap();
    EgressFilter { rules, program, ..ours }
}

#[test]
fn rules_that_cannot_be_had_hold_until_all_have_new_ones() {
    with_wire(|wire| {
        let old = of_another_version(OWNER);
        old.attach(wire.id()).unwrap();
        let known = member(wire, &old, 7);
        let unknown = member(wire, &old, 9);
        drop(old);

        // There is a filter of ours, which goes on by rules that nobody can read.
        let new = open(OWNER);
        assert_eq!(new.origin(), RulesOrigin::Lost);
        assert!(new.is_attached(wire.id()).unwrap());
        assert_eq!(new.dropped_of(7).unwrap(), None);
        new.forbid(7).unwrap();
        assert!(passes(wire, &known, &frame(wire, 7)) && !passes(wire, &known, &frame(wire, 8)));
        assert!(passes(wire, &unknown, &frame(wire, 9)));
        assert_eq!(new.dropped().unwrap(), Dropped::default(), "the old one counts");

        // What is there of the new rules is not of an earlier pppoed, so that it does not stay.
        let stranger = SessionKey { peer: STRANGER, ..key(wire, 7) };
        new.permit_anew(wire.id().index, &stranger).unwrap();
        new.permit_anew(wire.id().index, &key(wire, 7)).unwrap();
        assert!(!passes(wire, &known, &frame(wire, 8)));
        new.attach(wire.id()).unwrap();
        assert!(passes(wire, &known, &frame(wire, 7)) && !passes(wire, &known, &frame(wire, 8)));
        assert_eq!(new.dropped_of(7).unwrap(), Some(1));
        // A session that was not taken over has lost its leave with the old rules.
        assert!(!passes(wire, &unknown, &frame(wire, 9)));
        assert_eq!(new.dropped().unwrap(), Dropped { forged: 1, unknown: 1 });

        // The next one has them again.
        drop(new);
        assert_eq!(open(OWNER).origin(), RulesOrigin::Inherited);
    });
}

#[test]
fn rules_cannot_be_had_without_the_privilege_to_ask_for_them() {
    const CAP_SYS_ADMIN: u32 = 21;
    with_wire(|wire| {
        let old = attached(wire, OWNER);
        let socket = member(wire, &old, 7);
        drop(old);
        let new = without_capability(CAP_SYS_ADMIN, || {
            let new = open(OWNER);
            assert!(new.is_attached(wire.id()).unwrap());
            new.permit_anew(wire.id().index, &key(wire, 7)).unwrap();
            new
        });
        assert_eq!(new.origin(), RulesOrigin::Lost);
        assert!(passes(wire, &socket, &frame(wire, 7)) && !passes(wire, &socket, &frame(wire, 8)));
        assert_eq!(open(OWNER).origin(), RulesOrigin::Inherited, "they were there all the time");
        without_capability(CAP_SYS_ADMIN, || new.attach(wire.id()).unwrap());
        assert!(passes(wire, &socket, &frame(wire, 7)) && !passes(wire, &socket, &frame(wire, 8)));
        assert_eq!(new.dropped_of(7).unwrap(), Some(1));
    });
}
