//! Packets of the peer: which phase takes which protocol (RFC 1661 §3.4 to §3.7).

use std::time::Instant;

use ppp_wire::cp::{self, CpPacket};
use ppp_wire::lcp::{Code, CodeReject, ProtocolReject};
use ppp_wire::ppp::{Protocol, split_protocol};

use super::event::{CloseReason, Phase};
use super::{Authenticatee, Authenticator, Link};
use crate::negotiation::{Automaton, Discard, Io, NegotiationFailure, OptionSet, Outcome};

impl Link {
    /// Takes a packet, and counts it if it had no effect.
    pub(super) fn dispatch(&mut self, packet: &[u8], now: Instant) {
        let result = split_protocol(packet)
            .map_err(Discard::from)
            .and_then(|(protocol, information)| self.take(protocol, information, now));
        match result {
            Ok(()) => {}
            Err(Discard::Malformed(_)) => self.drops.malformed += 1,
            Err(Discard::Unmatched) => self.drops.unmatched += 1,
            Err(Discard::Unexpected) => self.drops.unexpected += 1,
        }
    }

    fn take(&mut self, protocol: Protocol, information: &[u8], now: Instant) -> Result<(), Discard> {
        self.echo.heard(now);
        match (self.phase, protocol) {
            (Phase::Dead, _) => Err(Discard::Unexpected),
            (_, Protocol::Lcp) => self.lcp_packet(CpPacket::new_checked(information)?, now),
            (Phase::Establish | Phase::Terminate, _) => Err(Discard::Unexpected),
            (Phase::Authenticate | Phase::Network, Protocol::Pap) => self.pap_packet(information, now),
            (Phase::Authenticate | Phase::Network, Protocol::Chap) => self.chap_packet(information, now),
            // "All other packets received during this phase MUST be silently discarded" (RFC 1661 §3.5).
            (Phase::Authenticate, _) => Err(Discard::Unexpected),
            (Phase::Network, _) => self.network_packet(protocol, information, now),
        }
    }

    fn lcp_packet(&mut self, packet: CpPacket<'_>, now: Instant) -> Result<(), Discard> {
        let code = Code::from(packet.code());
        if !std::mem::replace(&mut self.peer_is_there, true) && code == Code::ConfigureRequest {
            // pppd, and with it most routers, needs some milliseconds from the PADS until it listens. Without
            // this, their sessions would open one Restart period (3 s) later.
            self.lcp.repeat_request(&mut self.io.at(now));
        }
        match code {
            Code::ProtocolReject => self.protocol_reject(ProtocolReject::parse(packet.data())?, now),
            Code::EchoRequest => self.lcp.echo_request(packet, &mut self.io.at(now)),
            Code::EchoReply if !self.lcp.is_opened() => Err(Discard::Unexpected),
            Code::EchoReply => {
                if self.lcp.is_echo_of_peer(packet)? {
                    self.echo.answered();
                }
                Ok(())
            }
            // To be thrown away, or for people only (RFC 1661 §5.9, RFC 1570 §2).
            Code::DiscardRequest | Code::Identification | Code::TimeRemaining => Ok(()),
            Code::TerminateRequest => self.terminate_request(packet, now),
            Code::CodeReject => self.code_reject(packet, now),
            Code::ConfigureRequest
            | Code::ConfigureAck
            | Code::ConfigureNak
            | Code::ConfigureReject
            | Code::TerminateAck
            | Code::Unknown(_) => {
                let outcome = self.lcp.handle(packet, &mut self.io.at(now))?;
                self.on_lcp(outcome, now);
                Ok(())
            }
        }
    }

    /// A link that the peer terminates is over: on PPPoE no new one starts in the same session (RFC 2516 §7).
    /// Out of Opened, the automaton waits one Restart period for the peer to go; else we close as well.
    fn terminate_request(&mut self, packet: CpPacket<'_>, now: Instant) -> Result<(), Discard> {
        let outcome = self.lcp.handle(packet, &mut self.io.at(now))?;
        self.close_reason.get_or_insert(CloseReason::PeerTerminated);
        self.on_lcp(outcome, now);
        self.close_because(CloseReason::PeerTerminated, now);
        Ok(())
    }

    fn code_reject(&mut self, packet: CpPacket<'_>, now: Instant) -> Result<(), Discard> {
        let rejected = CodeReject::parse(packet.data())?;
        if Code::from(rejected.rejected_code) == Code::EchoRequest {
            self.echo.disable();
        }
        let catastrophic = !matches!(cp::Code::from(rejected.rejected_code), cp::Code::Unknown(_));
        let outcome = self.lcp.handle(packet, &mut self.io.at(now))?;
        if catastrophic {
            self.close_reason.get_or_insert(CloseReason::LcpFailed(NegotiationFailure::Rejected));
        }
        self.on_lcp(outcome, now);
        Ok(())
    }

    /// "Protocol-Reject packets can only be sent in the LCP Opened state" (RFC 1661 §5.7).
    fn protocol_reject(&mut self, reject: ProtocolReject<'_>, now: Instant) -> Result<(), Discard> {
        if !self.lcp.is_opened() {
            return Err(Discard::Unexpected);
        }
        match reject.rejected_protocol {
            Protocol::Lcp => {
                self.close_reason.get_or_insert(CloseReason::LcpFailed(NegotiationFailure::Rejected));
                let outcome = self.lcp.reject_received(true, &mut self.io.at(now));
                self.on_lcp(outcome, now);
            }
            Protocol::Pap | Protocol::Chap if self.proofs_missing.any() => {
                self.close_because(CloseReason::LcpFailed(self.lcp.options.refusal()), now);
            }
            Protocol::Ipcp => self.with_ipcp(now, protocol_rejected),
            Protocol::Ipv6cp => self.with_ipv6cp(now, protocol_rejected),
            _ => {
                let outcome = self.lcp.reject_received(false, &mut self.io.at(now));
                self.on_lcp(outcome, now);
            }
        }
        Ok(())
    }

    fn pap_packet(&mut self, information: &[u8], now: Instant) -> Result<(), Discard> {
        use ppp_wire::pap::Packet;
        let packet = Packet::parse(information)?;
        let mut io = self.io.at(now);
        match packet {
            Packet::AuthenticateRequest { .. } => {
                let Some(Authenticator::Pap(pap)) = &mut self.authenticator else {
                    return Err(Discard::Unexpected);
                };
                let effect = pap.handle(packet, &mut io)?;
                self.on_authenticator(effect, now);
            }
            Packet::AuthenticateAck { .. } | Packet::AuthenticateNak { .. } => {
                let Some(Authenticatee::Pap(pap)) = &mut self.authenticatee else {
                    return Err(Discard::Unexpected);
                };
                let effect = pap.handle(packet, &mut io)?;
                self.on_authenticatee(effect, now);
            }
        }
        Ok(())
    }

    fn chap_packet(&mut self, information: &[u8], now: Instant) -> Result<(), Discard> {
        use ppp_wire::chap::Packet;
        let packet = Packet::parse(information)?;
        let mut io = self.io.at(now);
        match packet {
            Packet::Response { .. } => {
                let Some(Authenticator::Chap(chap)) = &mut self.authenticator else {
                    return Err(Discard::Unexpected);
                };
                let effect = chap.handle(packet, &mut io)?;
                self.on_authenticator(effect, now);
            }
            Packet::Challenge { .. } | Packet::Success { .. } | Packet::Failure { .. } => {
                let Some(Authenticatee::Chap(chap)) = &mut self.authenticatee else {
                    return Err(Discard::Unexpected);
                };
                let effect = chap.handle(packet, &mut io)?;
                self.on_authenticatee(effect, now);
            }
        }
        Ok(())
    }

    fn network_packet(
        &mut self,
        protocol: Protocol,
        information: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        match protocol {
            Protocol::Ipcp if self.ipcp.is_some() => {
                let packet = CpPacket::new_checked(information)?;
                let mut discarded = Ok(());
                self.with_ipcp(now, |ipcp, io| keep_discard(ipcp, packet, io, &mut discarded));
                discarded
            }
            Protocol::Ipv6cp if self.ipv6cp.is_some() => {
                let packet = CpPacket::new_checked(information)?;
                let mut discarded = Ok(());
                self.with_ipv6cp(now, |ipv6cp, io| keep_discard(ipv6cp, packet, io, &mut discarded));
                discarded
            }
            // Supported, but not open yet: "MUST be silently discarded" (RFC 1661 §3.6).
            Protocol::Ip if self.ipcp.is_some() => Err(Discard::Unexpected),
            Protocol::Ipv6 if self.ipv6cp.is_some() => Err(Discard::Unexpected),
            _ => {
                self.drops.protocol_rejected += 1;
                self.lcp.send_protocol_reject(protocol, information, &mut self.io.at(now));
                Ok(())
            }
        }
    }
}

/// The peer does not have this network protocol: it must not be sent any more (RFC 1661 §4.3, RXJ).
fn protocol_rejected<O: OptionSet>(ncp: &mut Automaton<O>, io: &mut Io<'_>) -> Outcome {
    match ncp.reject_received(true, io) {
        Outcome::Finished => Outcome::Failed(NegotiationFailure::Rejected),
        other => other,
    }
}

/// Lets an NCP take a packet, and puts aside why it did not.
fn keep_discard<O: OptionSet>(
    ncp: &mut Automaton<O>,
    packet: CpPacket<'_>,
    io: &mut Io<'_>,
    discarded: &mut Result<(), Discard>,
) -> Outcome {
    ncp.handle(packet, io).unwrap_or_else(|discard| {
        *discarded = Err(discard);
        Outcome::Nothing
    })
}
