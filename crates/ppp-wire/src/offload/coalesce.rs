//! Makes one packet for the kernel of several ones of a flow (GRO).

use std::ops::Range;

use super::headers::{
    ACK, ECE, Layout, PSH, Transport, Version, put, put_ipv4_checksum, tcp, u16_at, u32_at, udp, v4, v6,
};
use super::vnet::{GsoType, PartialChecksum, VnetHeader};

/// Most packets that a [`Coalescer`] holds, and that one of the kernel's is made of.
pub const MAX_PACKETS: usize = 64;

/// What may be coalesced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mergeable {
    /// TCP.
    pub tcp: bool,
    /// UDP, which the kernel takes from Linux 6.2 on.
    pub udp: bool,
}

/// Sorts the packets of a batch into what is written to the TUN.
///
/// Packets of a flow are merged if the kernel, cutting what came of them, makes the very same packets again: they
/// follow one another without a gap and differ in nothing but length, sequence number, checksums and, in the last one,
/// PSH, and both checksums of each are right. Every other packet is written as it is, and so are all of a flow
/// between which it comes: within a flow nothing overtakes. A packet of which this cannot be said (a fragment,
/// IPv4 options, IPv6 extension headers, another protocol) is not overtaken by any.
///
/// The identification of IPv4 packets must go up by one each; where fragmentation is forbidden it may also stay
/// the same (RFC 6864 §4.1 lets nobody look at it, and many hosts set 0), and then goes up behind the kernel.
#[derive(Debug)]
pub struct Coalescer {
    mergeable: Mergeable,
    packets: Vec<Packet>,
    writes: Vec<Write>,
    /// Writes before this one get no more packets.
    open_from: usize,
    parts: Vec<Range<usize>>,
}

#[derive(Debug)]
struct Packet {
    /// What of the packet goes into the write: of the first one everything, of others the payload.
    bytes: Range<usize>,
    /// The next packet of the same write.
    next: Option<usize>,
}

/// One write to the TUN.
#[derive(Debug)]
struct Write {
    head: Range<usize>,
    /// Numbers of its first and last packets.
    first: usize,
    last: usize,
    count: usize,
    /// Bytes of headers and payload.
    len: usize,
    /// `None` for what belongs to no flow.
    flow: Option<OpenFlow>,
}

#[derive(Debug)]
struct OpenFlow {
    hash: u64,
    layout: Layout,
    gso_size: usize,
    next_sequence: u32,
    identification: Identification,
    /// Whether packets can still be added.
    is_open: bool,
    /// Whether the first packet's checksums were found right.
    is_verified: bool,
    is_pushed: bool,
}

/// How the identification goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identification {
    /// IPv6 has none.
    Absent,
    /// One packet so far, and whether it may stay.
    First {
        value: u16,
        may_stay: bool,
    },
    Rises {
        last: u16,
    },
    Stays {
        value: u16,
    },
}

impl Identification {
    fn next(self, found: u16) -> Option<Self> {
        match self {
            Self::Absent => Some(Self::Absent),
            Self::First { value: last, .. } | Self::Rises { last } if found == last.wrapping_add(1) => {
                Some(Self::Rises { last: found })
            }
            Self::First { value, may_stay: true } | Self::Stays { value } if found == value => {
                Some(Self::Stays { value })
            }
            _ => None,
        }
    }
}

/// What is to be written at once.
#[derive(Debug)]
pub struct Coalesced<'a> {
    /// What is written first.
    pub header: VnetHeader,
    /// The parts of the storage that follow, in this order.
    pub parts: &'a [Range<usize>],
    /// Number of packets that it was made of.
    pub packets: usize,
    /// Bytes of these packets.
    pub bytes: usize,
}

impl Coalescer {
    /// An empty batch, with room for `capacity` packets (at most [`MAX_PACKETS`]).
    #[must_use]
    pub fn new(mergeable: Mergeable, capacity: usize) -> Self {
        let capacity = capacity.min(MAX_PACKETS);
        Self {
            mergeable,
            packets: Vec::with_capacity(capacity),
            writes: Vec::with_capacity(capacity),
            open_from: 0,
            parts: Vec::with_capacity(capacity),
        }
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Adds the packet that is at `bytes` in `storage`, which must be a whole one. The storage must stay as it is until
    /// [`drain`](Self::drain). False if there is no more room.
    #[must_use]
    pub fn push(&mut self, storage: &[u8], bytes: Range<usize>) -> bool {
        if self.packets.len() == self.packets.capacity().min(MAX_PACKETS) {
            return false;
        }
        let packet = storage.get(bytes.clone()).unwrap_or_default();
        let flow = Flow::of(packet);
        let Some(flow) = flow.filter(|flow| self.mergeable.allows(flow.layout.transport)) else {
            self.push_alone(bytes, None);
            self.open_from = self.writes.len();
            return true;
        };
        if let Some(number) = self.find(storage, packet, &flow)
            && let Some(write) = self.writes.get_mut(number)
        {
            if write.takes(storage, packet, &flow) {
                let payload = bytes.start + flow.layout.payload_at..bytes.end;
                self.append(number, payload, &flow);
                return true;
            }
            // What comes later must not overtake this packet.
            if let Some(open) = &mut write.flow {
                open.is_open = false;
            }
        }
        self.push_alone(bytes, Some(flow));
        true
    }

    /// The last write of the packet's flow.
    fn find(&self, storage: &[u8], packet: &[u8], flow: &Flow) -> Option<usize> {
        let open = self.writes.get(self.open_from..)?;
        let found = open.iter().rposition(|write| {
            write.flow.as_ref().is_some_and(|open| {
                open.hash == flow.hash
                    && (open.layout.version, open.layout.transport)
                        == (flow.layout.version, flow.layout.transport)
                    && storage.get(write.head.clone()).is_some_and(|head| {
                        let layout = &open.layout;
                        addresses_and_ports(head, layout) == addresses_and_ports(packet, &flow.layout)
                    })
            })
        })?;
        Some(self.open_from + found)
    }

    fn push_alone(&mut self, bytes: Range<usize>, flow: Option<Flow>) {
        let number = self.packets.len();
        self.packets.push(Packet { bytes: bytes.clone(), next: None });
        self.writes.push(Write {
            len: bytes.len(),
            head: bytes,
            first: number,
            last: number,
            count: 1,
            flow: flow.map(OpenFlow::new),
        });
    }

    /// Adds a packet's payload to a write.
    fn append(&mut self, write: usize, payload: Range<usize>, flow: &Flow) {
        let number = self.packets.len();
        let Some(write) = self.writes.get_mut(write) else { return };
        if let Some(last) = self.packets.get_mut(write.last) {
            last.next = Some(number);
        }
        write.last = number;
        write.count += 1;
        write.len += payload.len();
        if let Some(open) = &mut write.flow {
            open.next_sequence = flow.sequence_after();
            open.is_open = payload.len() == open.gso_size && !flow.is_pushed;
            open.is_pushed = flow.is_pushed;
            open.is_verified = true;
            if let Some(next) = open.identification.next(flow.identification) {
                open.identification = next;
            }
        }
        self.packets.push(Packet { bytes: payload, next: None });
    }

    /// Calls `write` for each write in the order of its first packet, and forgets all packets.
    ///
    /// Where packets were merged, the headers of the first one are changed in `storage`.
    pub fn drain(&mut self, storage: &mut [u8], mut write: impl FnMut(&[u8], Coalesced<'_>)) {
        for pending in &self.writes {
            let header = pending.finish(storage);
            let headers_len = pending.flow.as_ref().map_or(0, |flow| flow.layout.payload_at);
            self.parts.clear();
            let mut next = Some(pending.first);
            while let Some(packet) = next.and_then(|number| self.packets.get(number)) {
                self.parts.push(packet.bytes.clone());
                next = packet.next;
            }
            let bytes = pending.len + headers_len * (pending.count - 1);
            write(storage, Coalesced { header, parts: &self.parts, packets: pending.count, bytes });
        }
        self.packets.clear();
        self.writes.clear();
        self.open_from = 0;
    }
}

impl Mergeable {
    fn allows(self, transport: Transport) -> bool {
        match transport {
            Transport::Tcp => self.tcp,
            Transport::Udp => self.udp,
        }
    }
}

impl Write {
    /// Whether a packet of the same flow can be added. `packet` has its right length.
    fn takes(&mut self, storage: &[u8], packet: &[u8], flow: &Flow) -> bool {
        let Some(open) = &mut self.flow else { return false };
        let Some(head) = storage.get(self.head.clone()) else { return false };
        let payload_len = flow.layout.total_len - flow.layout.payload_at;
        let fits = open.is_open
            && flow.is_mergeable
            && flow.layout.payload_at == open.layout.payload_at
            && payload_len <= open.gso_size
            && self.len + payload_len <= usize::from(u16::MAX)
            && (flow.layout.transport == Transport::Udp || flow.sequence == open.next_sequence)
            && open.identification.next(flow.identification).is_some()
            && is_same_but_for_the_segment(head, packet, &open.layout);
        if !fits {
            return false;
        }
        if !open.is_verified && !is_verified(head, &open.layout) {
            return false;
        }
        open.is_verified = true;
        is_verified(packet, &flow.layout)
    }

    /// Makes the headers of the first packet those of the whole, and the header for the kernel.
    fn finish(&self, storage: &mut [u8]) -> VnetHeader {
        let Some(flow) = self.flow.as_ref().filter(|_| self.count > 1) else { return VnetHeader::default() };
        let Layout { version, transport, transport_at, payload_at, .. } = flow.layout;
        let Some(head) = storage.get_mut(self.head.clone()) else { return VnetHeader::default() };
        // `takes` has seen to it that everything fits into 16 bits.
        let narrow = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
        let gso_type = match (transport, version) {
            (Transport::Tcp, Version::V4) => GsoType::TcpV4,
            (Transport::Tcp, Version::V6) => GsoType::TcpV6,
            (Transport::Udp, _) => GsoType::UdpL4,
        };
        match version {
            Version::V4 => {
                put(head, v4::LENGTH, narrow(self.len).to_be_bytes());
                put_ipv4_checksum(head.get_mut(..transport_at).unwrap_or_default());
            }
            Version::V6 => put(head, v6::LENGTH, narrow(self.len - v6::HEADER_LEN).to_be_bytes()),
        }
        let pseudo_header = flow.layout.pseudo_header(head, self.len - transport_at).fold();
        let segment = head.get_mut(transport_at..).unwrap_or_default();
        put(segment, transport.checksum(), pseudo_header.to_be_bytes());
        match transport {
            Transport::Tcp if flow.is_pushed => {
                if let Some(flags) = segment.get_mut(tcp::FLAGS) {
                    *flags |= PSH;
                }
            }
            Transport::Tcp => {}
            Transport::Udp => put(segment, udp::LENGTH, narrow(self.len - transport_at).to_be_bytes()),
        }
        VnetHeader {
            gso_type,
            header_len: narrow(payload_at),
            gso_size: narrow(flow.gso_size),
            checksum: Some(PartialChecksum {
                start: narrow(transport_at),
                offset: narrow(transport.checksum()),
            }),
        }
    }
}

impl OpenFlow {
    fn new(flow: Flow) -> Self {
        let identification = match flow.layout.version {
            Version::V4 => {
                Identification::First { value: flow.identification, may_stay: flow.is_never_fragmented }
            }
            Version::V6 => Identification::Absent,
        };
        Self {
            hash: flow.hash,
            layout: flow.layout,
            gso_size: flow.layout.total_len - flow.layout.payload_at,
            next_sequence: flow.sequence_after(),
            identification,
            is_open: flow.is_mergeable && !flow.is_pushed,
            is_verified: false,
            is_pushed: flow.is_pushed,
        }
    }
}

/// What matters of a packet with plain headers.
#[derive(Debug)]
struct Flow {
    hash: u64,
    layout: Layout,
    sequence: u32,
    identification: u16,
    is_never_fragmented: bool,
    is_pushed: bool,
    is_mergeable: bool,
}

impl Flow {
    /// `None` with IPv4 options or IPv6 extension headers, for fragments, and for a length that is not the packet's.
    fn of(packet: &[u8]) -> Option<Self> {
        let layout = Layout::of(packet)?;
        let Layout { version, transport, transport_at, payload_at, total_len } = layout;
        let plain_at = match version {
            Version::V4 => v4::HEADER_LEN,
            Version::V6 => v6::HEADER_LEN,
        };
        if transport_at != plain_at || total_len != packet.len() {
            return None;
        }
        let checksum = u16_at(packet, transport_at + transport.checksum())?;
        let has_payload = payload_at < total_len;
        let (is_pushed, is_mergeable) = match transport {
            Transport::Tcp => {
                let flags = *packet.get(transport_at + tcp::FLAGS)?;
                // 0xffff is a right checksum, too, but not the one that is computed.
                let is_plain = flags & !(PSH | ECE) == ACK && checksum != 0xffff;
                (flags & PSH != 0, is_plain && has_payload)
            }
            Transport::Udp => {
                let len = usize::from(u16_at(packet, transport_at + udp::LENGTH)?);
                (false, checksum != 0 && has_payload && len == total_len - transport_at)
            }
        };
        let (identification, flags) = match version {
            Version::V4 => (u16_at(packet, v4::IDENTIFICATION)?, *packet.get(v4::FLAGS)?),
            Version::V6 => (0, 0),
        };
        Some(Self {
            hash: hash(packet, &layout)?,
            layout,
            sequence: u32_at(packet, transport_at + tcp::SEQUENCE)?,
            identification,
            is_never_fragmented: flags & v4::DONT_FRAGMENT != 0,
            is_pushed,
            is_mergeable,
        })
    }

    fn sequence_after(&self) -> u32 {
        let len = self.layout.total_len - self.layout.payload_at;
        self.sequence.wrapping_add(u32::try_from(len).unwrap_or_default())
    }
}

/// Tells most flows apart. An attacker who makes many with the same hash has them compared, at most
/// [`MAX_PACKETS`] each.
fn hash(packet: &[u8], layout: &Layout) -> Option<u64> {
    let (addresses, ports) = addresses_and_ports(packet, layout)?;
    let (words, _) = addresses.as_chunks::<8>();
    let ports = u64::from(u32::from_ne_bytes(*ports.first_chunk()?));
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    Some(words.iter().fold(mix(0, ports), |hash, word| mix(hash, u64::from_ne_bytes(*word))))
}

fn addresses_and_ports<'a>(packet: &'a [u8], layout: &Layout) -> Option<(&'a [u8], &'a [u8])> {
    let addresses = packet.get(layout.version.addresses())?;
    let ports = packet.get(layout.transport_at..layout.transport_at + 4)?;
    Some((addresses, ports))
}

/// Whether two packets of a flow with headers of the same length differ only in what follows from their place among the
/// segments; sequence number and identification were looked at already.
fn is_same_but_for_the_segment(head: &[u8], packet: &[u8], layout: &Layout) -> bool {
    let same = |range: Range<usize>| {
        let (one, other) = (head.get(range.clone()), packet.get(range));
        one.is_some() && one == other
    };
    let at = layout.transport_at;
    let ip = match layout.version {
        // Version, header length, TOS with ECN; flags, fragment offset, TTL, protocol. The rest is known.
        Version::V4 => same(0..v4::LENGTH) && same(v4::FLAGS..v4::CHECKSUM),
        // Version, traffic class with ECN, flow label; next header, hop limit.
        Version::V6 => same(0..v6::LENGTH) && same(v6::LENGTH + 2..v6::ADDRESSES.start),
    };
    match layout.transport {
        // Acknowledgment, data offset; window; urgent pointer and options. Flags but for PSH.
        Transport::Tcp => {
            let flags = |packet: &[u8]| packet.get(at + tcp::FLAGS).map(|flags| flags & !PSH);
            ip && same(at + 8..at + tcp::FLAGS)
                && flags(head) == flags(packet)
                && same(at + 14..at + tcp::CHECKSUM)
                && same(at + 18..layout.payload_at)
        }
        Transport::Udp => ip,
    }
}

/// Whether all checksums of a packet are right, and those that would be computed.
fn is_verified(packet: &[u8], layout: &Layout) -> bool {
    let Some((ip, segment)) = packet.split_at_checked(layout.transport_at) else { return false };
    let ip_is_right = match layout.version {
        Version::V4 => {
            u16_at(ip, v4::CHECKSUM) != Some(0xffff)
                && super::checksum::Sum::default().bytes(ip).fold() == 0xffff
        }
        Version::V6 => true,
    };
    ip_is_right && layout.pseudo_header(packet, segment.len()).bytes(segment).fold() == 0xffff
}
