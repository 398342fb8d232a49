use ppp_wire::MacAddr;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cookie::CookieKey;

/// Places of one address in tables of fixed size.
///
/// The hash is keyed, so that nobody can choose addresses that share a place with a victim's. SHA-256 over key and
/// address is enough for that, and one block of it: the input has a fixed length, and nothing of the output is shown.
pub(super) struct MacHasher {
    key: Zeroizing<[u8; 32]>,
}

/// What [`MacHasher`] makes of an address: as good as random.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MacHash([u32; 8]);

impl MacHasher {
    /// The key is derived from the cookies' first one, and stays when that changes.
    pub(super) fn new(cookie_key: &CookieKey) -> Self {
        Self { key: Zeroizing::new(cookie_key.derive(b"addresses")) }
    }

    pub(super) fn hash(&self, mac: MacAddr) -> MacHash {
        let digest: [u8; 32] = Sha256::new().chain_update(*self.key).chain_update(mac.0).finalize().into();
        let (words, _) = digest.as_chunks::<4>();
        let mut places = [0; 8];
        for (place, word) in places.iter_mut().zip(words) {
            *place = u32::from_be_bytes(*word);
        }
        MacHash(places)
    }
}

impl MacHash {
    /// `N` independent indices into tables of `len` entries, a power of two of at most 2^32.
    pub(super) fn indices<const N: usize>(&self, len: usize) -> [usize; N] {
        let mut indices = [0; N];
        for (index, place) in indices.iter_mut().zip(self.0) {
            *index = usize::try_from(place).unwrap_or(usize::MAX) & len.saturating_sub(1);
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_key_and_address() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let one = MacHasher::new(&CookieKey::new(&[1; 32]));
        let two = MacHasher::new(&CookieKey::new(&[2; 32]));
        assert_eq!(one.hash(mac), one.hash(mac));
        assert_ne!(one.hash(mac), two.hash(mac));
        assert_ne!(one.hash(mac), one.hash(MacAddr([2, 0, 0, 0, 0, 2])));
    }

    #[test]
    fn indices_are_within_the_table_and_independent() {
        let hasher = MacHasher::new(&CookieKey::new(&[1; 32]));
        let mut seen = vec![[0_u32; 16]; 2];
        for last in 0..=255 {
            let [a, b] = hasher.hash(MacAddr([2, 0, 0, 0, 0, last])).indices::<2>(16);
            seen[0][a] += 1;
            seen[1][b] += 1;
            let [one, other] = hasher.hash(MacAddr([2, 0, 0, 0, 0, last])).indices::<2>(1);
            assert_eq!((one, other), (0, 0));
        }
        assert!(seen.iter().flatten().all(|count| (2..=40).contains(count)), "{seen:?}");
        assert_ne!(seen[0], seen[1]);
    }
}
