//! What must hold for every message of every socket.

use ppp_ipc::codec;
use ppp_ipc::frame::{HEADER_LEN, MAX_BODY_LEN};
use serde::{Serialize, de::DeserializeOwned};

/// Bytes that no message needs more of than its body has, to be shown.
const SHOWN_PER_BYTE: usize = 256;

/// Decodes a body; what it holds is sent and read again as the same bytes, is shown, and is not more than there was.
pub(super) fn check<T: Serialize + DeserializeOwned + std::fmt::Debug>(body: &[u8]) -> Option<T> {
    let message: T = codec::decode(body).ok()?;
    assert!(body.len() <= MAX_BODY_LEN + HEADER_LEN, "a message of {} bytes was taken", body.len());
    let sent = codec::encode(&message).expect("what was decoded can be sent");
    assert!(sent.len() <= HEADER_LEN + body.len(), "it has grown");
    let again: T = codec::decode_frame(&sent).expect("what was sent can be decoded");
    assert_eq!(codec::encode(&again).expect("as before"), sent, "it is another message now");
    let shown = format!("{message:?}");
    assert!(
        shown.len() <= 4096 + body.len() * SHOWN_PER_BYTE,
        "{} bytes to show {}",
        shown.len(),
        body.len()
    );
    Some(message)
}
