//! Byte vectors of configuration options and LCP bodies, each used in both directions.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::Ipv4Addr;

use ppp_wire::Error;
use ppp_wire::cp::{CpOption, CpOptions};
use ppp_wire::ipcp::IpcpOption;
use ppp_wire::ipv6cp::Ipv6cpOption;
use ppp_wire::lcp::{
    AuthProtocol, ChapAlgorithm, Code, CodeReject, LcpOption, MagicBody, ProtocolReject, TimeRemaining,
};
use ppp_wire::ppp::Protocol;

fn raw(bytes: &[u8]) -> CpOption<'_> {
    let mut options = CpOptions::new(bytes);
    let option = options.next().unwrap().unwrap();
    assert_eq!(options.next(), None, "one option per vector");
    option
}

#[test]
fn lcp_options_both_ways() {
    let vectors: &[(LcpOption<'_>, &[u8])] = &[
        (LcpOption::Mru(1492), &[1, 4, 0x05, 0xd4]),
        (LcpOption::Accm(0x000a_0000), &[2, 6, 0, 0x0a, 0, 0]),
        (LcpOption::AuthProtocol(AuthProtocol::Pap), &[3, 4, 0xc0, 0x23]),
        (LcpOption::AuthProtocol(AuthProtocol::Chap(ChapAlgorithm::Md5)), &[3, 5, 0xc2, 0x23, 5]),
        (LcpOption::AuthProtocol(AuthProtocol::Chap(ChapAlgorithm::MsChapV2)), &[3, 5, 0xc2, 0x23, 0x81]),
        (LcpOption::AuthProtocol(AuthProtocol::Chap(ChapAlgorithm::Unknown(9))), &[3, 5, 0xc2, 0x23, 9]),
        (
            LcpOption::AuthProtocol(AuthProtocol::Other { protocol: Protocol::Eap, data: &[] }),
            &[3, 4, 0xc2, 0x27],
        ),
        (
            LcpOption::QualityProtocol { protocol: Protocol::LinkQualityReport, data: &[0, 0, 1, 0] },
            &[4, 8, 0xc0, 0x25, 0, 0, 1, 0],
        ),
        (LcpOption::MagicNumber(0xdead_beef), &[5, 6, 0xde, 0xad, 0xbe, 0xef]),
        (LcpOption::Pfc, &[7, 2]),
        (LcpOption::Acfc, &[8, 2]),
        (LcpOption::Unknown(CpOption { kind: 13, data: &[6] }), &[13, 3, 6]),
        (LcpOption::Unknown(CpOption { kind: 0, data: &[] }), &[0, 2]),
    ];
    for (option, bytes) in vectors {
        let mut out = Vec::new();
        option.emit(&mut out).unwrap();
        assert_eq!(out, *bytes, "{option:?}");
        assert_eq!(option.kind(), bytes[0]);
        assert_eq!(LcpOption::parse(raw(bytes)), Ok(*option));
    }
}

#[test]
fn lcp_options_of_impossible_size_are_refused() {
    for bytes in [
        &[1, 3, 5][..],
        &[1, 5, 5, 0xd4, 0],
        &[2, 2],
        &[3, 3, 0xc0],
        &[3, 5, 0xc0, 0x23, 0],
        &[3, 4, 0xc2, 0x23],
        &[3, 6, 0xc2, 0x23, 5, 0],
        &[4, 3, 0xc0],
        &[5, 5, 1, 2, 3],
        &[7, 3, 0],
        &[8, 4, 0, 0],
    ] {
        let error = Error::OptionLength { protocol: "LCP", kind: bytes[0], len: bytes.len() - 2 };
        assert_eq!(LcpOption::parse(raw(bytes)), Err(error), "{bytes:?}");
    }
}

#[test]
fn ipcp_options_both_ways() {
    let address = Ipv4Addr::new(192, 0, 2, 1);
    let vectors: &[(IpcpOption<'_>, &[u8])] = &[
        (
            IpcpOption::IpAddresses { source: address, destination: Ipv4Addr::new(192, 0, 2, 9) },
            &[1, 10, 192, 0, 2, 1, 192, 0, 2, 9],
        ),
        (
            IpcpOption::IpCompression { protocol: Protocol::VjCompressedTcp, data: &[15, 1] },
            &[2, 6, 0x00, 0x2d, 15, 1],
        ),
        (IpcpOption::IpAddress(address), &[3, 6, 192, 0, 2, 1]),
        (IpcpOption::PrimaryDns(address), &[0x81, 6, 192, 0, 2, 1]),
        (IpcpOption::PrimaryNbns(address), &[0x82, 6, 192, 0, 2, 1]),
        (IpcpOption::SecondaryDns(Ipv4Addr::UNSPECIFIED), &[0x83, 6, 0, 0, 0, 0]),
        (IpcpOption::SecondaryNbns(address), &[0x84, 6, 192, 0, 2, 1]),
        (IpcpOption::Unknown(CpOption { kind: 144, data: &[24] }), &[144, 3, 24]),
    ];
    for (option, bytes) in vectors {
        let mut out = Vec::new();
        option.emit(&mut out).unwrap();
        assert_eq!(out, *bytes, "{option:?}");
        assert_eq!(option.kind(), bytes[0]);
        assert_eq!(IpcpOption::parse(raw(bytes)), Ok(*option));
    }
}

#[test]
fn ipcp_options_of_impossible_size_are_refused() {
    for bytes in [
        &[1, 6, 192, 0, 2, 1][..],
        &[1, 11, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        &[2, 3, 0],
        &[3, 5, 192, 0, 2],
        &[3, 7, 192, 0, 2, 1, 0],
        &[0x81, 2],
        &[0x84, 3, 1],
    ] {
        let error = Error::OptionLength { protocol: "IPCP", kind: bytes[0], len: bytes.len() - 2 };
        assert_eq!(IpcpOption::parse(raw(bytes)), Err(error), "{bytes:?}");
    }
}

#[test]
fn ipv6cp_options_both_ways() {
    for (option, bytes) in [
        (Ipv6cpOption::InterfaceIdentifier([1, 2, 3, 4, 5, 6, 7, 8]), &[1, 10, 1, 2, 3, 4, 5, 6, 7, 8][..]),
        (Ipv6cpOption::Unknown(CpOption { kind: 2, data: &[0, 3] }), &[2, 4, 0, 3]),
    ] {
        let mut out = Vec::new();
        option.emit(&mut out).unwrap();
        assert_eq!(out, bytes);
        assert_eq!(option.kind(), bytes[0]);
        assert_eq!(Ipv6cpOption::parse(raw(bytes)), Ok(option));
    }
    let short = Error::OptionLength { protocol: "IPV6CP", kind: 1, len: 7 };
    assert_eq!(Ipv6cpOption::parse(raw(&[1, 9, 1, 2, 3, 4, 5, 6, 7])), Err(short));
}

#[test]
fn options_that_do_not_fit_are_not_emitted() {
    let data = &[0; 252];
    let mut out = Vec::new();
    let quality = LcpOption::QualityProtocol { protocol: Protocol::LinkQualityReport, data };
    assert_eq!(quality.emit(&mut out), Err(Error::TooLong { what: "option data", len: 254, max: 253 }));
    let compression = IpcpOption::IpCompression { protocol: Protocol::VjCompressedTcp, data };
    assert!(compression.emit(&mut out).is_err());
    assert!(Ipv6cpOption::Unknown(CpOption { kind: 9, data: &[0; 254] }).emit(&mut out).is_err());
    assert_eq!(out, []);
    LcpOption::Unknown(CpOption { kind: 9, data: &[0; 253] }).emit(&mut out).unwrap();
    assert_eq!((out.len(), out[1]), (255, 255));
}

#[test]
fn lcp_bodies_both_ways() {
    let echo = MagicBody { magic_number: 0x0102_0304, data: b"hi" };
    let bytes = b"\x01\x02\x03\x04hi";
    let mut out = Vec::new();
    echo.emit(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(MagicBody::parse(bytes), Ok(echo));
    let cut = Error::Truncated { what: "Magic-Number", needed: 4, have: 3 };
    assert_eq!(MagicBody::parse(&bytes[..3]), Err(cut));

    let remaining = TimeRemaining { magic_number: 1, seconds_remaining: 600, message: b"soon" };
    let bytes = b"\0\0\0\x01\0\0\x02\x58soon";
    let mut out = Vec::new();
    remaining.emit(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(TimeRemaining::parse(bytes), Ok(remaining));
    let cut = Error::Truncated { what: "Seconds-Remaining", needed: 4, have: 1 };
    assert_eq!(TimeRemaining::parse(&bytes[..5]), Err(cut));

    let reject = ProtocolReject { rejected_protocol: Protocol::Ccp, rejected_information: &[1, 1, 0, 4] };
    let bytes = [0x80, 0xfd, 1, 1, 0, 4];
    let mut out = Vec::new();
    reject.emit(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(ProtocolReject::parse(&bytes), Ok(reject));
    let cut = Error::Truncated { what: "Rejected-Protocol", needed: 2, have: 1 };
    assert_eq!(ProtocolReject::parse(&bytes[..1]), Err(cut));

    let bytes = [14, 1, 0, 4];
    let reject = CodeReject { rejected_code: 14, rejected_packet: &bytes };
    let mut out = Vec::new();
    reject.emit(&mut out);
    assert_eq!(out, bytes);
    assert_eq!(CodeReject::parse(&bytes), Ok(reject));
    let cut = Error::Truncated { what: "Rejected-Packet", needed: 1, have: 0 };
    assert_eq!(CodeReject::parse(&[]), Err(cut));
}

#[test]
fn lcp_codes_have_the_numbers_of_the_rfcs() {
    let names = [
        Code::ConfigureRequest,
        Code::ConfigureAck,
        Code::ConfigureNak,
        Code::ConfigureReject,
        Code::TerminateRequest,
        Code::TerminateAck,
        Code::CodeReject,
        Code::ProtocolReject,
        Code::EchoRequest,
        Code::EchoReply,
        Code::DiscardRequest,
        Code::Identification,
        Code::TimeRemaining,
    ];
    for (number, name) in (1..).zip(names) {
        assert_eq!((Code::from(number), u8::from(name)), (name, number));
    }
    assert_eq!(Code::from(0), Code::Unknown(0));
    assert_eq!(Code::from(14), Code::Unknown(14));
}
