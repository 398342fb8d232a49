//! Authentication of either end by the other: PAP (RFC 1334) and CHAP with MD5 (RFC 1994).
//!
//! Each protocol has two halves. The *authenticator* asks and is told the verdict from outside: it holds no
//! secret and decides nothing. The *authenticatee* proves who we are from [`Credentials`].

pub mod chap;
pub mod pap;
mod refusal;

use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

pub use refusal::{AuthRefusal, NamedMethod};

/// A method of authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuthMethod {
    /// CHAP with MD5 (RFC 1994).
    ChapMd5,
    /// PAP (RFC 1334).
    Pap,
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChapMd5 => "CHAP-MD5",
            Self::Pap => "PAP",
        })
    }
}

/// What the peer gave to prove who it is. Not checked yet; every byte was chosen by the peer.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// A PAP Authenticate-Request.
    Pap {
        /// Peer-ID, 0 to 255 bytes.
        name: Vec<u8>,
        /// Password, 0 to 255 bytes.
        password: Zeroizing<Vec<u8>>,
    },
    /// A CHAP Response.
    Chap {
        /// Identifier of the challenge that it answers.
        identifier: u8,
        /// Response value.
        response: [u8; chap::MD5_LEN],
        /// Name.
        name: Vec<u8>,
    },
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pap { name, .. } => f.debug_struct("Pap").field("name", name).finish_non_exhaustive(),
            Self::Chap { identifier, name, .. } => f
                .debug_struct("Chap")
                .field("identifier", identifier)
                .field("name", name)
                .finish_non_exhaustive(),
        }
    }
}

/// A CHAP challenge, made by whoever will verify the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Identifier; changes with every challenge (RFC 1994 §4.1).
    pub identifier: u8,
    /// Value: 1 to 255 bytes that cannot be guessed and are never used again.
    pub value: Vec<u8>,
    /// Our name.
    pub name: Vec<u8>,
}

/// What we prove ourselves with.
#[derive(Clone)]
pub struct Credentials {
    /// Our name, at most 255 bytes.
    pub name: Vec<u8>,
    /// The secret: password of PAP, secret of CHAP. At most 255 bytes with PAP.
    pub secret: Zeroizing<Vec<u8>>,
    /// Methods that may be used, in order of preference.
    pub methods: Vec<AuthMethod>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("name", &self.name)
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

/// Timers and counters of both methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthConfig {
    /// Time between transmissions of a Challenge, Response or Authenticate-Request.
    pub restart: Duration,
    /// Transmissions of a packet before the other end counts as silent.
    pub max_transmits: u32,
    /// Wrong proofs that end the link. 1 is what most servers do; with more, PAP may ask again after a Nak, and
    /// CHAP sends another Challenge in place of the Failure.
    pub max_tries: u32,
    /// Time that the Authenticate phase may take; `None` for no limit but that of the whole set-up.
    pub deadline: Option<Duration>,
    /// Time between re-challenges of an authenticated peer (CHAP only); `None` never.
    pub rechallenge: Option<Duration>,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            restart: Duration::from_secs(3),
            max_transmits: 10,
            max_tries: 1,
            deadline: Some(Duration::from_secs(30)),
            rechallenge: None,
        }
    }
}

/// What an authenticator or authenticatee wants its owner to do.
#[derive(Debug)]
#[must_use]
pub(crate) enum Effect {
    /// Nothing.
    Nothing,
    /// A new Challenge is needed.
    NeedChallenge,
    /// This is to be verified.
    Verify(Proof),
    /// Who had to prove itself has done so.
    Succeeded,
    /// The peer did not prove itself, and may not try again.
    PeerRejected,
    /// The peer did not believe us; its message.
    RefusedByPeer(Vec<u8>),
    /// The other end does not answer.
    Silent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proves_who_somebody_is_is_not_shown() {
        let (name, secret) = (b"alice".to_vec(), Zeroizing::new(vec![211; 16]));
        let pap = Proof::Pap { name: name.clone(), password: secret.clone() };
        let chap = Proof::Chap { identifier: 7, response: [211; chap::MD5_LEN], name: name.clone() };
        let credentials = Credentials { name, secret, methods: vec![AuthMethod::Pap] };
        for text in [
            format!("{pap:?}"),
            format!("{chap:?}"),
            format!("{credentials:?}"),
            format!("{:?}", Effect::Verify(pap.clone())),
            format!("{:?}", crate::link::Event::AuthenticateRequest(chap.clone())),
        ] {
            assert!(text.contains("name: [97, 108") && !text.contains("211"), "{text}");
        }
    }
}
