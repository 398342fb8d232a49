//! Lines of the shell from a file, a pipe or an argument.

use std::io::BufRead;

use super::execute::{self, Next};
use crate::{console::Console, error::Error, program::DisplayOptions};

/// Longest line, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// Carries out lines up to the first that fails.
pub(crate) fn run(
    mut input: impl BufRead,
    defaults: DisplayOptions,
    console: &mut Console,
) -> Result<(), Error> {
    for number in 1.. {
        let mut line = Vec::new();
        let limit = &mut std::io::Read::take(&mut input, MAX_LINE + 1);
        if limit.read_until(b'\n', &mut line).map_err(Error::Input)? == 0 {
            break;
        }
        let text = std::str::from_utf8(&line).ok().filter(|text| text.len() as u64 <= MAX_LINE);
        let result = match text {
            Some(text) => execute::line(text, defaults, console, false),
            None => Err(Error::Line(format!("not UTF-8, or longer than {MAX_LINE} bytes"))),
        };
        match result {
            Ok(Next::Line) => {}
            Ok(Next::Leave) => break,
            Err(error) => return Err(Error::InLine { number, source: Box::new(error) }),
        }
    }
    Ok(())
}
