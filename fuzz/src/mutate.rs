//! Inputs for the smoke run: seeds, changed here and there, the same ones in every run.

/// A generator of numbers that are the same for the same seed (xorshift64*).
#[derive(Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// Numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// One below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.draw() % bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        // Lengths, ends of ranges and what is special in files are rare among all bytes.
        const SPECIAL: &[u8] = b"\x00\x01\x02\x03\x04\x7f\x80\xfe\xff \n\"'\\#:/*!-.0@\x1b";
        let [byte, choice, ..] = self.draw().to_le_bytes();
        if choice < 96 { SPECIAL[usize::from(byte) % SPECIAL.len()] } else { byte }
    }
}

/// Changes `input` in one to six places; `other` is where pieces may come from. It gets no longer than `max_len`.
pub fn mutate(input: &mut Vec<u8>, other: &[u8], max_len: usize, numbers: &mut Numbers) {
    for _ in 0..=numbers.below(6) {
        let at = numbers.below(input.len() + 1);
        let len = numbers.below(input.len() - at + 1).min(1 + numbers.below(16));
        match numbers.below(8) {
            0 => drop(input.drain(at..at + len)),
            1 => input.insert(at, numbers.byte()),
            2 => {
                let piece = input[at..at + len].to_vec();
                let to = numbers.below(input.len() + 1);
                drop(input.splice(to..to, piece));
            }
            3 => {
                let from = numbers.below(other.len() + 1);
                let piece = &other[from..(from + 1 + numbers.below(64)).min(other.len()).max(from)];
                drop(input.splice(at..at + len, piece.iter().copied()));
            }
            4 => input.truncate(at),
            5 if at < input.len() => input[at] ^= 1 << numbers.below(8),
            _ if at < input.len() => input[at] = numbers.byte(),
            _ => input.push(numbers.byte()),
        }
    }
    input.truncate(max_len);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutants_differ_stay_short_and_come_again() {
        let mutants = |seed| {
            let mut numbers = Numbers::new(seed);
            let made = (0..200).map(|_| {
                let mut input = b"0123456789".to_vec();
                mutate(&mut input, b"abcdefgh", 12, &mut numbers);
                input
            });
            made.collect::<Vec<_>>()
        };
        let first = mutants(1);
        assert!(first.iter().all(|mutant| mutant.len() <= 12));
        let different: std::collections::BTreeSet<_> = first.iter().collect();
        assert!(different.len() > 150, "{}", different.len());
        assert_eq!(first, mutants(1));
        assert_ne!(first, mutants(2));
        mutate(&mut Vec::new(), &[], 0, &mut Numbers::new(3));
    }
}
