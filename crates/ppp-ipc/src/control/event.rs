//! What happens, as it happens: the answer to [`Request::Monitor`](super::Request::Monitor).

use std::net::Ipv4Addr;

use ppp_wire::MacAddr;
use serde::{Deserialize, Serialize};

use super::{Selector, SessionFacts, Traffic};
use crate::name::Name;

/// Something that happened.
///
/// What a field does not apply to is `None`; text of peers and consoles is escaped, but for names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counts all events since the server's start, from 1, also those that a filter leaves out.
    pub seq: u64,
    /// When, by the server's clock, in milliseconds since 1970-01-01 00:00 UTC.
    pub time_ms: u64,
    /// What.
    pub event: EventName,
    /// To which session.
    pub session: Option<EventSession>,
    /// Access interface, where no session tells it.
    pub interface: Option<String>,
    /// Why, in a word or a sentence: the reason of an end, of a refusal.
    pub reason: Option<String>,
    /// More, for people.
    pub detail: Option<String>,
    /// Seconds that the session lasted.
    pub duration_s: Option<u64>,
    /// Traffic of the session that ended.
    pub traffic: Option<Traffic>,
    /// Who asked for it, on a console.
    pub caller: Option<EventCaller>,
}

/// The session that something happened to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSession {
    /// PPPoE session id.
    pub id: u16,
    /// Network interface, such as `ppp0`.
    pub ifname: String,
    /// User name; of a refused proof the one that was claimed.
    pub username: Option<Name>,
    /// The peer's address, once assigned.
    pub ip: Option<Ipv4Addr>,
    /// The peer's Ethernet address, `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Access interface.
    pub interface: String,
}

/// A process on the control socket, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCaller {
    /// Effective user.
    pub uid: u32,
    /// Process.
    pub pid: i32,
}

/// Kinds of events. New ones may come with any version; programs should pass over those that they do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventName {
    /// A host got its PADS.
    SessionStarted,
    /// A peer has proved who it is.
    AuthAccepted,
    /// A proof was refused; `reason` says why, with file and line.
    AuthRefused,
    /// Packets flow.
    SessionOpen,
    /// A session is over; with `reason`, `duration_s` and `traffic`.
    SessionEnded,
    /// A host that asked for a session got none.
    Refused,
    /// An access interface came, went or changed.
    Interface,
    /// Drain, shutdown, or serving again.
    Service,
    /// The configuration was read again.
    Reload,
    /// The running configuration was changed.
    Config,
    /// A console gave a command that changes something.
    Command,
    /// A function of a hook script was called; `reason` says what came of it.
    Hook,
}

impl EventName {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::SessionStarted,
        Self::AuthAccepted,
        Self::AuthRefused,
        Self::SessionOpen,
        Self::SessionEnded,
        Self::Refused,
        Self::Interface,
        Self::Service,
        Self::Reload,
        Self::Config,
        Self::Command,
        Self::Hook,
    ];

    /// The stable word for tables and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionStarted => "session-started",
            Self::AuthAccepted => "auth-accepted",
            Self::AuthRefused => "auth-refused",
            Self::SessionOpen => "session-open",
            Self::SessionEnded => "session-ended",
            Self::Refused => "refused",
            Self::Interface => "interface",
            Self::Service => "service",
            Self::Reload => "reload",
            Self::Config => "config",
            Self::Command => "command",
            Self::Hook => "hook",
        }
    }
}

/// Which events a console wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFilter {
    /// These kinds; empty for all. At most as many as there are.
    pub names: Vec<EventName>,
    /// Those of these sessions only.
    pub sessions: Option<Selector>,
}

impl EventFilter {
    /// Whether `event` is wanted.
    pub fn matches(&self, event: &Event) -> bool {
        let is_named = self.names.is_empty() || self.names.contains(&event.event);
        let is_selected = match (&self.sessions, &event.session) {
            (None | Some(Selector::All), _) => true,
            (Some(Selector::Interface(name)), None) => event.interface.as_ref() == Some(name),
            (Some(_), None) => false,
            (Some(selector), Some(session)) => session.is_selected(selector),
        };
        is_named && is_selected
    }
}

impl EventSession {
    fn is_selected(&self, selector: &Selector) -> bool {
        // The server writes what can be read.
        let mac = self.mac.parse().unwrap_or(MacAddr([0; 6]));
        selector.selects(&SessionFacts {
            id: self.id,
            ifname: &self.ifname,
            interface: &self.interface,
            username: self.username.as_ref().map(Name::as_bytes),
            mac,
            ip: self.ip,
            service: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NamePattern;

    fn event(event: EventName, session: Option<EventSession>, interface: Option<&str>) -> Event {
        Event {
            seq: 1,
            time_ms: 2,
            event,
            session,
            interface: interface.map(str::to_owned),
            reason: None,
            detail: None,
            duration_s: None,
            traffic: None,
            caller: None,
        }
    }

    #[test]
    fn filters() {
        let session = EventSession {
            id: 7,
            ifname: "ppp0".into(),
            username: Some(Name::new("alice")),
            ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
            mac: "02:00:00:00:00:0a".into(),
            interface: "eth1".into(),
        };
        let open = event(EventName::SessionOpen, Some(session), None);
        let link = event(EventName::Interface, None, Some("eth1"));
        let of = |sessions| EventFilter { names: Vec::new(), sessions };
        for (selector, matches_open, matches_link) in [
            (None, true, true),
            (Some(Selector::All), true, true),
            (Some(Selector::Id(7)), true, false),
            (Some(Selector::Id(8)), false, false),
            (Some(Selector::User(Name::new("alice"))), true, false),
            (Some(Selector::User(Name::new("bob"))), false, false),
            (Some(Selector::Mac([2, 0, 0, 0, 0, 10])), true, false),
            (Some(Selector::Ip(Ipv4Addr::new(10, 0, 0, 3))), false, false),
            (Some(Selector::Interface("ppp0".into())), true, false),
            (Some(Selector::Interface("eth1".into())), true, true),
            (Some(Selector::Pattern(NamePattern::from_text("al*"))), true, false),
            (Some(Selector::Pattern(NamePattern::from_text("bo*"))), false, false),
        ] {
            let filter = of(selector.clone());
            assert_eq!(
                (filter.matches(&open), filter.matches(&link)),
                (matches_open, matches_link),
                "{selector:?}"
            );
        }
        let named = EventFilter { names: vec![EventName::Interface], sessions: None };
        assert_eq!((named.matches(&open), named.matches(&link)), (false, true));
    }

    #[test]
    fn names_in_json_are_the_words() {
        for name in EventName::ALL {
            assert_eq!(serde_json::to_string(&name).unwrap(), format!("{:?}", name.as_str()));
        }
    }
}
