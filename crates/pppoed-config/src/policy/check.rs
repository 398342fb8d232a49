//! What consoles may set, and why not the rest.
//!
//! Members of the control group may use consoles and are not root. So no path can be set: `pppoed` would read, write or run as
//! root what they name. Nor can variables of scripts, which run as root.

use std::net::Ipv4Addr;

use ppp_ipc::name::Name;
use ppp_ipc::policy::{MAX_ENTRIES, MAX_TEXT, MAX_VALUES};
use ppp_wire::MacAddr;

use super::{MAX_PATTERNS, PPP};
use crate::flags::keys::{BadValue, Kind, ServerKey};
use crate::options::{self, OptionKind};
use crate::origin::{Assignment, Origin};
use crate::spelling::did_you_mean;

/// Why something cannot be set, or taken back, at a console. Keys and values are the client's, and not escaped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The address is another user's.
    #[error("{address} is the address of user {owner} already (unset user {owner} address)")]
    AddressTaken {
        /// The address.
        address: Ipv4Addr,
        /// Who has it.
        owner: Name,
    },
    /// One script cannot be called while none is.
    #[error("all hook scripts are disabled: use set hooks enable, then disable single ones")]
    AllHooksOff,
    /// The value is none that the setting can have.
    #[error("{key}: {why}")]
    BadValue {
        /// The setting.
        key: String,
        /// What is wrong.
        why: BadValue,
    },
    /// It is served already.
    #[error("interface {0} is served already")]
    InterfaceIsThere(String),
    /// Nothing would be served.
    #[error("{0} is the only access interface; use `drain on` to refuse new sessions")]
    LastInterface(String),
    /// It is not served.
    #[error("interface {name} is not an access interface; access interfaces: {served}")]
    NoSuchInterface {
        /// What was named.
        name: String,
        /// What is served.
        served: String,
    },
    /// A name is empty.
    #[error("a name or value is empty")]
    Empty,
    /// An address of many stations.
    #[error("{0} is not a unicast MAC address")]
    GroupAddress(MacAddr),
    /// No service of that name is on offer.
    #[error("service \"{0}\" is not offered")]
    NoSuchService(Name),
    /// It is not on that list.
    #[error("{who} is not on the list of {list}: pppctl show policy")]
    NotListed {
        /// Who.
        who: String,
        /// `allow` or `deny`.
        list: &'static str,
    },
    /// Nothing to be taken back.
    #[error("no runtime setting {0}: pppctl show policy")]
    NotSet(String),
    /// No subscriber can have it.
    #[error("{0} is one of the server's own addresses")]
    OwnAddress(Ipv4Addr),
    /// It cannot be set here.
    #[error("{key} cannot be set at runtime: {why}")]
    Refused {
        /// The setting.
        key: String,
        /// Why, and what to do.
        why: String,
    },
    /// It is on offer already.
    #[error("service \"{0}\" is already offered")]
    ServiceIsThere(Name),
    /// A name or value is too long.
    #[error("text of {length} bytes exceeds the maximum of {MAX_TEXT}")]
    TooLong {
        /// Its bytes.
        length: usize,
    },
    /// There are too many entries.
    #[error("the maximum of {MAX_ENTRIES} runtime settings is reached: unset some, or use files")]
    TooManyEntries,
    /// There are too many patterns.
    #[error("the maximum of {MAX_PATTERNS} patterns is reached: unset some")]
    TooManyPatterns,
    /// A list is too long.
    #[error("{count} values exceed the maximum of {MAX_VALUES}")]
    TooManyValues {
        /// How many.
        count: usize,
    },
    /// There is no such setting.
    #[error("there is no setting {key:?}{hint}: pppctl show config lists them")]
    Unknown {
        /// What was named.
        key: String,
        /// What may have been meant.
        hint: String,
    },
    /// An option of a user is wrong.
    #[error("{0}")]
    UserOption(String),
}

const A_PATH: &str = "it names a file; set it in pppoed.toml or on the command line, and reload";
const FOR_SCRIPTS: &str = "it reaches scripts that run as root; set it in an options file, and reload";

/// Whether a long flag may be set to this at a console. Whether it can change while the server runs is seen when the
/// configurations are compared.
///
/// # Errors
/// [`Refusal`].
pub fn check_setting(name: &str, values: &[String]) -> Result<(), Refusal> {
    let Some(key) = ServerKey::find(name) else {
        let of_server = ServerKey::nearest_of(name, |key| key.kind != Kind::Path);
        let nearest =
            of_server.or_else(|| options::nearest_option(name, |option| check_option(option).is_ok()));
        return Err(Refusal::Unknown { key: name.to_owned(), hint: did_you_mean(nearest) });
    };
    let refused = |why: &str| Err(Refusal::Refused { key: name.to_owned(), why: why.to_owned() });
    if let Some(why) = key.not_in_file {
        return refused(why);
    }
    if key.kind == Kind::Path {
        return refused(A_PATH);
    }
    let assignment = Assignment { key: name.to_owned(), values: values.to_vec(), origin: Origin::Console };
    key.check(&assignment).map_err(|why| Refusal::BadValue { key: name.to_owned(), why })
}

/// Whether an option of pppd may be set at a console.
///
/// # Errors
/// [`Refusal`].
pub fn check_option(name: &str) -> Result<(), Refusal> {
    let refused = |why: &str| Err(Refusal::Refused { key: name.to_owned(), why: why.to_owned() });
    match options::kind_of(name) {
        None => {
            let hint = did_you_mean(options::nearest_option(name, |option| check_option(option).is_ok()));
            Err(Refusal::Unknown { key: format!("ppp.{name}"), hint })
        }
        Some(OptionKind::Path) => refused(A_PATH),
        Some(_) if matches!(name, "set" | "unset" | "ipparam") => refused(FOR_SCRIPTS),
        Some(_) => Ok(()),
    }
}

/// Whether values are of an option's kind. Whether they are possible is seen when the layers are put together.
///
/// # Errors
/// [`Refusal::BadValue`].
pub fn check_values(name: &str, values: &[String]) -> Result<(), Refusal> {
    options::check_kind(name, values).map_err(|why| {
        let why = BadValue { value: values.join(" "), why: why.to_string() };
        Refusal::BadValue { key: format!("{PPP}{name}"), why }
    })
}
