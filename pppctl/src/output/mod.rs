//! Answers as text: one implementation of [`Output`] per format.

mod event;
mod grid;
mod json;
#[cfg(test)]
pub(crate) mod samples;
mod table;
mod units;

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
};

use crate::{
    answer::{Answer, Piece},
    command::Format,
};

/// A way to show answers.
pub(crate) trait Output {
    /// Writes one whole answer, final newline included.
    fn write(&self, answer: &Answer, out: &mut dyn Write) -> io::Result<()>;

    /// Writes one piece of an answer without end, on a line of its own.
    fn write_piece(&self, piece: &Piece, out: &mut dyn Write) -> io::Result<()>;
}

/// The implementation of a format. `width` is that of the terminal in columns; `None` fits everything.
pub(crate) fn new(format: Format, width: Option<usize>) -> Box<dyn Output> {
    match format {
        Format::Table => Box::new(table::Table::new(width)),
        Format::Json => Box::new(json::Json),
    }
}

/// Columns of the terminal on standard output; `None` when it is not one.
pub(crate) fn terminal_width() -> Option<usize> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal_size::terminal_size_of(stdout).map(|(terminal_size::Width(width), _)| usize::from(width))
}

/// Text of the server with control characters made visible.
///
/// `pppoed` has escaped what its peers chose; a terminal is not made to depend on that.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if character.is_control() {
            // A String takes everything.
            let _ = write!(safe, "{}", character.escape_default());
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(printable("älice"), "älice");
        assert_eq!(printable("a\x1b[2Jb\n\u{9b}"), "a\\u{1b}[2Jb\\n\\u{9b}");
    }
}
