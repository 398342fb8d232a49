//! The group of an interface's sessions, with frames on a wire.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;

use super::tests::{PEER, STRANGER, Wire, payloads, tagged, with_wire};
use super::{Membership, PacketError, PacketType, SessionGroup, SessionKey, SessionSocket};
use crate::netlink::Netlink;

/// The patience of whoever waits for members to leave.
const PATIENCE: Duration = Duration::from_secs(20);

fn group(wire: &Wire, sessions: u32) -> SessionGroup {
    SessionGroup::open(wire.id(), EtherType::PppoeSession, sessions).unwrap()
}

fn key(wire: &Wire, session_id: u16) -> SessionKey {
    SessionKey { session_id, ..wire.key() }
}

fn join(group: &SessionGroup, wire: &Wire, session_id: u16) -> (SessionSocket, Membership) {
    group.join(&key(wire, session_id), 65_536).unwrap()
}

/// In session data; `payload` is its first byte.
fn frame(wire: &Wire, session_id: u16, payload: u8) -> Vec<u8> {
    wire.frame(wire.own(), PEER, EtherType::PppoeSession, [0x11, 0], session_id, payload)
}

/// The first payload byte of each stray that waits.
fn strays(group: &SessionGroup) -> Vec<u8> {
    let mut buffer = [0; 64];
    let mut found = Vec::new();
    while let Ok(received) = group.recv_stray(&mut buffer) {
        assert_eq!(received.packet_type, PacketType::Host);
        found.push(buffer[20]);
    }
    found
}

#[test]
fn each_session_gets_its_frames_and_strays_are_nobodys() {
    with_wire(|wire| {
        let group = group(wire, 10);
        // Beyond the first map, too.
        let ids = [1, 2, 0x1234, 0xfffe];
        let members: Vec<_> = ids.iter().map(|id| join(&group, wire, *id)).collect();
        for (number, id) in (1..).zip(ids) {
            wire.inject(&frame(wire, id, number));
        }
        for id in [0, 3, 0x1233, 0x3412, 0xfffd, 0xffff] {
            wire.inject(&frame(wire, id, 0xee));
        }
        for (number, (socket, _)) in (1..).zip(&members) {
            assert_eq!(payloads(socket), [number]);
            assert_eq!(socket.take_statistics().unwrap().received, 1, "its filter saw nothing else");
        }
        assert_eq!(strays(&group), [0xee; 6]);
    });
}

#[test]
fn what_is_malformed_or_foreign_reaches_no_session() {
    with_wire(|wire| {
        let group = group(wire, 10);
        let (socket, _membership) = join(&group, wire, 7);
        let good = frame(wire, 7, 0);
        let session = |source: MacAddr, payload| {
            wire.frame(wire.own(), source, EtherType::PppoeSession, [0x11, 0], 7, payload)
        };
        let mut cousin = PEER;
        cousin.0[0] ^= 4;
        let cases = [
            ("another peer with its session id", session(STRANGER, 1), Some(1)),
            ("a peer whose address ends like its", session(cousin, 2), None),
            ("another version", wire.frame(wire.own(), PEER, EtherType::PppoeSession, [0x21, 0], 7, 3), None),
            (
                "for another station",
                wire.frame(STRANGER, PEER, EtherType::PppoeSession, [0x11, 0], 7, 4),
                None,
            ),
            (
                "of another session, for another station",
                wire.frame(STRANGER, PEER, EtherType::PppoeSession, [0x11, 0], 9, 5),
                None,
            ),
            ("to all", wire.frame(MacAddr::BROADCAST, PEER, EtherType::PppoeSession, [0x11, 0], 9, 6), None),
            ("of a VLAN", tagged(&good), None),
            ("of another session, of a VLAN", tagged(&frame(wire, 9, 7)), None),
            ("that ends with its Ethernet header", good[..14].to_vec(), Some(0)),
            ("cut in the session id", good[..17].to_vec(), Some(0)),
        ];
        for (what, bytes, stray) in cases {
            wire.inject(&bytes);
            assert_eq!(payloads(&socket), [0_u8; 0], "{what}");
            let mut buffer = [0; 64];
            let received = group.recv_stray(&mut buffer).ok();
            assert_eq!(received.map(|received| received.wire_len), stray.map(|_| bytes.len()), "{what}");
            assert_eq!(stray.unwrap_or_default(), buffer[20], "{what}");
        }
        wire.inject(&good);
        assert_eq!(payloads(&socket), [0]);
    });
}

#[test]
fn who_leaves_takes_nothing_along() {
    with_wire(|wire| {
        let group = group(wire, 100);
        let mut members: Vec<_> = (1..=30).map(|id| (id, Some(join(&group, wire, id)))).collect();
        // One in the middle, the first, the last, some together, and then from the front.
        for leavers in [&[15_usize][..], &[1], &[30], &[2, 29, 16, 28, 3], &[4], &[5], &[6, 27]] {
            for leaver in leavers {
                members[leaver - 1].1 = None;
            }
            assert_eq!(group.wait_for_leavers(PATIENCE), 0);
            for (id, member) in &members {
                let payload = u8::try_from(*id).unwrap();
                wire.inject(&frame(wire, *id, payload));
                match member {
                    Some((socket, _)) => assert_eq!(payloads(socket), [payload], "after {leavers:?}"),
                    None => assert_eq!(strays(&group), [payload], "after {leavers:?}"),
                }
            }
        }
    });
}

#[test]
fn a_session_id_is_used_again_before_its_last_owner_has_left() {
    with_wire(|wire| {
        let group = group(wire, 10);
        let (_first, _other) = (join(&group, wire, 1), join(&group, wire, 3));
        let (old, left) = join(&group, wire, 2);
        let new_key = SessionKey { peer: STRANGER, ..key(wire, 2) };
        let (new, _stays) = group.join(&new_key, 65_536).unwrap();
        drop((old, left));
        assert_eq!(group.wait_for_leavers(PATIENCE), 0);
        wire.inject(&wire.frame(wire.own(), STRANGER, EtherType::PppoeSession, [0x11, 0], 2, 9));
        assert_eq!(payloads(&new), [9]);
    });
}

#[test]
fn a_group_takes_so_many_and_no_more() {
    with_wire(|wire| {
        let group = SessionGroup::with_room(wire.id(), EtherType::PppoeSession, 3).unwrap();
        let first = join(&group, wire, 1);
        let _second = join(&group, wire, 2);
        let error = group.join(&key(wire, 3), 65_536).unwrap_err();
        assert!(matches!(error, PacketError::GroupFull { members: 3, .. }), "{error}");
        drop(first);
        assert_eq!(group.wait_for_leavers(PATIENCE), 0);
        let (third, _membership) = join(&group, wire, 3);
        wire.inject(&frame(wire, 3, 3));
        assert_eq!(payloads(&third), [3]);
    });
}

#[test]
fn the_kernel_has_a_limit_of_members() {
    with_wire(|wire| {
        let open = |room| SessionGroup::with_room(wire.id(), EtherType::PppoeSession, room);
        open(super::MAX_MEMBERS).unwrap();
        assert!(matches!(open(super::MAX_MEMBERS + 1), Err(PacketError::Setup { .. })));
    });
}

#[test]
fn a_member_cannot_give_the_group_another_program() {
    use nix::libc;
    use std::os::fd::{AsFd, AsRawFd};
    with_wire(|wire| {
        let group = group(wire, 10);
        let (socket, _membership) = join(&group, wire, 1);
        let program = super::selector::Selector::new(1).unwrap();
        let data = program.as_fd().as_raw_fd();
        let outcome =
            super::socket::set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, &data);
        assert_eq!(outcome.unwrap_err().raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
fn an_interface_that_was_down_finds_its_sessions_again() {
    with_wire(|wire| {
        let mut netlink = Netlink::open().unwrap();
        let group = group(wire, 10);
        let mut members: Vec<_> = (1..=8).map(|id| (id, join(&group, wire, id))).collect();
        // The kernel's order is not that of birth any more.
        members.remove(1);
        assert_eq!(group.wait_for_leavers(PATIENCE), 0);

        let check = |members: &[(u16, (SessionSocket, Membership))], when: &str| {
            for (id, (socket, _)) in members {
                // Who was told that the interface was down is told once.
                let _ = socket.recv(&mut [0; 64]);
                let payload = u8::try_from(*id).unwrap();
                wire.inject(&frame(wire, *id, payload));
                assert_eq!(payloads(socket), [payload], "{when}");
            }
        };
        netlink.link_down(wire.id()).unwrap();
        netlink.link_up(wire.id()).unwrap();
        assert!(strays(&group).is_empty());
        check(&members, "after a moment");

        netlink.link_down(wire.id()).unwrap();
        members.remove(3);
        members.remove(0);
        assert_eq!(group.wait_for_leavers(PATIENCE), 0);
        netlink.link_up(wire.id()).unwrap();
        check(&members, "after some left meanwhile");

        members.remove(0);
        members.push((9, join(&group, wire, 9)));
        assert_eq!(group.wait_for_leavers(PATIENCE), 0);
        check(&members, "after one came and one left");
    });
}

#[test]
fn nobody_loses_a_frame_while_others_come_and_go() {
    const STEADY: u16 = 20;
    with_wire(|wire| {
        let group = group(wire, 100);
        let mut others: Vec<_> = (101..=110).map(|id| join(&group, wire, id)).collect();
        let steady: Vec<_> = (1..=STEADY).map(|id| join(&group, wire, id)).collect();
        let stop = AtomicBool::new(false);
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| {
                let frames: Vec<_> = (1..=STEADY).map(|id| frame(wire, id, 0)).collect();
                let mut buffer = [0; 64];
                while !stop.load(Ordering::Relaxed) {
                    for (frame, (socket, _)) in frames.iter().zip(&steady) {
                        wire.inject(frame);
                        sent.fetch_add(1, Ordering::Relaxed);
                        while socket.recv(&mut buffer).is_ok() {
                            received.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
            for round in 0..60_u16 {
                others.remove(usize::from(round % 10));
                others.push(join(&group, wire, 200 + round));
            }
            assert_eq!(group.wait_for_leavers(PATIENCE), 0);
            stop.store(true, Ordering::Relaxed);
        });
        let (sent, received) = (sent.into_inner(), received.into_inner());
        assert!(sent > 1000, "{sent} frames only");
        assert_eq!(received, sent);
    });
}
