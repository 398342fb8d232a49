//! The address column of a secrets file: which addresses a user may have.

use std::fmt;
use std::net::Ipv4Addr;

use ppp_wire::escape::Escaped;

use super::{Notice, Shown};
use crate::inet::{self, Resolve};
use crate::origin::Place;

/// The address words of one line, as written.
///
/// `-` allows nothing and `*` anything; either ends the list. Other words are a host name, a network name or an
/// address, perhaps with `!` before it (refuse) and `/n` (1 to 32) or `/n+` behind it; `/n+` stands for one
/// address, that of the session's unit in the network. The first word that fits an address decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList {
    place: Place,
    rules: Vec<Rule>,
    /// The list ended with `-`.
    dash: bool,
}

/// The words as they stand on the line.
impl fmt::Display for AddressList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.rules.iter().map(|rule| rule.word.as_str()).chain(self.dash.then_some("-"));
        let words: Vec<&str> = words.collect();
        match words.is_empty() {
            true => f.write_str("none"),
            false => Escaped(words.join(" ").as_bytes()).fmt(f),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Which word of the list it was, from 1.
    number: usize,
    /// The word as written.
    word: String,
    permit: bool,
    target: Target,
    /// Network bits, if given.
    prefix: Option<u32>,
    /// `/n+`
    by_unit: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Address(Ipv4Addr),
    Any,
    Name(String),
}

/// An address word that was left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressProblem {
    /// Words follow `-` or `*`, which end the list.
    #[error("words after \"-\" or \"*\" have no effect")]
    AfterEnd,
    /// The form `a.b.c.d-e` of pool files.
    #[error("ranges are not supported; use a network such as 10.0.0.0/28, or single addresses")]
    Range,
    /// The unit's address would lie outside of the network.
    #[error("session unit {0} is too large for this network")]
    UnitTooLarge(u32),
    /// Neither an address nor a known host or network.
    #[error("not an IPv4 address, and no host or network of that name is known")]
    Unknown,
    /// Read, but perhaps not as meant.
    #[error("it is read as {0}")]
    UnusualForm(Ipv4Addr),
    /// What follows `/` is no number from 1 to 32.
    #[error("the number of network bits must be from 1 to 32, and only \"+\" may follow")]
    Width,
}

impl AddressList {
    /// The words that count, as written.
    pub(super) fn words(&self) -> String {
        let words: Vec<&str> =
            self.rules.iter().map(|rule| rule.word.as_str()).chain(self.dash.then_some("-")).collect();
        words.join(" ")
    }

    /// The line that they are on.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether there are names of hosts or networks among them.
    pub(super) fn has_names(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.target, Target::Name(_)))
    }

    /// Whether no address is allowed by them, whatever names stand for: there is none, or all are forbidden.
    pub(super) fn allows_nothing(&self) -> bool {
        let never = |rule: &Rule| match rule.target {
            Target::Address(address) => rule.prefix.is_none() && inet::is_bad_host(address),
            Target::Any | Target::Name(_) => false,
        };
        !self.rules.iter().any(|rule| rule.permit && !never(rule))
    }

    /// Any address.
    pub(super) fn any(place: &Place) -> Self {
        Self::parse(place, [&b"*"[..]], &mut Vec::new())
    }

    /// Parses the words between the secret and `--`. Words that cannot be used are left out and reported.
    pub(super) fn parse<'a>(
        place: &Place,
        words: impl IntoIterator<Item = &'a [u8]>,
        notices: &mut Vec<Notice>,
    ) -> Self {
        let mut list = Self { place: place.clone(), rules: Vec::new(), dash: false };
        let mut ended = false;
        for (number, bytes) in (1..).zip(words) {
            let word = String::from_utf8_lossy(bytes).into_owned();
            let mut report =
                |problem| notices.push(Notice::Address { place: place.clone(), number, problem });
            if ended {
                report(AddressProblem::AfterEnd);
                break;
            }
            match word.as_str() {
                "-" => (ended, list.dash) = (true, true),
                "*" => {
                    ended = true;
                    list.rules.push(Rule {
                        number,
                        word,
                        permit: true,
                        target: Target::Any,
                        prefix: None,
                        by_unit: false,
                    });
                }
                _ => match Rule::parse(number, &word) {
                    Ok(rule) => {
                        if let Target::Address(address) = rule.target
                            && !rule.word.contains(&address.to_string())
                        {
                            report(AddressProblem::UnusualForm(address));
                        }
                        list.rules.push(rule);
                    }
                    Err(problem) => report(problem),
                },
            }
        }
        list
    }

    /// Looks up the names in the list, for the session of `user` that has this unit (0 for `ppp0`). May block if there
    /// are names.
    pub fn resolve(&self, user: &[u8], unit: u32, names: &dyn Resolve) -> (Addresses, Vec<Notice>) {
        let mut notices = Vec::new();
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            match rule.resolve(unit, names) {
                Ok((base, mask)) => {
                    rules.push(Resolved { word: rule.word.clone(), permit: rule.permit, base, mask });
                }
                Err(problem) => {
                    notices.push(Notice::Address { place: self.place.clone(), number: rule.number, problem })
                }
            }
        }
        let empty = self.rules.is_empty();
        let addresses =
            Addresses { place: self.place.clone(), user: user.to_vec(), rules, dash: self.dash, empty };
        (addresses, notices)
    }

    /// The address that the user gets if no other is allowed, where that is the same for every unit.
    pub(super) fn fixed_address(&self, names: &dyn Resolve) -> Option<Ipv4Addr> {
        let rules: Vec<_> = self.rules.iter().filter(|rule| !rule.by_unit).cloned().collect();
        let (addresses, _) = Self { rules, ..self.clone() }.resolve(b"", 0, names);
        addresses.suggested()
    }
}

impl Rule {
    fn parse(number: usize, word: &str) -> Result<Self, AddressProblem> {
        let (permit, name) = match word.strip_prefix('!') {
            Some(name) => (false, name),
            None => (true, word),
        };
        let (name, width) = match name.split_once('/') {
            Some((name, width)) => (name, Some(width)),
            None => (name, None),
        };
        let by_unit = width.is_some_and(|width| width.ends_with('+'));
        let prefix = match width.map(|width| width.strip_suffix('+').unwrap_or(width)) {
            None => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => match digits.parse() {
                Ok(bits @ 1..=32) => Some(bits),
                _ => return Err(AddressProblem::Width),
            },
            Some(_) => return Err(AddressProblem::Width),
        };
        let target = match inet::parse_ipv4(name) {
            // pppd cannot tell this one from an error
            Some(Ipv4Addr::BROADCAST) => return Err(AddressProblem::Unknown),
            Some(address) => Target::Address(address),
            None if is_range(name) => return Err(AddressProblem::Range),
            None if inet::is_name(name) => Target::Name(name.to_owned()),
            None => return Err(AddressProblem::Unknown),
        };
        Ok(Self { number, word: word.to_owned(), permit, target, prefix, by_unit })
    }

    /// Base and mask, as bits.
    fn resolve(&self, unit: u32, names: &dyn Resolve) -> Result<(u32, u32), AddressProblem> {
        let mut mask = match self.prefix {
            Some(bits) => u32::MAX.checked_shl(32 - bits).unwrap_or(0),
            None => u32::MAX,
        };
        let address = match &self.target {
            Target::Any => return Ok((0, 0)),
            Target::Address(address) => *address,
            Target::Name(name) => match names.host(name) {
                Some(address) => address,
                None => {
                    let network = names.network(name).ok_or(AddressProblem::Unknown)?;
                    if self.prefix.is_none() {
                        mask = inet::classful_mask(network);
                    }
                    network
                }
            },
        };
        if address == Ipv4Addr::BROADCAST {
            return Err(AddressProblem::Unknown);
        }
        let mut base = address.to_bits() & mask;
        if self.by_unit {
            let offset = unit.checked_add(1).filter(|offset| *offset < !mask);
            base |= offset.ok_or(AddressProblem::UnitTooLarge(unit))?;
            mask = u32::MAX;
        }
        Ok((base, mask))
    }
}

/// `a.b.c.d-e`, as pool files have it.
fn is_range(word: &str) -> bool {
    word.split_once('-').is_some_and(|(first, last)| {
        inet::parse_ipv4(first).is_some() && last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}

/// The address column of one line, ready to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    place: Place,
    user: Vec<u8>,
    rules: Vec<Resolved>,
    dash: bool,
    /// There was no usable word at all.
    empty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Resolved {
    word: String,
    permit: bool,
    base: u32,
    mask: u32,
}

impl Addresses {
    /// May the user have this address?
    ///
    /// # Errors
    /// The word, or the lack of one, that decides against it.
    pub fn authorizes(&self, address: Ipv4Addr) -> Result<(), AddressRefusal> {
        let refuse =
            |why| Err(AddressRefusal { place: self.place.clone(), user: self.user.clone(), address, why });
        if inet::is_bad_host(address) || address.is_unspecified() {
            return refuse(Why::NeverAllowed);
        }
        match self.rules.iter().find(|rule| address.to_bits() & rule.mask == rule.base) {
            Some(rule) if rule.permit => Ok(()),
            Some(rule) => refuse(Why::Denied(rule.word.clone())),
            None if self.dash => refuse(Why::Dash),
            None if self.empty => refuse(Why::NoAddresses),
            None => refuse(Why::NotListed),
        }
    }

    /// The first single host of the list that the user may have: the address to give if the pool's is not allowed.
    pub fn suggested(&self) -> Option<Ipv4Addr> {
        self.rules
            .iter()
            .filter(|rule| rule.permit && rule.mask == u32::MAX)
            .map(|rule| Ipv4Addr::from_bits(rule.base))
            .find(|address| self.authorizes(*address).is_ok())
    }
}

/// An address that a user may not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: user {} may not use {address}: {why}", Shown(.user))]
pub struct AddressRefusal {
    /// The user's line in the secrets file.
    pub place: Place,
    /// The user.
    pub user: Vec<u8>,
    /// The address.
    pub address: Ipv4Addr,
    /// What decided against it.
    pub why: Why,
}

/// What decided against an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The list is `-`, or ends with it.
    #[error("the address list says \"-\"; replace it by \"*\" or the address")]
    Dash,
    /// A word with `!` fits the address.
    #[error("{0:?} in the address list forbids it")]
    Denied(String),
    /// Loopback, multicast and reserved addresses are never allowed, not even by `*`.
    #[error("loopback, multicast and reserved addresses are never allowed")]
    NeverAllowed,
    /// The line has no address words.
    #[error("the address list is empty; add \"*\" or the address")]
    NoAddresses,
    /// No word fits the address.
    #[error("it is not in the address list; add it")]
    NotListed,
}
