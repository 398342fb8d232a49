//! Options that hold for the whole server or, after `--` in a secrets file, for one user.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ppp_ipc::rate::BitRate;
use ppp_ipc::worker::Rates;
use ppp_proto::ipcp::NameServers;

use super::parse::{self, UserWord};
use super::{OptionError, OptionNotice};
use crate::origin::Sourced;

/// Options of a session: those of the options files, or those of one user's line in a secrets file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionOptions {
    /// `idle`: seconds without traffic after which the session ends; 0 is never.
    pub idle: Option<Sourced<u32>>,
    /// `maxconnect`: seconds that packets may flow before the session ends; 0 is never.
    pub maxconnect: Option<Sourced<u32>>,
    /// `maxoctets`: bytes that the session may use, and ends with the next one; 0 is any number.
    pub maxoctets: Option<Sourced<u64>>,
    /// `mo-direction`: which bytes count for `maxoctets`.
    pub mo_direction: Option<Sourced<OctetDirection>>,
    /// `mo-timeout`: seconds between two looks at the counters for `maxoctets`.
    pub mo_timeout: Option<Sourced<u32>>,
    /// `mtu`: upper limit of the interface's MTU, in bytes.
    pub mtu: Option<Sourced<u16>>,
    /// `ms-dns`: DNS servers for the peer, primary first. One or two; never more.
    pub ms_dns: Vec<Sourced<Ipv4Addr>>,
    /// `ms-wins`: NetBIOS name servers for the peer, primary first. One or two; never more.
    pub ms_wins: Vec<Sourced<Ipv4Addr>>,
    /// `proxyarp` (true) or `noproxyarp` (false).
    pub proxyarp: Option<Sourced<bool>>,
    /// `rate-down`: limit of the rate to the peer.
    pub rate_down: Option<Sourced<BitRate>>,
    /// `rate-up`: limit of the rate from the peer.
    pub rate_up: Option<Sourced<BitRate>>,
    /// `rate-burst`: bytes that may go at once each way; 0 for what is good for the rate.
    pub rate_burst: Option<Sourced<u32>>,
    /// `nosourcecheck` (false): the worker lets IPv4 packets of any source pass, and leaves it to the kernel to look.
    pub source_check: Option<Sourced<bool>>,
    /// `ipparam`: last argument of the scripts.
    pub ipparam: Option<Sourced<Vec<u8>>>,
    /// `set NAME=value` (some value) and `unset NAME` (no value): environment of the scripts.
    pub environment: BTreeMap<Vec<u8>, Option<Sourced<Vec<u8>>>>,
}

/// `mo-timeout` unless configured, in seconds, as in pppd.
pub const OCTETS_TIMEOUT: u32 = 1;

/// Which bytes count for `maxoctets`. "In" is what the server receives from the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OctetDirection {
    /// Received bytes.
    In,
    /// Whichever of the two is larger.
    Max,
    /// Sent bytes.
    Out,
    /// Both together.
    Sum,
}

impl SessionOptions {
    /// The servers to tell the peer in IPCP. As in pppd, a single one serves as primary and secondary.
    pub fn name_servers(&self) -> NameServers {
        fn pair(list: &[Sourced<Ipv4Addr>]) -> [Option<Ipv4Addr>; 2] {
            [list.first(), list.last()].map(|server| server.map(|server| server.value))
        }
        NameServers { dns: pair(&self.ms_dns), nbns: pair(&self.ms_wins) }
    }

    /// The limits as a worker takes them.
    pub fn rates(&self) -> Rates {
        let rate = |option: &Option<Sourced<BitRate>>| option.as_ref().map_or(0, |rate| rate.value.0);
        Rates {
            down: rate(&self.rate_down),
            up: rate(&self.rate_up),
            burst: self.rate_burst.as_ref().map_or(0, |burst| burst.value),
        }
    }

    /// These options where set, and those of `general` elsewhere. A list (`ms-dns`) replaces the whole list.
    pub fn over(self, general: &Self) -> Self {
        fn list(own: Vec<Sourced<Ipv4Addr>>, general: &[Sourced<Ipv4Addr>]) -> Vec<Sourced<Ipv4Addr>> {
            if own.is_empty() { general.to_vec() } else { own }
        }
        let mut environment = general.environment.clone();
        environment.extend(self.environment);
        Self {
            idle: self.idle.or_else(|| general.idle.clone()),
            maxconnect: self.maxconnect.or_else(|| general.maxconnect.clone()),
            maxoctets: self.maxoctets.or_else(|| general.maxoctets.clone()),
            mo_direction: self.mo_direction.or_else(|| general.mo_direction.clone()),
            mo_timeout: self.mo_timeout.or_else(|| general.mo_timeout.clone()),
            mtu: self.mtu.or_else(|| general.mtu.clone()),
            ms_dns: list(self.ms_dns, &general.ms_dns),
            ms_wins: list(self.ms_wins, &general.ms_wins),
            proxyarp: self.proxyarp.or_else(|| general.proxyarp.clone()),
            rate_down: self.rate_down.or_else(|| general.rate_down.clone()),
            rate_up: self.rate_up.or_else(|| general.rate_up.clone()),
            rate_burst: self.rate_burst.or_else(|| general.rate_burst.clone()),
            source_check: self.source_check.or_else(|| general.source_check.clone()),
            ipparam: self.ipparam.or_else(|| general.ipparam.clone()),
            environment,
        }
    }
}

/// Parses the words after `--` on a user's line.
///
/// Returns what could be used; a word that is unknown, malformed or not for one user is left out and reported.
pub fn parse_user_options(words: &[UserWord<'_>]) -> (SessionOptions, Vec<OptionError>, Vec<OptionNotice>) {
    parse::user_words(words)
}
