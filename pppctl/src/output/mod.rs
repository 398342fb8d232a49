//! Answers as text: one implementation of [`Output`] per format.

mod config;
pub(crate) mod csv;
mod event;
pub(crate) mod grid;
mod hooks;
mod info;
pub(crate) mod json;
pub(crate) mod policy;
mod reload;
#[cfg(test)]
pub(crate) mod samples;
pub(crate) mod style;
mod table;
mod trace;
pub(crate) mod units;

use std::{
    fmt::Display,
    io::{self, Write},
};

use ppp_ipc::name::Name;
use ppp_wire::escape::harmless;

use crate::{
    answer::{Answer, Piece},
    format::Format,
    terminal::Screen,
};

/// A way to show answers.
pub(crate) trait Output {
    /// Writes one whole answer, final newline included.
    fn write(&self, answer: &Answer, out: &mut dyn Write) -> io::Result<()>;

    /// Writes one piece of an answer without end, on a line of its own.
    fn write_piece(&self, piece: &Piece, out: &mut dyn Write) -> io::Result<()>;
}

/// The implementation of a format, for this screen.
pub(crate) fn new(format: Format, screen: Screen) -> Box<dyn Output> {
    match format {
        Format::Table => Box::new(table::Table::new(screen)),
        Format::Json => Box::new(json::Json { zone: screen.zone }),
        Format::Csv => Box::new(csv::Csv { zone: screen.zone }),
    }
}

/// Shown where there is nothing.
pub(crate) const NONE: &str = "-";

/// Text for a table.
pub(crate) fn text(text: &str) -> String {
    if text.is_empty() { NONE.to_owned() } else { harmless(text).into_owned() }
}

/// A name for a table.
pub(crate) fn name(name: Option<&Name>) -> String {
    name.filter(|name| !name.is_empty()).map_or_else(|| NONE.to_owned(), Name::to_string)
}

/// A value for a table.
pub(crate) fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| value.to_string())
}

/// A number of things, such as `1 session` and `2 sessions`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(harmless("älice"), "älice");
        assert_eq!(harmless("a\x1b[2Jb\n\u{9b}"), "a\\u{1b}[2Jb\\n\\u{9b}");
        assert_eq!(harmless("\u{202e}e\u{301}\u{200b}"), "\\u{202e}e\\u{301}\\u{200b}");
        assert_eq!(harmless("'a\\n\" 日本"), "'a\\n\" 日本");
    }
}
