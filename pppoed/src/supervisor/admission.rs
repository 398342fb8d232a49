//! Whether a station may have one session more.

use std::num::NonZeroUsize;

use ppp_proto::discovery::server::Admission;
use pppoed_config::flags::PerMac;

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
    /// Too many sessions are in setup, and too many requests wait.
    pub(super) is_crowded: bool,
    /// There is a free slot, or one that its session may have to give up.
    pub(super) has_slot: bool,
}

impl SessionLimits {
    pub(super) fn admit(&self, present: &Present) -> Admission {
        let is_reached =
            |limit: Option<NonZeroUsize>, count: usize| limit.is_some_and(|limit| count >= limit.get());
        match self.per_mac {
            PerMac::AtMost(limit) if present.of_peer >= limit => Admission::Silence,
            // The old session goes sooner or later, so there will not be more of anything for long.
            PerMac::Replace if present.of_peer > 0 => Admission::Welcome,
            _ if present.is_crowded => Admission::Busy,
            _ if !present.has_slot => Admission::NoSlots,
            _ if is_reached(self.per_interface, present.on_interface) => Admission::NoSlots,
            _ => Admission::Welcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Present = Present { of_peer: 0, on_interface: 0, is_crowded: false, has_slot: true };
    const NO_LIMITS: SessionLimits =
        SessionLimits { per_mac: PerMac::Unlimited, per_interface: None, max_starting: None };

    fn limit(count: usize) -> Option<NonZeroUsize> {
        NonZeroUsize::new(count)
    }

    #[test]
    fn each_limit_at_its_edge() {
        let per_mac = SessionLimits { per_mac: PerMac::AtMost(2), ..NO_LIMITS };
        let per_interface = SessionLimits { per_interface: limit(5), ..NO_LIMITS };
        for (limits, present, expected) in [
            (NO_LIMITS, Present { of_peer: 9999, on_interface: 9999, ..NOTHING }, Admission::Welcome),
            (NO_LIMITS, Present { has_slot: false, ..NOTHING }, Admission::NoSlots),
            (per_mac, Present { of_peer: 1, ..NOTHING }, Admission::Welcome),
            (per_mac, Present { of_peer: 2, ..NOTHING }, Admission::Silence),
            (per_mac, Present { of_peer: 1, has_slot: false, ..NOTHING }, Admission::NoSlots),
            (per_interface, Present { on_interface: 4, ..NOTHING }, Admission::Welcome),
            (per_interface, Present { on_interface: 5, ..NOTHING }, Admission::NoSlots),
            (NO_LIMITS, Present { is_crowded: true, ..NOTHING }, Admission::Busy),
            // It will ask again, and then learn that there is no slot.
            (NO_LIMITS, Present { is_crowded: true, has_slot: false, ..NOTHING }, Admission::Busy),
        ] {
            assert_eq!(limits.admit(&present), expected, "{limits:?} {present:?}");
        }
    }

    #[test]
    fn who_replaces_its_own_session_needs_no_room() {
        let limits =
            SessionLimits { per_mac: PerMac::Replace, per_interface: limit(1), max_starting: limit(1) };
        let full = Present { of_peer: 0, on_interface: 1, is_crowded: true, has_slot: false };
        assert_eq!(limits.admit(&full), Admission::Busy);
        assert_eq!(limits.admit(&Present { of_peer: 1, ..full }), Admission::Welcome);
    }
}
