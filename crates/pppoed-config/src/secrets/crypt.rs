//! Password hashes in the formats of crypt(3).

use sha_crypt::{PasswordVerifier as _, ShaCrypt};

use super::md5_crypt;

/// Whether it looks like a hash of a supported kind: it begins as one, and is longer than anybody's password that does.
pub(super) fn is_hash(secret: &[u8]) -> bool {
    const SHORTEST: usize = 26;
    let kinds: [&[u8]; 6] = [b"$1$", b"$2a$", b"$2b$", b"$2y$", b"$5$", b"$6$"];
    secret.len() >= SHORTEST && kinds.iter().any(|kind| secret.starts_with(kind))
}

/// Is `hash` a hash of `password`? `None` if it is not a hash of a supported kind.
///
/// MD5 (`$1$`), bcrypt (`$2a$`, `$2b$`, `$2y$`), SHA-256 (`$5$`) and SHA-512 (`$6$`) are supported. Hashes of
/// traditional DES have no mark that tells them from a password, and yescrypt (`$y$`) is too young for files that
/// serve pppd; both are taken for plain text. Of bcrypt, 72 bytes of the password count, as in crypt(3).
pub(super) fn verify(password: &[u8], hash: &[u8]) -> Option<bool> {
    let hash = std::str::from_utf8(hash).ok()?;
    let fits = match hash.get(..3)? {
        "$1$" => md5_crypt::verify(password, hash)?,
        "$2a" | "$2b" | "$2y" => bcrypt::verify(password, hash).ok()?,
        "$5$" | "$6$" => match ShaCrypt::SHA512.verify_password(password, hash) {
            Ok(()) => true,
            Err(sha_crypt::password_hash::Error::PasswordInvalid) => false,
            Err(_) => return None,
        },
        _ => return None,
    };
    // No hash was made of a NUL, which ends the password in crypt(3). bcrypt reads the password again and again with a
    // NUL between, so that one of NULs alone has the hash of the empty one.
    Some(fits && !password.contains(&0))
}
