//! The line that fits a peer, taken out of the files: comparing a proof with it may take its time, and holds up nobody.

use std::fmt;

use super::{Entry, Grant, MAX_CHAP_SECRET, Refusal, Secret, crypt};

/// A secret that stands for the system's password database.
pub(super) const SYSTEM_PASSWORD: &[u8] = b"@login";

/// The line that decides about a peer, with its secret.
pub struct Candidate {
    client: Vec<u8>,
    secret: Secret,
    hashes_only: bool,
    /// What the peer gets if its proof is right.
    pub(super) grant: Grant,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate").field("place", &self.grant.place).finish_non_exhaustive()
    }
}

impl Candidate {
    /// With `hashes_only` (the option `papcrypt`), PAP takes a secret for nothing but a hash.
    pub(super) fn new(entry: &Entry, client: &[u8], secret: Secret, hashes_only: bool) -> Self {
        Self { client: client.to_vec(), secret, hashes_only, grant: Grant::of(entry) }
    }

    /// What a right proof gives.
    pub fn into_grant(self) -> Grant {
        self.grant
    }

    /// Whether [`Candidate::verify_pap`] takes milliseconds of computing, on purpose.
    pub fn is_hashed(&self) -> bool {
        crypt::is_hash(&self.secret)
    }

    /// Lets `verify` check a CHAP response against the secret.
    ///
    /// # Errors
    /// [`Refusal::EmptySecret`] without asking `verify`, [`Refusal::WrongPassword`] if it says no.
    pub fn verify_chap(&self, verify: impl FnOnce(&[u8]) -> bool) -> Result<(), Refusal> {
        let secret = self.secret.get(..MAX_CHAP_SECRET).unwrap_or(&self.secret);
        if secret.is_empty() {
            Err(self.refuse(|place, client| Refusal::EmptySecret { place, client }))
        } else if verify(secret) {
            Ok(())
        } else {
            Err(self.refuse(|place, client| Refusal::WrongPassword { place, client }))
        }
    }

    /// Checks a PAP password: the secret itself, or a hash of it as crypt(3) makes them. The empty password never
    /// matches. Slow for hashes.
    ///
    /// # Errors
    /// Why the password does not let the peer in.
    pub fn verify_pap(&self, password: &[u8]) -> Result<(), Refusal> {
        let secret = &*self.secret;
        if secret.is_empty() {
            return Err(self.refuse(|place, client| Refusal::EmptySecret { place, client }));
        }
        if **secret == *SYSTEM_PASSWORD {
            return Err(self.refuse(|place, client| Refusal::SystemPassword { place, client }));
        }
        let right = match crypt::verify(password, secret) {
            Some(right) => right,
            None if self.hashes_only => {
                return Err(self.refuse(|place, client| Refusal::NotAHash { place, client }));
            }
            None => bool::from(subtle::ConstantTimeEq::ct_eq(&**secret, password)),
        };
        // A hash may be that of the empty password.
        match right && !password.is_empty() {
            true => Ok(()),
            false => Err(self.refuse(|place, client| Refusal::WrongPassword { place, client })),
        }
    }

    fn refuse(&self, refusal: impl FnOnce(crate::origin::Place, Vec<u8>) -> Refusal) -> Refusal {
        refusal(self.grant.place.clone(), self.client.clone())
    }
}
