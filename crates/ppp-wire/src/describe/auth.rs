//! PAP and CHAP, without their secrets.

use super::{Description, HIDDEN};
use crate::cp::CpPacket;
use crate::{chap, pap};

pub(super) fn pap(description: Description, packet: &CpPacket<'_>) -> Description {
    let description = match packet.code() {
        1 => description.named("Authenticate-Request"),
        2 => description.named("Authenticate-Ack"),
        3 => description.named("Authenticate-Nak"),
        other => description.code(&format!("code-{other}")),
    };
    match pap::Packet::parse(packet.as_bytes()) {
        Ok(pap::Packet::AuthenticateRequest { peer_id, .. }) => {
            description.text("name", peer_id).word("password", HIDDEN)
        }
        Ok(pap::Packet::AuthenticateAck { message, .. } | pap::Packet::AuthenticateNak { message, .. }) => {
            description.message(message)
        }
        // Not even the first bytes: a length that lies would let the password stand where the name should.
        Err(error) => description.malformed(&error, packet.as_bytes(), crate::cp::HEADER_LEN),
    }
}

pub(super) fn chap(description: Description, packet: &CpPacket<'_>) -> Description {
    let description = match packet.code() {
        1 => description.named("Challenge"),
        2 => description.named("Response"),
        3 => description.named("Success"),
        4 => description.named("Failure"),
        other => description.code(&format!("code-{other}")),
    };
    match chap::Packet::parse(packet.as_bytes()) {
        Ok(chap::Packet::Challenge { value, name, .. }) => description.hex("value", value).text("name", name),
        // With the Challenge, it lets a password be guessed offline.
        Ok(chap::Packet::Response { name, .. }) => description.word("value", HIDDEN).text("name", name),
        Ok(chap::Packet::Success { message, .. } | chap::Packet::Failure { message, .. }) => {
            description.message(message)
        }
        Err(error) => description.malformed(&error, packet.as_bytes(), crate::cp::HEADER_LEN),
    }
}
