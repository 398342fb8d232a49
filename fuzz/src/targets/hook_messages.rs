//! The messages between `pppoed` and a hook host, both ways.

use ppp_ipc::hooks::{FromHost, ToHost};

use super::message::check;

/// The first byte chooses the direction, the rest is the body of a frame.
pub fn run(bytes: &[u8]) {
    match bytes.split_first() {
        Some((choice, body)) if choice % 2 == 0 => drop(check::<FromHost>(body)),
        Some((_, body)) => drop(check::<ToHost>(body)),
        None => {}
    }
}
