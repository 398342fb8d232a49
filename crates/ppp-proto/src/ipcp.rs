//! The options of the IP Control Protocol (RFC 1332 §3), with name servers (RFC 1877 §1).

use std::net::Ipv4Addr;

use ppp_wire::cp::CpOption;
use ppp_wire::ipcp::IpcpOption;
use ppp_wire::ppp::Protocol;

use crate::negotiation::{Judgement, KindSet, NegotiationFailure, NetworkOptions, OptionSet};

/// Name servers of a link, the primary one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameServers {
    /// DNS servers (RFC 1877 §1.1, §1.3).
    pub dns: [Option<Ipv4Addr>; 2],
    /// NetBIOS name servers (RFC 1877 §1.2, §1.4).
    pub nbns: [Option<Ipv4Addr>; 2],
}

/// Which of the two ends knows the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpcpConfig {
    /// The end that assigns: it has an address, gives one to the peer, and tells it the name servers.
    Assign {
        /// Our address.
        local: Ipv4Addr,
        /// The peer's address; whatever else it asks for is NAKed with this.
        remote: Ipv4Addr,
        /// What the peer is told if it asks; what it asks for beyond that is rejected.
        name_servers: NameServers,
    },
    /// The end that asks for its address and for DNS servers, and takes the peer's address as the peer says.
    Request,
}

/// What IPCP agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpcpNegotiated {
    /// Our address.
    pub local: Ipv4Addr,
    /// The peer's address; 0.0.0.0 if the peer assigned ours without telling its own.
    pub remote: Ipv4Addr,
    /// Of the assigning end: the name servers that the peer asked for and agreed to.
    /// Of the asking end: those that it was told.
    pub name_servers: NameServers,
}

/// Wishes and grants of IPCP. Header compression and the deprecated IP-Addresses option are rejected.
#[derive(Debug)]
pub(crate) struct IpcpOptions {
    config: IpcpConfig,

    /// Address that we ask for; `None` once the peer rejected the option.
    local: Option<Ipv4Addr>,
    /// DNS servers that we ask for, each until the peer rejects it.
    dns: [Option<Ipv4Addr>; 2],

    /// Address that the peer asked for.
    peer: Option<Ipv4Addr>,
    /// Name servers that the peer asked for and was granted.
    granted: NameServers,
}

impl IpcpOptions {
    pub(crate) fn new(config: IpcpConfig) -> Self {
        Self { config, local: None, dns: [None; 2], peer: None, granted: NameServers::default() }
    }

    fn judge_address(&mut self, asked: Ipv4Addr, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error> {
        match self.config {
            IpcpConfig::Assign { remote, .. } if asked != remote => {
                IpcpOption::IpAddress(remote).emit(nak)?;
                Ok(Judgement::Nak)
            }
            // It wants an address from us, and so do we from it.
            IpcpConfig::Request if asked.is_unspecified() => Ok(Judgement::Reject),
            IpcpConfig::Assign { .. } | IpcpConfig::Request => {
                self.peer = Some(asked);
                Ok(Judgement::Ack)
            }
        }
    }

    /// Name servers that we can tell the peer.
    fn offer(&self) -> NameServers {
        match self.config {
            IpcpConfig::Assign { name_servers, .. } => name_servers,
            IpcpConfig::Request => NameServers::default(),
        }
    }
}

impl OptionSet for IpcpOptions {
    const PROTOCOL: Protocol = Protocol::Ipcp;

    fn restart(&mut self) {
        match self.config {
            IpcpConfig::Assign { local, .. } => self.local = Some(local),
            IpcpConfig::Request => {
                self.local = Some(Ipv4Addr::UNSPECIFIED);
                self.dns = [Some(Ipv4Addr::UNSPECIFIED); 2];
            }
        }
    }

    fn write_request(&self, out: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        let [primary, secondary] = self.dns;
        [
            self.local.map(IpcpOption::IpAddress),
            primary.map(IpcpOption::PrimaryDns),
            secondary.map(IpcpOption::SecondaryDns),
        ]
        .into_iter()
        .flatten()
        .try_for_each(|option| option.emit(out))
    }

    fn begin_peer_request(&mut self) {
        self.peer = None;
        self.granted = NameServers::default();
    }

    fn judge(&mut self, option: CpOption<'_>, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error> {
        let Ok(option) = IpcpOption::parse(option) else { return Ok(Judgement::Reject) };
        let offer = self.offer();
        match option {
            IpcpOption::IpAddress(asked) => self.judge_address(asked, nak),
            IpcpOption::PrimaryDns(asked) => {
                judge_server(asked, offer.dns[0], &mut self.granted.dns[0], IpcpOption::PrimaryDns, nak)
            }
            IpcpOption::SecondaryDns(asked) => {
                judge_server(asked, offer.dns[1], &mut self.granted.dns[1], IpcpOption::SecondaryDns, nak)
            }
            IpcpOption::PrimaryNbns(asked) => {
                judge_server(asked, offer.nbns[0], &mut self.granted.nbns[0], IpcpOption::PrimaryNbns, nak)
            }
            IpcpOption::SecondaryNbns(asked) => {
                judge_server(asked, offer.nbns[1], &mut self.granted.nbns[1], IpcpOption::SecondaryNbns, nak)
            }
            IpcpOption::IpAddresses { .. } | IpcpOption::IpCompression { .. } | IpcpOption::Unknown(_) => {
                Ok(Judgement::Reject)
            }
        }
    }

    /// A peer that asks for no address is told the one it should ask for (RFC 1332 §3.3).
    fn append_missing(&self, seen: &KindSet, nak: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        if let IpcpConfig::Assign { remote, .. } = self.config {
            let option = IpcpOption::IpAddress(remote);
            if !seen.contains(option.kind()) {
                option.emit(nak)?;
            }
        }
        Ok(())
    }

    fn naked(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        if self.config != IpcpConfig::Request {
            // Our address is what the configuration says, whatever the peer would like better.
            return Ok(());
        }
        match IpcpOption::parse(option) {
            Ok(IpcpOption::IpAddress(address)) if self.local.is_some() => self.local = Some(address),
            Ok(IpcpOption::PrimaryDns(address)) if self.dns[0].is_some() => self.dns[0] = Some(address),
            Ok(IpcpOption::SecondaryDns(address)) if self.dns[1].is_some() => self.dns[1] = Some(address),
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    fn rejected(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        match IpcpOption::parse(option) {
            Ok(IpcpOption::IpAddress(_)) => self.local = None,
            Ok(IpcpOption::PrimaryDns(_)) => self.dns[0] = None,
            Ok(IpcpOption::SecondaryDns(_)) => self.dns[1] = None,
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }
}

impl NetworkOptions for IpcpOptions {
    type Negotiated = IpcpNegotiated;

    fn negotiated(&self) -> Result<Self::Negotiated, NegotiationFailure> {
        match self.config {
            // A peer that asks for no address gets the packets for its own all the same.
            IpcpConfig::Assign { local, remote, .. } => {
                Ok(IpcpNegotiated { local, remote, name_servers: self.granted })
            }
            IpcpConfig::Request => {
                let local = self.local.filter(|address| !address.is_unspecified());
                let dns = self.dns.map(|address| address.filter(|address| !address.is_unspecified()));
                Ok(IpcpNegotiated {
                    local: local.ok_or(NegotiationFailure::NoAddress)?,
                    remote: self.peer.unwrap_or(Ipv4Addr::UNSPECIFIED),
                    name_servers: NameServers { dns, nbns: [None; 2] },
                })
            }
        }
    }
}

fn judge_server(
    asked: Ipv4Addr,
    offer: Option<Ipv4Addr>,
    granted: &mut Option<Ipv4Addr>,
    option: fn(Ipv4Addr) -> IpcpOption<'static>,
    nak: &mut Vec<u8>,
) -> Result<Judgement, ppp_wire::Error> {
    let Some(server) = offer else { return Ok(Judgement::Reject) };
    if asked == server {
        *granted = Some(server);
        return Ok(Judgement::Ack);
    }
    option(server).emit(nak)?;
    Ok(Judgement::Nak)
}

#[cfg(test)]
mod tests;
