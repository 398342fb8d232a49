//! What one `pppoed` tells the next about a session, as bytes.
//!
//! A record is a list of [`Item`]s in their order, so that a newer `pppoed` can read what an older one wrote: what it
//! does not find has its default. Items and options are only ever added at the end of their enums, and those that
//! are there never change; a test pins their bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_ipc::adoption::MAX_RECORD_LEN;
use ppp_ipc::codec::{self, DecodeError, EncodeError};
use ppp_ipc::control::AddressSource;
use ppp_ipc::frame::HEADER_LEN;
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{AuthMethod, Ipv6Parameters, LcpReport, Network, Rates};
use serde::{Deserialize, Serialize};

/// One thing that is known of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Item {
    /// Of two records of one session the higher number counts.
    Serial(u64),
    /// The worker.
    Process {
        /// Process id.
        pid: u32,
        /// As of `ppp_linux::pidfd::start_time`.
        start_time: u64,
    },
    /// The session's numbers.
    Numbers {
        /// PPPoE session id.
        session_id: u16,
        /// Of the interface's name.
        unit: u32,
    },
    /// Where it came in.
    Access {
        /// Name of the access interface.
        name: String,
        /// Its number when the record was written.
        index: u32,
        /// Our MAC address there.
        own_mac: [u8; 6],
        /// The peer's.
        peer_mac: [u8; 6],
    },
    /// What discovery agreed on.
    Discovery {
        /// Service-Name.
        service: Vec<u8>,
        /// Host-Uniq of the PADR.
        host_uniq: Option<Vec<u8>>,
        /// PPP-Max-Payload in bytes (RFC 4638).
        max_payload: u16,
    },
    /// Its interface.
    Interface {
        /// Name.
        name: String,
        /// Number.
        index: u32,
    },
    /// When it began and when it was open, in milliseconds of the monotonic clock.
    Times {
        /// It began.
        started_ms: u64,
        /// It was open.
        opened_ms: u64,
    },
    /// What LCP agreed on.
    Lcp(LcpReport),
    /// How a peer may have to prove who it is; empty: not at all.
    AuthMethods(Vec<AuthMethod>),
    /// Who the peer proved to be, and where its secret stands.
    User {
        /// User name.
        name: Vec<u8>,
        /// File and line of the secret, or the hook that let it in.
        origin: String,
    },
    /// The address that it holds.
    Lease {
        /// Our end.
        local: Ipv4Addr,
        /// The peer's.
        remote: Ipv4Addr,
    },
    /// What IPCP may give the peer.
    Network(Network),
    /// What IPV6CP may ask for.
    Ipv6(Ipv6Parameters),
    /// MTU of its interface, in bytes.
    Mtu(u16),
    /// Addresses of its interface, ours first.
    Ipv4Ends(Ipv4Addr, Ipv4Addr),
    /// Link-local addresses of its interface, ours first.
    Ipv6Ends(Ipv6Addr, Ipv6Addr),
    /// Its proxy ARP entry.
    ProxyArp {
        /// Name of the interface that it is on.
        interface: String,
        /// Number of that.
        index: u32,
        /// The address that is answered for.
        address: Ipv4Addr,
    },
    /// The options that hold for it.
    Options(Vec<OptionItem>),
    /// The CHAP challenge that is out.
    Challenge {
        /// Its identifier.
        identifier: u8,
        /// Its value.
        value: [u8; 16],
    },
    /// What is in force in its worker.
    Protections(Vec<String>),
    /// Its worker was caught claiming less traffic than there was.
    Doubtful,
    /// Its history: milliseconds from its start, and what happened.
    History(Vec<(u64, String)>),
    /// What the hooks keep of it; nothing to us.
    Hooks(Vec<u8>),
    /// The limits that its worker has.
    Rates(Rates),
    /// Who gave its address.
    AddressSource(AddressSource),
    /// Why it is being ended, as this was decided here.
    Ending {
        /// The reason.
        reason: EndReason,
        /// More about it.
        detail: String,
    },
}

/// An option that holds for a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OptionItem {
    /// `idle`, in seconds.
    Idle(u32),
    /// `maxconnect`, in seconds.
    MaxConnect(u32),
    /// `maxoctets`, in bytes.
    MaxOctets(u32),
    /// 0 in, 1 max, 2 out, 3 sum.
    MoDirection(u8),
    /// `mo-timeout`, in seconds.
    MoTimeout(u32),
    /// `mtu`, in bytes.
    Mtu(u16),
    /// One of `ms-dns`.
    MsDns(Ipv4Addr),
    /// One of `ms-wins`.
    MsWins(Ipv4Addr),
    /// `proxyarp`, or `noproxyarp`.
    ProxyArp(bool),
    /// `ipparam`.
    IpParam(Vec<u8>),
    /// A variable, and none if it is to be unset.
    Environment(Vec<u8>, Option<Vec<u8>>),
    /// False: `nosourcecheck`.
    SourceCheck(bool),
    /// In place of `MaxOctets`, which has no room for it.
    MaxOctets64(u64),
}

/// Why a session cannot be written down, or bytes are no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It cannot be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is longer than a worker keeps.
    #[error("{len} bytes exceeds the maximum of {MAX_RECORD_LEN}")]
    TooLong {
        /// Its bytes.
        len: usize,
    },
    /// Something is missing that a session cannot do without.
    #[error("{what} is missing")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
}

/// A record's items as bytes. What people only look at is left out if it is too much.
///
/// # Errors
/// [`RecordError::TooLong`] if they are too long even so.
pub fn encode(mut items: Vec<Item>) -> Result<Vec<u8>, RecordError> {
    let first = encode_all(&items);
    if matches!(first, Err(RecordError::TooLong { .. } | RecordError::Encode(_))) {
        items.retain(|item| !matches!(item, Item::History(_)));
        return encode_all(&items);
    }
    first
}

fn encode_all(items: &[Item]) -> Result<Vec<u8>, RecordError> {
    let frame = codec::encode(&items)?;
    let record = frame.get(HEADER_LEN..).unwrap_or_default();
    match record.len() {
        len if len > MAX_RECORD_LEN => Err(RecordError::TooLong { len }),
        _ => Ok(record.to_vec()),
    }
}

/// Reads what [`encode`] made.
///
/// # Errors
/// When it is no record of this version.
pub fn decode(record: &[u8]) -> Result<Vec<Item>, RecordError> {
    if record.len() > MAX_RECORD_LEN {
        return Err(RecordError::TooLong { len: record.len() });
    }
    Ok(codec::decode(record)?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A record with everything in it.
    pub(crate) fn everything() -> Vec<Item> {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        vec![
            Item::Serial(3),
            Item::Process { pid: 7, start_time: 300 },
            Item::Numbers { session_id: 1, unit: 2 },
            Item::Access { name: "eth1".into(), index: 4, own_mac: [5; 6], peer_mac: [6; 6] },
            Item::Discovery { service: vec![b's'], host_uniq: Some(vec![9]), max_payload: 1492 },
            Item::Interface { name: "ppp2".into(), index: 8 },
            Item::Times { started_ms: 1, opened_ms: 2 },
            Item::Lcp(LcpReport { mru: 1492, peer_mru: 1480, auth: Some(AuthMethod::Pap) }),
            Item::AuthMethods(vec![AuthMethod::ChapMd5, AuthMethod::Pap]),
            Item::User { name: b"alice".to_vec(), origin: "/f:1".into() },
            Item::Lease { local: address, remote: address },
            Item::Network(Network { local: address, remote: address, dns: [None; 2], nbns: [None; 2] }),
            Item::Ipv6(Ipv6Parameters { local: [1; 8], remote: None }),
            Item::Mtu(1480),
            Item::Ipv4Ends(address, address),
            Item::Ipv6Ends(Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
            Item::ProxyArp { interface: "eth0".into(), index: 1, address },
            Item::Options(vec![
                OptionItem::Idle(1),
                OptionItem::MaxConnect(2),
                OptionItem::MaxOctets(3),
                OptionItem::MoDirection(3),
                OptionItem::MoTimeout(4),
                OptionItem::Mtu(5),
                OptionItem::MsDns(address),
                OptionItem::MsWins(address),
                OptionItem::ProxyArp(true),
                OptionItem::IpParam(vec![b'p']),
                OptionItem::Environment(vec![b'a'], Some(vec![b'b'])),
                OptionItem::SourceCheck(false),
            ]),
            Item::Challenge { identifier: 1, value: [2; 16] },
            Item::Protections(vec!["x".into()]),
            Item::Doubtful,
            Item::History(vec![(1, "open".into())]),
            Item::Hooks(vec![1, 2]),
            Item::Rates(Rates { down: 1, up: 2, burst: 3 }),
            Item::Ending { reason: EndReason::Admin, detail: "noc".into() },
        ]
    }

    /// Written by an older `pppoed`, this is what a newer one has to read. Items may be added at its end.
    const PINNED: &str = "19 00 03 01 07 fb2c01 02 01 02 03 0465746831 04 050505050505 060606060606 \
        04 0173 01 0109 fbd405 05 0470707032 08 06 01 02 07 fbd405 fbc805 01 00 08 02 01 00 \
        09 05616c696365 042f663a31 0a 0a000001 0a000001 0b 0a000001 0a000001 00000000 \
        0c 0101010101010101 00 0d fbc805 0e 0a000001 0a000001 \
        0f 00000000000000000000000000000001 00000000000000000000000000000001 \
        10 0465746830 01 0a000001 11 0c 00 01 01 02 02 03 03 03 04 04 05 05 06 0a000001 07 0a000001 08 01 \
        09 0170 0a 0161 01 0162 0b 00 12 01 02020202020202020202020202020202 13 01 0178 14 15 01 01 046f70656e 16 02 0102 17 01 02 03 19 0b 036e6f63";

    #[test]
    fn the_bytes_stay_what_they_are() {
        let record = encode(everything()).unwrap();
        let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, PINNED.split_whitespace().collect::<String>());
        assert_eq!(decode(&record).unwrap(), everything());
    }

    #[test]
    fn a_long_history_is_left_out_and_other_long_things_are_errors() {
        let long = Item::History(vec![(0, "x".repeat(300)); 100]);
        let record = encode([everything(), vec![long]].concat()).unwrap();
        let without: Vec<Item> =
            everything().into_iter().filter(|item| !matches!(item, Item::History(_))).collect();
        assert_eq!(decode(&record).unwrap(), without);
        let hooks = Item::Hooks(vec![0; MAX_RECORD_LEN]);
        assert!(matches!(encode(vec![hooks]), Err(RecordError::TooLong { .. })));
        assert!(matches!(decode(&vec![0; MAX_RECORD_LEN + 1]), Err(RecordError::TooLong { .. })));
        assert!(decode(&[]).is_err());
    }
}
