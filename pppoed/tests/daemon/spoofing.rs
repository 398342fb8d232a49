//! A worker that hands the kernel packets from addresses that are not its peer's.

use std::fs;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use ppp_ipc::worker::{FromWorker, Ipv6Report, Start, ToWorker};
use ppp_wire::ipv6cp::link_local;

use super::lab::{self, Lab, PATIENCE, with_wire};
use super::peer::Host;
use super::worker::{Pipe, spoofer_mac};

const OPTIONS: &str = "require-chap\nlcp-restart 1\nlcp-max-terminate 1\n+ipv6\n";
/// The interface identifier of the worker's peer.
const PEER: [u8; 8] = [0, 0, 0, 0, 0, 0, 0, 2];
const PORT: u16 = 9;

pub(crate) fn tests() -> Vec<super::Test> {
    vec![(
        "a worker that hands over IPv6 packets of others".to_owned(),
        Box::new(|| with_wire(takes_ipv6_of_the_peer_only)),
    )]
}

/// A worker that sends datagrams of others, and then one of its peer, again and again when its session has IPv6: the kernel takes
/// none at all until it has begun to use our address, which is a moment after it was given.
pub(crate) fn spoof(start: &Start, mut pipe: Pipe) -> ! {
    pipe.open();
    let local = start.link.ipv6.unwrap().local;
    pipe.send(&FromWorker::Ipv6Up(Ipv6Report { local, remote: PEER }));
    while !matches!(pipe.receive(), ToWorker::Relay(relay) if relay.ipv6.is_some()) {}
    let strangers = ["fe80::3", "2001:db8::1", "::1"].map(|address| address.parse().unwrap());
    loop {
        for source in strangers.into_iter().chain([link_local(PEER)]) {
            pipe.relay(&datagram(source, link_local(local)));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Without a payload.
fn datagram(source: Ipv6Addr, destination: Ipv6Addr) -> Vec<u8> {
    let mut udp = [PORT.to_be_bytes(), PORT.to_be_bytes(), [0, 8], [0, 0]].concat();
    let addresses = [source.octets(), destination.octets()].concat();
    // With the pseudo-header (RFC 8200 §8.1): the length, and UDP's number.
    let words = addresses.chunks(2).chain(udp.chunks(2)).chain([&[0, 8][..], &[0, 17]]);
    let sum: u32 = words.map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    udp[6..8].copy_from_slice(&(!folded).to_be_bytes());
    [&[0x60, 0, 0, 0, 0, 8, 17, 64], addresses.as_slice(), &udp].concat()
}

fn takes_ipv6_of_the_peer_only() {
    let directory = lab::directory();
    fs::write(directory.path().join("options"), OPTIONS).unwrap();
    let _lab = Lab::start_in(directory, &[]);
    let host = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap();
    host.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut peer = Host::dial(spoofer_mac());
    peer.connected();
    for _ in 0..5 {
        let (_, from) = host.recv_from(&mut [0; 1]).unwrap();
        let SocketAddr::V6(from) = from else { panic!("{from}") };
        assert_eq!(*from.ip(), link_local(PEER));
    }
}
