//! Which line of which file would decide about a user: [`Request::AuthTest`](super::Request::AuthTest).

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::AuthMethod;
use crate::name::Name;

/// Lines that are explained one by one.
pub const MAX_LINES: usize = 50;

/// Whom to look for, and with which password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthTest {
    /// User name.
    pub user: Name,
    /// The password, if it is to be tried.
    pub password: Option<Password>,
}

/// A password, which is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Password(pub Vec<u8>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Whether the user would be let in, by one method.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthVerdict {
    /// The method.
    pub method: AuthMethod,
    /// Whether the server asks for it at all.
    pub is_asked_for: bool,
    /// File and line that decides.
    pub decided_by: Option<String>,
    /// Whether the password is right; none if there was none to try, or no line to try it on.
    pub is_right: Option<bool>,
    /// Why a login would be refused now, with file and line where it is one.
    pub refusal: Option<String>,
    /// The addresses on the line that decides, in words.
    pub addresses: Option<String>,
    /// The other lines that come near, and why each of them does not decide. At most [`MAX_LINES`].
    pub others: Vec<AuthLine>,
    /// Lines beyond those, and lines for other users.
    pub more: u32,
    /// What a login would get now, in words, if it were not refused.
    pub would_get: Option<String>,
}

/// A line that does not decide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthLine {
    /// File and line.
    pub place: String,
    /// Why not.
    pub why: String,
}
