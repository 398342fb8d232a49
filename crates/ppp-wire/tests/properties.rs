//! Whatever comes in, nothing panics; whatever goes out comes back the same.

use ppp_wire::cp::{self, CpOption, CpOptions, CpPacket};
use ppp_wire::escape::Escaped;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::ip::{Ipv4Packet, Ipv6Packet};
use ppp_wire::ipcp::IpcpOption;
use ppp_wire::ipv6cp::Ipv6cpOption;
use ppp_wire::lcp::{CodeReject, LcpOption, MagicBody, ProtocolReject, TimeRemaining};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, Tag, TagType, Tags};
use ppp_wire::{MacAddr, chap, mss, pap, ppp};
use proptest::collection::vec;
use proptest::prelude::*;

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(frame) = EthernetFrame::new_checked(&bytes) {
            let _ = (frame.source(), frame.destination(), frame.ether_type(), frame.payload());
        }
        if let Ok(packet) = PppoePacket::new_checked(&bytes) {
            let _ = (packet.code(), packet.session_id(), packet.tags().count());
        }
        let _ = ppp::split_protocol(&bytes);
        if let Ok(packet) = CpPacket::new_checked(&bytes) {
            prop_assert_eq!(usize::from(packet.length()), packet.as_bytes().len());
            prop_assert_eq!(packet.data().len() + cp::HEADER_LEN, packet.as_bytes().len());
        }
        for option in CpOptions::new(&bytes).flatten() {
            let _ = (LcpOption::parse(option), IpcpOption::parse(option), Ipv6cpOption::parse(option));
        }
        let _ = (pap::Packet::parse(&bytes), chap::Packet::parse(&bytes));
        let _ = (MagicBody::parse(&bytes), TimeRemaining::parse(&bytes));
        let _ = (ProtocolReject::parse(&bytes), CodeReject::parse(&bytes));
        if let Ok(packet) = Ipv4Packet::new_checked(&bytes) {
            prop_assert!(packet.total_len() <= bytes.len());
            let _ = (packet.source(), packet.destination(), packet.is_fragment());
        }
        if let Ok(packet) = Ipv6Packet::new_checked(&bytes) {
            prop_assert!(packet.total_len() <= bytes.len());
            let _ = (packet.source(), packet.destination(), packet.upper_layer());
        }
        let _ = mss::clamp(&mut bytes.clone(), 1452, 1432);
        let _ = Escaped(&bytes).to_string();
    }

    /// Iterators of tags and options consume at least a header per item, so they end; the bytes of all good items
    /// add up to no more than the input.
    #[test]
    fn iterators_are_bounded_by_their_input(bytes in vec(prop_oneof![Just(0u8), Just(1), Just(2), any::<u8>()], 0..200)) {
        let tags: usize = Tags::new(&bytes).flatten().map(|tag| tag.value.len() + 4).sum();
        prop_assert!(tags <= bytes.len());
        let options: usize = CpOptions::new(&bytes).flatten().map(|option| option.data.len() + 2).sum();
        prop_assert!(options <= bytes.len());
        prop_assert!(Tags::new(&bytes).filter(Result::is_err).count() <= 1);
        prop_assert!(CpOptions::new(&bytes).filter(Result::is_err).count() <= 1);
    }

    #[test]
    fn options_emit_what_they_parsed(kind: u8, data in vec(any::<u8>(), 0..=253)) {
        let option = CpOption { kind, data: &data };
        let mut whole = Vec::new();
        option.emit(&mut whole).unwrap();
        prop_assert_eq!(CpOptions::new(&whole).collect::<Result<Vec<_>, _>>(), Ok(vec![option]));
        let mut out = Vec::new();
        if let Ok(parsed) = LcpOption::parse(option) {
            parsed.emit(&mut out).unwrap();
            prop_assert_eq!(&out, &whole);
            out.clear();
        }
        if let Ok(parsed) = IpcpOption::parse(option) {
            parsed.emit(&mut out).unwrap();
            prop_assert_eq!(&out, &whole);
            out.clear();
        }
        if let Ok(parsed) = Ipv6cpOption::parse(option) {
            parsed.emit(&mut out).unwrap();
            prop_assert_eq!(&out, &whole);
        }
    }

    #[test]
    fn authentication_packets_come_back(
        identifier: u8,
        name in vec(any::<u8>(), 0..=255),
        secret in vec(any::<u8>(), 1..=255),
        padding in vec(any::<u8>(), 0..10),
    ) {
        for packet in [
            pap::Packet::AuthenticateRequest { identifier, peer_id: &name, password: &secret },
            pap::Packet::AuthenticateAck { identifier, message: &name },
            pap::Packet::AuthenticateNak { identifier, message: &name },
        ] {
            let mut out = Vec::new();
            packet.emit(&mut out).unwrap();
            out.extend(&padding);
            prop_assert_eq!(pap::Packet::parse(&out), Ok(packet));
        }
        for packet in [
            chap::Packet::Challenge { identifier, value: &secret, name: &name },
            chap::Packet::Response { identifier, value: &secret, name: &name },
            chap::Packet::Success { identifier, message: &name },
            chap::Packet::Failure { identifier, message: &name },
        ] {
            let mut out = Vec::new();
            packet.emit(&mut out).unwrap();
            out.extend(&padding);
            prop_assert_eq!(chap::Packet::parse(&out), Ok(packet));
        }
    }

    #[test]
    fn discovery_frames_come_back(
        destination: [u8; 6],
        source: [u8; 6],
        ether_type: u16,
        code: u8,
        session_id: u16,
        tags in vec((1u16.., vec(any::<u8>(), 0..100)), 0..20),
    ) {
        let header = EthernetHeader {
            destination: MacAddr(destination),
            source: MacAddr(source),
            ether_type: EtherType::from(ether_type),
        };
        let code = Code::from(code);
        let mut builder = DiscoveryBuilder::new(&header, code, session_id);
        let mut written = Vec::new();
        for (kind, value) in &tags {
            let tag = Tag { kind: TagType::from(*kind), value };
            if builder.tag(tag.kind, tag.value).is_ok() {
                written.push(tag);
            }
        }
        let frame = builder.finish();
        prop_assert!((MIN_FRAME_LEN..=1514).contains(&frame.len()));
        let ethernet = EthernetFrame::new_checked(&frame).unwrap();
        prop_assert_eq!(ethernet.destination(), header.destination);
        prop_assert_eq!(ethernet.source(), header.source);
        prop_assert_eq!(ethernet.ether_type(), header.ether_type);
        let packet = PppoePacket::new_checked(ethernet.payload()).unwrap();
        prop_assert_eq!((packet.code(), packet.session_id()), (code, session_id));
        prop_assert_eq!(packet.tags().collect::<Result<Vec<_>, _>>(), Ok(written));
    }

    #[test]
    fn mac_addresses_come_back(bytes: [u8; 6]) {
        prop_assert_eq!(MacAddr(bytes).to_string().parse(), Ok(MacAddr(bytes)));
    }
}
