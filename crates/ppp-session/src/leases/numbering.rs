//! How many sessions there can be, and their ids.

/// The largest number of sessions: ids 0 and 0xffff are reserved (RFC 2516 section 4).
pub const MAX_SESSIONS: u32 = 65534;

/// How sessions get their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbering {
    /// Any id that is free.
    Random,
    /// Slot `i` has the session id `i + 1 + offset`.
    From(u32),
}

/// Numbers of sessions that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// No session at all.
    #[error("the number of sessions must be at least 1")]
    None,
    /// Session ids would run over 65534.
    #[error("{count} sessions from id {} on are too many: session ids end at {MAX_SESSIONS}", .offset.saturating_add(1))]
    TooMany {
        /// Number of sessions.
        count: u32,
        /// Offset of the session ids.
        offset: u32,
    },
}

impl Numbering {
    /// The offset of the ids, if there can be `count` sessions.
    ///
    /// # Errors
    /// If there are none, or ids would be above [`MAX_SESSIONS`].
    pub fn check(self, count: u32) -> Result<u16, SlotError> {
        let offset = match self {
            Self::Random => 0,
            Self::From(offset) => offset,
        };
        if count == 0 {
            return Err(SlotError::None);
        }
        let too_many = SlotError::TooMany { count, offset };
        if count.checked_add(offset).is_none_or(|last| last > MAX_SESSIONS) {
            return Err(too_many);
        }
        u16::try_from(offset).map_err(|_| too_many)
    }
}
