//! Programs at an interface without a queueing discipline (tcx, Linux 6.6).

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::objects::{ProgramFacts, program_by_id, program_facts};
use super::{Attributes, address, call, call_for_answer};
use crate::interface::IfIndex;
use crate::netlink::Direction;
use crate::rtnl;

// Of linux/bpf.h.
const PROG_ATTACH: c_int = 8;
const PROG_DETACH: c_int = 9;
const PROG_QUERY: c_int = 16;
const TCX_INGRESS: u32 = 46;
const TCX_EGRESS: u32 = 47;
const F_REPLACE: u32 = 1 << 2;
const F_BEFORE: u32 = 1 << 3;

/// More programs than anybody has at one interface; the kernel takes no more than 64.
const MAX_PROGRAMS: usize = 64;

/// The programs of one direction of an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tcx {
    interface: IfIndex,
    direction: Direction,
}

/// Whether the kernel has tcx; `interface` is any that is there.
///
/// # Errors
/// When the kernel cannot be asked.
pub(crate) fn is_supported(interface: IfIndex) -> io::Result<bool> {
    match Tcx::new(interface, Direction::Ingress).programs() {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Tcx {
    pub(crate) fn new(interface: IfIndex, direction: Direction) -> Self {
        Self { interface, direction }
    }

    /// Attaches a program in front of all others, or in the place of `former`, in one step. It stays as long as the interface does.
    ///
    /// # Errors
    /// `EINVAL` before Linux 6.6, and the kernel's other answers.
    pub(crate) fn attach(self, program: BorrowedFd<'_>, former: Option<&OwnedFd>) -> io::Result<()> {
        let attributes = Attach {
            attach_bpf_fd: descriptor(program),
            attach_flags: if former.is_some() { F_REPLACE } else { F_BEFORE },
            replace_bpf_fd: former.map_or(0, |former| descriptor(std::os::fd::AsFd::as_fd(former))),
            ..self.target()
        };
        let _turn = rtnl::turn();
        call(PROG_ATTACH, &attributes)?;
        Ok(())
    }

    /// Takes a program away.
    ///
    /// # Errors
    /// `ENOENT` when it is not there.
    pub(crate) fn detach(self, program: BorrowedFd<'_>) -> io::Result<()> {
        let _turn = rtnl::turn();
        call(PROG_DETACH, &Attach { attach_bpf_fd: descriptor(program), ..self.target() })?;
        Ok(())
    }

    fn target(self) -> Attach {
        Attach {
            target_ifindex: self.interface.get(),
            attach_bpf_fd: 0,
            attach_type: self.attach_type(),
            attach_flags: 0,
            replace_bpf_fd: 0,
            relative_fd: 0,
            expected_revision: 0,
        }
    }

    fn attach_type(self) -> u32 {
        match self.direction {
            Direction::Ingress => TCX_INGRESS,
            Direction::Egress => TCX_EGRESS,
        }
    }

    /// The programs that are there, in their order.
    ///
    /// # Errors
    /// `EINVAL` before Linux 6.6, and the kernel's other answers.
    pub(crate) fn programs(self) -> io::Result<Vec<(ProgramFacts, OwnedFd)>> {
        let mut ids = [0_u32; MAX_PROGRAMS];
        let mut attributes = Query {
            target_ifindex: self.interface.get(),
            attach_type: self.attach_type(),
            query_flags: 0,
            attach_flags: 0,
            prog_ids: address(ids.as_mut_ptr()),
            count: u32::try_from(ids.len()).unwrap_or_default(),
            padding: 0,
            prog_attach_flags: 0,
            link_ids: 0,
            link_attach_flags: 0,
            revision: 0,
        };
        call_for_answer(PROG_QUERY, &mut attributes)?;
        let count = usize::try_from(attributes.count).unwrap_or_default();
        // One may be gone by now.
        let programs = ids.iter().take(count).filter_map(|id| program_by_id(*id).ok());
        programs.map(|program| Ok((program_facts(&program)?, program))).collect()
    }
}

fn descriptor(program: BorrowedFd<'_>) -> u32 {
    program.as_raw_fd().cast_unsigned()
}

#[repr(C)]
struct Attach {
    target_ifindex: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
    replace_bpf_fd: u32,
    relative_fd: u32,
    expected_revision: u64,
}

#[repr(C)]
struct Query {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    padding: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

// SAFETY: there are no addresses in it.
unsafe impl Attributes for Attach {}
// SAFETY: `Tcx::programs` makes the only value, from an array and its length, and no other address.
unsafe impl Attributes for Query {}
