//! Which sessions a command is for, and which sessions those are: for commands, events and lists alike.

use std::fmt;
use std::net::Ipv4Addr;

use ppp_wire::MacAddr;
use serde::{Deserialize, Serialize};

use crate::name::{Name, NamePattern};

/// Which sessions a command is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Selector {
    /// The one with this PPPoE session id.
    Id(u16),
    /// Those of this user, by the exact name.
    User(Name),
    /// Those of this Ethernet address.
    Mac([u8; 6]),
    /// The one with this peer address.
    Ip(Ipv4Addr),
    /// The one with this interface, such as `ppp0`, or all of this access interface.
    Interface(String),
    /// Every session.
    All,
    /// Those whose user name, interface, Ethernet address, peer address or service is as this pattern says.
    Pattern(NamePattern),
}

/// What is looked at of a session.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts<'a> {
    /// PPPoE session id.
    pub id: u16,
    /// Network interface, such as `ppp0`.
    pub ifname: &'a str,
    /// Access interface.
    pub interface: &'a str,
    /// User name, if there is one.
    pub username: Option<&'a [u8]>,
    /// The peer's Ethernet address.
    pub mac: MacAddr,
    /// The peer's address, once assigned.
    pub ip: Option<Ipv4Addr>,
    /// Service-Name, where it is known.
    pub service: Option<&'a [u8]>,
}

impl Selector {
    /// Whether the command is for this session.
    pub fn selects(&self, session: &SessionFacts<'_>) -> bool {
        match self {
            Self::Id(id) => session.id == *id,
            Self::User(name) => session.username == Some(name.as_bytes()),
            Self::Mac(mac) => session.mac.0 == *mac,
            Self::Ip(ip) => session.ip == Some(*ip),
            Self::Interface(name) => session.ifname == name || session.interface == name,
            Self::All => true,
            Self::Pattern(pattern) => {
                let names = [session.username, session.service].into_iter().flatten();
                [session.ifname, session.interface].iter().any(|name| pattern.matches(name))
                    || names.into_iter().any(|name| pattern.matches(name))
                    // A hexadecimal number is no name: large and small letters are the same there.
                    || pattern.to_ascii_lowercase().matches(session.mac.to_string())
                    || session.ip.is_some_and(|ip| pattern.matches(ip.to_string()))
            }
        }
    }

    /// What a word may stand for where one session, of whatever description, is asked for: the first of these that there
    /// are sessions of. Session ids and interfaces come before users, so that no user's name can be taken for one.
    pub fn readings(word: &Name) -> Vec<Self> {
        let text = std::str::from_utf8(word.as_bytes()).ok();
        let mut readings = Vec::new();
        if let Some(text) = text {
            // RFC 2516 §4: 0 is no session, 0xffff is reserved.
            let id = text.parse().ok().filter(|id| (1..0xffff).contains(id));
            readings.extend(id.map(Self::Id));
            readings.push(Self::Interface(text.to_owned()));
            readings.extend(text.parse::<MacAddr>().ok().map(|mac| Self::Mac(mac.0)));
            readings.extend(text.parse().ok().map(Self::Ip));
        }
        readings.push(Self::User(word.clone()));
        readings
    }
}

/// The words of the command line.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "session {id}"),
            Self::User(name) => write!(f, "user {name}"),
            Self::Mac(mac) => write!(f, "mac {}", MacAddr(*mac)),
            Self::Ip(ip) => write!(f, "ip {ip}"),
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::All => f.write_str("all"),
            Self::Pattern(pattern) => write!(f, "pattern {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionFacts<'static> = SessionFacts {
        id: 7,
        ifname: "ppp0",
        interface: "eth1",
        username: Some(br"DOM\Bob"),
        mac: MacAddr([2, 0, 0, 0, 0, 10]),
        ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
        service: Some(b"gold\xff"),
    };

    #[test]
    fn sessions_are_selected_by_what_they_are() {
        let name = |text: &str| Name::from_text(text);
        let pattern = |text: &str| Selector::Pattern(NamePattern::from_text(text));
        for (selector, expected) in [
            (Selector::Id(7), true),
            (Selector::Id(8), false),
            (Selector::User(name(r"DOM\Bob")), true),
            (Selector::User(name(r"DOM\bob")), false),
            (Selector::User(name(r"DOM\\Bob")), false),
            (Selector::Mac([2, 0, 0, 0, 0, 10]), true),
            (Selector::Mac([2, 0, 0, 0, 0, 11]), false),
            (Selector::Ip(Ipv4Addr::new(10, 0, 0, 2)), true),
            (Selector::Ip(Ipv4Addr::new(10, 0, 0, 3)), false),
            (Selector::Interface("ppp0".into()), true),
            (Selector::Interface("eth1".into()), true),
            (Selector::Interface("eth".into()), false),
            (Selector::All, true),
            (pattern(r"DOM\*"), true),
            (pattern(r"dom\*"), false),
            (pattern("pp*"), true),
            (pattern("PP*"), false),
            (pattern("02:*:0A"), true),
            (pattern("10.0.0.?"), true),
            (pattern(r"gold\xff"), true),
            (pattern("gold*"), true),
            (pattern("gold"), false),
        ] {
            assert_eq!(selector.selects(&SESSION), expected, "{selector}");
        }
    }

    #[test]
    fn a_word_may_stand_for_several_things() {
        let readings = |word: &str| {
            let readings = Selector::readings(&Name::from_text(word));
            readings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(readings("7"), ["session 7", "interface 7", "user 7"]);
        for word in ["0", "65535", "bob"] {
            assert_eq!(readings(word), [format!("interface {word}"), format!("user {word}")]);
        }
        assert_eq!(
            readings("02:00:00:00:00:0A"),
            ["interface 02:00:00:00:00:0A", "mac 02:00:00:00:00:0a", "user 02:00:00:00:00:0A"]
        );
        assert_eq!(readings("10.0.0.2"), ["interface 10.0.0.2", "ip 10.0.0.2", "user 10.0.0.2"]);
        assert_eq!(readings(r"caf\xe9"), [r"user caf\xe9"]);
    }
}
