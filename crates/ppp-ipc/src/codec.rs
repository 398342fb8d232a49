//! Values to frames and back: the only user of bincode.
//!
//! There is one limit, [`MAX_BODY_LEN`], in bytes of the frame, and both ends check it: what [`encode`] takes, [`decode`]
//! takes. bincode 2.0.1 accepts trailing bytes, its encoder ignores its limit, and its decoder counts something else
//! ([`DECODED_LEN`]), so all three are seen to here.

use std::io;

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::frame::{HEADER_LEN, MAX_BODY_LEN};
use crate::wiped::Writer;

/// What bincode's decoder may count for one frame. It counts each number by its full width, of up to 16 bytes, although the
/// frame may hold it in one; lengths and variants are numbers, too. So this is the smallest limit that no frame of up to
/// [`MAX_BODY_LEN`] can reach: what stops a frame is its length. It still bounds what is allocated for a length that is
/// announced and not there.
const DECODED_LEN: usize = 16 * MAX_BODY_LEN;

type Configuration = bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<DECODED_LEN>,
>;

const CONFIGURATION: Configuration = bincode::config::standard().with_limit::<DECODED_LEN>();

/// A value could not be put into one frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value needs more than one frame may hold.
    #[error("a message of {len} bytes exceeds the maximum of {MAX_BODY_LEN}")]
    TooLong {
        /// Length of the encoded value in bytes.
        len: usize,
    },
    /// The serializer refused the value.
    #[error("a message cannot be encoded")]
    Serialize(#[source] bincode::error::EncodeError),
}

/// The body of a frame is not the value that was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The body is longer than that of any frame.
    #[error("a message of {len} bytes exceeds the maximum of {MAX_BODY_LEN}")]
    TooLong {
        /// Length of the body in bytes.
        len: usize,
    },
    /// The bytes are not such a value.
    #[error("a frame does not hold a valid message")]
    Malformed(#[source] bincode::error::DecodeError),
    /// A record is not one whole frame.
    #[error("a record of {len} bytes is not one frame")]
    NotAFrame {
        /// Length of the record in bytes.
        len: usize,
    },
    /// Bytes were left over behind the value.
    #[error("{count} bytes follow the message in its frame")]
    Trailing {
        /// Number of bytes left over.
        count: usize,
    },
}

/// Room of a frame before it is known how much it needs, in bytes: enough for most.
const USUAL_LEN: usize = 256;

/// Encodes `value` as one whole frame, header included. It may hold a password, and is wiped when it is dropped.
///
/// # Errors
/// [`EncodeError::TooLong`] when the value does not fit into a frame.
pub fn encode<T: Serialize>(value: &T) -> Result<Zeroizing<Vec<u8>>, EncodeError> {
    let mut writer = Writer(Zeroizing::new(Vec::with_capacity(USUAL_LEN)));
    writer.0.extend_from_slice(&[0; HEADER_LEN]);
    bincode::serde::encode_into_std_write(value, &mut writer, CONFIGURATION)
        .map_err(EncodeError::Serialize)?;
    let Writer(mut bytes) = writer;
    let len = bytes.len() - HEADER_LEN;
    let announced = match u32::try_from(len) {
        Ok(announced) if len <= MAX_BODY_LEN => announced,
        _ => return Err(EncodeError::TooLong { len }),
    };
    if let Some(header) = bytes.first_chunk_mut::<HEADER_LEN>() {
        *header = announced.to_le_bytes();
    }
    Ok(bytes)
}

/// Length of `value` in a frame, in bytes, without the header.
///
/// # Errors
/// When the serializer refuses the value. A length beyond [`MAX_BODY_LEN`] is none.
pub fn encoded_len<T: Serialize>(value: &T) -> Result<usize, EncodeError> {
    let mut counter = Counter(0);
    bincode::serde::encode_into_std_write(value, &mut counter, CONFIGURATION)
        .map_err(EncodeError::Serialize)?;
    Ok(counter.0)
}

/// Writes nowhere, and counts the bytes.
struct Counter(usize);

impl io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is left of a frame for the elements of a list, once the message around it has its part.
#[derive(Debug)]
pub struct Room {
    left: usize,
    is_empty: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

impl Room {
    /// Bytes for what is around the list in its message: variants, the list's length, a flag or two.
    const AROUND: usize = 64;

    /// An empty frame.
    pub fn new() -> Self {
        Self { left: MAX_BODY_LEN - Self::AROUND, is_empty: true }
    }

    fn without<T: Serialize>(&self, element: &T) -> Option<usize> {
        encoded_len(element).ok().and_then(|len| self.left.checked_sub(len))
    }

    /// Whether there is room for `element`.
    pub fn holds<T: Serialize>(&self, element: &T) -> bool {
        self.without(element).is_some()
    }

    /// Takes the room that `element` needs. False, and takes none, if that is not left. The first element is always
    /// taken: one that fits into no frame is for [`encode`] to refuse.
    pub fn take<T: Serialize>(&mut self, element: &T) -> bool {
        let left = self.without(element);
        if left.is_none() && !self.is_empty {
            return false;
        }
        self.left = left.unwrap_or(0);
        self.is_empty = false;
        true
    }
}

/// Cuts a list into pieces that each fit into a message of their own, in order.
pub fn pieces<T: Serialize>(list: impl IntoIterator<Item = T>) -> Vec<Vec<T>> {
    let mut pieces: Vec<Vec<T>> = Vec::new();
    let mut room = Room::new();
    for element in list {
        match pieces.last_mut() {
            Some(piece) if room.take(&element) => piece.push(element),
            _ => {
                room = Room::new();
                room.take(&element);
                pieces.push(vec![element]);
            }
        }
    }
    pieces
}

/// Decodes the body of one frame, all of it.
///
/// # Errors
/// [`DecodeError`] when the body is not exactly one `T`.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    if body.len() > MAX_BODY_LEN {
        return Err(DecodeError::TooLong { len: body.len() });
    }
    let (value, used) =
        bincode::serde::decode_from_slice(body, CONFIGURATION).map_err(DecodeError::Malformed)?;
    match body.len() - used {
        0 => Ok(value),
        count => Err(DecodeError::Trailing { count }),
    }
}

/// Decodes one whole frame, header included, that came over a socket that keeps frames apart.
///
/// # Errors
/// [`DecodeError`] when it is not exactly one `T`.
pub fn decode_frame<T: DeserializeOwned>(frame: &[u8]) -> Result<T, DecodeError> {
    match frame.split_first_chunk::<HEADER_LEN>() {
        Some((header, body)) if usize::try_from(u32::from_le_bytes(*header)) == Ok(body.len()) => {
            decode(body)
        }
        _ => Err(DecodeError::NotAFrame { len: frame.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::FrameDecoder;

    #[test]
    fn a_value_survives_the_way_there() {
        let value = (7_u32, b"abc".to_vec(), Some(String::from("x")));
        let bytes = encode(&value).unwrap();
        let mut decoder = FrameDecoder::new();
        decoder.push(&bytes);
        let body = decoder.next_frame().unwrap().unwrap();
        assert_eq!(decode::<(u32, Vec<u8>, Option<String>)>(body).unwrap(), value);
    }

    #[test]
    fn a_record_is_one_frame() {
        let mut frame = encode(&7_u32).unwrap();
        assert_eq!(decode_frame::<u32>(&frame).unwrap(), 7);
        frame.push(0);
        assert!(matches!(decode_frame::<u32>(&frame), Err(DecodeError::NotAFrame { len: 6 })));
        assert!(matches!(decode_frame::<u32>(&frame[..3]), Err(DecodeError::NotAFrame { len: 3 })));
        assert!(matches!(decode_frame::<u32>(&[]), Err(DecodeError::NotAFrame { len: 0 })));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut bytes = encode(&1_u8).unwrap();
        bytes.push(0);
        let error = decode::<u8>(bytes.get(HEADER_LEN..).unwrap()).unwrap_err();
        assert!(matches!(error, DecodeError::Trailing { count: 1 }), "{error:?}");
    }

    #[test]
    fn the_size_is_checked_before_sending() {
        let error = encode(&vec![0_u8; MAX_BODY_LEN]).unwrap_err();
        assert!(matches!(error, EncodeError::TooLong { len } if len > MAX_BODY_LEN), "{error:?}");
    }

    /// The frames that bincode's own count would have refused: small numbers, which it counts by their full width.
    #[test]
    fn what_fills_a_frame_is_decoded() {
        let body_of = |bytes: &[u8]| bytes.get(HEADER_LEN..).unwrap().to_vec();
        // A length of more than 250 takes three bytes.
        let full = encode(&vec![1_u8; MAX_BODY_LEN - 3]).unwrap();
        assert_eq!(full.len(), HEADER_LEN + MAX_BODY_LEN);
        assert!(matches!(encode(&vec![1_u8; MAX_BODY_LEN - 2]), Err(EncodeError::TooLong { .. })));
        assert_eq!(decode::<Vec<u8>>(&body_of(&full)).unwrap().len(), MAX_BODY_LEN - 3);
        let numbers = vec![7_u128; MAX_BODY_LEN - 3];
        assert_eq!(decode::<Vec<u128>>(&body_of(&encode(&numbers).unwrap())).unwrap(), numbers);
        let lists = vec![Vec::<u8>::new(); MAX_BODY_LEN - 3];
        assert_eq!(decode::<Vec<Vec<u8>>>(&body_of(&encode(&lists).unwrap())).unwrap(), lists);
        let error = decode::<Vec<u8>>(&vec![0; MAX_BODY_LEN + 1]).unwrap_err();
        assert!(matches!(error, DecodeError::TooLong { len } if len == MAX_BODY_LEN + 1), "{error:?}");
    }

    #[test]
    fn pieces_fit_and_nothing_is_lost() {
        for len in [0, 1, 100, 30_000, MAX_BODY_LEN - Room::AROUND - 3] {
            let list: Vec<Vec<u8>> = (0..7).map(|number| vec![number; len]).collect();
            let pieces = pieces(list.clone());
            for piece in &pieces {
                encode(&(u64::MAX, u64::MAX, piece)).unwrap();
            }
            assert_eq!(pieces.concat(), list, "elements of {len} bytes");
            assert_eq!(
                pieces.len(),
                if len < 1000 { 1 } else { 7_usize.div_ceil((65_000 / len).max(1)) },
                "{len}"
            );
        }
        assert_eq!(pieces(Vec::<u8>::new()).len(), 0);
        let unfit = pieces(vec![vec![0_u8; 1], vec![0; MAX_BODY_LEN], vec![0; 1]]);
        assert_eq!(unfit.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn an_announced_sequence_is_not_believed() {
        // A varint of 2^60 elements, then nothing.
        let body = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0x10];
        assert!(decode::<Vec<u8>>(&body).is_err());
    }
}
