//! The options of one user with their values in words.

use std::borrow::Cow;
use std::fmt::Display;

use ppp_ipc::bytes::ByteCount;
use ppp_wire::escape::Escaped;

use super::{OCTETS_TIMEOUT, OctetDirection, SessionOptions};
use crate::origin::{Origin, Sourced};
use crate::shown::{optional, text};

/// More than this no session agrees to (RFC 4638), in bytes.
const LARGEST_MTU: u16 = 1500;

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownOption {
    /// Its name; `set NAME` for a variable of the environment.
    pub key: Cow<'static, str>,
    /// Its value in words, safe to show; the default where it is not set.
    pub value: String,
    /// Where it was set.
    pub origin: Origin,
}

/// All options in a fixed order. Every field is taken apart here, so that a new one cannot be forgotten.
pub fn shown(options: &SessionOptions) -> Vec<ShownOption> {
    let mut list = List(Vec::new());
    let SessionOptions {
        idle,
        maxconnect,
        maxoctets,
        mo_direction,
        mo_timeout,
        mtu,
        ms_dns,
        ms_wins,
        proxyarp,
        ipparam,
        environment,
        source_check,
        rate_down,
        rate_up,
        rate_burst,
    } = options;
    list.optional("idle", idle, |seconds| limit(*seconds));
    list.optional("maxconnect", maxconnect, |seconds| limit(*seconds));
    list.optional("maxoctets", maxoctets, |bytes| byte_limit(*bytes));
    let direction = |which: &OctetDirection| format!("{which:?}").to_lowercase();
    list.or_default("mo-direction", mo_direction, &OctetDirection::Sum, direction);
    list.or_default("mo-timeout", mo_timeout, &OCTETS_TIMEOUT, ToString::to_string);
    list.or_default("mtu", mtu, &LARGEST_MTU, ToString::to_string);
    for (key, servers) in [("ms-dns", ms_dns), ("ms-wins", ms_wins)] {
        let all: Vec<String> = servers.iter().map(|server| server.value.to_string()).collect();
        let origin = servers.first().map_or(Origin::Default, |server| server.origin.clone());
        list.push(key, optional(Some(all.join(" ")).filter(|all| !all.is_empty())), origin);
    }
    list.or_default("proxyarp", proxyarp, &false, ToString::to_string);
    list.optional("rate-down", rate_down, ToString::to_string);
    list.optional("rate-up", rate_up, ToString::to_string);
    list.optional("rate-burst", rate_burst, |bytes| byte_limit((*bytes).into()));
    list.or_default("nosourcecheck", source_check, &true, |checked| (!checked).to_string());
    list.optional("ipparam", ipparam, |parameter| text(parameter));
    for (name, value) in environment {
        let key = format!("set {}", Escaped(name));
        match value {
            Some(value) => list.push(key, text(&value.value), value.origin.clone()),
            None => list.push(key, "unset", Origin::Default),
        }
    }
    list.0
}

struct List(Vec<ShownOption>);

impl List {
    fn push(&mut self, key: impl Into<Cow<'static, str>>, value: impl Display, origin: Origin) {
        self.0.push(ShownOption { key: key.into(), value: value.to_string(), origin });
    }

    fn optional<T>(&mut self, key: &'static str, setting: &Option<Sourced<T>>, show: impl Fn(&T) -> String) {
        match setting {
            Some(setting) => self.push(key, show(&setting.value), setting.origin.clone()),
            None => self.push(key, "none", Origin::Default),
        }
    }

    /// An option of a session that holds by default as well.
    fn or_default<T>(
        &mut self,
        key: &'static str,
        setting: &Option<Sourced<T>>,
        default: &T,
        show: impl Fn(&T) -> String,
    ) {
        match setting {
            Some(setting) => self.push(key, show(&setting.value), setting.origin.clone()),
            None => self.push(key, show(default), Origin::Default),
        }
    }
}

/// 0 is none.
fn limit(count: u32) -> String {
    optional(Some(count).filter(|count| *count > 0))
}

/// 0 is none.
fn byte_limit(bytes: u64) -> String {
    optional(Some(ByteCount(bytes)).filter(|bytes| bytes.0 > 0))
}
