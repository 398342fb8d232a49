//! The Internet checksum (RFC 1071).

/// A one's complement sum of 16-bit words, not folded yet.
///
/// The words are added as the machine reads them, which gives the same sum with its bytes swapped (RFC 1071 §2 (B)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum(u64);

/// What is added at once: wide enough for the compiler to use vectors.
const BLOCK: usize = 64;

impl Sum {
    /// Adds bytes, which have to begin at an even place of what is summed. Of an odd number of them the last
    /// one is the high half of a word.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // Sums of 32-bit words overflow into the next 16 bits, where they are still counted; a lane has room for
        // 2^32 of them. Wrapping, because a check for overflow would keep the compiler from using vectors.
        let mut lanes = [0_u64; BLOCK / 4];
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for block in blocks {
            let (words, _) = block.as_chunks::<4>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = lane.wrapping_add(u32::from_ne_bytes(*word).into());
            }
        }
        let (words, rest) = rest.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane = lane.wrapping_add(u32::from_ne_bytes(*word).into());
        }
        let mut last = [0; 4];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        let total =
            lanes.iter().fold(u64::from(u32::from_ne_bytes(last)), |sum, lane| sum.wrapping_add(*lane));
        Self(self.0.wrapping_add(total))
    }

    /// Adds a number of 16 bits.
    #[must_use]
    pub fn word(self, word: u16) -> Self {
        Self(self.0.wrapping_add(word.to_be().into()))
    }

    /// The sum in 16 bits. What a checksum field holds is its complement.
    #[must_use]
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while let (low, high @ 1..) = (sum & 0xffff, sum >> 16) {
            sum = low + high;
        }
        // The loop has ended, so nothing is cut off.
        u16::from_be(u16::try_from(sum).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071 §4.1.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 1071 §3.
        assert_eq!(Sum::default().bytes(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]).fold(), 0xddf2);
        assert_eq!(Sum::default().word(0xf203).word(0xf4f5).fold(), 0xe6f9);
        assert_eq!(Sum::default().fold(), 0);
        assert_eq!(Sum::default().bytes(&[0xff; 65535]).fold(), reference(&[0xff; 65535]));
    }

    proptest! {
        #[test]
        fn agrees_with_the_rfc(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let whole = Sum::default().bytes(&bytes).fold();
            prop_assert_eq!(whole, reference(&bytes));
            let (first, second) = bytes.split_at((cut & !1).min(bytes.len() & !1));
            prop_assert_eq!(Sum::default().bytes(first).bytes(second).fold(), whole);
        }
    }
}
