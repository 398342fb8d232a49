//! Numbers that must differ between the two ends, but need not be secret.

/// SplitMix64, seeded by the caller: Magic-Numbers (RFC 1661 §6.4) and Interface-Identifiers (RFC 5072 §4.1).
#[derive(Debug, Clone)]
pub(crate) struct NumberSource(u64);

impl NumberSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A Magic-Number; never 0, which means none.
    pub(crate) fn magic_number(&mut self) -> u32 {
        loop {
            let [a, b, c, d, ..] = self.next().to_be_bytes();
            let number = u32::from_be_bytes([a, b, c, d]);
            if number != 0 {
                return number;
            }
        }
    }

    /// An Interface-Identifier with the universal/local bit clear (RFC 5072 §4.1); never 0.
    pub(crate) fn interface_identifier(&mut self) -> [u8; 8] {
        loop {
            let [first, rest @ ..] = self.next().to_be_bytes();
            let [b, c, d, e, f, g, h] = rest;
            let identifier = [first & !0x02, b, c, d, e, f, g, h];
            if identifier != [0; 8] {
                return identifier;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides() {
        let numbers = |seed| {
            let mut source = NumberSource::new(seed);
            (source.magic_number(), source.interface_identifier())
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }

    #[test]
    fn interface_identifiers_are_local() {
        let mut source = NumberSource::new(1);
        for _ in 0..1000 {
            assert_eq!(source.interface_identifier()[0] & 0x02, 0);
        }
    }
}
