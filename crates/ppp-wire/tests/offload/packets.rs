//! Makes packets, field by field, and computes checksums word by word.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
}

/// A packet's fields.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) v6: bool,
    pub(crate) protocol: Protocol,
    /// Last bytes of the addresses.
    pub(crate) hosts: (u8, u8),
    pub(crate) ports: (u16, u16),
    pub(crate) tos: u8,
    pub(crate) ttl: u8,
    pub(crate) identification: u16,
    pub(crate) flags_and_offset: u16,
    pub(crate) flow_label: u16,
    pub(crate) sequence: u32,
    pub(crate) acknowledgment: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) urgent: u16,
    /// A multiple of 4 bytes.
    pub(crate) tcp_options: Vec<u8>,
    pub(crate) ip_options: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const DF: u16 = 0x4000;
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const PSH: u8 = 0x08;
pub(crate) const ACK: u8 = 0x10;
pub(crate) const URG: u8 = 0x20;
pub(crate) const ECE: u8 = 0x40;
pub(crate) const CWR: u8 = 0x80;

/// No-operation twice, and a timestamp (RFC 7323 §3.2).
pub(crate) const TIMESTAMP: [u8; 12] = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];

impl Packet {
    pub(crate) fn new(v6: bool, protocol: Protocol, payload: &[u8]) -> Self {
        Self {
            v6,
            protocol,
            hosts: (1, 2),
            ports: (40_000, 80),
            tos: 0,
            ttl: 64,
            identification: 7,
            flags_and_offset: DF,
            flow_label: 0xbeef,
            sequence: 1000,
            acknowledgment: 5,
            flags: ACK,
            window: 500,
            urgent: 0,
            tcp_options: TIMESTAMP.to_vec(),
            ip_options: Vec::new(),
            payload: payload.to_vec(),
        }
    }

    fn segment(&self) -> Vec<u8> {
        let mut bytes = [self.ports.0.to_be_bytes(), self.ports.1.to_be_bytes()].concat();
        match self.protocol {
            Protocol::Tcp => {
                bytes.extend(self.sequence.to_be_bytes());
                bytes.extend(self.acknowledgment.to_be_bytes());
                let offset = u8::try_from(5 + self.tcp_options.len() / 4).unwrap() << 4;
                bytes.extend([offset, self.flags]);
                bytes.extend(self.window.to_be_bytes());
                bytes.extend([0, 0]);
                bytes.extend(self.urgent.to_be_bytes());
                bytes.extend(&self.tcp_options);
            }
            Protocol::Udp => {
                bytes.extend(u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes());
                bytes.extend([0, 0]);
            }
        }
        bytes.extend(&self.payload);
        bytes
    }

    fn number(&self) -> u8 {
        if self.protocol == Protocol::Tcp { 6 } else { 17 }
    }

    pub(crate) fn checksum_offset(&self) -> usize {
        if self.protocol == Protocol::Tcp { 16 } else { 6 }
    }

    pub(crate) fn transport_at(&self) -> usize {
        if self.v6 { 40 } else { 20 + self.ip_options.len() }
    }

    pub(crate) fn header_len(&self) -> usize {
        self.transport_at() + self.segment().len() - self.payload.len()
    }

    /// The packet, with right checksums.
    pub(crate) fn emit(&self) -> Vec<u8> {
        let mut bytes = self.emit_partial();
        let (at, offset) = (self.transport_at(), self.checksum_offset());
        let checksum = match !sum(&bytes[at..]) {
            0 if self.protocol == Protocol::Udp => 0xffff,
            checksum => checksum,
        };
        bytes[at + offset..at + offset + 2].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// The packet with the sum of the pseudo-header for a checksum.
    pub(crate) fn emit_partial(&self) -> Vec<u8> {
        let mut segment = self.segment();
        let length = u16::try_from(segment.len()).unwrap();
        let mut header;
        let addresses = if self.v6 {
            let word = 0x6000_0000 | u32::from(self.tos) << 20 | u32::from(self.flow_label);
            header = word.to_be_bytes().to_vec();
            header.extend(length.to_be_bytes());
            header.extend([self.number(), self.ttl]);
            for host in [self.hosts.0, self.hosts.1] {
                header.extend([0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]);
            }
            8..40
        } else {
            let words = u8::try_from(5 + self.ip_options.len() / 4).unwrap();
            header = vec![0x40 | words, self.tos];
            header.extend((u16::from(words) * 4 + length).to_be_bytes());
            header.extend(self.identification.to_be_bytes());
            header.extend(self.flags_and_offset.to_be_bytes());
            header.extend([self.ttl, self.number(), 0, 0]);
            for host in [self.hosts.0, self.hosts.1] {
                header.extend([192, 0, 2, host]);
            }
            header.extend(&self.ip_options);
            let checksum = !sum(&header);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            12..20
        };
        let pseudo = [&header[addresses], &[0, self.number()], &length.to_be_bytes()].concat();
        let offset = self.checksum_offset();
        segment[offset..offset + 2].copy_from_slice(&sum(&pseudo).to_be_bytes());
        [header, segment].concat()
    }

    /// What cutting it must give, made one by one.
    pub(crate) fn cut(&self, gso_size: usize) -> Vec<Vec<u8>> {
        let count = self.payload.len().div_ceil(gso_size).max(1);
        let piece = |number: usize| {
            let mut packet = self.clone();
            let end = self.payload.len().min((number + 1) * gso_size);
            packet.payload = self.payload[number * gso_size..end].to_vec();
            packet.sequence = self.sequence.wrapping_add(u32::try_from(number * gso_size).unwrap());
            packet.identification = self.identification.wrapping_add(u16::try_from(number).unwrap());
            if number > 0 {
                packet.flags &= !CWR;
            }
            if number + 1 < count {
                packet.flags &= !(PSH | FIN);
            }
            packet.emit()
        };
        (0..count).map(piece).collect()
    }
}

/// The one's complement sum of all 16-bit words (RFC 1071 §4.1).
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let mut total = 0_u32;
    for pair in bytes.chunks(2) {
        total += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        total = (total & 0xffff) + (total >> 16);
    }
    u16::try_from(total).unwrap()
}
