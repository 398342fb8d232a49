//! eBPF maps and programs, by bpf(2) itself.
//!
//! The programs that are needed have a few dozen instructions, so they are written in them: no compiler, no object
//! file, no loader that would have to be there at build time or at run time.

mod instruction;

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

pub(crate) use self::instruction::{Instruction, Register};

// Commands, types and flags of linux/bpf.h.
const MAP_CREATE: c_int = 0;
const MAP_UPDATE_ELEM: c_int = 2;
const PROG_LOAD: c_int = 5;
const MAP_TYPE_ARRAY: u32 = 2;
const PROG_TYPE_SOCKET_FILTER: u32 = 1;

/// Numbers of 64 bits under the keys 0, 1, 2, …, which are all there and 0 at first.
#[derive(Debug)]
pub(crate) struct ArrayMap(OwnedFd);

impl ArrayMap {
    /// Makes a map; `name` is for bpftool(8), and cut after 15 bytes.
    pub(crate) fn new(name: &str, entries: u32) -> io::Result<Self> {
        let attributes = MapCreate {
            map_type: MAP_TYPE_ARRAY,
            key_size: 4,
            value_size: 8,
            max_entries: entries,
            map_flags: 0,
            inner_map_fd: 0,
            numa_node: 0,
            map_name: object_name(name),
        };
        bpf(MAP_CREATE, &attributes).map(Self)
    }

    /// Replaces the number under `key`. Whoever reads it at the same moment gets the old one or the new one.
    pub(crate) fn set(&self, key: u32, value: u64) -> io::Result<()> {
        let attributes = MapUpdate {
            map_fd: self.0.as_raw_fd().cast_unsigned(),
            padding: 0,
            key: address(&raw const key),
            value: address(&raw const value),
            flags: 0,
        };
        call(MAP_UPDATE_ELEM, &attributes)?;
        Ok(())
    }
}

/// A program that sees packets and returns a number.
#[derive(Debug)]
pub(crate) struct SocketProgram(OwnedFd);

impl SocketProgram {
    /// Has the kernel verify and compile a program.
    ///
    /// # Errors
    /// `EPERM` without `CAP_BPF` or `CAP_SYS_ADMIN`, or where a container may not call bpf(2); `ENOSYS` on a
    /// kernel without it.
    pub(crate) fn load(name: &str, instructions: &[Instruction]) -> io::Result<Self> {
        let count = u32::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?;
        let attributes = ProgLoad {
            prog_type: PROG_TYPE_SOCKET_FILTER,
            insn_cnt: count,
            insns: address(instructions.as_ptr()),
            license: address(c"Dual MIT/GPL".as_ptr()),
            log_level: 0,
            log_size: 0,
            log_buf: 0,
            kern_version: 0,
            prog_flags: 0,
            prog_name: object_name(name),
        };
        bpf(PROG_LOAD, &attributes).map(Self)
    }
}

impl AsFd for SocketProgram {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

// The parts of `union bpf_attr` that the commands need; the kernel takes what is missing at the end as zeroes.

#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    inner_map_fd: u32,
    numa_node: u32,
    map_name: [u8; 16],
}

#[repr(C)]
struct MapUpdate {
    map_fd: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// Attributes of a command.
///
/// # Safety
/// Integers without padding; each address in it is that of what the command reads there, which stays valid for as
/// long as the value is borrowed.
unsafe trait Attributes {}
// SAFETY: there are no addresses in it.
unsafe impl Attributes for MapCreate {}
// SAFETY: `ArrayMap::set` makes the only value, from a key and a value of the sizes that `ArrayMap::new` asked for.
unsafe impl Attributes for MapUpdate {}
// SAFETY: `SocketProgram::load` makes the only value, from a slice with its length, and a C string.
unsafe impl Attributes for ProgLoad {}

/// A command whose result is a descriptor.
fn bpf(command: c_int, attributes: &impl Attributes) -> io::Result<OwnedFd> {
    let fd = call(command, attributes)?;
    // SAFETY: the kernel has just made the descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T: Attributes>(command: c_int, attributes: &T) -> io::Result<c_int> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of the attributes, and what they point to; see `Attributes`.
    let outcome = unsafe { libc::syscall(libc::SYS_bpf, command, &raw const *attributes, size_of::<T>()) };
    let outcome = Errno::result(outcome)?;
    Ok(c_int::try_from(outcome).map_err(|_| Errno::ERANGE)?)
}

fn address<T>(pointer: *const T) -> u64 {
    // The kernel wants 64 bits on any machine.
    pointer.addr() as u64
}

fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (byte, character) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *byte = character;
    }
    bytes
}
