//! Frames on a byte stream: a 32-bit little-endian length, then that many bytes.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

use crate::wiped;

/// Length of the header of a frame in bytes.
pub const HEADER_LEN: usize = 4;

/// Largest body that either socket carries, in bytes.
///
/// Every message of this crate fits with room to spare (asserted by its tests); long answers are sent in several
/// frames. It bounds what a hostile other end can make a program hold.
pub const MAX_BODY_LEN: usize = 64 * 1024;

/// The other end broke the framing. Nothing more can be read from that stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A header announced more than [`MAX_BODY_LEN`].
    #[error("a frame of {announced} bytes was announced; at most {MAX_BODY_LEN} are allowed")]
    TooLong {
        /// Length that the header announced, in bytes.
        announced: u32,
    },
    /// A header announced an empty body, which no message has.
    #[error("an empty frame was announced")]
    Empty,
}

/// Cuts a byte stream into frame bodies.
///
/// Holds at most one incomplete frame beside what the caller pushed at once, so its memory is bounded by
/// [`MAX_BODY_LEN`] plus the size of one read. Frames may hold passwords: what was handed out is wiped with the next push,
/// the rest when this is dropped, and nothing of it is shown by `Debug`.
#[derive(Default)]
pub struct FrameDecoder {
    buffer: Zeroizing<Vec<u8>>,
    /// Bytes of `buffer` that were handed out already.
    consumed: usize,
}

impl fmt::Debug for FrameDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.buffer.len() - self.consumed;
        f.debug_struct("FrameDecoder").field("pending", &pending).finish_non_exhaustive()
    }
}

impl FrameDecoder {
    /// An empty decoder.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that were read from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed > 0 {
            self.buffer.copy_within(self.consumed.., 0);
            let left = self.buffer.len() - self.consumed;
            self.buffer.iter_mut().skip(left).for_each(Zeroize::zeroize);
            self.buffer.truncate(left);
            self.consumed = 0;
        }
        wiped::extend(&mut self.buffer, bytes);
    }

    /// As [`FrameDecoder::push`], and wipes the bytes where they were.
    pub fn take(&mut self, bytes: &mut [u8]) {
        self.push(bytes);
        bytes.zeroize();
    }

    /// The next whole frame's body, or `None` until more bytes were pushed.
    ///
    /// # Errors
    /// [`FrameError`] as soon as a header is wrong, before its body arrived.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let pending = self.buffer.get(self.consumed..).unwrap_or_default();
        let Some((header, rest)) = pending.split_first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let announced = u32::from_le_bytes(*header);
        if announced == 0 {
            return Err(FrameError::Empty);
        }
        let body_len = match usize::try_from(announced) {
            Ok(len) if len <= MAX_BODY_LEN => len,
            _ => return Err(FrameError::TooLong { announced }),
        };
        let Some(body) = rest.get(..body_len) else {
            return Ok(None);
        };
        self.consumed += HEADER_LEN + body_len;
        Ok(Some(body))
    }

    /// Whether a frame has begun and not ended: an end of the stream now is a cut-off message.
    pub fn is_mid_frame(&self) -> bool {
        self.buffer.len() > self.consumed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_frames() {
        let mut stream = framed(b"one");
        stream.extend(framed(b"second"));
        for chunk in 1..stream.len() {
            let mut decoder = FrameDecoder::new();
            let mut seen = Vec::new();
            for piece in stream.chunks(chunk) {
                decoder.push(piece);
                while let Some(body) = decoder.next_frame().unwrap() {
                    seen.push(body.to_vec());
                }
            }
            assert_eq!(seen, [b"one".to_vec(), b"second".to_vec()], "chunks of {chunk}");
            assert!(!decoder.is_mid_frame());
        }
    }

    #[test]
    fn a_length_is_refused_before_its_body_arrives() {
        let mut decoder = FrameDecoder::new();
        let announced = u32::try_from(MAX_BODY_LEN).unwrap() + 1;
        decoder.push(&announced.to_le_bytes());
        assert_eq!(decoder.next_frame(), Err(FrameError::TooLong { announced }));

        let mut decoder = FrameDecoder::new();
        decoder.push(&framed(&vec![7; MAX_BODY_LEN]));
        assert_eq!(decoder.next_frame().unwrap().map(<[u8]>::len), Some(MAX_BODY_LEN));
    }

    #[test]
    fn what_waits_is_not_shown() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[9, 0, 0, 0, 77, 77]);
        assert_eq!(format!("{decoder:?}"), "FrameDecoder { pending: 6, .. }");
    }

    #[test]
    fn an_empty_frame_is_refused() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[0, 0, 0, 0]);
        assert_eq!(decoder.next_frame(), Err(FrameError::Empty));
    }

    #[test]
    fn a_cut_off_frame_is_seen() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[3, 0, 0, 0, b'a']);
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.is_mid_frame());
    }
}
