//! Against the kernel: the access interface is a TAP, so that the test is the wire.

use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::libc;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader, MIN_FRAME_LEN};

use super::filter::session_filter;
use super::socket::{attach_filter, set_option};
use super::*;
use crate::interface::{Interface, InterfaceId};
use crate::netlink::Netlink;
use crate::netns;
use crate::tun::create_tap;

pub(crate) const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
pub(crate) const STRANGER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xbb]);
const SESSION_ID: u16 = 0x1234;

/// The wire that the access interface is plugged into.
pub(crate) struct Wire {
    tap: OwnedFd,
    interface: Interface,
}

impl Wire {
    pub(crate) fn id(&self) -> &InterfaceId {
        &self.interface.id
    }

    pub(crate) fn own(&self) -> MacAddr {
        self.interface.mac.unwrap()
    }

    pub(crate) fn key(&self) -> SessionKey {
        SessionKey {
            ether_type: EtherType::PppoeSession,
            session_id: SESSION_ID,
            own: self.own(),
            peer: PEER,
        }
    }

    /// A frame arrives at the interface.
    pub(crate) fn inject(&self, frame: &[u8]) {
        assert_eq!(nix::unistd::write(&self.tap, frame), Ok(frame.len()));
    }

    /// The next PPPoE frame that left through the interface.
    pub(crate) fn sent(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        loop {
            let length = nix::unistd::read(&self.tap, &mut buffer).ok()?;
            if matches!(buffer[12..14], [0x88, 0x63 | 0x64]) {
                return Some(buffer[..length].to_vec());
            }
        }
    }

    fn session_frame(&self, payload: u8) -> Vec<u8> {
        self.frame(self.own(), PEER, EtherType::PppoeSession, [0x11, 0], SESSION_ID, payload)
    }

    pub(crate) fn frame(
        &self,
        destination: MacAddr,
        source: MacAddr,
        ether_type: EtherType,
        version_type_code: [u8; 2],
        session_id: u16,
        payload: u8,
    ) -> Vec<u8> {
        let mut frame = EthernetHeader { destination, source, ether_type }.emit().to_vec();
        frame.extend(version_type_code);
        frame.extend(session_id.to_be_bytes());
        frame.extend([0, 1, payload]);
        frame.resize(MIN_FRAME_LEN, 0);
        frame
    }
}

pub(crate) fn with_wire(test: impl FnOnce(&Wire) + Send) {
    let in_namespace = || {
        let name = "access0".parse().unwrap();
        let tap = create_tap(&name).unwrap();
        let mut netlink = Netlink::open().unwrap();
        let id = netlink.interface(&name).unwrap().id;
        netlink.link_up(&id).unwrap();
        test(&Wire { tap, interface: netlink.interface(&name).unwrap() });
    };
    netns::for_test(in_namespace);
}

fn discovery(wire: &Wire) -> DiscoverySocket {
    DiscoverySocket::open(wire.id(), EtherType::PppoeDiscovery, DiscoverySocket::DEFAULT_RECEIVE_BUFFER)
        .unwrap()
}

fn session(wire: &Wire) -> SessionSocket {
    SessionSocket::open(wire.id(), &wire.key(), SessionSocket::DEFAULT_RECEIVE_BUFFER).unwrap()
}

/// The first payload byte of each frame that waits in a session's socket.
pub(super) fn payloads(socket: &SessionSocket) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let mut found = Vec::new();
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                assert_eq!(length, MIN_FRAME_LEN);
                found.push(buffer[20]);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return found;
            }
        }
    }
}

/// A frame as it travels in VLAN 5.
pub(crate) fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat()
}

#[test]
fn discovery_tells_whom_a_frame_was_for() {
    with_wire(|wire| {
        let socket = discovery(wire);
        let frame = |destination, payload| {
            wire.frame(destination, PEER, EtherType::PppoeDiscovery, [0x11, 0x09], 0, payload)
        };
        let group = MacAddr([1, 0, 0x5e, 0, 0, 1]);
        let cases = [
            (frame(MacAddr::BROADCAST, 1), PacketType::Broadcast),
            (frame(wire.own(), 2), PacketType::Host),
            (frame(group, 3), PacketType::Multicast),
            (frame(STRANGER, 4), PacketType::OtherHost),
            (tagged(&frame(wire.own(), 5)), PacketType::OtherHost),
        ];
        // Neither another EtherType nor what we send ourselves is seen.
        wire.inject(&wire.session_frame(0));
        socket.send(&frame(MacAddr::BROADCAST, 0)).unwrap();
        for (number, (frame, packet_type)) in (1..).zip(cases) {
            wire.inject(&frame);
            let mut buffer = [0; 2048];
            let received = socket.recv(&mut buffer).unwrap();
            assert_eq!(received, Received { len: MIN_FRAME_LEN, wire_len: MIN_FRAME_LEN, packet_type });
            assert_eq!(buffer[20], number);
        }
        assert_eq!(socket.recv(&mut [0; 2048]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(socket.take_statistics().unwrap(), Statistics { received: 5, dropped: 0 });
        assert_eq!(socket.take_statistics().unwrap(), Statistics::default());
    });
}

#[test]
fn discovery_sends_and_tells_what_it_cut() {
    with_wire(|wire| {
        let socket = discovery(wire);
        let frame = wire.frame(PEER, wire.own(), EtherType::PppoeDiscovery, [0x11, 0x07], 0, 9);
        socket.send(&frame).unwrap();
        assert_eq!(wire.sent(), Some(frame));

        let mut long = wire.frame(wire.own(), PEER, EtherType::PppoeDiscovery, [0x11, 0x09], 0, 9);
        long.resize(1514, 0);
        wire.inject(&long);
        let received = socket.recv(&mut [0; 100]).unwrap();
        assert_eq!((received.len, received.wire_len), (100, 1514));
        assert!(received.is_truncated());

        long.resize(1515, 0);
        assert_eq!(socket.send(&long).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
    });
}

#[test]
fn a_session_socket_receives_its_session_and_nothing_else() {
    with_wire(|wire| {
        let socket = session(wire);
        let own = wire.own();
        let good = wire.session_frame(0);
        let frame = |destination, source, code, session_id| {
            wire.frame(destination, source, EtherType::PppoeSession, code, session_id, 0xff)
        };
        let foreign = [
            ("another session", frame(own, PEER, [0x11, 0], SESSION_ID + 1)),
            ("session 0", frame(own, PEER, [0x11, 0], 0)),
            ("swapped session id", frame(own, PEER, [0x11, 0], SESSION_ID.swap_bytes())),
            ("another source", frame(own, STRANGER, [0x11, 0], SESSION_ID)),
            ("another destination", frame(STRANGER, PEER, [0x11, 0], SESSION_ID)),
            ("broadcast", frame(MacAddr::BROADCAST, PEER, [0x11, 0], SESSION_ID)),
            ("our own address as source", frame(own, own, [0x11, 0], SESSION_ID)),
            ("another version", frame(own, PEER, [0x21, 0], SESSION_ID)),
            ("another type", frame(own, PEER, [0x12, 0], SESSION_ID)),
            ("another code", frame(own, PEER, [0x11, 0xa7], SESSION_ID)),
            ("another VLAN", tagged(&good)),
            ("discovery", wire.frame(own, PEER, EtherType::PppoeDiscovery, [0x11, 0], SESSION_ID, 0xff)),
            ("cut before the session id ends", good[..17].to_vec()),
        ];
        for (number, (what, frame)) in (1..).zip(&foreign) {
            wire.inject(frame);
            wire.inject(&wire.session_frame(number));
            assert_eq!(payloads(&socket), [number], "{what}");
        }
        let received = u32::try_from(foreign.len()).unwrap();
        assert_eq!(socket.take_statistics().unwrap(), Statistics { received, dropped: 0 });
    });
}

#[test]
fn each_address_byte_counts() {
    with_wire(|wire| {
        let socket = session(wire);
        for position in 0..12 {
            let mut frame = wire.session_frame(0xff);
            // Bit 1, as bit 0 of the first byte would make it a group address.
            frame[position] ^= 2;
            wire.inject(&frame);
        }
        wire.inject(&wire.session_frame(1));
        assert_eq!(payloads(&socket), [1]);
    });
}

#[test]
fn the_ether_type_can_be_another() {
    with_wire(|wire| {
        let ether_type = EtherType::from(0x3c13);
        let key = SessionKey { ether_type, ..wire.key() };
        let socket = SessionSocket::open(wire.id(), &key, 65_536).unwrap();
        wire.inject(&wire.session_frame(1));
        wire.inject(&wire.frame(wire.own(), PEER, ether_type, [0x11, 0], SESSION_ID, 2));
        assert_eq!(payloads(&socket), [2]);
    });
}

#[test]
fn no_foreign_frame_slips_in_while_a_socket_is_opened() {
    with_wire(|wire| {
        let stop = AtomicBool::new(false);
        let mut foreign = wire.session_frame(0xff);
        foreign[17] ^= 1;
        let slipped_in = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    wire.inject(&foreign);
                }
            });
            let slipped_in = (0..100).filter(|_| session(wire).recv(&mut [0; 64]).is_ok()).count();
            stop.store(true, Ordering::Relaxed);
            slipped_in
        });
        assert_eq!(slipped_in, 0);
    });
}

#[test]
fn the_filter_cannot_be_replaced_or_removed() {
    with_wire(|wire| {
        let socket = session(wire);
        let permissive = session_filter(&SessionKey { session_id: 1, ..wire.key() });
        let error = attach_filter(socket.as_fd(), &permissive).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        let error = set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
fn only_a_session_socket_can_be_taken_over() {
    with_wire(|wire| {
        let socket = SessionSocket::from_fd(session(wire).into()).unwrap();
        wire.inject(&wire.session_frame(1));
        assert_eq!(payloads(&socket), [1]);

        let unfiltered = discovery(wire).as_fd().try_clone_to_owned().unwrap();
        let udp = std::net::UdpSocket::bind("0.0.0.0:0").unwrap().into();
        for fd in [unfiltered, udp] {
            let error = SessionSocket::from_fd(fd).unwrap_err();
            assert!(matches!(error, PacketError::NotSessionSocket { .. }), "{error}");
        }
        let file = std::fs::File::open("/dev/null").unwrap().into();
        assert!(matches!(SessionSocket::from_fd(file), Err(PacketError::Examine { .. })));
    });
}

#[test]
fn many_frames_at_once() {
    with_wire(|wire| {
        let socket = session(wire);
        let mut batch = FrameBatch::new(8, 100).unwrap();
        assert_eq!(socket.recv_batch(&mut batch).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!((batch.capacity(), batch.frame(0)), (8, None));
        for number in 0..10 {
            let mut frame = wire.session_frame(number);
            frame.resize(MIN_FRAME_LEN + 5 * usize::from(number), 0);
            wire.inject(&frame);
        }
        assert_eq!(socket.recv_batch(&mut batch).unwrap(), 8);
        for number in 0..8_u8 {
            let frame = batch.frame(number.into()).unwrap();
            assert_eq!(frame.wire_len, MIN_FRAME_LEN + 5 * usize::from(number));
            assert_eq!(frame.bytes.len(), frame.wire_len);
            assert_eq!(batch.storage()[frame.bytes][20], number);
        }
        assert_eq!(batch.frame(8), None);
        assert_eq!(socket.recv_batch(&mut batch).unwrap(), 2, "the content is replaced");
        let last = [0, 1, 2].map(|number| {
            batch.frame(number).map(|frame| (frame.wire_len, frame.bytes.len(), frame.is_truncated()))
        });
        assert_eq!(last, [Some((100, 100, false)), Some((105, 100, true)), None]);
        assert_eq!(batch.used(), 8);
        batch.give_back();
        assert_eq!((batch.used(), batch.frame(0)), (0, None));
        assert_eq!(FrameBatch::new(1000, 1).unwrap().capacity(), MAX_BATCH);
    });
}

#[test]
fn what_does_not_fit_into_the_receive_buffer_is_counted() {
    with_wire(|wire| {
        let socket = SessionSocket::open(wire.id(), &wire.key(), 1).unwrap();
        for _ in 0..100 {
            wire.inject(&wire.session_frame(0));
        }
        let waiting = u32::try_from(payloads(&socket).len()).unwrap();
        let Statistics { received, dropped } = socket.take_statistics().unwrap();
        assert_eq!((received, dropped), (100, 100 - waiting));
        assert!(dropped > 0);
    });
}

#[test]
fn an_interface_that_is_down_or_gone() {
    with_wire(|wire| {
        let mut netlink = Netlink::open().unwrap();
        let socket = discovery(wire);
        let frame = wire.frame(wire.own(), PEER, EtherType::PppoeDiscovery, [0x11, 0x09], 0, 9);
        netlink.link_down(wire.id()).unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::NetworkDown);
        assert_eq!(socket.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(socket.send(&frame).unwrap_err().kind(), ErrorKind::NetworkDown);
        netlink.link_up(wire.id()).unwrap();
        wire.inject(&frame);
        assert_eq!(socket.recv(&mut [0; 64]).unwrap().len, MIN_FRAME_LEN);

        netlink.delete_link(wire.id()).unwrap();
        assert_eq!(socket.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::NetworkDown);
        assert_eq!(socket.send(&frame).unwrap_err().raw_os_error(), Some(libc::ENXIO));
        let error = DiscoverySocket::open(wire.id(), EtherType::PppoeDiscovery, 4096).unwrap_err();
        assert!(error.to_string().contains("discovery socket on access0"), "{error}");
    });
}
