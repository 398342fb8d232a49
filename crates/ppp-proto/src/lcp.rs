//! The options of the Link Control Protocol (RFC 1661 §6), and its own codes.

use ppp_wire::cp::{self, CpOption, CpPacket};
use ppp_wire::lcp::{AuthProtocol, ChapAlgorithm, Code, LcpOption, MagicBody, ProtocolReject};
use ppp_wire::ppp::Protocol;

pub use ppp_wire::lcp::DEFAULT_MRU;

use crate::auth::{AuthMethod, AuthRefusal};
use crate::negotiation::{
    Automaton, Discard, Io, Judgement, KindSet, NegotiationFailure, OptionSet, truncated,
};
use crate::numbers::NumberSource;

/// The MRU of PPPoE without PPP-Max-Payload (RFC 2516 §7), in bytes.
pub const PPPOE_MRU: u16 = 1492;

/// The smallest MRU that is accepted from a peer, in bytes; a smaller one is NAKed with this.
pub const MIN_MRU: u16 = 128;

/// Requests in a row with our own Magic-Number that prove a loop; two random numbers agree once in 2^32.
const LOOP_LIMIT: u32 = 3;

/// What LCP asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LcpConfig {
    /// The MRU that we announce: the largest packet that we take, in bytes. 1492, or up to 1500 where
    /// PPP-Max-Payload was agreed on (RFC 4638).
    pub mru: u16,
    /// The largest packet that the wire carries to the peer, in bytes, whatever MRU it announces.
    pub max_peer_mru: u16,
}

impl Default for LcpConfig {
    fn default() -> Self {
        Self { mru: PPPOE_MRU, max_peer_mru: PPPOE_MRU }
    }
}

/// What LCP agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LcpNegotiated {
    /// The largest packet that the peer may send, in bytes.
    pub mru: u16,
    /// The largest packet that we may send, in bytes: the peer's MRU, or what the wire carries if that is less.
    pub peer_mru: u16,
    /// Our Magic-Number, 0 if the peer rejected the option.
    pub magic_number: u32,
    /// The peer's Magic-Number, 0 if it has none.
    pub peer_magic_number: u32,
    /// How the peer must prove to us who it is.
    pub auth: Option<AuthMethod>,
    /// How we must prove to the peer who we are.
    pub peer_auth: Option<AuthMethod>,
}

/// Wishes and grants of LCP.
///
/// Of the options that PPPoE has no use for (ACCM, FCS-Alternatives, ACFC; RFC 2516 §7), and of PFC and
/// Quality-Protocol, none is requested and all are rejected.
#[derive(Debug)]
pub(crate) struct LcpOptions {
    config: LcpConfig,
    /// Methods by which the peer may prove who it is, in our order of preference.
    required: Vec<AuthMethod>,
    /// Methods by which we can prove who we are, in our order of preference.
    offered: Vec<AuthMethod>,
    numbers: NumberSource,

    mru: Option<u16>,
    magic_number: Option<u32>,
    /// The methods of `required` that the peer has not refused; the first one is asked for.
    candidates: Vec<AuthMethod>,

    peer_mru: u16,
    peer_magic_number: u32,
    peer_auth: Option<AuthMethod>,
    /// Requests in a row that held our own Magic-Number.
    loops: u32,
    /// What the peer proposed in place of our methods.
    proposals: AuthRefusal,
}

impl LcpOptions {
    pub(crate) fn new(
        config: LcpConfig,
        required: Vec<AuthMethod>,
        offered: Vec<AuthMethod>,
        numbers: NumberSource,
    ) -> Self {
        Self {
            config,
            candidates: required.clone(),
            required,
            offered,
            numbers,
            mru: None,
            magic_number: None,
            peer_mru: DEFAULT_MRU,
            peer_magic_number: 0,
            peer_auth: None,
            loops: 0,
            proposals: AuthRefusal::default(),
        }
    }

    /// What stands once LCP is Opened.
    pub(crate) fn negotiated(&self) -> LcpNegotiated {
        LcpNegotiated {
            mru: self.mru.unwrap_or(DEFAULT_MRU),
            peer_mru: self.peer_mru.min(self.config.max_peer_mru),
            magic_number: self.magic_number.unwrap_or(0),
            peer_magic_number: self.peer_magic_number,
            auth: self.candidates.first().copied(),
            peer_auth: self.peer_auth,
        }
    }

    fn judge_auth(
        &mut self,
        asked: Option<AuthMethod>,
        nak: &mut Vec<u8>,
    ) -> Result<Judgement, ppp_wire::Error> {
        match (asked, self.offered.first()) {
            (_, None) => Ok(Judgement::Reject),
            (Some(method), _) if self.offered.contains(&method) => {
                self.peer_auth = Some(method);
                Ok(Judgement::Ack)
            }
            (_, Some(method)) => {
                auth_option(*method).emit(nak)?;
                Ok(Judgement::Nak)
            }
        }
    }

    fn judge_magic_number(&mut self, number: u32, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error> {
        if number != 0 && Some(number) != self.magic_number {
            self.loops = 0;
            self.peer_magic_number = number;
            return Ok(Judgement::Ack);
        }
        if number != 0 {
            self.loops += 1;
            if self.loops >= LOOP_LIMIT {
                return Ok(Judgement::Fail(NegotiationFailure::Loopback));
            }
        }
        LcpOption::MagicNumber(self.numbers.magic_number()).emit(nak)?;
        Ok(Judgement::Nak)
    }

    /// The peer will not authenticate itself by any method that is allowed.
    pub(crate) fn refusal(&self) -> NegotiationFailure {
        NegotiationFailure::AuthRefused(self.proposals.allowing(&self.required))
    }

    /// The peer does not want to prove itself as we asked. `wanted` is what it proposes instead.
    fn auth_refused(&mut self, wanted: Option<AuthProtocol<'_>>) -> Result<(), NegotiationFailure> {
        if let Some(wanted) = wanted {
            self.proposals.propose(wanted.into());
        }
        let wanted = wanted.and_then(auth_method);
        match wanted.and_then(|method| self.candidates.iter().position(|candidate| *candidate == method)) {
            Some(position) => self.candidates.rotate_left(position),
            None if self.candidates.is_empty() => {}
            None => {
                self.candidates.remove(0);
            }
        }
        if self.candidates.is_empty() && !self.required.is_empty() {
            return Err(self.refusal());
        }
        Ok(())
    }
}

impl OptionSet for LcpOptions {
    const PROTOCOL: Protocol = Protocol::Lcp;

    fn restart(&mut self) {
        self.mru = Some(self.config.mru);
        self.magic_number = Some(self.numbers.magic_number());
        self.candidates.clone_from(&self.required);
        self.loops = 0;
        self.proposals = AuthRefusal::default();
    }

    fn write_request(&self, out: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        if let Some(mru) = self.mru {
            LcpOption::Mru(mru).emit(out)?;
        }
        if let Some(method) = self.candidates.first() {
            auth_option(*method).emit(out)?;
        }
        if let Some(number) = self.magic_number {
            LcpOption::MagicNumber(number).emit(out)?;
        }
        Ok(())
    }

    fn begin_peer_request(&mut self) {
        self.peer_mru = DEFAULT_MRU;
        self.peer_magic_number = 0;
        self.peer_auth = None;
    }

    fn judge(&mut self, option: CpOption<'_>, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error> {
        let Ok(option) = LcpOption::parse(option) else { return Ok(Judgement::Reject) };
        match option {
            LcpOption::Mru(mru) if mru < MIN_MRU => {
                LcpOption::Mru(MIN_MRU).emit(nak)?;
                Ok(Judgement::Nak)
            }
            LcpOption::Mru(mru) => {
                self.peer_mru = mru;
                Ok(Judgement::Ack)
            }
            LcpOption::AuthProtocol(auth) => self.judge_auth(auth_method(auth), nak),
            LcpOption::MagicNumber(number) => self.judge_magic_number(number, nak),
            LcpOption::Accm(_)
            | LcpOption::QualityProtocol { .. }
            | LcpOption::Pfc
            | LcpOption::Acfc
            | LcpOption::Unknown(_) => Ok(Judgement::Reject),
        }
    }

    fn append_missing(&self, _: &KindSet, _: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        // Nothing that a peer may leave out is needed from it.
        Ok(())
    }

    fn naked(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        let kind = option.kind;
        match LcpOption::parse(option) {
            // A peer may make us take less, but not more than there is room for.
            Ok(LcpOption::Mru(mru)) => {
                if let Some(ours) = &mut self.mru
                    && (MIN_MRU..*ours).contains(&mru)
                {
                    *ours = mru;
                }
            }
            Ok(LcpOption::AuthProtocol(auth)) => self.auth_refused(Some(auth))?,
            Ok(LcpOption::MagicNumber(_)) if self.magic_number.is_some() => {
                self.magic_number = Some(self.numbers.magic_number());
            }
            // A Nak that cannot be read still says no.
            Err(_) if kind == auth_option(AuthMethod::Pap).kind() => self.auth_refused(None)?,
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }

    fn rejected(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        match LcpOption::parse(option) {
            Ok(LcpOption::Mru(_)) => self.mru = None,
            Ok(LcpOption::MagicNumber(_)) => self.magic_number = None,
            // On a line that is looped it was we who rejected our own request; a further one will prove the loop.
            Ok(LcpOption::AuthProtocol(_)) if self.loops > 0 => {}
            // Rejected, not NAKed: the peer will not prove itself by any method.
            Ok(LcpOption::AuthProtocol(_)) => return Err(self.refusal()),
            Ok(_) | Err(_) => {}
        }
        Ok(())
    }
}

fn auth_option(method: AuthMethod) -> LcpOption<'static> {
    LcpOption::AuthProtocol(match method {
        AuthMethod::Pap => AuthProtocol::Pap,
        AuthMethod::ChapMd5 => AuthProtocol::Chap(ChapAlgorithm::Md5),
    })
}

fn auth_method(auth: AuthProtocol<'_>) -> Option<AuthMethod> {
    match auth {
        AuthProtocol::Pap => Some(AuthMethod::Pap),
        AuthProtocol::Chap(ChapAlgorithm::Md5) => Some(AuthMethod::ChapMd5),
        AuthProtocol::Chap(_) | AuthProtocol::Other { .. } => None,
    }
}

/// The codes that only LCP has (RFC 1661 §5.7 to §5.9).
impl Automaton<LcpOptions> {
    /// Sends an Echo-Request and returns its identifier.
    pub(crate) fn send_echo_request(&mut self, io: &mut Io<'_>) -> u8 {
        let identifier = self.next_identifier();
        let magic_number = self.options.magic_number.unwrap_or(0);
        send_magic_body(io, Code::EchoRequest, identifier, MagicBody { magic_number, data: &[] });
        identifier
    }

    /// Answers an Echo-Request: its data with our Magic-Number (RFC 1661 §5.8).
    pub(crate) fn echo_request(&mut self, packet: CpPacket<'_>, io: &mut Io<'_>) -> Result<(), Discard> {
        if !self.answers_echo() {
            return Err(Discard::Unexpected);
        }
        let echo = MagicBody::parse(packet.data())?;
        let room = io.out.limit().saturating_sub(cp::HEADER_LEN + size_of::<u32>());
        let magic_number = self.options.magic_number.unwrap_or(0);
        let reply = MagicBody { magic_number, data: truncated(echo.data, room) };
        send_magic_body(io, Code::EchoReply, packet.identifier(), reply);
        Ok(())
    }

    /// Whether an Echo-Reply was made by the peer: one with our own Magic-Number came back from a loop.
    pub(crate) fn is_echo_of_peer(&self, packet: CpPacket<'_>) -> Result<bool, Discard> {
        let reply = MagicBody::parse(packet.data())?;
        Ok(reply.magic_number == 0 || Some(reply.magic_number) != self.options.magic_number)
    }

    /// Tells the peer that a protocol is not supported (RFC 1661 §5.7).
    pub(crate) fn send_protocol_reject(&mut self, protocol: Protocol, information: &[u8], io: &mut Io<'_>) {
        let identifier = self.next_identifier();
        let room = io.out.limit().saturating_sub(cp::HEADER_LEN + size_of::<u16>());
        let reject = ProtocolReject {
            rejected_protocol: protocol,
            rejected_information: truncated(information, room),
        };
        io.out.push(Protocol::Lcp, |out| {
            cp::emit(out, Code::ProtocolReject.into(), identifier, |out| {
                reject.emit(out);
                Ok(())
            })
        });
    }
}

fn send_magic_body(io: &mut Io<'_>, code: Code, identifier: u8, body: MagicBody<'_>) {
    io.out.push(Protocol::Lcp, |out| {
        cp::emit(out, code.into(), identifier, |out| {
            body.emit(out);
            Ok(())
        })
    });
}

#[cfg(test)]
mod tests;
