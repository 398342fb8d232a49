//! The files of the run directory: a session's record with its mark, and the counters of all sessions, each with a checksum.

use std::collections::BTreeMap;

use ppp_ipc::adoption::{MAX_RECORD_LEN, TAG_LEN, Ticket};
use ppp_ipc::control::Traffic;
use sha2::{Digest, Sha256};

/// Bytes of the SHA-256 at the end of each file.
const SUM_LEN: usize = 32;
/// Bytes of a session in the file of the counters.
const ENTRY_LEN: usize = 2 + 4 * 8;
/// Most bytes of the file of the counters: every session id once.
pub const MAX_COUNTERS: u64 = (ENTRY_LEN * (1 << 16) + SUM_LEN) as u64;
/// Most bytes of a record's file.
pub const MAX_RECORD_FILE: u64 = (MAX_RECORD_LEN + TAG_LEN + SUM_LEN) as u64;

/// What is in a file, with its SHA-256, which tells one that was torn.
pub fn with_sum(content: &[u8]) -> Vec<u8> {
    [content, &Sha256::digest(content)].concat()
}

/// The file with the counters of these sessions.
pub fn counters_content(counters: impl Iterator<Item = (u16, Traffic)>) -> Vec<u8> {
    let mut content = Vec::new();
    for (session_id, traffic) in counters {
        content.extend_from_slice(&session_id.to_le_bytes());
        for number in [traffic.rx_packets, traffic.rx_bytes, traffic.tx_packets, traffic.tx_bytes] {
            content.extend_from_slice(&number.to_le_bytes());
        }
    }
    with_sum(&content)
}

/// The file of a session with this record.
pub fn record_content(ticket: &Ticket) -> Vec<u8> {
    with_sum(&[&ticket.record[..], &ticket.tag].concat())
}

/// Reads a file of [`record_content`]; none if it is torn.
pub fn parse_record(content: &[u8]) -> Option<Ticket> {
    let (content, sum) = content.split_last_chunk::<SUM_LEN>()?;
    if Sha256::digest(content).as_slice() != sum {
        return None;
    }
    let (record, tag) = content.split_last_chunk::<TAG_LEN>()?;
    Some(Ticket { record: record.to_vec(), tag: *tag })
}

/// Reads a file of [`counters_content`]; none if it is torn.
pub fn parse_counters(content: &[u8]) -> Option<BTreeMap<u16, Traffic>> {
    let (content, sum) = content.split_last_chunk::<SUM_LEN>()?;
    if Sha256::digest(content).as_slice() != sum {
        return None;
    }
    let number = |entry: &[u8], index: usize| -> Option<u64> {
        entry.get(2 + 8 * index..).and_then(|rest| rest.first_chunk()).map(|bytes| u64::from_le_bytes(*bytes))
    };
    let parse = |entry: &[u8]| {
        let session_id = u16::from_le_bytes(*entry.first_chunk()?);
        let traffic = Traffic {
            rx_packets: number(entry, 0)?,
            rx_bytes: number(entry, 1)?,
            tx_packets: number(entry, 2)?,
            tx_bytes: number(entry, 3)?,
        };
        Some((session_id, traffic))
    };
    content.chunks(ENTRY_LEN).map(parse).collect()
}
