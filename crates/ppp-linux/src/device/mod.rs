//! A session on its own device: eBPF programs bring a worker its peer's frames and nobody else's, and let it send its own
//! frames and no others (`bpf/session.bpf.c`).
//!
//! A worker holds the TUN of its pppN, for data, and a packet socket that is bound to pppN. A program at the ingress of the access
//! interface finds session id and peer in a map and sends the frame to pppN's ingress, where the socket receives it. A program at
//! pppN's egress writes the headers of what the worker sends, and one at its ingress looks at what comes out of the TUN. So a worker
//! can neither see nor forge anything but its own line, whatever it does.
//!
//! # Who keeps it
//! The kernel, with the interfaces: programs and maps stay when `pppoed` is gone, and go on. The maps are pinned on a BPF file system
//! where there is one; the next `pppoed` takes them over, or finds them by the programs that are attached, or, where it can have neither,
//! makes new ones, fills them from what it knows of its sessions, and puts its programs in the place of the old ones, each in
//! one step.
//!
//! # Where the programs are attached
//! On an access interface by tcx where the kernel has it (Linux 6.6): no `tc` command of anybody removes it. On pppN by filters of
//! the clsact queueing discipline, as a tcx attachment takes the kernel some 10 ms and a filter 0.05; before a script
//! may use `tc` there, [`Programs::free_clsact`] swaps them for tcx, which is in nobody's way.

mod attach;
mod drops;
mod maps;
mod pins;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use aya::maps::MapError;
use aya::programs::{ProgramError, SchedClassifier};
use aya::{Ebpf, EbpfError, EbpfLoader};
use ppp_wire::ethernet::EtherType;
use thiserror::Error;

use self::attach::Owner;
pub use self::drops::{CAUSES, Drops};
pub use self::maps::{Line, Open, Rate, SessionKey};
use self::maps::{Maps, RawSettings};
use self::pins::Pins;
pub use self::pins::forget;
use crate::bpf;
use crate::interface::{IfIndex, InterfaceId};
use crate::netlink::{Netlink, NetlinkError};

/// The programs, as `bpf/build` makes them.
const OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/session.bpf.o");

/// Version of what is in the maps. Another one has other maps, beside the old ones, until the programs are replaced.
const LAYOUT: u32 = 1;

/// What the programs are to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Of session data.
    pub session: EtherType,
    /// Of the PADT.
    pub discovery: EtherType,
    /// Packets of control, and PADTs, that a worker may send.
    pub control: Option<Rate>,
    /// Frames of any kind that a worker may send.
    pub frames: Option<Rate>,
}

/// Where the maps are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// There were none.
    New,
    /// They are those of the last `pppoed` of this run directory: its sessions are in them.
    Adopted,
    /// There are programs of the last `pppoed`, whose maps cannot be found, or have another layout. They stay in force until they are
    /// replaced, so the sessions that are known should be in the maps before.
    Replaced,
}

/// Why sessions cannot be on their own devices. Each says what was attempted.
#[derive(Debug, Error)]
pub enum DeviceError {
    /// The kernel refused the object: no eBPF, or not for us.
    #[error("cannot load the eBPF programs of sessions")]
    Load(#[from] EbpfError),
    /// The kernel refused a program.
    #[error("cannot load the eBPF program {program}")]
    Program {
        /// Its name.
        program: &'static str,
        /// Why.
        source: ProgramError,
    },
    /// The object lacks a part: it is not the one that this was built with.
    #[error("the eBPF object lacks {0}")]
    Missing(&'static str),
    /// A map cannot be read or written.
    #[error("cannot {action} the map {map}")]
    Map {
        /// What was attempted.
        action: &'static str,
        /// Its name.
        map: &'static str,
        /// Why.
        source: MapError,
    },
    /// Programs cannot be attached, or looked for.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Programs cannot be attached, or looked for.
    #[error("cannot {action} at {interface}")]
    Bpf {
        /// What was attempted.
        action: &'static str,
        /// Where.
        interface: InterfaceId,
        /// The kernel's answer.
        source: io::Error,
    },
    /// Another program has a filter with the handle that ours would have.
    #[error("{interface} has another filter with our handle, called {name:?}: choose another --run-dir")]
    Taken {
        /// The interface.
        interface: InterfaceId,
        /// Its name.
        name: String,
    },
}

/// The programs and maps of one `pppoed`, for all its interfaces. What attaches or removes may block for some 10 ms; what reads or writes
/// a map does not.
#[derive(Debug)]
pub struct Programs {
    owner: Owner,
    access_in: OwnedFd,
    access_out: OwnedFd,
    device_in: OwnedFd,
    device_out: OwnedFd,
    maps: Maps,
    pins: Option<Pins>,
    origin: Origin,
    checks_requests: bool,
    has_tcx: bool,
}

impl Programs {
    /// Loads the programs of the `pppoed` with this run directory. They are in force nowhere yet. What the last one left is taken over,
    /// if it can be found. Takes some 100 ms.
    ///
    /// # Errors
    /// Where there is no eBPF for us.
    pub fn load(run_dir: &Path, settings: &Settings) -> Result<Self, DeviceError> {
        let owner = Owner::new(run_dir);
        let left = attach::find_left(&owner)?;
        let has_left = left.is_some();
        let maps = left.map(|left| left.maps).unwrap_or_default();
        let pins = Pins::open(run_dir, LAYOUT);
        let is_there = match &pins {
            Some(pins) => pins.is_complete() || (maps.len() == maps::NAMES.len() && pins.keep(&maps).is_ok()),
            None => false,
        };
        let adopted = match &pins {
            Some(pins) if is_there => Self::load_with(&owner, Some(pins), settings).ok(),
            None if maps.len() == maps::NAMES.len() => Pins::with_scratch(run_dir, |scratch| {
                scratch.keep(&maps).ok()?;
                Self::load_with(&owner, Some(scratch), settings).ok()
            })
            .ok()
            .flatten(),
            _ => None,
        };
        let (loaded, origin) = match adopted {
            Some(loaded) => (loaded, Origin::Adopted),
            None => {
                if let Some(pins) = &pins {
                    // What is there is not what it should be. If it cannot be removed either, loading says so.
                    let _ = pins.clear();
                }
                let origin = if has_left { Origin::Replaced } else { Origin::New };
                (Self::load_with(&owner, pins.as_ref(), settings)?, origin)
            }
        };
        Ok(Self { pins, origin, ..loaded })
    }

    /// Loads the object, with maps that are there or are made there.
    fn load_with(owner: &Owner, pins: Option<&Pins>, settings: &Settings) -> Result<Self, DeviceError> {
        let (mut object, checks_requests) = load_object(pins)?;
        let maps = Maps::take(&mut object)?;
        maps.set_settings(&RawSettings::new(owner, settings))?;
        for name in [ACCESS_IN, ACCESS_OUT, DEVICE_OUT] {
            load_program(&mut object, name)?;
        }
        let duplicate = |name| -> Result<OwnedFd, DeviceError> {
            let failed = |source| DeviceError::Program { program: name, source };
            let fd = program(&object, name)?.fd().map_err(failed)?.as_fd().try_clone_to_owned();
            fd.map_err(|error| failed(ProgramError::IOError(error)))
        };
        let device_in = if checks_requests { DEVICE_IN } else { DEVICE_IN_PLAIN };
        let loopback = IfIndex::new(1).ok_or(DeviceError::Missing("a loopback interface"))?;
        Ok(Self {
            access_in: duplicate(ACCESS_IN)?,
            access_out: duplicate(ACCESS_OUT)?,
            device_in: duplicate(device_in)?,
            device_out: duplicate(DEVICE_OUT)?,
            maps,
            pins: None,
            origin: Origin::New,
            checks_requests,
            has_tcx: bpf::is_supported(loopback).unwrap_or(false),
            owner: owner.clone(),
        })
    }

    /// Where the maps are from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether the kernel's type information is there, which the check of requests for checksums needs. Without it no TUN may have
    /// a virtio header.
    #[must_use]
    pub fn checks_requests(&self) -> bool {
        self.checks_requests
    }

    /// Whether the kernel has tcx (Linux 6.6).
    #[must_use]
    pub fn has_tcx(&self) -> bool {
        self.has_tcx
    }

    /// Whether the maps outlast this process by themselves.
    #[must_use]
    pub fn are_pinned(&self) -> bool {
        self.pins.is_some()
    }

    /// The mark (`SO_MARK`) of a session's socket.
    #[must_use]
    pub fn mark(&self, session_id: u16) -> u32 {
        self.owner.mark(session_id)
    }

    /// Replaces what the programs know, for all that comes from now on.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_settings(&self, settings: &Settings) -> Result<(), DeviceError> {
        self.maps.set_settings(&RawSettings::new(&self.owner, settings))
    }

    /// A session begins, on the device of this index: its frames go there from now on, and those of its worker out. No packets of IP
    /// pass yet.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn admit(&self, device: IfIndex, line: &Line) -> Result<(), DeviceError> {
        self.maps.admit(device, line, Open::default())
    }

    /// Which packets of IP pass from now on, either way, on a session's device.
    ///
    /// # Errors
    /// As [`Programs::admit`].
    pub fn set_open(&self, device: IfIndex, line: &Line, open: Open) -> Result<(), DeviceError> {
        self.maps.admit(device, line, open)
    }

    /// Whether a session is in the maps as it should be.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn is_admitted(&self, device: IfIndex, line: &Line) -> Result<bool, DeviceError> {
        self.maps.is_admitted(device, line)
    }

    /// The indices of all devices that are in the maps.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn devices(&self) -> Result<BTreeSet<u32>, DeviceError> {
        self.maps.devices()
    }

    /// A session is over, and its worker gone.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn remove(&self, device: IfIndex, line: &Line) -> Result<(), DeviceError> {
        self.maps.remove(device, line)
    }

    /// Takes everything out that is of no device that `is_known`. Returns how many sessions there were.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn prune(&self, is_known: impl Fn(u32) -> bool) -> Result<usize, DeviceError> {
        self.maps.prune(is_known)
    }

    /// What was dropped at an access interface and the devices of its sessions since the maps were made.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn drops(&self, access: IfIndex) -> Result<Drops, DeviceError> {
        self.maps.drops(access)
    }

    /// How many frames the worker of a session sent past its device, to an access interface.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn forged(&self, session_id: u16) -> Result<u64, DeviceError> {
        self.maps.forged(session_id)
    }

    /// Everything is over: takes the programs off all interfaces of the namespace, and what else is ours in the kernel.
    ///
    /// # Errors
    /// The first that the kernel refused.
    pub fn clean_up(&self) -> Result<(), DeviceError> {
        let mut netlink = Netlink::open()?;
        for interface in netlink.interfaces()? {
            self.detach_access(&interface.id)?;
        }
        if let Some(pins) = &self.pins {
            // What cannot be removed is found by the next one.
            let _ = pins.remove();
        }
        Ok(())
    }
}

/// The object with the first of its programs loaded, and whether that looks at requests for checksums.
fn load_object(pins: Option<&Pins>) -> Result<(Ebpf, bool), DeviceError> {
    let load = |btf: Option<&aya::Btf>| -> Result<Ebpf, DeviceError> {
        let mut loader = EbpfLoader::new();
        loader.btf(btf);
        for (name, path) in Pins::paths(pins) {
            loader.map_pin_path(name, path);
        }
        Ok(loader.load(OBJECT)?)
    };
    // Where the kernel's structures are unknown, or may not be read (lockdown=confidentiality), the TUN does without requests.
    if let Ok(btf) = aya::Btf::from_sys_fs()
        && let Ok(mut object) = load(Some(&btf))
        && load_program(&mut object, DEVICE_IN).is_ok()
    {
        return Ok((object, true));
    }
    let mut object = load(None)?;
    load_program(&mut object, DEVICE_IN_PLAIN)?;
    Ok((object, false))
}

const ACCESS_IN: &str = "access_in";
const ACCESS_OUT: &str = "access_out";
const DEVICE_IN: &str = "device_in";
const DEVICE_IN_PLAIN: &str = "device_in_plain";
const DEVICE_OUT: &str = "device_out";

fn program<'a>(object: &'a Ebpf, name: &'static str) -> Result<&'a SchedClassifier, DeviceError> {
    let found = object.program(name).ok_or(DeviceError::Missing(name))?;
    found.try_into().map_err(|source| DeviceError::Program { program: name, source })
}

fn load_program(object: &mut Ebpf, name: &'static str) -> Result<(), DeviceError> {
    let found = object.program_mut(name).ok_or(DeviceError::Missing(name))?;
    let program: &mut SchedClassifier =
        found.try_into().map_err(|source| DeviceError::Program { program: name, source })?;
    program.load().map_err(|source| DeviceError::Program { program: name, source })
}

/// A program and where it belongs.
#[derive(Clone, Copy)]
struct Place<'a> {
    direction: crate::netlink::Direction,
    program: BorrowedFd<'a>,
}
