//! What consoles set for one user: the options of a line in a secrets file, and an address.

use std::net::Ipv4Addr;
use std::path::Path;

use super::{ADDRESS, Refusal, check_option};
use crate::inet;
use crate::options::{self, OptionKind, SessionOptions, UserWord, parse_user_options};
use crate::origin::{Origin, Place};

/// What one user has beside what files say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserOverride {
    /// Options that go over those of files and hooks.
    pub options: SessionOptions,
    /// The address that he gets, and nobody else.
    pub address: Option<Ipv4Addr>,
}

impl UserOverride {
    /// Of options with their values, which were checked.
    pub(super) fn new<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut own = Self::default();
        for (option, value) in words {
            if option == ADDRESS {
                own.address = value.parse().ok();
            } else {
                own.options = parse(option, value).0.over(&own.options);
            }
        }
        own
    }
}

/// Whether an option may be set for a user at a console.
pub(super) fn check(option: &str, value: &str) -> Result<(), Refusal> {
    if option == ADDRESS {
        let is_good = value.parse().is_ok_and(|address: Ipv4Addr| !inet::is_bad_host(address));
        return if is_good {
            Ok(())
        } else {
            Err(Refusal::UserOption(format!("address {value:?}: not the address of a host")))
        };
    }
    check_option(option)?;
    match options::kind_of(option) {
        Some(OptionKind::Switch) if value.parse::<bool>().is_err() => {
            Err(Refusal::UserOption(format!("{option} {value:?}: must be true or false")))
        }
        _ => parse(option, value).1.map_or(Ok(()), |why| Err(Refusal::UserOption(why))),
    }
}

/// The option, and what is wrong with it.
fn parse(option: &str, value: &str) -> (SessionOptions, Option<String>) {
    let place = || Place::new(Path::new(&Origin::Console.to_string()).into(), 0);
    let user_word = |bytes| UserWord { bytes, place: place() };
    let words: Vec<UserWord<'_>> = match options::kind_of(option) {
        Some(OptionKind::Switch) => vec![user_word(option.as_bytes())],
        // As a list is shown.
        Some(OptionKind::List) => {
            let values = value.split_whitespace();
            values.flat_map(|value| [user_word(option.as_bytes()), user_word(value.as_bytes())]).collect()
        }
        _ => vec![user_word(option.as_bytes()), user_word(value.as_bytes())],
    };
    let (mut options, errors, _) = parse_user_options(&words);
    // The opposite of a switch: what it sets, the other way round.
    if value == "false" && matches!(options::kind_of(option), Some(OptionKind::Switch)) {
        for switch in [&mut options.proxyarp, &mut options.source_check].into_iter().flatten() {
            switch.value = !switch.value;
        }
    }
    (options, errors.first().map(ToString::to_string))
}
