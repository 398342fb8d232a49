//! The maps of the kernel's programs, which bring workers their frames, compared with the sessions.

use std::collections::BTreeSet;

use ppp_linux::device::Line;
use ppp_linux::interface::IfIndex;

use super::super::devices::Devices;
use super::super::session::Token;

/// Where a session is in the maps.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaceOf {
    pub(super) token: Token,
    /// It is to be there; else it may or may not.
    pub(super) is_settled: bool,
    pub(super) device: IfIndex,
    pub(super) line: Line,
}

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Sessions that are not there.
    pub(super) missing: Vec<Token>,
    /// Devices that are there and are no session's.
    pub(super) unknown: BTreeSet<u32>,
}

/// Compares what is there with `sessions`, which are all that have an interface. May block: some microseconds for each.
pub(super) fn compare(devices: &Devices, sessions: &[PlaceOf]) -> Programs {
    let Some(programs) = devices.programs() else { return Programs::default() };
    // What cannot be looked at is taken to be as it should be.
    let is_missing = |place: &&PlaceOf| {
        place.is_settled && matches!(programs.is_admitted(place.device, &place.line), Ok(false))
    };
    let missing = sessions.iter().filter(is_missing).map(|place| place.token).collect();
    let known: BTreeSet<u32> = sessions.iter().map(|place| place.device.get()).collect();
    let there = programs.devices().unwrap_or_default();
    Programs { missing, unknown: there.difference(&known).copied().collect() }
}

#[cfg(test)]
mod tests {
    use ppp_linux::device::{self, Settings};
    use ppp_linux::netns;
    use ppp_wire::MacAddr;
    use ppp_wire::ethernet::EtherType;

    use super::*;

    #[test]
    fn the_maps_are_compared_with_the_sessions() {
        netns::run_in_new(|| {
            let run_dir = tempfile::tempdir().unwrap();
            let settings = Settings {
                session: EtherType::PppoeSession,
                discovery: EtherType::PppoeDiscovery,
                control: None,
                frames: None,
            };
            let programs = device::Programs::load(run_dir.path(), &settings).unwrap();
            let place = |number: u32, is_settled| {
                let (own, peer) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
                let session_id = u16::try_from(number).unwrap();
                let line = Line { access: IfIndex::new(1).unwrap(), session_id, own, peer };
                let device = IfIndex::new(number).unwrap();
                PlaceOf { token: Token(number.into()), is_settled, device, line }
            };
            for number in [7, 9, 60_000] {
                let PlaceOf { device, line, .. } = place(number, true);
                programs.admit(device, &line).unwrap();
            }
            let devices = Devices::with(programs);
            let found = compare(&devices, &[place(7, true), place(8, true), place(10, false)]);
            assert_eq!((found.missing, found.unknown), (vec![Token(8)], BTreeSet::from([9, 60_000])));
            let none = compare(&Devices::without(), &[place(7, true)]);
            assert!(none.missing.is_empty() && none.unknown.is_empty());
            devices.clean_up();
        })
        .unwrap();
    }
}
