//! pppoe-server's pool file (`-p`).
//!
//! One session or run of sessions per line: `a.b.c.d` (remote), `a.b.c.d-e` (remotes up to last byte `e`; the two
//! may stand in either order), `local:remote`. Parts are decimal. pppoe-server silently skips every line that does
//! not begin so, and ignores what follows; this reader does the same, but tells.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::MAX_SESSIONS;
use crate::files;
use crate::inet;
use crate::origin::Place;

/// Bytes of a line that pppoe-server looks at.
const MAX_LINE: usize = 511;
/// Most bytes read of a pool file.
const MAX_FILE: u64 = 4 << 20;

/// The sessions of a pool file: a remote address each, and our own where the line gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolFile {
    /// In the order of the file.
    pub sessions: Vec<(Option<Ipv4Addr>, Ipv4Addr)>,
    /// The line of each.
    pub lines: Vec<u32>,
}

/// A pool file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolFileError {
    /// It has no session.
    #[error("pool file {path:?} has no address; each line is a.b.c.d, a.b.c.d-e or local:remote")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It has more sessions than there are session ids.
    #[error("pool file {path:?} has more than {MAX_SESSIONS} addresses")]
    TooMany {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read pool file {path:?}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

/// A line that may not say what its author meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolNotice {
    /// No host can have the address.
    #[error("{place}: {address} is not usable by a client")]
    BadAddress {
        /// The line.
        place: Place,
        /// The address.
        address: Ipv4Addr,
    },
    /// The address is on an earlier line, too.
    #[error("{place}: {address} is in the file already; it is assigned to one session at a time")]
    Duplicate {
        /// The line.
        place: Place,
        /// The address.
        address: Ipv4Addr,
    },
    /// The end of the line is ignored.
    #[error("{place}: {rest:?} is ignored: the line is read as {read}")]
    IgnoredEnd {
        /// The line.
        place: Place,
        /// The part that is ignored.
        rest: String,
        /// What counts.
        read: String,
    },
    /// The line is not in the format.
    #[error("{place}: the line is skipped: {line:?} is not a.b.c.d, a.b.c.d-e or local:remote")]
    Skipped {
        /// The line.
        place: Place,
        /// What it says.
        line: String,
    },
}

enum Line {
    Pair(Ipv4Addr, Ipv4Addr),
    Range(Ipv4Addr, u8),
    Single(Ipv4Addr),
}

impl PoolFile {
    /// Reads a pool file.
    ///
    /// # Errors
    /// If it cannot be read, or has no session, or too many.
    pub fn load(path: &Path) -> Result<(Self, Vec<PoolNotice>), PoolFileError> {
        let contents = files::open_regular(path)
            .and_then(|(file, metadata)| files::read_text(file, &metadata, MAX_FILE))
            .map_err(|source| PoolFileError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(path, &contents)
    }

    /// Reads a pool from memory, under the name `path` in messages.
    ///
    /// # Errors
    /// If it has no session, or too many.
    pub fn parse(path: &Path, contents: &[u8]) -> Result<(Self, Vec<PoolNotice>), PoolFileError> {
        let file: Arc<Path> = path.into();
        let (mut sessions, mut lines) = (Vec::new(), Vec::new());
        let mut notices = Vec::new();
        let mut seen = BTreeSet::new();
        for (line, number) in contents.split(|&byte| byte == b'\n').zip(1u32..) {
            let place = Place::new(Arc::clone(&file), number);
            let line = line.get(..MAX_LINE).unwrap_or(line).trim_ascii();
            let Some((parsed, rest)) = parse_line(line) else {
                if !line.is_empty() && !line.starts_with(b"#") {
                    let line = String::from_utf8_lossy(line).into_owned();
                    notices.push(PoolNotice::Skipped { place, line });
                }
                continue;
            };
            let before = sessions.len();
            let read = match parsed {
                Line::Pair(local, remote) => {
                    sessions.push((Some(local), remote));
                    format!("{local}:{remote}")
                }
                Line::Single(remote) => {
                    sessions.push((None, remote));
                    remote.to_string()
                }
                Line::Range(address, end) => {
                    let [a, b, c, d] = address.octets();
                    let (first, last) = (d.min(end), d.max(end));
                    sessions.extend((first..=last).map(|d| (None, Ipv4Addr::new(a, b, c, d))));
                    format!("{}-{last}", Ipv4Addr::new(a, b, c, first))
                }
            };
            lines.resize(sessions.len(), number);
            let remotes = sessions.iter().skip(before).map(|(_, remote)| *remote);
            if let Some(address) = remotes.clone().find(|address| inet::is_bad_host(*address)) {
                notices.push(PoolNotice::BadAddress { place: place.clone(), address });
            }
            // one notice per line is enough, but all addresses of the line are to be remembered
            let mut duplicate = None;
            remotes.filter(|address| !seen.insert(*address)).for_each(|address| {
                duplicate.get_or_insert(address);
            });
            if let Some(address) = duplicate {
                notices.push(PoolNotice::Duplicate { place: place.clone(), address });
            }
            let rest = rest.trim_ascii();
            if !rest.is_empty() && !rest.starts_with(b"#") {
                let rest = String::from_utf8_lossy(rest).into_owned();
                notices.push(PoolNotice::IgnoredEnd { place, rest, read });
            }
            if sessions.len() > usize::try_from(MAX_SESSIONS).unwrap_or(usize::MAX) {
                return Err(PoolFileError::TooMany { path: path.to_owned() });
            }
        }
        if sessions.is_empty() {
            return Err(PoolFileError::Empty { path: path.to_owned() });
        }
        Ok((Self { sessions, lines }, notices))
    }
}

/// The beginning of the line that counts, and what follows it.
fn parse_line(line: &[u8]) -> Option<(Line, &[u8])> {
    let (address, rest) = parse_quad(line)?;
    if let Some((remote, rest)) = rest.strip_prefix(b":").and_then(parse_quad) {
        return Some((Line::Pair(address, remote), rest));
    }
    if let Some((end, rest)) = rest.strip_prefix(b"-").and_then(parse_byte) {
        return Some((Line::Range(address, end), rest));
    }
    Some((Line::Single(address), rest))
}

fn parse_quad(text: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let (a, rest) = parse_byte(text)?;
    let (b, rest) = parse_byte(rest.strip_prefix(b".")?)?;
    let (c, rest) = parse_byte(rest.strip_prefix(b".")?)?;
    let (d, rest) = parse_byte(rest.strip_prefix(b".")?)?;
    Some((Ipv4Addr::new(a, b, c, d), rest))
}

/// All digits at the beginning, as one number.
fn parse_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let value = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((value, rest))
}
