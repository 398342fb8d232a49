//! A pool of addresses beside the default one: a list of ranges, or a pool file.

use std::net::Ipv4Addr;
use std::path::Path;

use super::{ConfigError, Notice, PoolOrigins};
use crate::inet;
use crate::origin::{Origin, Place, Sourced};
use crate::pool::{self, MAX_SESSIONS, PoolEntry, PoolFile, PoolName};

/// A pool, as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPool {
    /// Its name.
    pub name: PoolName,
    /// Where its section is.
    pub origin: Origin,
    /// Its addresses; never empty.
    pub entries: Vec<PoolEntry>,
    /// Where each is.
    pub origins: PoolOrigins,
}

/// Addresses that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeTextError {
    /// Not in the format.
    #[error("expected a.b.c.d, a.b.c.d-e, a.b.c.d-e.f.g.h or local:remote")]
    Format,
    /// The last is before the first.
    #[error("the end of the range is before its start")]
    Reversed,
    /// No host can have some of them.
    #[error("{0}")]
    Range(#[from] pool::RangeError),
    /// Our end cannot have the address.
    #[error("{0} cannot be the local address: it is a loopback, multicast or reserved address")]
    Own(Ipv4Addr),
}

impl NamedPool {
    /// A pool of these ranges: `a.b.c.d`, `a.b.c.d-e` (the last byte), `a.b.c.d-e.f.g.h`, `local:remote`. Where a range does
    /// not name our end, it is `local`.
    ///
    /// # Errors
    /// What is wrong with a range, or if there is no address, or more than there are session ids.
    pub fn from_ranges(
        name: PoolName,
        origin: Origin,
        local: Ipv4Addr,
        ranges: &[Sourced<String>],
    ) -> Result<Self, ConfigError> {
        let (mut entries, mut origins) = (Vec::new(), Vec::new());
        for range in ranges {
            let bad = |source| ConfigError::PoolRange { range: range.clone(), source };
            let more = parse(&range.value, local).map_err(bad)?;
            entries.extend(more);
            origins.resize(entries.len(), range.origin.clone());
            if entries.len() > usize::try_from(MAX_SESSIONS).unwrap_or(usize::MAX) {
                return Err(ConfigError::PoolTooLarge { name: name.to_string(), origin });
            }
        }
        if entries.is_empty() {
            return Err(ConfigError::PoolEmpty { name: name.to_string(), origin });
        }
        Ok(Self { name, origin, entries, origins: lines(origins) })
    }

    /// A pool of the addresses of a pool file, as with `-p`.
    ///
    /// # Errors
    /// If it cannot be read, or has no address, or too many.
    pub fn from_file(
        name: PoolName,
        origin: Origin,
        local: Ipv4Addr,
        path: &Path,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, ConfigError> {
        let (file, remarks) = PoolFile::load(path).map_err(ConfigError::PoolFile)?;
        notices.extend(remarks.into_iter().map(Notice::Pool));
        let entry = |(own, remote): (Option<Ipv4Addr>, Ipv4Addr)| PoolEntry {
            local: own.unwrap_or(local),
            remote: Some(remote),
        };
        let origins = PoolOrigins::File { file: path.into(), lines: file.lines };
        Ok(Self { name, origin, entries: file.sessions.into_iter().map(entry).collect(), origins })
    }
}

/// In the short form, if all are lines of one file.
fn lines(origins: Vec<Origin>) -> PoolOrigins {
    let place = |origin: &Origin| match origin {
        Origin::File(Place { file, line, .. }) => Some((file.clone(), *line)),
        _ => None,
    };
    let places: Option<Vec<_>> = origins.iter().map(place).collect();
    match (places, origins.first()) {
        (Some(places), Some(Origin::File(first))) if places.iter().all(|(file, _)| *file == first.file) => {
            let lines = places.into_iter().map(|(_, line)| line).collect();
            PoolOrigins::File { file: first.file.clone(), lines }
        }
        (_, Some(first)) => PoolOrigins::One(first.clone()),
        (_, None) => PoolOrigins::One(Origin::Default),
    }
}

fn parse(text: &str, local: Ipv4Addr) -> Result<Vec<PoolEntry>, RangeTextError> {
    let address = |word: &str| word.parse::<Ipv4Addr>().map_err(|_| RangeTextError::Format);
    if let Some((own, remote)) = text.split_once(':') {
        let (local, remote) = (address(own)?, address(remote)?);
        if inet::is_bad_host(local) {
            return Err(RangeTextError::Own(local));
        }
        drop(pool::range(remote, 1)?);
        return Ok(vec![PoolEntry { local, remote: Some(remote) }]);
    }
    let (first, last) = match text.split_once('-') {
        None => (address(text)?, address(text)?),
        Some((first, last)) => {
            let first = address(first)?;
            let [a, b, c, _] = first.octets();
            let last = match last.parse::<u8>() {
                Ok(last) => Ipv4Addr::new(a, b, c, last),
                Err(_) => address(last)?,
            };
            (first, last)
        }
    };
    let more = last.to_bits().checked_sub(first.to_bits()).ok_or(RangeTextError::Reversed)?;
    // Not one more than is looked at, lest a long range takes the memory before it is refused.
    let count = more.saturating_add(1).min(MAX_SESSIONS.saturating_add(1));
    let remotes = pool::range(first, count)?;
    Ok(remotes.map(|remote| PoolEntry { local, remote: Some(remote) }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let entries = parse(text, Ipv4Addr::new(10, 0, 0, 1)).map_err(|error| error.to_string())?;
        let remote = |entry: PoolEntry| entry.remote.unwrap();
        Ok(entries.into_iter().map(|entry| format!("{} {}", entry.local, remote(entry))).collect())
    }

    #[test]
    fn ranges() {
        let own = |last| format!("10.0.0.1 10.1.{last}");
        assert_eq!(shown("10.1.0.2").unwrap(), [own("0.2")]);
        assert_eq!(shown("10.1.0.2-3").unwrap(), [own("0.2"), own("0.3")]);
        assert_eq!(shown("10.1.0.255-10.1.1.1").unwrap(), [own("0.255"), own("1.0"), own("1.1")]);
        assert_eq!(shown("10.2.0.1:10.2.0.7").unwrap(), ["10.2.0.1 10.2.0.7"]);
        assert_eq!(shown("10.0.0.0-10.255.255.255").unwrap().len(), 65535, "one more than there can be");
        for (text, message) in [
            ("", "expected a.b.c.d, a.b.c.d-e, a.b.c.d-e.f.g.h or local:remote"),
            ("10.1.0.2 ", "expected a.b.c.d, a.b.c.d-e, a.b.c.d-e.f.g.h or local:remote"),
            ("10.1.0.2-256", "expected a.b.c.d, a.b.c.d-e, a.b.c.d-e.f.g.h or local:remote"),
            ("10.1.0.0/24", "expected a.b.c.d, a.b.c.d-e, a.b.c.d-e.f.g.h or local:remote"),
            ("10.1.0.2-1", "the end of the range is before its start"),
            ("127.0.0.1", "1 addresses from 127.0.0.1 would include 127.0.0.1, which is not a host address"),
            (
                "127.0.0.1:10.0.0.2",
                "127.0.0.1 cannot be the local address: it is a loopback, multicast or reserved address",
            ),
        ] {
            assert_eq!(shown(text), Err(message.to_owned()), "{text}");
        }
    }
}
