//! LCP and the Network Control Protocols.

use super::{Description, protocol_name};
use crate::cp::{self, CpOption, CpPacket};
use crate::ipcp::IpcpOption;
use crate::ipv6cp::{self, Ipv6cpOption};
use crate::lcp::{
    AuthProtocol, ChapAlgorithm, Code, CodeReject, LcpOption, MagicBody, ProtocolReject, TimeRemaining,
};
use crate::ppp::Protocol;

/// First bytes of a malformed packet.
const HEAD: usize = 16;

pub(super) fn lcp(description: Description, packet: &CpPacket<'_>) -> Description {
    let code = Code::from(packet.code());
    let data = packet.data();
    let description = match code {
        Code::ProtocolReject => description.named("Protocol-Reject"),
        Code::EchoRequest => description.named("Echo-Request"),
        Code::EchoReply => description.named("Echo-Reply"),
        Code::DiscardRequest => description.named("Discard-Request"),
        Code::Identification => description.named("Identification"),
        Code::TimeRemaining => description.named("Time-Remaining"),
        _ => return common(description, packet, lcp_option),
    };
    let magic = |description: Description, number: u32| {
        description.word("magic_number", format_args!("0x{number:08x}"))
    };
    let read = match code {
        // Not what was rejected: it may be an Authenticate-Request with its password.
        Code::ProtocolReject => ProtocolReject::parse(data)
            .map(|body| description.clone().word("protocol", protocol_name(body.rejected_protocol))),
        Code::TimeRemaining => TimeRemaining::parse(data).map(|body| {
            magic(description.clone(), body.magic_number)
                .word("seconds", body.seconds_remaining)
                .message(body.message)
        }),
        Code::Identification => MagicBody::parse(data)
            .map(|body| magic(description.clone(), body.magic_number).message(body.data)),
        _ => MagicBody::parse(data).map(|body| {
            let description = magic(description.clone(), body.magic_number);
            if body.data.is_empty() { description } else { description.count("length", body.data.len()) }
        }),
    };
    read.unwrap_or_else(|error| description.malformed(&error, packet.as_bytes(), HEAD))
}

pub(super) fn ncp(description: Description, protocol: Protocol, packet: &CpPacket<'_>) -> Description {
    match protocol {
        Protocol::Ipcp => common(description, packet, ipcp_option),
        Protocol::Ipv6cp => common(description, packet, ipv6cp_option),
        _ => common(description, packet, unknown),
    }
}

/// The codes that every control protocol has (RFC 1661 §5).
fn common(
    description: Description,
    packet: &CpPacket<'_>,
    add: impl Fn(Description, CpOption<'_>) -> Description,
) -> Description {
    let description = match cp::Code::from(packet.code()) {
        cp::Code::ConfigureRequest => description.named("Configure-Request"),
        cp::Code::ConfigureAck => description.named("Configure-Ack"),
        cp::Code::ConfigureNak => description.named("Configure-Nak"),
        cp::Code::ConfigureReject => description.named("Configure-Reject"),
        cp::Code::TerminateRequest => return description.named("Terminate-Request").message(packet.data()),
        cp::Code::TerminateAck => return description.named("Terminate-Ack").message(packet.data()),
        cp::Code::CodeReject => {
            let description = description.named("Code-Reject");
            return match CodeReject::parse(packet.data()) {
                Ok(body) => description.word("code", body.rejected_code),
                Err(error) => description.malformed(&error, packet.as_bytes(), HEAD),
            };
        }
        cp::Code::Unknown(code) => {
            return description.code(&format!("code-{code}")).count("length", packet.data().len());
        }
    };
    packet.options().fold(description, |description, option| match option {
        Ok(option) => add(description, option),
        Err(error) => description.malformed(&error, packet.as_bytes(), HEAD),
    })
}

fn unknown(description: Description, option: CpOption<'_>) -> Description {
    description.hex(format!("option_{}", option.kind), option.data)
}

fn lcp_option(description: Description, option: CpOption<'_>) -> Description {
    match LcpOption::parse(option) {
        Ok(LcpOption::Mru(mru)) => description.word("mru", mru),
        Ok(LcpOption::Accm(map)) => description.word("accm", format_args!("0x{map:08x}")),
        Ok(LcpOption::AuthProtocol(AuthProtocol::Pap)) => description.word("auth", "pap"),
        Ok(LcpOption::AuthProtocol(AuthProtocol::Chap(algorithm))) => match algorithm {
            ChapAlgorithm::Md5 => description.word("auth", "chap-md5"),
            ChapAlgorithm::Sha1 => description.word("auth", "chap-sha1"),
            ChapAlgorithm::MsChapV1 => description.word("auth", "mschap"),
            ChapAlgorithm::MsChapV2 => description.word("auth", "mschap-v2"),
            ChapAlgorithm::Unknown(number) => description.word("auth", format_args!("chap-{number}")),
        },
        Ok(LcpOption::AuthProtocol(AuthProtocol::Other { protocol, .. })) => {
            description.word("auth", protocol_name(protocol))
        }
        Ok(LcpOption::QualityProtocol { protocol, .. }) => {
            description.word("quality", protocol_name(protocol))
        }
        Ok(LcpOption::MagicNumber(number)) => {
            description.word("magic_number", format_args!("0x{number:08x}"))
        }
        Ok(LcpOption::Pfc) => description.flag("pfc"),
        Ok(LcpOption::Acfc) => description.flag("acfc"),
        Ok(LcpOption::Unknown(option)) => unknown(description, option),
        Err(error) => unknown(description, option).malformed(&error, &[], 0),
    }
}

fn ipcp_option(description: Description, option: CpOption<'_>) -> Description {
    match IpcpOption::parse(option) {
        Ok(IpcpOption::IpAddresses { source, destination }) => {
            description.word("ip_addresses", format_args!("{source},{destination}"))
        }
        Ok(IpcpOption::IpCompression { protocol, .. }) => {
            description.word("ip_compression", protocol_name(protocol))
        }
        Ok(IpcpOption::IpAddress(address)) => description.word("ip_address", address),
        Ok(IpcpOption::PrimaryDns(address)) => description.word("primary_dns", address),
        Ok(IpcpOption::PrimaryNbns(address)) => description.word("primary_nbns", address),
        Ok(IpcpOption::SecondaryDns(address)) => description.word("secondary_dns", address),
        Ok(IpcpOption::SecondaryNbns(address)) => description.word("secondary_nbns", address),
        Ok(IpcpOption::Unknown(option)) => unknown(description, option),
        Err(error) => unknown(description, option).malformed(&error, &[], 0),
    }
}

fn ipv6cp_option(description: Description, option: CpOption<'_>) -> Description {
    match Ipv6cpOption::parse(option) {
        // As people know it: the address that comes of it.
        Ok(Ipv6cpOption::InterfaceIdentifier(identifier)) => {
            description.word("interface_identifier", ipv6cp::link_local(identifier))
        }
        Ok(Ipv6cpOption::Unknown(option)) => unknown(description, option),
        Err(error) => unknown(description, option).malformed(&error, &[], 0),
    }
}
