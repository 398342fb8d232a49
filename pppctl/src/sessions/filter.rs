//! Which sessions of a list are meant.

use std::{net::Ipv4Addr, str::FromStr};

use clap::Args;
use ppp_ipc::control::{Phase, SessionSummary};
use ppp_ipc::name::{Name, NamePattern};
use regex_lite::Regex;

use crate::command::{name_pattern, values};
use crate::parse::parse_mac;

/// Conditions that a session has to meet, all of them.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Show only sessions of this user; * matches any text, ? one character
    #[arg(long, value_name = values::USER, value_parser = name_pattern())]
    user: Option<NamePattern>,
    /// Show only sessions of this MAC address
    #[arg(long, value_name = values::MAC, value_parser = parse_mac)]
    mac: Option<[u8; 6]>,
    /// Show only sessions with this peer IP address, or in a network such as 10.0.0.0/24
    #[arg(long, value_name = values::IP)]
    ip: Option<Network>,
    /// Show only sessions on this interface (ppp0 or eth1); * and ? as for users
    #[arg(long, value_name = values::IFNAME, value_parser = name_pattern())]
    interface: Option<NamePattern>,
    /// Show only sessions in this state
    #[arg(long, value_name = "STATE", value_parser = phase_parser())]
    state: Option<Phase>,
    /// Show only sessions with a field that matches this regular expression
    #[arg(long = "match", value_name = "PATTERN")]
    pattern: Option<Regex>,
}

const PHASES: [Phase; 6] =
    [Phase::Starting, Phase::Establish, Phase::Authenticate, Phase::Network, Phase::Open, Phase::Terminate];

fn phase_parser() -> impl clap::builder::TypedValueParser<Value = Phase> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(PHASES.map(Phase::as_str)).try_map(|word| {
        PHASES.into_iter().find(|phase| phase.as_str() == word).ok_or("there is no such state")
    })
}

impl Filter {
    /// Whether a session meets all conditions.
    pub(crate) fn matches(&self, session: &SessionSummary) -> bool {
        let Self { user, mac, ip, interface, state, pattern } = self;
        let username = session.username.as_ref();
        user.as_ref().is_none_or(|user| username.is_some_and(|name| user.matches(name.as_bytes())))
            && mac.is_none_or(|mac| parse_mac(&session.mac) == Ok(mac))
            && ip.is_none_or(|network| session.ip.is_some_and(|ip| network.contains(ip)))
            && interface
                .as_ref()
                .is_none_or(|name| name.matches(&session.ifname) || name.matches(&session.interface))
            && state.is_none_or(|state| session.state == state)
            && pattern.as_ref().is_none_or(|pattern| {
                let ip = session.ip.map(|ip| ip.to_string());
                let SessionSummary { ifname, mac, interface, service, .. } = session;
                let mut texts = [ifname, mac, interface].into_iter().chain(&ip);
                let mut names = [Some(service), username].into_iter().flatten().map(Name::to_string);
                texts.any(|text| pattern.is_match(text)) || names.any(|name| pattern.is_match(&name))
            })
    }
}

/// An IPv4 network, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: Ipv4Addr,
    mask: u32,
}

impl Network {
    fn contains(self, address: Ipv4Addr) -> bool {
        (u32::from(address) ^ u32::from(self.address)) & self.mask == 0
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "give an address or a network, such as 10.0.0.2 or 10.0.0.0/24";
        let (address, length) = text.split_once('/').unwrap_or((text, "32"));
        let address = address.parse().map_err(|_| WRONG)?;
        let length: u32 = length.parse().map_err(|_| WRONG)?;
        let host_bits = 32_u32.checked_sub(length).ok_or(WRONG)?;
        Ok(Self { address, mask: u32::MAX.checked_shl(host_bits).unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::output::samples;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        filter: Filter,
    }

    #[test]
    fn conditions() {
        let (open, young) = (samples::summary(1), samples::young(2));
        for (arguments, matches_open, matches_young) in [
            ("", true, true),
            ("--user alice", true, false),
            ("--user al*", true, false),
            ("--user bob", false, false),
            ("--user *", true, false),
            ("--mac 2:0:5E:10:0:1", true, true),
            ("--mac 02:00:5e:10:00:02", false, false),
            ("--ip 10.0.0.2", true, false),
            ("--ip 10.0.0.0/24", true, false),
            ("--ip 10.0.0.0/31", false, false),
            ("--ip 192.0.2.1/0", true, false),
            ("--interface ppp0", true, false),
            ("--interface eth1", true, true),
            ("--interface ppp*", true, true),
            ("--state establish", false, true),
            ("--match ^ppp1$", false, true),
            ("--match 0.2", true, false),
            ("--match 10.0.0.2", true, false),
            ("--user alice --state establish", false, false),
        ] {
            let words = std::iter::once("x").chain(arguments.split_whitespace());
            let filter = Arguments::try_parse_from(words).map(|it| it.filter).unwrap();
            assert_eq!(
                (filter.matches(&open), filter.matches(&young)),
                (matches_open, matches_young),
                "{arguments}"
            );
        }
        for wrong in ["--ip 10.0.0", "--ip 10.0.0.0/33", "--ip 10.0.0.0/", "--state shut", "--match ["] {
            assert!(Arguments::try_parse_from(["x"].into_iter().chain(wrong.split(' '))).is_err(), "{wrong}");
        }
    }
}
