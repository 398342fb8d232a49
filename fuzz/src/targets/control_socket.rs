//! The messages between `pppctl` and `pppoed`, both ways.

use ppp_ipc::control::{ClientHello, Request, Response, ServerHello};

use super::message::check;

/// The first byte chooses the message, the rest is the body of a frame.
pub fn run(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => {
            if let Some(request) = check::<Request>(body) {
                let is_named = !request.to_string().is_empty();
                assert!(is_named, "the log tells of every request");
                let _ = request.is_read_only();
            }
        }
        1 => drop(check::<Response>(body)),
        2 => drop(check::<ClientHello>(body)),
        _ => drop(check::<ServerHello>(body)),
    }
}
