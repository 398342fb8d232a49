//! Cuts packets of the kernel into what fits through the session (GSO).

use std::ops::Range;

use super::checksum::Sum;
use super::headers::{
    CWR, FIN, Layout, PSH, SYN, Transport, Version, put, put_ipv4_checksum, tcp, u16_at, u32_at, udp, v4, v6,
};
use super::vnet::{GsoType, PartialChecksum, VnetHeader};
use crate::Error;

/// The packets that one read of the TUN stands for, one after the other.
///
/// They are made in the buffer that was read into: each packet's headers are written in front of its payload, over
/// the payload of the packet before. So a packet must be done with before the next one is asked for; and what its owner
/// puts in front of it may run over the packet before, too.
#[derive(Debug)]
pub struct Segments(Kind);

#[derive(Debug)]
enum Kind {
    /// One packet, complete.
    Whole(Option<Range<usize>>),
    Cut(Cut),
}

#[derive(Debug)]
struct Cut {
    layout: Layout,
    /// Where the packet before begins, whose headers are there.
    before: usize,
    /// Where the next payload begins.
    payload: usize,
    /// Where the last payload ends.
    end: usize,
    gso_size: usize,
    is_first: bool,
    identification: u16,
    sequence: u32,
    tcp_flags: u8,
}

const GSO: &str = "TCP or UDP packet to be cut";
const CHECKSUM: &str = "packet without its checksum";

impl Segments {
    /// The packets of what was read to `packet` in `buffer`.
    ///
    /// # Errors
    /// [`Error::Length`] if the header says what cannot be done: cut what is no whole TCP or UDP packet, or
    /// begins a connection, or cut it into nothing, or put a checksum outside of the packet.
    pub fn new(buffer: &mut [u8], packet: Range<usize>, header: &VnetHeader) -> Result<Self, Error> {
        let bytes = buffer.get_mut(packet.clone()).ok_or(Error::Length {
            what: GSO,
            claimed: packet.end,
            min: 0,
            max: 0,
        })?;
        let kind = match header.gso_type {
            GsoType::None => {
                if let Some(checksum) = header.checksum {
                    complete(bytes, checksum)?;
                }
                Kind::Whole(Some(packet))
            }
            gso_type => Kind::Cut(Cut::new(bytes, packet.start, gso_type, header.gso_size)?),
        };
        Ok(Self(kind))
    }

    /// Makes the next packet, and tells where it is.
    #[must_use]
    pub fn next_packet(&mut self, buffer: &mut [u8]) -> Option<Range<usize>> {
        match &mut self.0 {
            Kind::Whole(packet) => packet.take(),
            Kind::Cut(cut) => cut.next_packet(buffer),
        }
    }
}

/// Computes a checksum whose field holds the sum of the pseudo-header.
fn complete(packet: &mut [u8], checksum: PartialChecksum) -> Result<(), Error> {
    let (start, offset) = (usize::from(checksum.start), usize::from(checksum.offset));
    let error = Error::Length { what: CHECKSUM, claimed: start + offset, min: 0, max: packet.len() };
    let summed = packet.get_mut(start..).ok_or(error)?;
    let value = match !Sum::default().bytes(summed).fold() {
        // RFC 768: 0 means that there is none. For TCP, either is right.
        0 => 0xffff,
        value => value,
    };
    *summed.get_mut(offset..).and_then(<[u8]>::first_chunk_mut).ok_or(error)? = value.to_be_bytes();
    Ok(())
}

impl Cut {
    fn new(packet: &[u8], start: usize, gso_type: GsoType, gso_size: u16) -> Result<Self, Error> {
        let error = Error::Length { what: GSO, claimed: gso_size.into(), min: 1, max: packet.len() };
        let layout = Layout::of(packet).ok_or(error)?;
        let expected = match gso_type {
            GsoType::TcpV4 => (Version::V4, Transport::Tcp),
            GsoType::TcpV6 => (Version::V6, Transport::Tcp),
            GsoType::UdpL4 => (layout.version, Transport::Udp),
            GsoType::None | GsoType::Unknown(_) => return Err(error),
        };
        let field = |at| packet.get(layout.transport_at + at).copied();
        let tcp_flags = match layout.transport {
            Transport::Tcp => field(tcp::FLAGS).ok_or(error)?,
            Transport::Udp => 0,
        };
        if (layout.version, layout.transport) != expected || gso_size == 0 || tcp_flags & SYN != 0 {
            return Err(error);
        }
        Ok(Self {
            layout,
            before: start,
            payload: start + layout.payload_at,
            end: start + layout.total_len,
            gso_size: gso_size.into(),
            is_first: true,
            identification: u16_at(packet, v4::IDENTIFICATION).ok_or(error)?,
            sequence: u32_at(packet, layout.transport_at + tcp::SEQUENCE).ok_or(error)?,
            tcp_flags,
        })
    }

    fn next_packet(&mut self, buffer: &mut [u8]) -> Option<Range<usize>> {
        if self.payload >= self.end && !self.is_first {
            return None;
        }
        let payload_end = self.end.min(self.payload + self.gso_size);
        let header_len = self.layout.payload_at;
        let start = self.payload.checked_sub(header_len)?;
        if !self.is_first {
            // Not the buffer that this was made for, if it is too short.
            buffer.get(self.before..self.before + header_len)?;
            buffer.get(start..start + header_len)?;
            buffer.copy_within(self.before..self.before + header_len, start);
        }
        let packet = buffer.get_mut(start..payload_end)?;
        self.write_headers(packet, payload_end == self.end);

        self.is_first = false;
        self.before = start;
        self.identification = self.identification.wrapping_add(1);
        self.sequence = self.sequence.wrapping_add(u32::try_from(self.gso_size).unwrap_or_default());
        self.payload = payload_end;
        Some(start..payload_end)
    }

    fn write_headers(&self, packet: &mut [u8], is_last: bool) {
        let Layout { version, transport, transport_at, .. } = self.layout;
        // All lengths are those of parts of a packet that had its length in 16 bits.
        let length = |len: usize| u16::try_from(len).unwrap_or_default().to_be_bytes();
        match version {
            Version::V4 => {
                put(packet, v4::LENGTH, length(packet.len()));
                put(packet, v4::IDENTIFICATION, self.identification.to_be_bytes());
                put_ipv4_checksum(packet.get_mut(..transport_at).unwrap_or_default());
            }
            Version::V6 => put(packet, v6::LENGTH, length(packet.len() - v6::HEADER_LEN)),
        }
        let segment_len = packet.len() - transport_at;
        let pseudo_header = self.layout.pseudo_header(packet, segment_len);
        let Some(segment) = packet.get_mut(transport_at..) else { return };
        match transport {
            Transport::Tcp => {
                let mut flags = self.tcp_flags;
                if !is_last {
                    flags &= !(FIN | PSH);
                }
                if !self.is_first {
                    // One reduction of the congestion window is told once (RFC 3168 §6.1.2).
                    flags &= !CWR;
                }
                put(segment, tcp::SEQUENCE, self.sequence.to_be_bytes());
                put(segment, tcp::FLAGS, [flags]);
            }
            Transport::Udp => put(segment, udp::LENGTH, length(segment_len)),
        }
        put(segment, transport.checksum(), [0; 2]);
        let checksum = match (!pseudo_header.bytes(segment).fold(), transport) {
            (0, Transport::Udp) => 0xffff,
            (checksum, _) => checksum,
        };
        put(segment, transport.checksum(), checksum.to_be_bytes());
    }
}
