//! What a console may put in place of a session's fields to try a hook (`hooks run --set`).
//!
//! Scripts run as root, and hand fields on to programs. Members of the control group are not root, so that from them a field can
//! only have what a session could have: a text that peers choose themselves, an address, a number. What only root says of a
//! session in his files (`ipparam`, variables, paths of scripts) can only root say here.

use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_ipc::hooks::Value;
use ppp_ipc::name::Name;
use ppp_ipc::policy::{MAX_TEXT, MAX_VALUES};
use ppp_ipc::reason::EndReason;
use ppp_wire::MacAddr;
use ppp_wire::escape::Escaped;
use ppp_wire::if_name::IfName;
use pppoed_config::spelling::{did_you_mean, nearest};

use super::hook_fields::synonyms;

/// Bytes of a user name in PAP (RFC 1334 §2.2.1), the longest text that a peer chooses.
const MAX_PEER_TEXT: usize = 255;

/// What a field can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Bytes that peers choose.
    Text,
    Number,
    Boolean,
    Ipv4,
    Ipv6,
    Mac,
    Interface,
    /// As `sid` is: hexadecimal digits.
    Hexadecimal,
    /// Why a session ended.
    Reason,
    /// One of these.
    Word(&'static [&'static str]),
    /// What root says in files.
    Roots,
}

/// Each field by the first of its names.
const FIELDS: &[(Kind, &[&str])] = &[
    (Kind::Text, &["username", "service", "host_uniq", "circuit_id", "remote_id", "detail"]),
    (
        Kind::Number,
        &[
            "id",
            "ifindex",
            "unit",
            "worker_pid",
            "speed",
            "orig_uid",
            "started",
            "uptime",
            "connect_time",
            "bytes_rcvd",
            "packets_rcvd",
            "bytes_sent",
            "packets_sent",
            "mtu",
            "mru",
            "peer_mru",
            "max_payload",
            "rate_down",
            "rate_up",
            "session_timeout",
            "idle_timeout",
            "quota",
            "sessions",
            "pid",
        ],
    ),
    (Kind::Boolean, &["ipv4_open", "ipv6_open", "adopted"]),
    (Kind::Ipv4, &["iplocal", "ipremote", "dns1", "dns2", "wins1", "wins2"]),
    (Kind::Ipv6, &["lllocal", "llremote"]),
    (Kind::Mac, &["mac", "own_mac"]),
    (Kind::Interface, &["ifname", "interface"]),
    (Kind::Hexadecimal, &["sid"]),
    (Kind::Reason, &["reason"]),
    (Kind::Word(&["starting", "establish", "authenticate", "network", "open", "terminate"]), &["state"]),
    (Kind::Word(&["pap", "chap-md5", "none"]), &["auth_method"]),
    (
        Kind::Roots,
        &[
            "acname",
            "ac_name",
            "ctrl_type",
            "env",
            "interfaces",
            "ipparam",
            "pool",
            "ppplogname",
            "scripts",
            "secret_origin",
            "version",
        ],
    ),
];

/// The values that a console of this user wants fields to have.
///
/// # Errors
/// Which field cannot have its value, or cannot be set, and why; safe to print.
pub(super) fn values(fields: &[(String, Name)], uid: u32) -> Result<Vec<(&str, Value)>, String> {
    if fields.len() > MAX_VALUES {
        return Err(format!("{} fields exceed the maximum of {MAX_VALUES}", fields.len()));
    }
    fields
        .iter()
        .map(|(field, bytes)| match value(field, bytes.as_bytes(), uid == 0) {
            Ok(value) => Ok((field.as_str(), value)),
            Err(why) => Err(format!("{}: {why}", Escaped(field.as_bytes()))),
        })
        .collect()
}

fn value(field: &str, bytes: &[u8], is_root: bool) -> Result<Value, String> {
    if bytes.len() > MAX_TEXT {
        return Err(format!("{} bytes exceed the maximum of {MAX_TEXT}", bytes.len()));
    }
    let text = std::str::from_utf8(bytes);
    let name = *synonyms(field).first().unwrap_or(&field);
    let kind = FIELDS.iter().find(|(_, names)| names.contains(&name)).map(|(kind, _)| *kind);
    match kind {
        None | Some(Kind::Roots) if is_root => {
            Ok(text.map_or_else(|_| Value::Bytes(bytes.to_vec()), of_any_kind))
        }
        None => Err(format!("there is no such field{}", hint(name))),
        Some(Kind::Roots) => {
            Err("it reaches scripts that run as root, as files of root say it: only root can set it here"
                .into())
        }
        Some(Kind::Text) if bytes.len() <= MAX_PEER_TEXT => Ok(Value::Bytes(bytes.to_vec())),
        Some(kind) => kind.read(text.map_err(|_| "expected UTF-8")?),
    }
}

fn hint(name: &str) -> String {
    let all = FIELDS.iter().flat_map(|(_, names)| names.iter().copied());
    did_you_mean(nearest(name, all))
}

/// What root writes is taken as it looks.
fn of_any_kind(text: &str) -> Value {
    match text.parse::<i64>() {
        Ok(number) => Value::Integer(number),
        Err(_) if text == "true" || text == "false" => Value::Boolean(text == "true"),
        Err(_) => Value::Bytes(text.as_bytes().to_vec()),
    }
}

impl Kind {
    fn read(self, text: &str) -> Result<Value, String> {
        let bytes = || Value::Bytes(text.as_bytes().to_vec());
        let word = |is_good: bool, expected: &str| match is_good {
            true => Ok(bytes()),
            false => Err(format!("expected {expected}")),
        };
        match self {
            Self::Text => word(text.len() <= MAX_PEER_TEXT, "at most 255 bytes"),
            Self::Number => match text.parse::<i64>() {
                Ok(number) if number >= 0 => Ok(Value::Integer(number)),
                _ => Err("expected a number of at least 0".into()),
            },
            Self::Boolean => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err("expected true or false".into()),
            },
            Self::Ipv4 => word(text.parse::<Ipv4Addr>().is_ok(), "an IPv4 address"),
            Self::Ipv6 => word(text.parse::<Ipv6Addr>().is_ok(), "an IPv6 address"),
            Self::Mac => word(text.parse::<MacAddr>().is_ok(), "a MAC address"),
            // The kernel would take `$(reboot)` as well.
            Self::Interface => {
                let is_plain =
                    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
                word(is_plain && text.parse::<IfName>().is_ok(), "the name of an interface")
            }
            Self::Hexadecimal => {
                let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
                word(digits && (1..=32).contains(&text.len()), "up to 32 hexadecimal digits")
            }
            Self::Reason => word(EndReason::from_word(text).is_some(), "why a session ends, such as admin"),
            Self::Word(words) => word(words.contains(&text), &words.join(", ")),
            Self::Roots => Err("only root can set it".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBER: u32 = 1000;

    fn set(field: &str, text: &str, uid: u32) -> Result<Value, String> {
        let fields = [(field.to_owned(), Name::new(text))];
        values(&fields, uid).map(|mut values| values.remove(0).1)
    }

    #[test]
    fn a_member_of_the_control_group_sets_what_sessions_can_have() {
        for (field, text, expected) in [
            ("username", "$(reboot)", Value::Bytes(b"$(reboot)".to_vec())),
            ("user", "7", Value::Bytes(b"7".to_vec())),
            ("id", "7", Value::Integer(7)),
            ("ipv4_open", "false", Value::Boolean(false)),
            ("remote_address", "192.0.2.7", Value::Bytes(b"192.0.2.7".to_vec())),
            ("reason", "echo-lost", Value::Bytes(b"echo-lost".to_vec())),
            ("mac", "02:00:00:00:00:01", Value::Bytes(b"02:00:00:00:00:01".to_vec())),
        ] {
            assert_eq!(set(field, text, MEMBER), Ok(expected), "{field}");
        }
        for (field, text) in [
            ("ipremote", "192.0.2.7; reboot"),
            ("llremote", "x"),
            ("mac", "x"),
            ("ifname", "a/b"),
            ("ifname", "$(reboot)"),
            ("tty", "two words"),
            ("sid", "../../etc"),
            ("state", "x"),
            ("reason", "x"),
            ("mtu", "-1"),
            ("adopted", "1"),
        ] {
            assert!(set(field, text, MEMBER).unwrap_err().contains("expected"), "{field}");
        }
        assert_eq!(
            set("user_name", "x", MEMBER).unwrap_err(),
            "user_name: there is no such field (did you mean \"username\"?)"
        );
        assert!(set("username", &"x".repeat(256), MEMBER).is_err());
        assert!(set("username", &"x".repeat(257), 0).is_err());
        assert!(values(&vec![("id".to_owned(), Name::new("1")); 33], 0).is_err());
    }

    #[test]
    fn what_files_of_root_say_only_root_can_set() {
        for field in ["ipparam", "env", "scripts", "pool", "acname", "ppplogname"] {
            let why = set(field, "x", MEMBER).unwrap_err();
            assert!(why.ends_with("only root can set it here"), "{why}");
            assert_eq!(set(field, "x", 0), Ok(Value::Bytes(b"x".to_vec())));
        }
        // As pppd's policy of consoles has it.
        for option in ["ipparam", "set", "unset"] {
            assert!(pppoed_config::policy::check_option(option).is_err());
            assert!(set(option, "x", MEMBER).is_err());
        }
    }
}
