use ppp_wire::ethernet::{self, EtherType, EthernetFrame};
use ppp_wire::pppoe::{self, Code, MAX_DISCOVERY_LEN, PppoePacket, TagType};
use ppp_wire::{Error, MacAddr};

use super::answer::Echo;
use super::{DEFAULT_MAX_PAYLOAD, DropCause};

/// A discovery frame that came in, its headers checked, its tags not yet looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'a> {
    pub(super) source: MacAddr,
    pub(super) destination: MacAddr,
    pub(super) packet: PppoePacket<'a>,
}

impl<'a> Received<'a> {
    /// What both ends check of every frame. `mtu` is the interface's, in bytes.
    pub(super) fn parse(
        frame: &'a [u8],
        ether_type: EtherType,
        own: MacAddr,
        mtu: u16,
    ) -> Result<Self, DropCause> {
        let ethernet = EthernetFrame::new_checked(frame).map_err(header_cause)?;
        if ethernet.ether_type() != ether_type {
            return Err(DropCause::EtherType);
        }
        let (source, destination) = stations(&ethernet, own)?;
        // Ethernet pads short frames, so an MTU below the smallest frame does not count.
        let longest = (ethernet::HEADER_LEN + usize::from(mtu)).max(ethernet::MIN_FRAME_LEN);
        if frame.len() > longest {
            return Err(DropCause::OverLong);
        }
        let packet = PppoePacket::new_checked(ethernet.payload()).map_err(header_cause)?;
        if packet.payload().len() > MAX_DISCOVERY_LEN - pppoe::HEADER_LEN {
            return Err(DropCause::OverLong);
        }
        Ok(Self { source, destination, packet })
    }

    /// A frame of the session stage, whatever its EtherType is there.
    pub(super) fn parse_session(frame: &'a [u8], own: MacAddr) -> Result<Self, DropCause> {
        let ethernet = EthernetFrame::new_checked(frame).map_err(header_cause)?;
        let (source, destination) = stations(&ethernet, own)?;
        let packet = PppoePacket::new_checked(ethernet.payload()).map_err(header_cause)?;
        Ok(Self { source, destination, packet })
    }

    pub(super) fn code(&self) -> Code {
        self.packet.code()
    }
}

/// Source and destination of a frame.
fn stations(frame: &EthernetFrame<'_>, own: MacAddr) -> Result<(MacAddr, MacAddr), DropCause> {
    let source = frame.source();
    if source == own {
        return Err(DropCause::OwnFrame);
    }
    if !source.is_unicast() {
        return Err(DropCause::SourceNotUnicast);
    }
    Ok((source, frame.destination()))
}

/// The cause for headers that do not parse: everything but a wrong version is that bytes are missing.
fn header_cause(error: Error) -> DropCause {
    match error {
        Error::VersionType(_) => DropCause::VersionType,
        _ => DropCause::Truncated,
    }
}

/// What an access node adds to discovery (Broadband Forum TR-101 section 3.9.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct LineIds<'a> {
    pub(super) circuit_id: Option<&'a [u8]>,
    pub(super) remote_id: Option<&'a [u8]>,
}

impl<'a> LineIds<'a> {
    /// The content of a Vendor-Specific tag (RFC 2516 appendix A): the vendor, then parts with type and length of one byte
    /// each. What cannot be read says nothing.
    fn parse(value: &'a [u8]) -> Self {
        const BROADBAND_FORUM: [u8; 4] = [0, 0, 0x0d, 0xe9];
        let mut ids = Self::default();
        let Some(mut rest) = value.strip_prefix(&BROADBAND_FORUM) else { return ids };
        while let [kind, len, behind @ ..] = rest {
            let Some((part, behind)) = behind.split_at_checked(usize::from(*len)) else { return ids };
            match kind {
                1 => ids.circuit_id = ids.circuit_id.or(Some(part)),
                2 => ids.remote_id = ids.remote_id.or(Some(part)),
                _ => {}
            }
            rest = behind;
        }
        ids
    }

    /// The first one counts.
    fn or(self, other: Self) -> Self {
        Self {
            circuit_id: self.circuit_id.or(other.circuit_id),
            remote_id: self.remote_id.or(other.remote_id),
        }
    }
}

/// The tags of a discovery packet that either end acts on. Of a tag that should be there once, the first counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Message<'a> {
    pub(super) service_names: Vec<&'a [u8]>,
    pub(super) ac_name: Option<&'a [u8]>,
    pub(super) host_uniq: Option<&'a [u8]>,
    pub(super) ac_cookie: Option<&'a [u8]>,
    pub(super) relay_session_id: Option<&'a [u8]>,
    /// More than [`DEFAULT_MAX_PAYLOAD`]; a tag with less, or of another size than two bytes, says nothing
    /// (RFC 4638 §3).
    pub(super) max_payload: Option<u16>,
    /// What an access node says of the peer's line.
    pub(super) line: LineIds<'a>,
    /// The first tag that says that something went wrong.
    pub(super) error: Option<(TagType, &'a [u8])>,
}

impl<'a> Message<'a> {
    /// Reads all tags. Unknown ones are ignored (RFC 2516 §5).
    pub(super) fn parse(packet: &PppoePacket<'a>) -> Result<Self, DropCause> {
        let mut message = Self::default();
        for tag in packet.tags() {
            let tag = tag.map_err(|_| DropCause::BadTag)?;
            let value = tag.value;
            match tag.kind {
                TagType::ServiceName => message.service_names.push(value),
                TagType::AcName => message.ac_name = message.ac_name.or(Some(value)),
                TagType::HostUniq => message.host_uniq = message.host_uniq.or(Some(value)),
                TagType::AcCookie => message.ac_cookie = message.ac_cookie.or(Some(value)),
                TagType::RelaySessionId => {
                    message.relay_session_id = message.relay_session_id.or(Some(value))
                }
                TagType::PppMaxPayload => {
                    let value = tag.as_u16().ok().filter(|&value| value > DEFAULT_MAX_PAYLOAD);
                    message.max_payload = message.max_payload.or(value);
                }
                TagType::VendorSpecific => message.line = message.line.or(LineIds::parse(value)),
                TagType::ServiceNameError | TagType::AcSystemError | TagType::GenericError => {
                    message.error = message.error.or(Some((tag.kind, value)));
                }
                _ => {}
            }
        }
        Ok(message)
    }

    /// What the answer to `peer_mac` gives back unchanged.
    pub(super) fn echo(&self, peer_mac: MacAddr) -> Echo<'a> {
        Echo { peer_mac, host_uniq: self.host_uniq, relay_session_id: self.relay_session_id }
    }
}
