//! pppd's options files, as far as they mean anything to a PPPoE server.
//!
//! `/etc/ppp/options` is read first, then the file of `-O`, as with pppoe-server and pppd; a later line overrides an
//! earlier one. Every option that pppd knows has a row in `table`, which tells whether it is implemented, accepted
//! without effect (and why), or refused (and why).

mod about;
mod assign;
mod error;
mod info;
mod parse;
mod plugin;
mod session;
mod shown;
mod table;
mod value;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

pub use about::{About, OPTIONS};
pub use assign::{
    OptionKind, auth_method, auth_word, check_kind, is_accepted, is_session_option, kind_of, nearest_option,
    option_group, overridden_groups, session_options,
};
pub use error::{OptionError, OptionNotice, ValueError};
pub use info::{OptionInfo, OptionUse, all_options};
pub use parse::{Applied, Presence, Reader, UserWord};
pub use session::{OCTETS_TIMEOUT, OctetDirection, SessionOptions, parse_user_options};
pub use shown::{ShownOption, shown};
pub use value::number_in_c;

use crate::origin::{Origin, Sourced};

/// The options of all files read, in pppd's own terms. `None` and empty mean: not set in any file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PppOptions {
    /// `auth` (true) or `noauth` (false), whichever came last.
    pub auth: Option<Sourced<bool>>,
    /// `require-pap`.
    pub require_pap: Option<Origin>,
    /// `require-chap`.
    pub require_chap: Option<Origin>,
    /// `login`: has no effect but a warning. PAP uses pap-secrets alone.
    pub login: Option<Origin>,
    /// `papcrypt`: secrets in pap-secrets are hashes only, never plain text.
    pub papcrypt: Option<Origin>,
    /// `name`: our name, matched against the server column of the secrets files and sent in CHAP challenges.
    pub name: Option<Sourced<Vec<u8>>>,
    /// `usehostname`: our name is the host name, whatever `name` says.
    pub usehostname: Option<Origin>,
    /// `domain`: appended to the host name where that serves as our name.
    pub domain: Option<Sourced<Vec<u8>>>,
    /// `chap-secrets`: path of the CHAP secrets file.
    pub chap_secrets: Option<Sourced<PathBuf>>,
    /// `pap-secrets`: path of the PAP secrets file.
    pub pap_secrets: Option<Sourced<PathBuf>>,
    /// `mru`: the largest packet we offer to receive, in bytes.
    pub mru: Option<Sourced<u16>>,
    /// `lcp-restart`, `lcp-max-configure`, `lcp-max-terminate`, `lcp-max-failure`.
    pub lcp: FsmOptions,
    /// `ipcp-restart` and so on.
    pub ipcp: FsmOptions,
    /// `ipv6cp-restart` and so on.
    pub ipv6cp: FsmOptions,
    /// `lcp-echo-interval`, in seconds; 0 is off.
    pub lcp_echo_interval: Option<Sourced<u32>>,
    /// `lcp-echo-failure`: unanswered echoes after which the line is dead; 0 is never.
    pub lcp_echo_failure: Option<Sourced<u32>>,
    /// `lcp-echo-adaptive`: no echo while packets come in.
    pub lcp_echo_adaptive: Option<Origin>,
    /// `chap-restart`, in seconds.
    pub chap_restart: Option<Sourced<u32>>,
    /// `chap-max-challenge`: how often an unanswered challenge is sent.
    pub chap_max_challenge: Option<Sourced<u32>>,
    /// `chap-interval`: seconds between re-challenges; 0 is never.
    pub chap_interval: Option<Sourced<u32>>,
    /// `pap-timeout`: seconds that the peer has to authenticate itself with PAP; 0 is no limit of its own.
    pub pap_timeout: Option<Sourced<u32>>,
    /// Local part of a `local:remote` word. Used where `-L` is 0.0.0.0.
    pub local_address: Option<Sourced<Ipv4Addr>>,
    /// Remote part of a `local:remote` word. Used where `-R` is 0.0.0.0.
    pub remote_address: Option<Sourced<Ipv4Addr>>,
    /// `+ipv6` or `ipv6 …` (true), `noipv6` (false).
    pub ipv6: Option<Sourced<bool>>,
    /// Our interface identifier, from `ipv6 LOCAL,REMOTE`.
    pub ipv6_local_id: Option<Sourced<u64>>,
    /// The peer's interface identifier, from `ipv6 LOCAL,REMOTE`.
    pub ipv6_remote_id: Option<Sourced<u64>>,
    /// `ip-up-script` and its kin. Hooks find them in the session's table.
    pub scripts: BTreeMap<Script, Sourced<PathBuf>>,
    /// `logfile`.
    pub logfile: Option<Sourced<PathBuf>>,
    /// `debug`, and how often it was given.
    pub debug: Option<Sourced<u32>>,
    /// Options that may also be given for one user in the secrets files.
    pub session: SessionOptions,
}

/// The counters and the Restart timer of one RFC 1661 automaton (section 4.6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FsmOptions {
    /// Seconds between retransmissions.
    pub restart: Option<Sourced<u32>>,
    /// Configure-Requests sent without an answer before giving up.
    pub max_configure: Option<Sourced<u32>>,
    /// Terminate-Requests sent without an answer before giving up.
    pub max_terminate: Option<Sourced<u32>>,
    /// Configure-Naks sent before options are rejected instead.
    pub max_failure: Option<Sourced<u32>>,
}

/// A script that pppd runs at some point of a session, and that the hook `compat.lua` runs likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// `auth-down-script`
    AuthDown,
    /// `auth-up-script`
    AuthUp,
    /// `ip-down-script`
    IpDown,
    /// `ip-pre-up-script`
    IpPreUp,
    /// `ip-up-script`
    IpUp,
    /// `ipv6-down-script`
    Ipv6Down,
    /// `ipv6-up-script`
    Ipv6Up,
}

impl Script {
    /// Name of the file in `/etc/ppp`: the option without `-script`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthDown => "auth-down",
            Self::AuthUp => "auth-up",
            Self::IpDown => "ip-down",
            Self::IpPreUp => "ip-pre-up",
            Self::IpUp => "ip-up",
            Self::Ipv6Down => "ipv6-down",
            Self::Ipv6Up => "ipv6-up",
        }
    }
}

/// How a peer may prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethods {
    /// It need not (`noauth`).
    None,
    /// CHAP with MD5 only (`require-chap`).
    Chap,
    /// PAP only (`require-pap`).
    Pap,
    /// CHAP is asked for first; a peer that answers with a Configure-Nak for PAP gets PAP.
    ChapThenPap,
}

impl PppOptions {
    /// The authentication that the options ask for.
    ///
    /// With none of the options given pppd, run by root, lets everybody in. This server does not: it then asks for
    /// CHAP or PAP. Only `noauth` switches authentication off, and only if no `require-*` is given.
    pub fn auth_methods(&self) -> Sourced<AuthMethods> {
        let (methods, origin) = match (&self.require_chap, &self.require_pap, &self.auth) {
            (Some(origin), Some(_), _) => (AuthMethods::ChapThenPap, origin.clone()),
            (Some(origin), None, _) => (AuthMethods::Chap, origin.clone()),
            (None, Some(origin), _) => (AuthMethods::Pap, origin.clone()),
            (None, None, Some(auth)) if auth.value => (AuthMethods::ChapThenPap, auth.origin.clone()),
            (None, None, Some(noauth)) => (AuthMethods::None, noauth.origin.clone()),
            (None, None, None) => (AuthMethods::ChapThenPap, Origin::Default),
        };
        Sourced::new(methods, origin)
    }
}

#[cfg(test)]
mod tests;
