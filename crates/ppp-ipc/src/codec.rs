//! Values to frames and back: the only user of bincode.
//!
//! bincode 2.0.1 accepts trailing bytes and its encoder ignores the limit, so both are checked here.

use serde::{Serialize, de::DeserializeOwned};

use zeroize::Zeroizing;

use crate::frame::{HEADER_LEN, MAX_BODY_LEN};
use crate::wiped::Writer;

type Configuration = bincode::config::Configuration<
    bincode::config::LittleEndian,
    bincode::config::Varint,
    bincode::config::Limit<MAX_BODY_LEN>,
>;

const CONFIGURATION: Configuration = bincode::config::standard().with_limit::<MAX_BODY_LEN>();

/// A value could not be put into one frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The value needs more than one frame may hold.
    #[error("a message of {len} bytes does not fit into a frame of {MAX_BODY_LEN}")]
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

/// Decodes the body of one frame, all of it.
///
/// # Errors
/// [`DecodeError`] when the body is not exactly one `T`.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
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

    #[test]
    fn an_announced_sequence_is_not_believed() {
        // A varint of 2^60 elements, then nothing.
        let body = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0x10];
        assert!(decode::<Vec<u8>>(&body).is_err());
    }
}
