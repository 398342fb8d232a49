//! The MD5 hash of crypt(3), `$1$salt$hash`. Long outdated, but found in old pap-secrets files.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const ROUNDS: u32 = 1000;
/// The digest's bytes in the order of the encoding, three to a group; the last byte stands alone.
const GROUPS: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
const LAST: usize = 11;

/// Is `hash` the hash of `password`? `None` if it does not have the form `$1$salt$hash`.
pub(super) fn verify(password: &[u8], hash: &str) -> Option<bool> {
    let (salt, expected) = hash.strip_prefix("$1$")?.split_once('$')?;
    if expected.len() != 22 || !expected.bytes().all(|byte| ALPHABET.contains(&byte)) {
        return None;
    }
    let salt = salt.as_bytes();
    let digest = digest(password, salt.get(..8).unwrap_or(salt));
    Some(encode(&digest).as_bytes().ct_eq(expected.as_bytes()).into())
}

fn digest(password: &[u8], salt: &[u8]) -> Zeroizing<[u8; 16]> {
    let inner: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let inner = Zeroizing::new(inner);
    let mut outer = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for chunk in password.chunks(inner.len()) {
        outer.update(inner.get(..chunk.len()).unwrap_or_default());
    }
    let mut bits = password.len();
    while bits != 0 {
        // the original meant something else, but this is what it did
        if bits & 1 == 1 {
            outer.update([0]);
        } else {
            outer.update(password.get(..1).unwrap_or_default());
        }
        bits >>= 1;
    }
    let mut digest: Zeroizing<[u8; 16]> = Zeroizing::new(outer.finalize().into());
    for round in 0..ROUNDS {
        let odd = round % 2 == 1;
        let mut next = Md5::new();
        next.update(if odd { password } else { digest.as_slice() });
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        next.update(if odd { digest.as_slice() } else { password });
        digest = Zeroizing::new(next.finalize().into());
    }
    digest
}

fn encode(digest: &[u8; 16]) -> String {
    let byte = |index: usize| digest.get(index).copied().map_or(0, u32::from);
    let mut text = String::with_capacity(22);
    let mut push = |mut value: u32, characters| {
        for _ in 0..characters {
            text.extend(ALPHABET.get(value as usize % 64).map(|&letter| char::from(letter)));
            value /= 64;
        }
    };
    for [high, middle, low] in GROUPS {
        push(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    push(byte(LAST), 2);
    text
}
