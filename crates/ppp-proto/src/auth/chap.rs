//! CHAP with MD5 (RFC 1994).

use md5::{Digest, Md5};
use ppp_wire::chap::Packet;
use ppp_wire::cp;
use ppp_wire::ppp::Protocol;
use subtle::ConstantTimeEq;

use super::{AuthConfig, Challenge, Credentials, Effect, Proof};
use crate::negotiation::{Discard, Io, truncated};
use crate::timer::Timer;

/// Bytes of an MD5 response value (RFC 1994 §4.1).
pub const MD5_LEN: usize = ppp_wire::chap::MD5_VALUE_LEN;

/// The response to a challenge: MD5 over identifier, secret and challenge value (RFC 1994 §4.1).
#[must_use]
pub fn md5_response(identifier: u8, secret: &[u8], challenge: &[u8]) -> [u8; MD5_LEN] {
    Md5::new().chain_update([identifier]).chain_update(secret).chain_update(challenge).finalize().into()
}

/// Whether `response` answers the challenge under `secret`, in a time that does not depend on where they differ.
#[must_use]
pub fn verify(identifier: u8, secret: &[u8], challenge: &[u8], response: &[u8; MD5_LEN]) -> bool {
    md5_response(identifier, secret, challenge).ct_eq(response).into()
}

/// Where an authenticator stands.
#[derive(Debug)]
enum State {
    /// Waits for its owner to bring a challenge.
    WantsChallenge,
    /// The challenge is out; the Restart timer runs.
    Challenged(Challenge),
    /// The response to this identifier is being verified.
    Verifying(u8),
    /// The verdict on this identifier stands.
    Decided(Decision),
}

#[derive(Debug)]
struct Decision {
    identifier: u8,
    accepted: bool,
    message: Vec<u8>,
}

impl Decision {
    fn send(&self, io: &mut Io<'_>) {
        let identifier = self.identifier;
        let message = truncated(&self.message, io.out.limit().saturating_sub(cp::HEADER_LEN));
        let packet = if self.accepted {
            Packet::Success { identifier, message }
        } else {
            Packet::Failure { identifier, message }
        };
        io.out.push(Protocol::Chap, |out| packet.emit(out));
    }
}

/// The end that asks the other who it is.
#[derive(Debug)]
pub(crate) struct Authenticator {
    config: AuthConfig,
    state: State,
    transmits_left: u32,
    tries_left: u32,
}

impl Authenticator {
    /// An authenticator that wants its first challenge.
    pub(crate) fn new(config: AuthConfig) -> Self {
        Self { config, state: State::WantsChallenge, transmits_left: 0, tries_left: config.max_tries }
    }

    /// Asks the peer once more, although it was accepted before.
    pub(crate) fn rechallenge(&mut self) -> Effect {
        self.state = State::WantsChallenge;
        self.tries_left = self.config.max_tries;
        Effect::NeedChallenge
    }

    /// Sends a challenge; false if none is wanted.
    pub(crate) fn challenge(&mut self, challenge: Challenge, io: &mut Io<'_>) -> bool {
        if !matches!(self.state, State::WantsChallenge) {
            return false;
        }
        self.transmits_left = self.config.max_transmits;
        self.state = State::Challenged(challenge);
        self.transmit(io);
        true
    }

    /// The Restart timer expired: the same challenge again (RFC 1994 §4.1).
    pub(crate) fn timeout(&mut self, io: &mut Io<'_>) -> Effect {
        if self.transmits_left == 0 {
            return Effect::Silent;
        }
        self.transmit(io);
        Effect::Nothing
    }

    /// Takes a Response. One that repeats what was decided gets the same answer, whatever it holds, so that nobody
    /// can try several secrets on one challenge (RFC 1994 §4.2).
    pub(crate) fn handle(&mut self, packet: Packet<'_>, io: &mut Io<'_>) -> Result<Effect, Discard> {
        let Packet::Response { identifier, value, name } = packet else { return Err(Discard::Unexpected) };
        match &self.state {
            State::Challenged(challenge) if challenge.identifier == identifier => {
                let response = value.try_into().map_err(|_| ppp_wire::Error::Length {
                    what: "MD5 response value",
                    claimed: value.len(),
                    min: MD5_LEN,
                    max: MD5_LEN,
                })?;
                io.timers.stop(Timer::AuthenticatorRestart);
                self.state = State::Verifying(identifier);
                Ok(Effect::Verify(Proof::Chap { identifier, response, name: name.to_vec() }))
            }
            State::Decided(decision) if decision.identifier == identifier => {
                decision.send(io);
                Ok(Effect::Nothing)
            }
            _ => Err(Discard::Unmatched),
        }
    }

    /// The verdict on the response that is being verified.
    pub(crate) fn verdict(&mut self, accepted: bool, message: Vec<u8>, io: &mut Io<'_>) -> Effect {
        let State::Verifying(identifier) = self.state else { return Effect::Nothing };
        if !accepted {
            self.tries_left = self.tries_left.saturating_sub(1);
            if self.tries_left > 0 {
                self.state = State::WantsChallenge;
                return Effect::NeedChallenge;
            }
        }
        let decision = Decision { identifier, accepted, message };
        decision.send(io);
        self.state = State::Decided(decision);
        if accepted { Effect::Succeeded } else { Effect::PeerRejected }
    }

    fn transmit(&mut self, io: &mut Io<'_>) {
        let State::Challenged(challenge) = &self.state else { return };
        self.transmits_left = self.transmits_left.saturating_sub(1);
        let Challenge { identifier, value, name } = challenge;
        let packet = Packet::Challenge { identifier: *identifier, value, name };
        io.out.push(Protocol::Chap, |out| packet.emit(out));
        io.timers.set(Timer::AuthenticatorRestart, io.now + self.config.restart);
    }
}

/// The end that proves who it is.
#[derive(Debug)]
pub(crate) struct Authenticatee {
    config: AuthConfig,
    credentials: Credentials,
    /// Identifier and value of our last Response, until the peer decides.
    pending: Option<(u8, [u8; MD5_LEN])>,
    transmits_left: u32,
}

impl Authenticatee {
    pub(crate) fn new(config: AuthConfig, credentials: Credentials) -> Self {
        Self { config, credentials, pending: None, transmits_left: 0 }
    }

    /// The Restart timer expired: the answer may have been lost, so the Response is sent again.
    pub(crate) fn timeout(&mut self, io: &mut Io<'_>) -> Effect {
        if self.transmits_left == 0 {
            return Effect::Silent;
        }
        self.transmit(io);
        Effect::Nothing
    }

    /// Takes a Challenge, at any time, or the answer to our Response.
    pub(crate) fn handle(&mut self, packet: Packet<'_>, io: &mut Io<'_>) -> Result<Effect, Discard> {
        match packet {
            Packet::Challenge { identifier, value, .. } => {
                let response = md5_response(identifier, &self.credentials.secret, value);
                if self.pending != Some((identifier, response)) {
                    self.transmits_left = self.config.max_transmits;
                }
                self.pending = Some((identifier, response));
                self.transmit(io);
                Ok(Effect::Nothing)
            }
            Packet::Success { identifier, .. } => {
                self.decided(identifier, io)?;
                Ok(Effect::Succeeded)
            }
            Packet::Failure { identifier, message } => {
                self.decided(identifier, io)?;
                Ok(Effect::RefusedByPeer(message.to_vec()))
            }
            Packet::Response { .. } => Err(Discard::Unexpected),
        }
    }

    fn decided(&mut self, identifier: u8, io: &mut Io<'_>) -> Result<(), Discard> {
        self.pending.take_if(|(pending, _)| *pending == identifier).ok_or(Discard::Unmatched)?;
        io.timers.stop(Timer::AuthenticateeRestart);
        Ok(())
    }

    fn transmit(&mut self, io: &mut Io<'_>) {
        let Some((identifier, value)) = &self.pending else { return };
        self.transmits_left = self.transmits_left.saturating_sub(1);
        let packet = Packet::Response { identifier: *identifier, value, name: &self.credentials.name };
        io.out.push(Protocol::Chap, |out| packet.emit(out));
        io.timers.set(Timer::AuthenticateeRestart, io.now + self.config.restart);
    }
}

#[cfg(test)]
mod tests;
