//! The messages between `pppoed` and the template of the workers, both ways: records that are one frame each.

use ppp_ipc::codec;
use ppp_ipc::template::{FromTemplate, ToTemplate};

use super::message::check;

/// The first byte chooses the direction, the rest is a record.
pub fn run(bytes: &[u8]) {
    let Some((choice, record)) = bytes.split_first() else { return };
    let body = record.get(ppp_ipc::frame::HEADER_LEN..).unwrap_or_default();
    if choice % 2 == 0 {
        let whole = codec::decode_frame::<FromTemplate>(record).ok();
        assert!(whole.is_none() || whole == check::<FromTemplate>(body));
    } else {
        let whole = codec::decode_frame::<ToTemplate>(record).ok();
        assert!(whole.is_none() || whole == check::<ToTemplate>(body));
    }
}
