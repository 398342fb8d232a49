//! Programs at interfaces: put in force, looked for, replaced in one step, taken away.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use aya::maps::{Array, Map, MapData};

use super::maps::{self, NAMES, SETTINGS};
use super::{ACCESS_IN, ACCESS_OUT, DEVICE_IN, DEVICE_IN_PLAIN, DEVICE_OUT, DeviceError, Place, Programs};
use crate::bpf::{ProgramFacts, Tcx, map_ids, program_by_id, program_facts};
use crate::interface::InterfaceId;
use crate::netlink::{BpfFilter, Direction, Netlink};

/// Upper half of the filters' handles.
const HANDLES: u32 = 0x5050_0000;

/// Behind the name of a filter that came with its queueing discipline.
const WITH_CLSACT: &str = " +clsact";

/// The kernel cuts names of filters, or refuses them, beyond.
const MAX_NAME: usize = 200;

/// By what a `pppoed` knows what is its own: its run directory.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    hash: u64,
    tag: u16,
    /// Of filters.
    name: String,
}

impl Owner {
    pub(super) fn new(run_dir: &Path) -> Self {
        let name = format!("pppoed {}", run_dir.display());
        // FNV-1a, with 64 bits and with 32. The latter is what 0.1.0 made its tag of, whose filter is replaced by that.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let short = name
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let [a, b, c, d] = short.to_ne_bytes();
        let tag = u16::from_ne_bytes([a ^ c, b ^ d]) | 0x8000;
        Self { hash, tag, name: name.chars().filter(|c| !c.is_control()).take(MAX_NAME / 4).collect() }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The same at each start, since the sockets that carry it outlive `pppoed`. Never 0.
    pub(super) fn tag(&self) -> u16 {
        self.tag
    }

    pub(super) fn mark(&self, session_id: u16) -> u32 {
        u32::from(self.tag()) << 16 | u32::from(session_id)
    }

    fn handle(&self) -> u32 {
        HANDLES | u32::from(self.tag())
    }

    fn is_called(&self, found: &BpfFilter) -> bool {
        found.name.strip_suffix(WITH_CLSACT).unwrap_or(&found.name) == self.name
    }

    /// Whether a program is of ours, of any version: one of our names, and a map of settings with our hash.
    fn has(&self, facts: &ProgramFacts, program: &OwnedFd) -> bool {
        let names = [ACCESS_IN, ACCESS_OUT, DEVICE_IN, DEVICE_IN_PLAIN, DEVICE_OUT];
        names.contains(&facts.name.as_str()) && settings_owner(program) == Some(self.hash)
    }
}

/// What the last `pppoed` left in force.
pub(super) struct Left {
    /// The maps of its programs, by name.
    pub(super) maps: Vec<(&'static str, MapData)>,
}

/// Looks for what the last `pppoed` left. `None` if there is nothing, or nothing can be found out.
pub(super) fn find_left(owner: &Owner) -> Result<Option<Left>, DeviceError> {
    let mut netlink = Netlink::open()?;
    let mut left: Option<Left> = None;
    for interface in netlink.interfaces()? {
        for direction in Direction::ALL {
            let Some(program) = find(&mut netlink, owner, &interface.id, direction) else { continue };
            let left = left.get_or_insert_with(|| Left { maps: Vec::new() });
            for id in map_ids(&program).unwrap_or_default() {
                let Ok(map) = MapData::from_id(id) else { continue };
                let Some(name) = map
                    .info()
                    .ok()
                    .and_then(|info| NAMES.into_iter().find(|name| info.name() == name.as_bytes()))
                else {
                    continue;
                };
                if !left.maps.iter().any(|(known, _)| *known == name) {
                    left.maps.push((name, map));
                }
            }
        }
        if left.as_ref().is_some_and(|left| left.maps.len() == NAMES.len()) {
            break;
        }
    }
    Ok(left)
}

/// A program of ours at an interface.
fn find(
    netlink: &mut Netlink,
    owner: &Owner,
    interface: &InterfaceId,
    direction: Direction,
) -> Option<OwnedFd> {
    if let Ok(programs) = Tcx::new(interface.index, direction).programs()
        && let Some((_, program)) = programs.into_iter().find(|(facts, program)| owner.has(facts, program))
    {
        return Some(program);
    }
    let found = netlink.filter(interface, direction, owner.handle()).ok()??;
    let program = program_by_id(found.program_id).ok().filter(|_| owner.is_called(&found))?;
    // One of another version may be something else altogether.
    owner.has(&program_facts(&program).ok()?, &program).then_some(program)
}

fn settings_owner(program: &OwnedFd) -> Option<u64> {
    map_ids(program).ok()?.into_iter().find_map(|id| {
        let map = MapData::from_id(id).ok()?;
        if map.info().ok()?.name() != maps::SETTINGS_MAP.as_bytes() {
            return None;
        }
        let settings: Array<MapData, [u8; SETTINGS]> = Map::from_map_data(map).ok()?.try_into().ok()?;
        settings.get(&0, 0).ok().map(|settings| maps::owner_of(&settings))
    })
}

/// How a program is at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Absent,
    /// One of ours that does something else, or with other maps.
    Outdated,
    Present,
}

impl Programs {
    fn access_places(&self) -> [Place<'_>; 2] {
        [
            Place { direction: Direction::Ingress, program: self.access_in.as_fd() },
            Place { direction: Direction::Egress, program: self.access_out.as_fd() },
        ]
    }

    fn device_places(&self) -> [Place<'_>; 2] {
        [
            Place { direction: Direction::Ingress, program: self.device_in.as_fd() },
            Place { direction: Direction::Egress, program: self.device_out.as_fd() },
        ]
    }

    /// Puts the programs in force on an access interface, each in one step in the place of the last one of ours, if there is one.
    ///
    /// # Errors
    /// When the kernel refuses, or somebody else has the place.
    pub fn attach_access(&self, interface: &InterfaceId) -> Result<(), DeviceError> {
        self.maps.count_at(interface.index)?;
        let mut netlink = Netlink::open()?;
        for place in self.access_places() {
            match self.has_tcx {
                true => {
                    self.attach_tcx(interface, place)?;
                    // One of an earlier version, or kernel.
                    self.remove_filter(&mut netlink, interface, place.direction)?;
                }
                false => self.attach_filter(&mut netlink, interface, place)?,
            }
        }
        Ok(())
    }

    /// Puts the programs in force on a session's device that was made just now, and where nobody can have anything.
    ///
    /// # Errors
    /// As [`Programs::attach_access`].
    pub fn attach_new_device(&self, netlink: &mut Netlink, device: &InterfaceId) -> Result<(), DeviceError> {
        netlink.make_clsact(device)?;
        let name = format!("{}{WITH_CLSACT}", self.owner.name);
        for place in self.device_places() {
            netlink.set_filter(device, place.direction, self.owner.handle(), None, &name, place.program)?;
        }
        Ok(())
    }

    /// Puts the programs in force on a session's device, each in one step in the place of the last one of ours, if there is one.
    ///
    /// # Errors
    /// As [`Programs::attach_access`].
    pub fn attach_device(&self, device: &InterfaceId) -> Result<(), DeviceError> {
        let mut netlink = Netlink::open()?;
        for place in self.device_places() {
            match self.find_tcx(device, place)? {
                Some(_) => self.attach_tcx(device, place)?,
                None => self.attach_filter(&mut netlink, device, place)?,
            }
        }
        Ok(())
    }

    /// Swaps the filters of a session's device for what is in nobody's way, so that `tc qdisc add dev ppp0 ingress` and `clsact`
    /// work as on any interface. Before Linux 6.6 there is no such thing, and they stay. No frame goes unseen meanwhile.
    ///
    /// # Errors
    /// As [`Programs::attach_access`].
    pub fn free_clsact(&self, device: &InterfaceId) -> Result<(), DeviceError> {
        if !self.has_tcx {
            return Ok(());
        }
        let mut netlink = Netlink::open()?;
        for place in self.device_places() {
            self.attach_tcx(device, place)?;
        }
        for place in self.device_places() {
            self.remove_filter(&mut netlink, device, place.direction)?;
        }
        Ok(())
    }

    /// Whether the programs are in force on an access interface, by the kernel's account.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn is_access_attached(&self, interface: &InterfaceId) -> Result<bool, DeviceError> {
        self.are_present(interface, self.access_places())
    }

    /// Whether the programs are in force on a session's device, by the kernel's account.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn is_device_attached(&self, device: &InterfaceId) -> Result<bool, DeviceError> {
        self.are_present(device, self.device_places())
    }

    fn are_present(&self, interface: &InterfaceId, places: [Place<'_>; 2]) -> Result<bool, DeviceError> {
        let mut netlink = Netlink::open()?;
        for place in places {
            if self.presence(&mut netlink, interface, place)? != Presence::Present {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn presence(
        &self,
        netlink: &mut Netlink,
        interface: &InterfaceId,
        place: Place<'_>,
    ) -> Result<Presence, DeviceError> {
        if let Some((facts, program)) = self.find_tcx(interface, place)? {
            return self.compare(interface, place, &facts, &program);
        }
        match netlink.filter(interface, place.direction, self.owner.handle())? {
            Some(found) if self.owner.is_called(&found) => {
                let Ok(program) = program_by_id(found.program_id) else { return Ok(Presence::Outdated) };
                let facts = program_facts(&program).map_err(failed("look at a program", interface))?;
                self.compare(interface, place, &facts, &program)
            }
            _ => Ok(Presence::Absent),
        }
    }

    /// Programs of the same instructions and the same maps do the same, whoever loaded them.
    fn compare(
        &self,
        interface: &InterfaceId,
        place: Place<'_>,
        facts: &ProgramFacts,
        program: &OwnedFd,
    ) -> Result<Presence, DeviceError> {
        let ours = program_facts(place.program).map_err(failed("look at a program", interface))?;
        if facts.id == ours.id {
            return Ok(Presence::Present);
        }
        let maps =
            |of: std::os::fd::BorrowedFd<'_>| map_ids(of).map_err(failed("look at a program", interface));
        let is_same = facts.tag == ours.tag && maps(program.as_fd())? == maps(place.program)?;
        Ok(if is_same { Presence::Present } else { Presence::Outdated })
    }

    fn find_tcx(
        &self,
        interface: &InterfaceId,
        place: Place<'_>,
    ) -> Result<Option<(ProgramFacts, OwnedFd)>, DeviceError> {
        if !self.has_tcx {
            return Ok(None);
        }
        let programs = Tcx::new(interface.index, place.direction).programs();
        let programs = programs.map_err(failed("look for programs", interface))?;
        Ok(programs.into_iter().find(|(facts, program)| self.owner.has(facts, program)))
    }

    fn attach_tcx(&self, interface: &InterfaceId, place: Place<'_>) -> Result<(), DeviceError> {
        let former = self.find_tcx(interface, place)?;
        if let Some((facts, program)) = &former
            && self.compare(interface, place, facts, program)? == Presence::Present
        {
            return Ok(());
        }
        let tcx = Tcx::new(interface.index, place.direction);
        tcx.attach(place.program, former.as_ref().map(|(_, program)| program))
            .map_err(failed("attach a program", interface))
    }

    fn attach_filter(
        &self,
        netlink: &mut Netlink,
        interface: &InterfaceId,
        place: Place<'_>,
    ) -> Result<(), DeviceError> {
        let made = netlink.make_clsact(interface)?;
        let (handle, direction) = (self.owner.handle(), place.direction);
        let (preference, came_with_clsact) = match netlink.filter(interface, direction, handle)? {
            None => (None, made || self.has_sibling_with_clsact(netlink, interface, direction)?),
            Some(found) if !self.owner.is_called(&found) => {
                return Err(DeviceError::Taken { interface: interface.clone(), name: found.name });
            }
            Some(found) => (Some(found.preference), made || found.name.ends_with(WITH_CLSACT)),
        };
        let name = match came_with_clsact {
            true => format!("{}{WITH_CLSACT}", self.owner.name),
            false => self.owner.name.clone(),
        };
        netlink.set_filter(interface, direction, handle, preference, &name, place.program)?;
        Ok(())
    }

    /// Whether our filter of the other direction came with the queueing discipline.
    fn has_sibling_with_clsact(
        &self,
        netlink: &mut Netlink,
        interface: &InterfaceId,
        direction: Direction,
    ) -> Result<bool, DeviceError> {
        let other = match direction {
            Direction::Ingress => Direction::Egress,
            Direction::Egress => Direction::Ingress,
        };
        let found = netlink.filter(interface, other, self.owner.handle())?;
        Ok(found.is_some_and(|found| self.owner.is_called(&found) && found.name.ends_with(WITH_CLSACT)))
    }

    /// Takes our filter off, and with the last one the queueing discipline if that came with it and nobody else has filters there.
    fn remove_filter(
        &self,
        netlink: &mut Netlink,
        interface: &InterfaceId,
        direction: Direction,
    ) -> Result<(), DeviceError> {
        let Some(found) = netlink.filter(interface, direction, self.owner.handle())? else { return Ok(()) };
        if !self.owner.is_called(&found) {
            return Ok(());
        }
        netlink.remove_filter(interface, direction, self.owner.handle(), found.preference)?;
        if found.name.ends_with(WITH_CLSACT) && !netlink.has_filters(interface) {
            netlink.remove_clsact(interface)?;
        }
        Ok(())
    }

    /// Takes the programs off an interface.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn detach_access(&self, interface: &InterfaceId) -> Result<(), DeviceError> {
        let mut netlink = Netlink::open()?;
        for place in self.access_places() {
            if let Some((_, program)) = self.find_tcx(interface, place)? {
                let tcx = Tcx::new(interface.index, place.direction);
                tcx.detach(program.as_fd()).map_err(failed("detach a program", interface))?;
            }
            self.remove_filter(&mut netlink, interface, place.direction)?;
        }
        Ok(())
    }
}

fn failed(action: &'static str, interface: &InterfaceId) -> impl Fn(std::io::Error) -> DeviceError {
    let interface = interface.clone();
    move |source| DeviceError::Bpf { action, interface: interface.clone(), source }
}
