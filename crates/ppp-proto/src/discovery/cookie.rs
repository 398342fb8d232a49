//! The AC-Cookie: a mark that only this server can make, for one peer and a few seconds.
//!
//! A cookie is the number of its time slot, a label of its PADI's Host-Uniq, then HMAC-SHA-256 cut to 16 bytes over both
//! and the peer. It proves that the sender of a PADR received our PADO (RFC 2516 §9), so nothing is remembered about a PADI.
//!
//! Host-Uniq matches one answer to one request (RFC 2516 appendix A), and a client may choose another one for its PADR. So
//! it is not checked; the label only keeps two clients of one host apart that dial in the same time slot.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use ppp_wire::MacAddr;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of a cookie: 4 of time slot, 4 of label, 16 of authentication code.
pub const COOKIE_LEN: usize = 24;

const SLOT_LEN: usize = 4;
const LABEL_LEN: usize = 4;
/// What the code covers of the cookie itself.
type Head = [u8; SLOT_LEN + LABEL_LEN];

/// A cookie as it stands in the AC-Cookie tag.
pub type Cookie = [u8; COOKIE_LEN];

/// A secret to make cookies with. Overwritten in memory when it is dropped.
pub struct CookieKey {
    /// Padded with zeros to the block of SHA-256, as HMAC does with short keys (RFC 2104 §2).
    block: Zeroizing<[u8; 64]>,
}

impl CookieKey {
    /// Takes 32 bytes from a secure random source.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut block = Zeroizing::new([0; 64]);
        let (head, _) = block.split_at_mut(bytes.len());
        head.copy_from_slice(bytes);
        Self { block }
    }

    /// Another key, from which this one cannot be told.
    pub(super) fn derive(&self, purpose: &[u8]) -> [u8; 32] {
        let mut code = Hmac::<Sha256>::new((&*self.block).into());
        code.update(purpose);
        code.finalize().into_bytes().into()
    }
}

/// Whom a cookie is for. A PADR must come with the same values as its PADI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Source of the PADI and PADR.
    pub peer_mac: MacAddr,
    /// Our own address.
    pub own_mac: MacAddr,
    /// The access interface, for example its index.
    pub interface: u32,
    /// The Relay-Session-Id tag, if there is one.
    pub relay_session_id: Option<&'a [u8]>,
}

/// What is wrong with a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CookieError {
    /// It was not made with one of our keys for this subject.
    #[error("the AC-Cookie was not made here for this peer")]
    Wrong,
    /// It was made here for this subject, but too long ago.
    #[error("the AC-Cookie is {age_slots} time slots old, at most 1 is allowed")]
    Expired {
        /// Whole time slots since it was made.
        age_slots: u32,
    },
}

/// Makes and checks cookies.
pub struct Cookies {
    epoch: Instant,
    slot: Duration,
    current: CookieKey,
    /// The key before, and the last time slot that it made cookies for.
    previous: Option<(CookieKey, u32)>,
}

impl Cookies {
    /// `epoch` is any moment before the first cookie. A cookie lives at least `slot`, at most twice as long.
    pub fn new(key: CookieKey, epoch: Instant, slot: Duration) -> Self {
        Self { epoch, slot, current: key, previous: None }
    }

    /// Makes cookies with `key` from now on. Those of the key before stay valid for the rest of their lifetime; those
    /// of older keys do not.
    pub fn rotate_key(&mut self, key: CookieKey, now: Instant) {
        let retired = std::mem::replace(&mut self.current, key);
        self.previous = Some((retired, self.slot_at(now)));
    }

    /// The cookie for `subject` at `now`, with the Host-Uniq tag of its PADI, if there is one. Another Host-Uniq makes
    /// another cookie, which is good for the same subject.
    pub fn make(&self, subject: &Subject<'_>, host_uniq: Option<&[u8]>, now: Instant) -> Cookie {
        let mut head = Head::default();
        let label = label(&self.current, host_uniq);
        for (to, from) in head.iter_mut().zip(self.slot_at(now).to_be_bytes().into_iter().chain(label)) {
            *to = from;
        }
        let mut cookie = [0; COOKIE_LEN];
        let code = authentication_code(&self.current, subject, head).finalize().into_bytes();
        for (to, from) in cookie.iter_mut().zip(head.into_iter().chain(code)) {
            *to = from;
        }
        cookie
    }

    /// Checks a cookie that came in. Takes the same time wherever a wrong one differs.
    ///
    /// # Errors
    /// [`CookieError::Wrong`] or, only for what was once a good cookie, [`CookieError::Expired`].
    pub fn verify(&self, subject: &Subject<'_>, cookie: &[u8], now: Instant) -> Result<(), CookieError> {
        let cookie: &Cookie = cookie.try_into().map_err(|_| CookieError::Wrong)?;
        let (head, code) = cookie.split_first_chunk().ok_or(CookieError::Wrong)?;
        let (slot, _) = head.split_first_chunk::<SLOT_LEN>().ok_or(CookieError::Wrong)?;
        let slot = u32::from_be_bytes(*slot);
        let made_with = |key: &CookieKey| {
            let expected = authentication_code(key, subject, *head).finalize().into_bytes();
            expected.get(..code.len()).is_some_and(|expected| bool::from(expected.ct_eq(code)))
        };
        let previous = self.previous.as_ref().filter(|(_, last_slot)| slot <= *last_slot);
        if !made_with(&self.current) && !previous.is_some_and(|(key, _)| made_with(key)) {
            return Err(CookieError::Wrong);
        }
        // A slot in the future would need a clock that goes backwards.
        match self.slot_at(now).checked_sub(slot) {
            Some(0 | 1) => Ok(()),
            Some(age_slots) => Err(CookieError::Expired { age_slots }),
            None => Err(CookieError::Wrong),
        }
    }

    fn slot_at(&self, now: Instant) -> u32 {
        let elapsed = now.saturating_duration_since(self.epoch).as_nanos();
        let slot = self.slot.as_nanos().max(1);
        u32::try_from(elapsed / slot).unwrap_or(u32::MAX)
    }
}

fn authentication_code(key: &CookieKey, subject: &Subject<'_>, head: Head) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new((&*key.block).into());
    code.update(&head);
    code.update(&subject.interface.to_be_bytes());
    code.update(&subject.own_mac.0);
    code.update(&subject.peer_mac.0);
    update_with_tag(&mut code, subject.relay_session_id);
    code
}

/// Tells one Host-Uniq from another, or from none.
fn label(key: &CookieKey, host_uniq: Option<&[u8]>) -> impl Iterator<Item = u8> {
    let mut code = Hmac::<Sha256>::new((&*key.block).into());
    update_with_tag(&mut code, host_uniq);
    code.finalize().into_bytes().into_iter().take(LABEL_LEN)
}

/// Presence and length, so that no two tags feed the same bytes.
fn update_with_tag(code: &mut Hmac<Sha256>, tag: Option<&[u8]>) {
    let len = tag.map_or(u64::MAX, |value| u64::try_from(value.len()).unwrap_or(u64::MAX));
    code.update(&len.to_be_bytes());
    code.update(tag.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Duration = Duration::from_secs(5);
    const PEER: Subject<'static> = Subject {
        peer_mac: MacAddr([2, 0, 0, 0, 0, 1]),
        own_mac: MacAddr([2, 0, 0, 0, 0, 2]),
        interface: 3,
        relay_session_id: None,
    };

    fn cookies(epoch: Instant) -> Cookies {
        Cookies::new(CookieKey::new(&[7; 32]), epoch, SLOT)
    }

    #[test]
    fn lives_to_the_end_of_the_next_slot() {
        let epoch = Instant::now();
        let cookies = cookies(epoch);
        let at = |millis| epoch + Duration::from_millis(millis);
        for made in [0, 4_999] {
            let cookie = cookies.make(&PEER, Some(b"uniq"), at(made));
            assert_eq!(cookies.verify(&PEER, &cookie, at(made)), Ok(()));
            assert_eq!(cookies.verify(&PEER, &cookie, at(5_000)), Ok(()));
            assert_eq!(cookies.verify(&PEER, &cookie, at(9_999)), Ok(()));
            let expired = Err(CookieError::Expired { age_slots: 2 });
            assert_eq!(cookies.verify(&PEER, &cookie, at(10_000)), expired);
        }
        let cookie = cookies.make(&PEER, Some(b"uniq"), at(5_000));
        assert_eq!(cookies.verify(&PEER, &cookie, at(14_999)), Ok(()));
        assert_eq!(cookies.verify(&PEER, &cookie, at(4_999)), Err(CookieError::Wrong), "from the future");
    }

    #[test]
    fn is_for_one_subject() {
        let epoch = Instant::now();
        let cookies = cookies(epoch);
        let cookie = cookies.make(&PEER, Some(b"uniq"), epoch);
        for other in [
            Subject { peer_mac: MacAddr([2, 0, 0, 0, 0, 9]), ..PEER },
            Subject { own_mac: MacAddr([2, 0, 0, 0, 0, 9]), ..PEER },
            Subject { peer_mac: PEER.own_mac, own_mac: PEER.peer_mac, ..PEER },
            Subject { interface: 4, ..PEER },
            Subject { relay_session_id: Some(b"uniq"), ..PEER },
            Subject { relay_session_id: Some(b""), ..PEER },
        ] {
            assert_eq!(cookies.verify(&other, &cookie, epoch), Err(CookieError::Wrong), "{other:?}");
        }
    }

    /// Host-Uniq matches an answer to its request, no more (RFC 2516 appendix A).
    #[test]
    fn another_host_uniq_makes_another_cookie_for_the_same_subject() {
        let epoch = Instant::now();
        let cookies = cookies(epoch);
        let made = [None, Some(&b""[..]), Some(b"uniq"), Some(b"uniQ")]
            .map(|host_uniq| cookies.make(&PEER, host_uniq, epoch));
        for (index, cookie) in made.iter().enumerate() {
            assert_eq!(cookies.verify(&PEER, cookie, epoch), Ok(()));
            assert!(made.iter().skip(index + 1).all(|other| other != cookie));
        }
        assert_eq!(cookies.make(&PEER, Some(b"uniq"), epoch), made[2], "repeated");
    }

    #[test]
    fn every_changed_bit_and_length_is_wrong() {
        let epoch = Instant::now();
        let cookies = cookies(epoch);
        let cookie = cookies.make(&PEER, Some(b"uniq"), epoch);
        for bit in 0..COOKIE_LEN * 8 {
            let mut changed = cookie;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cookies.verify(&PEER, &changed, epoch), Err(CookieError::Wrong), "bit {bit}");
        }
        assert_eq!(cookies.verify(&PEER, &cookie[..COOKIE_LEN - 1], epoch), Err(CookieError::Wrong));
        assert_eq!(cookies.verify(&PEER, &[], epoch), Err(CookieError::Wrong));
    }

    #[test]
    fn the_key_before_is_honoured_for_its_lifetime() {
        let epoch = Instant::now();
        let mut cookies = cookies(epoch);
        let at = |secs| epoch + Duration::from_secs(secs);
        let old = cookies.make(&PEER, Some(b"uniq"), at(4));
        cookies.rotate_key(CookieKey::new(&[8; 32]), at(4));
        let new = cookies.make(&PEER, Some(b"uniq"), at(4));
        assert_ne!(old, new);
        assert_eq!(cookies.verify(&PEER, &old, at(9)), Ok(()));
        assert_eq!(cookies.verify(&PEER, &new, at(9)), Ok(()));
        assert_eq!(cookies.verify(&PEER, &old, at(10)), Err(CookieError::Expired { age_slots: 2 }));
        cookies.rotate_key(CookieKey::new(&[9; 32]), at(5));
        assert_eq!(cookies.verify(&PEER, &old, at(5)), Err(CookieError::Wrong), "two keys ago");
        assert_eq!(cookies.verify(&PEER, &new, at(5)), Ok(()));
    }

    #[test]
    fn a_retired_key_makes_no_cookies_for_later_slots() {
        let epoch = Instant::now();
        let mut rotated = cookies(epoch);
        rotated.rotate_key(CookieKey::new(&[8; 32]), epoch + Duration::from_secs(4));
        let later = epoch + Duration::from_secs(6);
        let forged_with_old_key = cookies(epoch).make(&PEER, Some(b"uniq"), later);
        assert_eq!(rotated.verify(&PEER, &forged_with_old_key, later), Err(CookieError::Wrong));
    }

    /// Computed with Python: hmac.new(bytes([7])*32, slot + label + interface + own + peer + relay, sha256).
    #[test]
    fn known_answer() {
        let epoch = Instant::now();
        let cookie = cookies(epoch).make(&PEER, Some(b"uniq"), epoch + Duration::from_secs(5));
        assert_eq!(
            cookie,
            [
                0x00, 0x00, 0x00, 0x01, 0x2a, 0x87, 0x6c, 0x20, 0x6a, 0xc0, 0xc7, 0x3c, 0xd7, 0x33, 0x41,
                0x6b, 0x77, 0xc3, 0x1d, 0xab, 0x22, 0xa8, 0xd8, 0xbc
            ]
        );
    }
}
