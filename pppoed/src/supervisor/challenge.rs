//! The challenges of CHAP, which nobody can guess and no two sessions share.

use super::setup::{SetupError, random};

/// Bytes of a challenge's value: as many as of the response, as RFC 1994 §2.3 leads to.
pub(super) const LEN: usize = 16;

/// A CHAP challenge that was given to the worker and not yet answered. Dropped when it is answered, so that it
/// counts once (RFC 1994 §2.3).
#[derive(Clone, Debug)]
pub(super) struct Challenge {
    pub(super) identifier: u8,
    pub(super) value: [u8; LEN],
}

impl Challenge {
    /// A new one, of the system's random numbers. Its identifier is another than `last`, the one before in the same session
    /// (RFC 1994 §4.1: it must be changed each time).
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(super) fn after(last: Option<u8>) -> Result<Self, SetupError> {
        let [identifier, value @ ..] = random::<{ LEN + 1 }>()?;
        let identifier = if Some(identifier) == last { identifier.wrapping_add(1) } else { identifier };
        Ok(Self { identifier, value })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// More than there are identifiers, by far.
    const MANY: usize = 20_000;

    #[test]
    fn challenges_are_random_and_none_comes_twice() {
        let sessions: Vec<Challenge> = (0..MANY).map(|_| Challenge::after(None).unwrap()).collect();
        let values: BTreeSet<_> = sessions.iter().map(|challenge| challenge.value).collect();
        assert_eq!(values.len(), MANY);
        // Half of the values have each bit. It is 70 standard deviations to a quarter.
        for bit in 0..8 * LEN {
            let ones = values.iter().filter(|value| value[bit / 8] >> (bit % 8) & 1 == 1).count();
            assert!((MANY / 4..MANY * 3 / 4).contains(&ones), "bit {bit}: {ones} of {MANY}");
        }
        // No half of a value comes twice either, as it would of a short seed: by chance once in 10^11 runs.
        let halves: BTreeSet<_> = values.iter().map(|value| &value[..LEN / 2]).collect();
        assert_eq!(halves.len(), MANY);
        let identifiers: BTreeSet<_> = sessions.iter().map(|challenge| challenge.identifier).collect();
        assert_eq!(identifiers.len(), 256);
    }

    #[test]
    fn the_identifier_changes_with_every_challenge() {
        let mut last = None;
        for _ in 0..MANY {
            let challenge = Challenge::after(last).unwrap();
            assert_ne!(Some(challenge.identifier), last);
            last = Some(challenge.identifier);
        }
    }
}
