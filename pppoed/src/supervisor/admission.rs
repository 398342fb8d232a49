//! Whether a station may have one session more.

use std::num::NonZeroUsize;

use ppp_proto::discovery::server::Admission;

use crate::config::PerMac;

/// The limits that are asked about at every PADI and PADR.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionLimits {
    pub(super) per_mac: PerMac,
    pub(super) per_interface: Option<NonZeroUsize>,
    pub(super) max_starting: Option<NonZeroUsize>,
}

/// What there is already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present {
    /// Sessions of the station on this interface.
    pub(super) of_peer: usize,
    /// Sessions on this interface.
    pub(super) on_interface: usize,
    /// Sessions that are not open yet.
    pub(super) starting: usize,
    pub(super) free_slots: usize,
}

impl SessionLimits {
    pub(super) fn admit(&self, present: &Present) -> Admission {
        let is_reached =
            |limit: Option<NonZeroUsize>, count: usize| limit.is_some_and(|limit| count >= limit.get());
        match self.per_mac {
            PerMac::AtMost(limit) if present.of_peer >= limit => Admission::Silence,
            // The old session goes, so there will not be more of anything.
            PerMac::Replace if present.of_peer > 0 => Admission::Welcome,
            _ if is_reached(self.max_starting, present.starting) => Admission::Busy,
            _ if present.free_slots == 0 => Admission::NoSlots,
            _ if is_reached(self.per_interface, present.on_interface) => Admission::NoSlots,
            _ => Admission::Welcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Present = Present { of_peer: 0, on_interface: 0, starting: 0, free_slots: 1 };
    const NO_LIMITS: SessionLimits =
        SessionLimits { per_mac: PerMac::Unlimited, per_interface: None, max_starting: None };

    fn limit(count: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(count)
    }

    #[test]
    fn each_limit_at_its_edge() {
        let per_mac = SessionLimits { per_mac: PerMac::AtMost(2), ..NO_LIMITS };
        let per_interface = SessionLimits { per_interface: limit(5), ..NO_LIMITS };
        let starting = SessionLimits { max_starting: limit(3), ..NO_LIMITS };
        for (limits, present, expected) in [
            (
                NO_LIMITS,
                Present { of_peer: 9999, on_interface: 9999, starting: 9999, ..NOTHING },
                Admission::Welcome,
            ),
            (NO_LIMITS, Present { free_slots: 0, ..NOTHING }, Admission::NoSlots),
            (per_mac, Present { of_peer: 1, ..NOTHING }, Admission::Welcome),
            (per_mac, Present { of_peer: 2, ..NOTHING }, Admission::Silence),
            (per_mac, Present { of_peer: 1, free_slots: 0, ..NOTHING }, Admission::NoSlots),
            (per_interface, Present { on_interface: 4, ..NOTHING }, Admission::Welcome),
            (per_interface, Present { on_interface: 5, ..NOTHING }, Admission::NoSlots),
            (starting, Present { starting: 2, ..NOTHING }, Admission::Welcome),
            (starting, Present { starting: 3, ..NOTHING }, Admission::Busy),
            // It will ask again, and then learn that there is no slot.
            (starting, Present { starting: 3, free_slots: 0, ..NOTHING }, Admission::Busy),
        ] {
            assert_eq!(limits.admit(&present), expected, "{limits:?} {present:?}");
        }
    }

    #[test]
    fn who_replaces_its_own_session_needs_no_room() {
        let limits =
            SessionLimits { per_mac: PerMac::Replace, per_interface: limit(1), max_starting: limit(1) };
        let full = Present { of_peer: 0, on_interface: 1, starting: 1, free_slots: 0 };
        assert_eq!(limits.admit(&full), Admission::Busy);
        assert_eq!(limits.admit(&Present { of_peer: 1, ..full }), Admission::Welcome);
    }
}
