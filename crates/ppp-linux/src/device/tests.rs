//! The programs in force: the access interface is a TAP, so that the test is the wire, and a TUN is a session's device.

mod attached;
mod attempts;
mod frames;

use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_wire::MacAddr;
use tempfile::TempDir;

use super::*;
use crate::netlink::{Ipv4Ends, Ipv6Ends, PtpConfig};
use crate::packet::SessionSocket;
use crate::packet::tests::{PEER, Wire, with_wire};
use crate::tun::Tun;

const SESSION_ID: u16 = 0x1234;
const OURS_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const PEER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OURS_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
/// With each of its bytes another one, and the first bit of some words set.
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x8123, 0x4567, 0xf9ab, 0xcdef);
const OPEN: Open = Open { ipv4: Some(PEER_V4), any_ipv4_source: false, ipv6: Some(PEER_V6) };

const SETTINGS: Settings = Settings {
    session: EtherType::PppoeSession,
    discovery: EtherType::PppoeDiscovery,
    control: None,
    frames: None,
};

/// A program that lets everything pass.
pub(crate) fn pass() -> OwnedFd {
    let (mut object, _) = load_object(None).unwrap();
    load_program(&mut object, ACCESS_OUT).unwrap();
    program(&object, ACCESS_OUT).unwrap().fd().unwrap().as_fd().try_clone_to_owned().unwrap()
}

/// A run directory, whose maps are forgotten with it.
struct RunDir(TempDir);

impl RunDir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        let _ = forget(self.path());
    }
}

fn load(run_dir: &RunDir) -> Programs {
    Programs::load(run_dir.path(), &SETTINGS).unwrap()
}

/// A session on its own device, and the programs in force.
struct Session<'a> {
    programs: Programs,
    run_dir: RunDir,
    wire: &'a Wire,
    tun: Tun,
    device: InterfaceId,
    socket: SessionSocket,
    line: Line,
}

impl<'a> Session<'a> {
    fn begin(wire: &'a Wire, settings: &Settings) -> Self {
        let run_dir = RunDir::new();
        let programs = Programs::load(run_dir.path(), settings).unwrap();
        programs.attach_access(wire.id()).unwrap();
        let mut netlink = Netlink::open().unwrap();
        let (tun, device) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
        let line = Line { access: wire.id().index, session_id: SESSION_ID, own: wire.own(), peer: PEER };
        programs.admit(device.index, &line).unwrap();
        programs.attach_new_device(&mut netlink, &device).unwrap();
        netlink.raise_bare(&device, 1492).unwrap();
        let mark = programs.mark(SESSION_ID);
        let socket = SessionSocket::open_on_device(&device, EtherType::PppoeSession, 1 << 20, mark).unwrap();
        Self { programs, run_dir, wire, tun, device, socket, line }
    }

    /// With addresses, and IP passing.
    fn open(&self) {
        let mut netlink = Netlink::open().unwrap();
        let ipv4 = Ipv4Ends { local: OURS_V4, peer: PEER_V4 };
        netlink.configure_ptp(&self.device, &PtpConfig { mtu: 1492, ipv4: Some(ipv4) }).unwrap();
        netlink.set_ipv6_ends(&self.device, None, Ipv6Ends { local: OURS_V6, peer: PEER_V6 }).unwrap();
        self.programs.set_open(self.device.index, &self.line, OPEN).unwrap();
    }

    fn drops(&self) -> Drops {
        self.programs.drops(self.wire.id().index).unwrap()
    }

    /// What the worker hears next.
    fn heard(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(buffer[..length].to_vec())
    }
}

/// A session whose control passes.
fn with_session(test: impl FnOnce(&Session<'_>) + Send) {
    with_wire(|wire| test(&Session::begin(wire, &SETTINGS)));
}

/// A session whose IP passes, too.
fn with_open_session(test: impl FnOnce(&Session<'_>) + Send) {
    with_session(|session| {
        session.open();
        test(session);
    });
}

/// The checksum of an IP header, or the rest of one (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// A UDP datagram to port 9 with this payload, and without a checksum of its own.
fn udp(source: Ipv4Addr, destination: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let length = |more: usize| u16::try_from(more + payload.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, length(28)[0], length(28)[1], 0, 0, 0, 0, 64, 17, 0, 0];
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(&packet).to_be_bytes();
    packet[10..12].copy_from_slice(&sum);
    packet.extend([0, 9, 0, 9, length(8)[0], length(8)[1], 0, 0]);
    packet.extend(payload);
    packet
}
