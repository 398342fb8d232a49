//! A password, read without showing it.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use crate::{error::Error, terminal::Keys};

/// More bytes than this are no password; PAP can carry 255.
const MAX_LEN: u64 = 1024;

const INTERRUPT: u8 = 0x03;
const BACKSPACE: u8 = 0x08;
const DELETE: u8 = 0x7f;

/// Asks on the terminal, or takes the first line of standard input where that is none.
///
/// # Errors
/// [`Error::Declined`] after Ctrl-C, [`Error::Ask`] when nothing can be read.
pub(crate) fn read() -> Result<Vec<u8>, Error> {
    if io::stdin().is_terminal() {
        return type_in();
    }
    let mut line = Vec::new();
    io::stdin().lock().take(MAX_LEN).read_until(b'\n', &mut line).map_err(Error::Ask)?;
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    Ok(line)
}

fn type_in() -> Result<Vec<u8>, Error> {
    let mut stderr = io::stderr().lock();
    // In this order: who types at once does so unseen.
    let keys = Keys::start().map_err(Error::Ask)?;
    write!(stderr, "Password: ").and_then(|()| stderr.flush()).map_err(Error::Ask)?;
    let mut password = Vec::new();
    let outcome = loop {
        match keys.next().map_err(Error::Ask)? {
            None | Some(INTERRUPT) => break Err(Error::Declined),
            Some(b'\r' | b'\n') => break Ok(password),
            Some(BACKSPACE | DELETE) => _ = password.pop(),
            Some(byte) => password.push(byte),
        }
    };
    drop(keys);
    writeln!(stderr).map_err(Error::Ask)?;
    outcome
}
