//! Discovery packets and their tags.

use super::{Description, HEAD};
use crate::pppoe::{Code, PppoePacket, Tag, TagType};

pub(super) fn describe(packet: &PppoePacket<'_>) -> Description {
    let description = Description::new("PPPoE");
    let description = match packet.code() {
        Code::Padi => description.named("PADI"),
        Code::Pado => description.named("PADO"),
        Code::Padr => description.named("PADR"),
        Code::Pads => description.named("PADS"),
        Code::Padt => description.named("PADT"),
        Code::Padm => description.named("PADM"),
        Code::SessionData => description.named("Session"),
        Code::Unknown(code) => description.code(&format!("PPPoE code-0x{code:02x}")),
    };
    let description = match packet.session_id() {
        0 => description,
        session => description.word("session", session),
    };
    packet.tags().fold(description, |description, tag| match tag {
        Ok(tag) => add(description, &tag),
        Err(error) => description.malformed(&error, packet.payload(), HEAD),
    })
}

fn add(description: Description, tag: &Tag<'_>) -> Description {
    match tag.kind {
        TagType::ServiceName => description.text("service_name", tag.value),
        TagType::AcName => description.text("ac_name", tag.value),
        TagType::HostUniq => description.hex("host_uniq", tag.value),
        TagType::AcCookie => description.hex("ac_cookie", tag.value),
        TagType::VendorSpecific => description.hex("vendor_specific", tag.value),
        TagType::RelaySessionId => description.hex("relay_session_id", tag.value),
        TagType::Hurl => description.text("hurl", tag.value),
        TagType::Motm => description.text("motm", tag.value),
        TagType::PppMaxPayload => match tag.as_u16() {
            Ok(payload) => description.word("ppp_max_payload", payload),
            Err(error) => description.hex("ppp_max_payload", tag.value).malformed(&error, &[], 0),
        },
        TagType::ServiceNameError => description.text("service_name_error", tag.value),
        TagType::AcSystemError => description.text("ac_system_error", tag.value),
        TagType::GenericError => description.text("generic_error", tag.value),
        // Ends the list, which does not show it.
        TagType::EndOfList => description,
        TagType::Unknown(kind) => description.hex(format!("tag_0x{kind:04x}"), tag.value),
    }
}
