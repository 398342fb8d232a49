//! Programs at an interface without a queueing discipline (tcx, Linux 6.6).

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::objects::{name_of_program, program_by_id};
use super::{Attributes, ClassifierProgram, address, call, call_for_answer, object_name};
use crate::interface::IfIndex;

// Of linux/bpf.h.
const PROG_ATTACH: c_int = 8;
const PROG_QUERY: c_int = 16;
const TCX_INGRESS: u32 = 46;
const F_REPLACE: u32 = 1 << 2;
const F_BEFORE: u32 = 1 << 3;

/// More programs than anybody has at one interface; the kernel takes no more than 64.
const MAX_PROGRAMS: usize = 64;

/// What comes in through an interface.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcxIngress {
    interface: IfIndex,
}

impl TcxIngress {
    pub(crate) fn new(interface: IfIndex) -> Self {
        Self { interface }
    }

    /// Attaches a program in front of all others, or in the place of the one that has this name.
    ///
    /// # Errors
    /// `EINVAL` before Linux 6.6, and the kernel's other answers.
    pub(crate) fn attach(self, program: &ClassifierProgram, name: &str) -> io::Result<()> {
        let former = self.find(name)?;
        let attributes = Attach {
            target_ifindex: self.interface.get(),
            attach_bpf_fd: descriptor(program),
            attach_type: TCX_INGRESS,
            attach_flags: if former.is_some() { F_REPLACE } else { F_BEFORE },
            replace_bpf_fd: former.as_ref().map_or(0, descriptor),
            relative_fd: 0,
            expected_revision: 0,
        };
        call(PROG_ATTACH, &attributes)?;
        Ok(())
    }

    /// Whether a program of this name is attached.
    ///
    /// # Errors
    /// As [`Self::attach`].
    pub(crate) fn has(self, name: &str) -> io::Result<bool> {
        Ok(self.find(name)?.is_some())
    }

    fn find(self, name: &str) -> io::Result<Option<OwnedFd>> {
        let mut ids = [0_u32; MAX_PROGRAMS];
        let mut attributes = Query {
            target_ifindex: self.interface.get(),
            attach_type: TCX_INGRESS,
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
        for &id in ids.iter().take(count) {
            // It may be gone by now.
            let Ok(program) = program_by_id(id) else { continue };
            if name_of_program(&program)? == object_name(name) {
                return Ok(Some(program));
            }
        }
        Ok(None)
    }
}

fn descriptor(program: &impl AsFd) -> u32 {
    program.as_fd().as_raw_fd().cast_unsigned()
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
// SAFETY: `TcxIngress::find` makes the only value, from an array and its length, and no other address.
unsafe impl Attributes for Query {}
