//! Packets in words: what each looks like, and what no bytes whatever can bring onto the screen.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use ppp_wire::describe::{Description, Frame, MAX_FIELDS};
use proptest::prelude::*;

const PEER: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn frame(code: u8, session: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    let header = [0x88, if code == 0 { 0x64 } else { 0x63 }, 0x11, code];
    [&OURS[..], &PEER, &header, &session.to_be_bytes(), &len.to_be_bytes(), payload].concat()
}

fn control(protocol: u16, code: u8, identifier: u8, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(4 + data.len()).unwrap();
    [&protocol.to_be_bytes()[..], &[code, identifier], &len.to_be_bytes(), data].concat()
}

fn ppp(protocol: u16, code: u8, identifier: u8, data: &[u8]) -> String {
    Description::of_ppp(&control(protocol, code, identifier, data)).to_string()
}

#[test]
fn the_packets_of_a_negotiation() {
    for (protocol, code, data, expected) in [
        (
            0xc021,
            1,
            &[1, 4, 5, 0xd4, 3, 5, 0xc2, 0x23, 5, 5, 6, 0x1a, 0x2b, 0x3c, 0x4d, 7, 2, 8, 2][..],
            "LCP Configure-Request id=7 mru=1492 auth=chap-md5 magic_number=0x1a2b3c4d pfc acfc",
        ),
        (0xc021, 3, &[3, 4, 0xc0, 0x23], "LCP Configure-Nak id=7 auth=pap"),
        (
            0xc021,
            4,
            &[13, 3, 6, 2, 6, 0, 0, 0, 0],
            "LCP Configure-Reject id=7 option_13=0x06 accm=0x00000000",
        ),
        (0xc021, 5, b"User request", "LCP Terminate-Request id=7 message=\"User request\""),
        (0xc021, 6, b"", "LCP Terminate-Ack id=7"),
        (0xc021, 7, &[12, 1, 0, 4], "LCP Code-Reject id=7 code=12"),
        (0xc021, 8, &[0x80, 0xfd, 1, 1, 0, 4], "LCP Protocol-Reject id=7 protocol=CCP"),
        (0xc021, 9, &[0, 0, 0, 9], "LCP Echo-Request id=7 magic_number=0x00000009"),
        (0xc021, 10, &[0, 0, 0, 9, 1, 2], "LCP Echo-Reply id=7 magic_number=0x00000009 length=2"),
        (0xc021, 12, b"\0\0\0\x09gear", "LCP Identification id=7 magic_number=0x00000009 message=\"gear\""),
        (0xc021, 99, b"abc", "LCP code-99 id=7 length=3"),
        (0xc023, 1, b"\x05alice\x06secret", "PAP Authenticate-Request id=7 name=\"alice\" password=<hidden>"),
        (0xc023, 2, b"\x02hi", "PAP Authenticate-Ack id=7 message=\"hi\""),
        (0xc023, 3, b"", "PAP Authenticate-Nak id=7"),
        (0xc223, 1, b"\x02\xa1\xa2lab", "CHAP Challenge id=7 value=0xa1a2 name=\"lab\""),
        (0xc223, 2, b"\x02\xa1\xa2al\x1bice", "CHAP Response id=7 value=<hidden> name=\"al\\u{1b}ice\""),
        (0xc223, 4, b"go away", "CHAP Failure id=7 message=\"go away\""),
        (
            0x8021,
            2,
            &[3, 6, 10, 0, 0, 2, 129, 6, 8, 8, 8, 8, 131, 6, 8, 8, 4, 4],
            "IPCP Configure-Ack id=7 ip_address=10.0.0.2 primary_dns=8.8.8.8 secondary_dns=8.8.4.4",
        ),
        (0x8021, 1, &[2, 6, 0, 0x2d, 15, 1], "IPCP Configure-Request id=7 ip_compression=VJ-compressed"),
        (
            0x8057,
            1,
            &[1, 10, 2, 0, 0, 0xff, 0xfe, 0, 0, 0x0a],
            "IPV6CP Configure-Request id=7 interface_identifier=fe80::200:ff:fe00:a",
        ),
        (0x80fd, 1, &[18, 6, 0, 0, 0, 0x20], "CCP Configure-Request id=7 option_18=0x00000020"),
        (0xc227, 1, &[1, 2, 3], "EAP code-1 id=7 length=3"),
        (0x8099, 1, &[], "protocol-0x8099 Configure-Request id=7"),
    ] {
        assert_eq!(ppp(protocol, code, 7, data), expected);
    }
}

#[test]
fn data_and_its_ends() {
    let mut packet = vec![0x00, 0x21, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 8, 8, 8, 8];
    assert_eq!(
        Description::of_ppp(&packet).to_string(),
        "IP source=10.0.0.2 destination=8.8.8.8 protocol=icmp length=20"
    );
    packet.truncate(10);
    assert!(Description::of_ppp(&packet).to_string().starts_with("IP MALFORMED ("));
    assert_eq!(Description::of_ppp(&[0x00, 0x3d, 1, 2]).to_string(), "Multilink length=2");
}

#[test]
fn discovery() {
    let tags =
        b"\x01\x01\0\0\x01\x03\0\x02\xab\xcd\x01\x02\0\x03l\nb\x01\x20\0\x02\x05\xdc\x09\x99\0\x01\x07";
    let read = Frame::read(&frame(0x09, 0, tags));
    assert_eq!((read.source.unwrap().0, read.destination.unwrap().0), (PEER, OURS));
    assert_eq!((read.session_id, read.is_session), (Some(0), false));
    assert_eq!(
        read.packet.to_string(),
        r#"PADI service_name="" host_uniq=0xabcd ac_name="l\nb" ppp_max_payload=1500 tag_0x0999=0x07"#
    );
    assert_eq!(Frame::read(&frame(0xa7, 7, b"")).packet.to_string(), "PADT session=7");
    assert_eq!(Frame::read(&frame(0x42, 0, b"")).packet.to_string(), "PPPoE code-0x42");
    let session = Frame::read(&frame(0, 7, &control(0xc021, 6, 1, b"")));
    assert_eq!((session.session_id, session.is_session), (Some(7), true));
    assert_eq!(session.packet.to_string(), "LCP Terminate-Ack id=1");
}

#[test]
fn what_is_malformed_is_shown_as_far_as_it_goes() {
    assert_eq!(
        ppp(0xc021, 1, 7, &[1, 4, 5, 0xd4, 5, 9, 1]),
        "LCP Configure-Request id=7 mru=1492 MALFORMED (option data needs 7 bytes, only 1 are there) \
         [01 07 00 0b 01 04 05 d4 05 09 01]"
    );
    assert_eq!(
        ppp(0xc021, 1, 7, &[1, 3, 5, 7, 2]),
        "LCP Configure-Request id=7 option_1=0x05 pfc MALFORMED (LCP option 1 has 1 bytes of data)"
    );
    assert_eq!(
        Description::of_ppp(&[0xc0, 0x21, 1, 1, 0, 99]).to_string(),
        "LCP MALFORMED (control packet claims a length of 99, possible are 4 to 4) [c0 21 01 01 00 63]"
    );
    assert_eq!(
        Frame::read(&frame(0x09, 0, &[1, 1, 0, 9])).packet.to_string(),
        "PADI MALFORMED (TAG_VALUE needs 9 bytes, only 0 are there) [01 01 00 09]"
    );
    let many = [13, 2].repeat(MAX_FIELDS + 3);
    assert!(ppp(0xc021, 1, 7, &many).ends_with(" option_13=0x and 3 more"));
    let long = ppp(0xc021, 5, 7, &[b'x'; 200]);
    assert!(long.ends_with("xxx\"...(200 bytes)") && long.len() < 200, "{long}");
    assert_eq!(Frame::read(&[1, 2, 3]).packet.protocol, "Ethernet");
}

/// Whether a line holds what a terminal or a reader of lines would act on.
fn is_harmless(line: &str) -> bool {
    !line
        .chars()
        .any(|character| character.is_control() || character == '\u{202e}' || character == '\u{2028}')
}

fn protocol() -> impl Strategy<Value = [u8; 2]> {
    prop_oneof![
        Just([0xc0, 0x21]),
        Just([0xc0, 0x23]),
        Just([0xc2, 0x23]),
        Just([0x80, 0x21]),
        Just([0x80, 0x57]),
        Just([0x00, 0x21]),
        Just([0x00, 0x57]),
        any::<[u8; 2]>(),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_shown_without_harm(bytes: Vec<u8>) {
        prop_assert!(is_harmless(&Frame::read(&bytes).packet.to_string()));
        prop_assert!(is_harmless(&Description::of_ppp(&bytes).to_string()));
    }

    #[test]
    fn anything_behind_good_headers_is_shown_without_harm(
        protocol in protocol(),
        code in 0..16_u8,
        data in prop::collection::vec(any::<u8>(), 0..600),
        cut in 0..40_usize,
    ) {
        let mut packet = control(0, code, 1, &data);
        packet[..2].copy_from_slice(&protocol);
        packet.truncate(packet.len().saturating_sub(cut));
        let line = Description::of_ppp(&packet).to_string();
        prop_assert!(is_harmless(&line) && line.len() < 16_000, "{}", line);
        let line = Frame::read(&frame(code, 1, &data)).packet.to_string();
        prop_assert!(is_harmless(&line) && line.len() < 16_000, "{}", line);
    }

    /// Whichever length lies, and in whatever a packet comes back.
    #[test]
    fn no_password_is_ever_shown(
        name in prop::collection::vec(any::<u8>(), 0..20),
        lies in any::<[Option<u8>; 3]>(),
        claimed in any::<Option<u16>>(),
        rejected in any::<Option<bool>>(),
        prefix in any::<bool>(),
    ) {
        const SECRET: &[u8] = b"hunter2hunter2";
        const SHOWN: [&str; 4] = ["unter2", "nter2h", "6e746572", "6e 74 65"];
        let lie = |index: usize, len: usize| lies[index].unwrap_or(u8::try_from(len).unwrap());
        let pap = [&[lie(0, name.len())][..], &name, &[lie(1, SECRET.len())], SECRET].concat();
        let chap = [&[lie(2, SECRET.len())][..], SECRET, &name].concat();
        for (protocol, code, data) in [(0xc023_u16, 1, &pap), (0xc223, 2, &chap)] {
            let mut packet = control(protocol, code, 9, data);
            if let Some(claimed) = claimed {
                packet[4..6].copy_from_slice(&claimed.to_be_bytes());
            }
            match rejected {
                Some(true) => packet = control(0xc021, 8, 1, &packet),
                Some(false) => packet = control(0xc021, 7, 1, &packet[2..]),
                None => {}
            }
            if prefix {
                packet.splice(0..0, [0xff, 0x03]);
            }
            // Where a length that lies splits a Response from the name behind it, the name has some of its bytes: what
            // is the value is only said by the length.
            let is_name = protocol == 0xc223 && lies[2].is_some();
            let line = Description::of_ppp(&packet).to_string();
            prop_assert!(is_name || !SHOWN.iter().any(|part| line.contains(part)), "{}", line);
            let mut whole = frame(0, 1, &packet);
            if let Some(claimed) = claimed {
                whole[18..20].copy_from_slice(&claimed.to_be_bytes());
            }
            let line = Frame::read(&whole).packet.to_string();
            prop_assert!(is_name || !SHOWN.iter().any(|part| line.contains(part)), "{}", line);
        }
    }
}
