//! Frames on a byte stream: however the bytes come, the frames are the same, and little is kept.

use ppp_ipc::frame::{FrameDecoder, FrameError, HEADER_LEN, MAX_BODY_LEN};

fn frames(stream: &[u8], chunk: usize) -> (Vec<Vec<u8>>, Option<FrameError>, bool) {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for piece in stream.chunks(chunk) {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(body)) => {
                    assert!((1..=MAX_BODY_LEN).contains(&body.len()));
                    frames.push(body.to_vec());
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.next_frame(), Err(error), "an error stays");
                    return (frames, Some(error), false);
                }
            }
        }
    }
    (frames, None, decoder.is_mid_frame())
}

/// The first byte is the size of the pieces, the rest is the stream.
pub fn run(bytes: &[u8]) {
    let Some((chunk, stream)) = bytes.split_first() else { return };
    let (whole, error, is_mid_frame) = frames(stream, stream.len().max(1));
    assert_eq!(frames(stream, usize::from(*chunk).max(1)), (whole.clone(), error, is_mid_frame));

    let mut again = Vec::new();
    for body in &whole {
        again.extend(u32::try_from(body.len()).expect("a frame is short").to_le_bytes());
        again.extend(body);
    }
    assert!(stream.starts_with(&again), "the frames are what was sent");
    let rest = &stream[again.len()..];
    match error {
        None => assert_eq!(is_mid_frame, !rest.is_empty()),
        Some(FrameError::Empty) => assert!(rest.starts_with(&[0; HEADER_LEN])),
        Some(_) => assert!(rest.len() >= HEADER_LEN),
    }
}
