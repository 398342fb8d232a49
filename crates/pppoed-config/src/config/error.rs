//! What stands in the way of a configuration, and what there is to say about one.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::capacity::Shortage;
use super::named_pool::RangeTextError;
use crate::files::Exposure;
use crate::flags::keys::BadValue;
use crate::mac_list::{MacListError, NOBODY_ALLOWED};
use crate::options::{OptionError, OptionNotice};
use crate::origin::{Origin, Sourced};
use crate::pool::{PoolFileError, PoolName, PoolNotice, RangeError, SlotError};
use crate::secrets::UsersError;
use crate::toml_file::{FileError, Unreadable};

/// A reason not to start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No client can have addresses from this one on.
    #[error("{origin}: {source}")]
    AddressRange {
        /// `-R` or `-L`.
        origin: Origin,
        /// What is wrong with the range.
        source: RangeError,
    },
    /// The flags contradict each other.
    #[error("{0}")]
    CommandLine(String),
    /// What is wrong in `pppoed.toml`, or with the whole of it.
    #[error("{0}")]
    File(FileError),
    /// The machine's name cannot be found out.
    #[error("cannot determine the host name for AC-Name and server name: {0}; use -C and the option name")]
    Hostname(io::Error),
    /// The value of a setting is not possible.
    #[error("{}: {key} {why}", .origin.exact())]
    Key {
        /// Where it was set.
        origin: Origin,
        /// The setting.
        key: String,
        /// What is wrong.
        why: BadValue,
    },
    /// A list of MAC addresses (`--mac-allow`, `--mac-deny`).
    #[error("{0}")]
    MacList(MacListError),
    /// A setting has no effect without another one.
    #[error("{}: {key} has no effect without {needs}: set {needs} as well, or remove {key}", .origin.exact())]
    Needs {
        /// Where it was set.
        origin: Origin,
        /// The setting.
        key: &'static str,
        /// The other one.
        needs: &'static str,
    },
    /// An interface would get addresses that nobody asked for, beside pools that were.
    #[error(
        "{}: interface {name:?} has no pool: give it one (pool = \"…\" in its [[interface]]; there are: {known}), or set \
         remote and sessions for the default pool",
        .origin.exact()
    )]
    NoPool {
        /// The interface, or pattern.
        name: String,
        /// Where it is named.
        origin: Origin,
        /// The pools.
        known: String,
    },
    /// Our end of the links has no address.
    #[error("no local address: -L is 0.0.0.0, and no options file has LOCAL:REMOTE")]
    NoLocalAddress,
    /// A line of an options file.
    #[error("{0}")]
    Option(OptionError),
    /// Our end cannot have this address.
    #[error("{0} cannot be the local address: it is a loopback, multicast or reserved address")]
    OwnAddress(Sourced<Ipv4Addr>),
    /// A pool has no address.
    #[error("{}: pool {name:?} has no address: give addresses = [\"a.b.c.d-e.f.g.h\"], or file", .origin.exact())]
    PoolEmpty {
        /// The pool.
        name: String,
        /// Its section.
        origin: Origin,
    },
    /// The pool file.
    #[error("{0}")]
    PoolFile(PoolFileError),
    /// Two pools have the same address.
    #[error(
        "{}: {address} is in pool {second:?} and, at {first_origin}, in pool {first:?}: addresses must be unique",
        .second_origin.exact()
    )]
    PoolOverlap {
        /// The address.
        address: Ipv4Addr,
        /// One pool.
        first: String,
        /// Where it has the address.
        first_origin: Origin,
        /// The other one.
        second: String,
        /// Where that has the address.
        second_origin: Origin,
    },
    /// Addresses of a pool cannot be.
    #[error("{}: addresses {:?}: {source}", .range.origin.exact(), .range.value)]
    PoolRange {
        /// As they were given.
        range: Sourced<String>,
        /// What is wrong.
        source: RangeTextError,
    },
    /// A pool has more addresses than there are session ids.
    #[error("{}: pool {name:?} has more than {} addresses", .origin.exact(), crate::pool::MAX_SESSIONS)]
    PoolTooLarge {
        /// The pool.
        name: String,
        /// Its section.
        origin: Origin,
    },
    /// Too many sessions.
    #[error("{0} (-N or -p, and -o)")]
    Sessions(SlotError),
    /// `pppoed.toml`, as a whole.
    #[error("{0}")]
    Unreadable(Unreadable),
    /// The users file.
    #[error("{0}")]
    Users(UsersError),
    /// There is no such setting.
    #[error("{}: there is no setting {key:?}", .origin.exact())]
    UnknownKey {
        /// Where it was set.
        origin: Origin,
        /// Its name.
        key: String,
    },
    /// Too many sections.
    #[error("there are {count} sections for {of}, more than {limit} (a pattern stands for many interfaces)")]
    TooManySections {
        /// What they are for.
        of: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Two sections are for the same interface.
    #[error("{}: there is a section for interface {name:?} already, at {first}", .second.exact())]
    TwoProfiles {
        /// The interface.
        name: String,
        /// The first section.
        first: Origin,
        /// The second one.
        second: Origin,
    },
    /// An interface is to have a pool that there is not.
    #[error("{}: there is no pool {:?}; there are: {known}", .pool.origin.exact(), &*.pool.value)]
    UnknownPool {
        /// The name that was given.
        pool: Sourced<PoolName>,
        /// The names that could be.
        known: String,
    },
}

/// So that what stops at the first mistake can be used where all of them are gathered.
impl From<ConfigError> for Vec<ConfigError> {
    fn from(error: ConfigError) -> Self {
        vec![error]
    }
}

/// Something that the administrator should know about the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Notice {
    /// A word of the command line that pppoe-server takes and that means something else here, or nothing.
    #[error("{word}: {why}")]
    CommandLine {
        /// The word, or the flag with its value.
        word: String,
        /// What is made of it.
        why: String,
    },
    /// Others could change `pppoed.toml`.
    #[error("configuration file {path:?}: {exposure}")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// In what way.
        exposure: Exposure,
    },
    /// A flag has no effect, or not the one that it has in pppoe-server.
    #[error("{flag}: {why}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What to know about it.
        why: &'static str,
    },
    /// A pool has fewer addresses than slots.
    #[error("{0}")]
    Shortage(Shortage),
    /// Everybody is let in.
    #[error("{0}: clients are not authenticated, and get any address of the pool")]
    NoAuthentication(Origin),
    /// The directory of the hook scripts is not there, and somebody named it.
    #[error("{}: directory {path:?} does not exist; no hook scripts are loaded", .origin.exact())]
    NoHooksDirectory {
        /// Where it was named.
        origin: Origin,
        /// The directory.
        path: PathBuf,
    },
    /// The list of those who are served has no address.
    #[error("{}: {NOBODY_ALLOWED}", path.display())]
    NobodyAllowed {
        /// The list.
        path: PathBuf,
    },
    /// There is no default pool that could have so many addresses.
    #[error(
        "{0}: sessions has no effect: it is the size of the default pool, but every interface has a pool; \
         sessions-per-interface limits sessions"
    )]
    NoDefaultPool(Origin),
    /// A remark on an option.
    #[error("{0}")]
    Option(OptionNotice),
    /// More than 1492 is possible with some clients only.
    #[error(
        "{option} {value}: more than 1492 is used only with clients that offer PPP-Max-Payload (RFC 4638)"
    )]
    PacketSize {
        /// `mtu` or `mru`.
        option: &'static str,
        /// Its value.
        value: Sourced<u16>,
    },
    /// No interface has a pool.
    #[error("{origin}: no interface has pool {name:?}")]
    UnusedPool {
        /// The pool.
        name: String,
        /// Its section.
        origin: Origin,
    },
    /// A remark on the pool file.
    #[error("{0}")]
    Pool(PoolNotice),
}

impl Notice {
    /// Is this a matter of course, not worth a warning?
    pub fn is_mere_note(&self) -> bool {
        matches!(
            self,
            Self::Flag { flag: "-k", .. }
                | Self::Option(OptionNotice::NoFile { .. })
                | Self::PacketSize { .. }
        )
    }
}
