//! Which methods of authentication two ends could not agree on, for whoever has to make one of them change its mind.

use std::fmt;

use ppp_wire::lcp::{AuthProtocol, ChapAlgorithm};
use ppp_wire::ppp::Protocol;

use super::AuthMethod;

/// Most methods that are remembered of either end.
const MAX_METHODS: usize = 4;

/// A method as an Authentication-Protocol option names it (RFC 1661 §6.2), also one that is not supported here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedMethod {
    protocol: Protocol,
    /// Of CHAP (RFC 1994 §3).
    algorithm: Option<ChapAlgorithm>,
}

impl From<AuthProtocol<'_>> for NamedMethod {
    fn from(auth: AuthProtocol<'_>) -> Self {
        match auth {
            AuthProtocol::Pap => Self { protocol: Protocol::Pap, algorithm: None },
            AuthProtocol::Chap(algorithm) => Self { protocol: Protocol::Chap, algorithm: Some(algorithm) },
            AuthProtocol::Other { protocol, .. } => Self { protocol, algorithm: None },
        }
    }
}

impl fmt::Display for NamedMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.protocol, self.algorithm) {
            (Protocol::Pap, _) => f.write_str("PAP"),
            (Protocol::Eap, _) => f.write_str("EAP"),
            (_, Some(ChapAlgorithm::Md5)) => f.write_str("CHAP-MD5"),
            (_, Some(ChapAlgorithm::MsChapV1)) => f.write_str("MS-CHAP"),
            (_, Some(ChapAlgorithm::MsChapV2)) => f.write_str("MS-CHAP-V2"),
            (_, Some(other)) => write!(f, "CHAP with algorithm {}", u8::from(other)),
            (other, None) => write!(f, "protocol {:#06x}", u16::from(other)),
        }
    }
}

/// What a peer wanted that would not authenticate itself by a method that is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthRefusal {
    /// What it proposed instead, in its order; gaps are at the end.
    proposed: [Option<NamedMethod>; MAX_METHODS],
    /// What is allowed.
    allowed: [Option<AuthMethod>; MAX_METHODS],
}

impl AuthRefusal {
    /// Notes a proposal of the peer; one that it has made before, or too many, change nothing.
    pub(crate) fn propose(&mut self, method: NamedMethod) {
        if !self.proposed.contains(&Some(method))
            && let Some(free) = self.proposed.iter_mut().find(|place| place.is_none())
        {
            *free = Some(method);
        }
    }

    /// With what is allowed.
    #[must_use]
    pub(crate) fn allowing(mut self, methods: &[AuthMethod]) -> Self {
        for (place, method) in self.allowed.iter_mut().zip(methods) {
            *place = Some(*method);
        }
        self
    }
}

impl fmt::Display for AuthRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[Option<T>], last: &str) -> fmt::Result {
            let count = items.iter().flatten().count();
            for (number, item) in items.iter().flatten().enumerate() {
                let separator = match number {
                    0 => "",
                    number if number + 1 == count => last,
                    _ => ", ",
                };
                write!(f, "{separator}{item}")?;
            }
            Ok(())
        }
        if self.proposed.iter().flatten().next().is_none() {
            f.write_str("the peer refused to authenticate itself, and proposed no other method")?;
        } else {
            f.write_str("the peer wants to authenticate itself by ")?;
            list(f, &self.proposed, " or ")?;
        }
        f.write_str("; allowed: ")?;
        list(f, &self.allowed, " and ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_peer_wants_and_what_is_allowed_is_told() {
        let both = [AuthMethod::ChapMd5, AuthMethod::Pap];
        let refusal = |proposed: &[AuthProtocol<'_>], allowed: &[AuthMethod]| {
            let mut refusal = AuthRefusal::default();
            proposed.iter().for_each(|auth| refusal.propose((*auth).into()));
            refusal.allowing(allowed).to_string()
        };
        let eap = AuthProtocol::Other { protocol: Protocol::Eap, data: &[] };
        let other = AuthProtocol::Other { protocol: Protocol::from(0xc027), data: &[1] };
        let ms_chap = AuthProtocol::Chap(ChapAlgorithm::MsChapV2);
        assert_eq!(
            refusal(&[ms_chap, ms_chap, eap], &both),
            "the peer wants to authenticate itself by MS-CHAP-V2 or EAP; allowed: CHAP-MD5 and PAP"
        );
        assert_eq!(
            refusal(&[], &[AuthMethod::Pap]),
            "the peer refused to authenticate itself, and proposed no other method; allowed: PAP"
        );
        assert_eq!(
            refusal(
                &[other, AuthProtocol::Chap(ChapAlgorithm::from(9)), eap, ms_chap, AuthProtocol::Pap],
                &both
            ),
            "the peer wants to authenticate itself by protocol 0xc027, CHAP with algorithm 9, EAP or MS-CHAP-V2; allowed: \
             CHAP-MD5 and PAP"
        );
    }
}
