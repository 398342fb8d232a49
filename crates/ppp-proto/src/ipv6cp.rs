//! The options of the IPv6 Control Protocol (RFC 5072 §4).

use ppp_wire::cp::CpOption;
use ppp_wire::ipv6cp::Ipv6cpOption;
use ppp_wire::ppp::Protocol;

use crate::negotiation::{Judgement, KindSet, NegotiationFailure, NetworkOptions, OptionSet};
use crate::numbers::NumberSource;

/// Interface-Identifier of one end: the low 64 bits of its link-local address.
pub type InterfaceIdentifier = [u8; 8];

const NONE: InterfaceIdentifier = [0; 8];

/// What IPV6CP asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ipv6cpConfig {
    /// Our Interface-Identifier; a random one if `None`.
    pub local: Option<InterfaceIdentifier>,
    /// The peer's Interface-Identifier; if `None` it may have any but ours.
    pub remote: Option<InterfaceIdentifier>,
}

/// What IPV6CP agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6cpNegotiated {
    /// Our Interface-Identifier.
    pub local: InterfaceIdentifier,
    /// The peer's Interface-Identifier.
    pub remote: InterfaceIdentifier,
}

/// Wishes and grants of IPV6CP.
#[derive(Debug)]
pub(crate) struct Ipv6cpOptions {
    config: Ipv6cpConfig,
    numbers: NumberSource,
    local: Option<InterfaceIdentifier>,
    peer: InterfaceIdentifier,
    /// What we suggest to a peer without a usable identifier: the same one each time it asks.
    suggestion: InterfaceIdentifier,
}

impl Ipv6cpOptions {
    pub(crate) fn new(config: Ipv6cpConfig, mut numbers: NumberSource) -> Self {
        let suggestion = config.remote.unwrap_or_else(|| numbers.interface_identifier());
        Self { config, numbers, local: None, peer: NONE, suggestion }
    }

    fn is_acceptable(&self, identifier: InterfaceIdentifier) -> bool {
        identifier != NONE
            && Some(identifier) != self.local
            && self.config.remote.is_none_or(|remote| remote == identifier)
    }
}

impl OptionSet for Ipv6cpOptions {
    const PROTOCOL: Protocol = Protocol::Ipv6cp;

    fn restart(&mut self) {
        self.local = Some(self.config.local.unwrap_or_else(|| self.numbers.interface_identifier()));
    }

    fn write_request(&self, out: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        self.local.map_or(Ok(()), |local| Ipv6cpOption::InterfaceIdentifier(local).emit(out))
    }

    fn begin_peer_request(&mut self) {
        self.peer = NONE;
    }

    fn judge(&mut self, option: CpOption<'_>, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error> {
        match Ipv6cpOption::parse(option) {
            Ok(Ipv6cpOption::InterfaceIdentifier(identifier)) if self.is_acceptable(identifier) => {
                self.peer = identifier;
                Ok(Judgement::Ack)
            }
            // Zero on both sides cannot be settled (RFC 5072 §4.1).
            Ok(Ipv6cpOption::InterfaceIdentifier(NONE)) if self.local == Some(NONE) => Ok(Judgement::Reject),
            Ok(Ipv6cpOption::InterfaceIdentifier(_)) => {
                if Some(self.suggestion) == self.local && self.config.remote.is_none() {
                    self.suggestion = self.numbers.interface_identifier();
                }
                Ipv6cpOption::InterfaceIdentifier(self.suggestion).emit(nak)?;
                Ok(Judgement::Nak)
            }
            Ok(Ipv6cpOption::Unknown(_)) | Err(_) => Ok(Judgement::Reject),
        }
    }

    fn append_missing(&self, seen: &KindSet, nak: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        let option = Ipv6cpOption::InterfaceIdentifier(self.suggestion);
        if seen.contains(option.kind()) { Ok(()) } else { option.emit(nak) }
    }

    /// The peer's suggestion is taken, unless our identifier was configured and differs from the peer's own.
    fn naked(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        if let Ok(Ipv6cpOption::InterfaceIdentifier(suggested)) = Ipv6cpOption::parse(option)
            && self.config.local.is_none()
            && self.local.is_some()
        {
            let usable = suggested != NONE && suggested != self.peer;
            self.local = Some(if usable { suggested } else { self.numbers.interface_identifier() });
        }
        Ok(())
    }

    fn rejected(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        if let Ok(Ipv6cpOption::InterfaceIdentifier(_)) = Ipv6cpOption::parse(option) {
            self.local = None;
        }
        Ok(())
    }
}

impl NetworkOptions for Ipv6cpOptions {
    type Negotiated = Ipv6cpNegotiated;

    fn negotiated(&self) -> Result<Self::Negotiated, NegotiationFailure> {
        match self.local {
            Some(local) if local != NONE && self.peer != NONE && local != self.peer => {
                Ok(Ipv6cpNegotiated { local, remote: self.peer })
            }
            _ => Err(NegotiationFailure::NoAddress),
        }
    }
}

#[cfg(test)]
mod tests;
