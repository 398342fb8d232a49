//! Values as lists of settings show them.

use std::fmt::Display;

use ppp_wire::escape::Escaped;

/// The value, or that there is none.
pub fn optional(value: Option<impl Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Bytes between quotes, safe to show.
pub fn text(bytes: impl AsRef<[u8]>) -> String {
    format!("\"{}\"", Escaped(bytes.as_ref()))
}
