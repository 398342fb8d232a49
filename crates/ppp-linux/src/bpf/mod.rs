//! bpf(2), as far as `aya` has no way: programs at an interface that stay without a descriptor (tcx), found by what they are called.
//!
//! `aya` attaches by an interface's name (which may lead to another interface by then, and may make the kernel run modprobe), by links
//! that end with their descriptors, and knows nothing of who else attached what.

mod objects;
mod tcx;

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

pub(crate) use self::objects::{ProgramFacts, map_ids, program_by_id, program_facts};
pub(crate) use self::tcx::{Tcx, is_supported};

/// Attributes of a command: the parts of `union bpf_attr` that it needs; the kernel takes what is missing at the end as zeroes.
///
/// # Safety
/// Integers without padding; each address in it is that of what the command reads or writes there, which stays valid for as
/// long as the value is borrowed.
unsafe trait Attributes {}

/// A command whose result is a descriptor.
fn bpf(command: c_int, attributes: &impl Attributes) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: the kernel has just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T: Attributes>(command: c_int, attributes: &T) -> io::Result<c_int> {
    // SAFETY: the attributes are valid for reads, and none of the commands that are called so writes to them.
    unsafe { call_at(command, &raw const *attributes) }
}

/// A command that answers in its attributes.
fn call_for_answer<T: Attributes>(command: c_int, attributes: &mut T) -> io::Result<c_int> {
    // SAFETY: the attributes are valid for reads and writes, and consist of integers, which may have any value.
    unsafe { call_at(command, &raw mut *attributes) }
}

/// # Safety
/// `attributes` is valid for reads, and for writes if the command writes to them.
unsafe fn call_at<T: Attributes>(command: c_int, attributes: *const T) -> io::Result<c_int> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of the attributes, and what they point to; see `Attributes`.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) };
    let outcome = Errno::result(outcome)?;
    Ok(c_int::try_from(outcome).map_err(|_| Errno::ERANGE)?)
}

fn address<T>(pointer: *const T) -> u64 {
    // The kernel wants 64 bits on any machine.
    pointer.addr() as u64
}
