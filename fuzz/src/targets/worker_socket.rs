//! The messages between `pppoed` and a worker, both ways, and those of a worker that comes back.

use ppp_ipc::adoption::{Claim, Welcome};
use ppp_ipc::worker::{FromWorker, Proof, ToWorker};

use super::message::check;

/// The first byte chooses the message, the rest is the body of a frame.
pub fn run(bytes: &[u8]) {
    let Some((choice, body)) = bytes.split_first() else { return };
    match choice % 4 {
        0 => {
            if let Some(FromWorker::Authenticate(proof)) = check::<FromWorker>(body) {
                assert_nothing_is_shown(&proof);
            }
        }
        1 => {
            if let Some(message) = check::<ToWorker>(body) {
                assert!(message.since() <= ppp_ipc::worker::VERSION);
            }
        }
        2 => drop(check::<Claim>(body)),
        _ => drop(check::<Welcome>(body)),
    }
}

/// Of two proofs that differ in the password or response alone the same is shown.
fn assert_nothing_is_shown(proof: &Proof) {
    let mut other = proof.clone();
    match &mut other {
        Proof::Pap { password, .. } => password.push(b'!'),
        Proof::Chap { response, .. } => response.push(b'!'),
    }
    assert_eq!(format!("{proof:?}"), format!("{other:?}"));
}
