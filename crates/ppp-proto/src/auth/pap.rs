//! PAP (RFC 1334 §2).

use ppp_wire::cp;
use ppp_wire::pap::Packet;
use ppp_wire::ppp::Protocol;
use zeroize::Zeroizing;

use super::{AuthConfig, Credentials, Effect, Proof};
use crate::negotiation::{Discard, Io, truncated};
use crate::timer::Timer;

/// Where an authenticator stands.
#[derive(Debug)]
enum State {
    /// Waits for an Authenticate-Request.
    Waiting,
    /// The request with this identifier is being verified.
    Verifying(u8),
    /// The verdict stands.
    Decided { accepted: bool, message: Vec<u8> },
}

/// The end that asks the other who it is. It waits: the peer starts.
#[derive(Debug)]
pub(crate) struct Authenticator {
    state: State,
    tries_left: u32,
}

impl Authenticator {
    pub(crate) fn new(config: AuthConfig) -> Self {
        Self { state: State::Waiting, tries_left: config.max_tries }
    }

    /// Takes an Authenticate-Request. After the verdict every request gets the same answer (RFC 1334 §2.2.1).
    pub(crate) fn handle(&mut self, packet: Packet<'_>, io: &mut Io<'_>) -> Result<Effect, Discard> {
        let Packet::AuthenticateRequest { identifier, peer_id, password } = packet else {
            return Err(Discard::Unexpected);
        };
        match &mut self.state {
            State::Waiting => {
                self.state = State::Verifying(identifier);
                let password = Zeroizing::new(password.to_vec());
                Ok(Effect::Verify(Proof::Pap { name: peer_id.to_vec(), password }))
            }
            // The peer repeats itself because the verdict takes its time: answer what it sent last.
            State::Verifying(pending) => {
                *pending = identifier;
                Ok(Effect::Nothing)
            }
            State::Decided { accepted, message } => {
                answer(identifier, *accepted, message, io);
                Ok(Effect::Nothing)
            }
        }
    }

    /// The verdict on the request that is being verified.
    pub(crate) fn verdict(&mut self, accepted: bool, message: Vec<u8>, io: &mut Io<'_>) -> Effect {
        let State::Verifying(identifier) = self.state else { return Effect::Nothing };
        answer(identifier, accepted, &message, io);
        if !accepted {
            self.tries_left = self.tries_left.saturating_sub(1);
            if self.tries_left > 0 {
                self.state = State::Waiting;
                return Effect::Nothing;
            }
        }
        self.state = State::Decided { accepted, message };
        if accepted { Effect::Succeeded } else { Effect::PeerRejected }
    }
}

fn answer(identifier: u8, accepted: bool, message: &[u8], io: &mut Io<'_>) {
    let room = io.out.limit().saturating_sub(cp::HEADER_LEN + 1).min(usize::from(u8::MAX));
    let message = truncated(message, room);
    let packet = if accepted {
        Packet::AuthenticateAck { identifier, message }
    } else {
        Packet::AuthenticateNak { identifier, message }
    };
    io.out.push(Protocol::Pap, |out| packet.emit(out));
}

/// The end that proves who it is.
#[derive(Debug)]
pub(crate) struct Authenticatee {
    config: AuthConfig,
    credentials: Credentials,
    /// Identifier of the last request.
    identifier: u8,
    transmits: u32,
    decided: bool,
}

impl Authenticatee {
    pub(crate) fn new(config: AuthConfig, credentials: Credentials) -> Self {
        Self { config, credentials, identifier: 0, transmits: 0, decided: false }
    }

    /// Sends the first Authenticate-Request.
    pub(crate) fn start(&mut self, io: &mut Io<'_>) {
        self.transmit(io);
    }

    /// The Restart timer expired: ask again.
    pub(crate) fn timeout(&mut self, io: &mut Io<'_>) -> Effect {
        if self.transmits >= self.config.max_transmits {
            return Effect::Silent;
        }
        self.transmit(io);
        Effect::Nothing
    }

    /// Takes the answer to any of our requests: they all said the same.
    pub(crate) fn handle(&mut self, packet: Packet<'_>, io: &mut Io<'_>) -> Result<Effect, Discard> {
        let (identifier, effect) = match packet {
            Packet::AuthenticateRequest { .. } => return Err(Discard::Unexpected),
            Packet::AuthenticateAck { identifier, .. } => (identifier, Effect::Succeeded),
            Packet::AuthenticateNak { identifier, message } => {
                (identifier, Effect::RefusedByPeer(message.to_vec()))
            }
        };
        let age = u32::from(self.identifier.wrapping_sub(identifier));
        if self.decided || age >= self.transmits {
            return Err(Discard::Unmatched);
        }
        self.decided = true;
        io.timers.stop(Timer::AuthenticateeRestart);
        Ok(effect)
    }

    /// The Identifier changes each time a request is sent (RFC 1334 §2.2.1).
    fn transmit(&mut self, io: &mut Io<'_>) {
        self.identifier = self.identifier.wrapping_add(1);
        self.transmits += 1;
        let Credentials { name, secret, .. } = &self.credentials;
        let packet =
            Packet::AuthenticateRequest { identifier: self.identifier, peer_id: name, password: secret };
        io.out.push(Protocol::Pap, |out| packet.emit(out));
        io.timers.set(Timer::AuthenticateeRestart, io.now + self.config.restart);
    }
}

#[cfg(test)]
mod tests;
