//! The addresses of the slots, from `-L`, `-l`, `-R`, `-N`, `-p` and the options files.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;

use super::layer::Merged;
use super::{ConfigError, DEFAULT_SESSIONS, Notice};
use crate::inet;
use crate::options::PppOptions;
use crate::origin::{Origin, Place, Sourced};
use crate::pool::{self, Numbering, PoolEntry, PoolFile};

pub(super) const DEFAULT_LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const DEFAULT_REMOTE: Ipv4Addr = Ipv4Addr::new(10, 67, 15, 1);

/// Session numbers and addresses.
pub(super) struct Sessions {
    pub(super) numbering: Numbering,
    pub(super) entries: Vec<PoolEntry>,
    pub(super) origins: PoolOrigins,
}

/// Where the slots of the pool come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoolOrigins {
    /// A pool file, with the line of each slot.
    File {
        /// The file.
        file: Arc<Path>,
        /// Lines, from 1.
        lines: Vec<u32>,
    },
    /// All from one setting.
    One(Origin),
}

impl PoolOrigins {
    /// Where a slot comes from.
    pub fn of(&self, slot: usize) -> Origin {
        match self {
            Self::File { file, lines } => {
                let line = lines.get(slot).copied().unwrap_or(1);
                Origin::File(Place::new(Arc::clone(file), line))
            }
            Self::One(origin) => origin.clone(),
        }
    }
}

pub(super) fn sessions(
    merged: &Merged,
    options: &PppOptions,
    directory: &Path,
    notices: &mut Vec<Notice>,
) -> Result<Sessions, ConfigError> {
    let flags = &merged.flags;
    let mut origins = PoolOrigins::One(remote_origin(merged, options));
    let file = match &flags.pool_file {
        Some(path) => {
            let (file, remarks) = PoolFile::load(&directory.join(path)).map_err(ConfigError::PoolFile)?;
            notices.extend(remarks.into_iter().map(Notice::Pool));
            origins = PoolOrigins::File { file: path.as_path().into(), lines: file.lines };
            Some(file.sessions)
        }
        None => None,
    };
    let count = match &file {
        Some(sessions) => u32::try_from(sessions.len()).unwrap_or(u32::MAX),
        None => flags.sessions.unwrap_or(DEFAULT_SESSIONS),
    };
    let numbering = match flags.session_offset {
        // The interface is to have the number of the id.
        None if flags.unit_from_slot => Numbering::From(0),
        None => Numbering::Random,
        Some(offset) => Numbering::From(offset),
    };
    numbering.check(count).map_err(ConfigError::Sessions)?;

    let entries: Vec<_> = match file {
        Some(sessions) if sessions.iter().all(|(local, _)| local.is_some()) => sessions
            .into_iter()
            .filter_map(|(local, remote)| Some(PoolEntry { local: local?, remote: Some(remote) }))
            .collect(),
        Some(sessions) => local_addresses(merged, options, count)?
            .into_iter()
            .zip(sessions)
            .map(|(default, (local, remote))| PoolEntry {
                local: local.unwrap_or(default),
                remote: Some(remote),
            })
            .collect(),
        None => local_addresses(merged, options, count)?
            .into_iter()
            .zip(remote_addresses(merged, options, count)?)
            .map(|(local, remote)| PoolEntry { local, remote })
            .collect(),
    };
    Ok(Sessions { numbering, entries, origins })
}

fn local_addresses(merged: &Merged, options: &PppOptions, count: u32) -> Result<Vec<Ipv4Addr>, ConfigError> {
    let flag = match merged.flags.local {
        Some(address) => Sourced::new(address, merged.origin("local")),
        None => Sourced::default_value(DEFAULT_LOCAL),
    };
    let first = if flag.value.is_unspecified() {
        options.local_address.clone().ok_or(ConfigError::NoLocalAddress)?
    } else {
        flag
    };
    if inet::is_bad_host(first.value) {
        return Err(ConfigError::OwnAddress(first));
    }
    if !merged.flags.increment_local {
        return Ok((0..count).map(|_| first.value).collect());
    }
    let range = pool::range(first.value, count)
        .map_err(|source| ConfigError::AddressRange { origin: first.origin, source })?;
    Ok(range.collect())
}

/// Where the clients' addresses come from, unless from a pool file.
fn remote_origin(merged: &Merged, options: &PppOptions) -> Origin {
    match (merged.flags.remote, &options.remote_address) {
        (Some(remote), Some(option)) if remote.is_unspecified() => option.origin.clone(),
        (Some(_), _) => merged.origin("remote"),
        (None, _) => merged.origin("sessions"),
    }
}

fn remote_addresses(
    merged: &Merged,
    options: &PppOptions,
    count: u32,
) -> Result<Vec<Option<Ipv4Addr>>, ConfigError> {
    let first = match merged.flags.remote {
        Some(address) => Sourced::new(address, merged.origin("remote")),
        None => Sourced::default_value(DEFAULT_REMOTE),
    };
    if first.value.is_unspecified() {
        // one address for all sessions, so that one of them at a time gets it, as with pppd
        let one = options.remote_address.as_ref().map(|remote| remote.value);
        return Ok((0..count).map(|_| one).collect());
    }
    let range = pool::range(first.value, count)
        .map_err(|source| ConfigError::AddressRange { origin: first.origin, source })?;
    Ok(range.map(Some).collect())
}
