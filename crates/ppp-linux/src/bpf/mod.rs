//! eBPF maps and programs, by bpf(2) itself.
//!
//! The programs that are needed have a few dozen instructions, so they are written in them: no compiler, no object
//! file, no loader that would have to be there at build time or at run time.

mod assembler;
mod instruction;
mod objects;
mod tcx;

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

pub(crate) use self::assembler::Assembler;
pub(crate) use self::instruction::{Instruction, Register};
pub(crate) use self::objects::map_of_program;
pub(crate) use self::tcx::TcxIngress;

// Commands, types and flags of linux/bpf.h.
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP_ELEM: c_int = 1;
const MAP_UPDATE_ELEM: c_int = 2;
const MAP_DELETE_ELEM: c_int = 3;
const PROG_LOAD: c_int = 5;
const MAP_TYPE_HASH: u32 = 1;
const MAP_TYPE_ARRAY: u32 = 2;
const F_NO_PREALLOC: u32 = 1;
const PROG_TYPE_SOCKET_FILTER: u32 = 1;
const PROG_TYPE_SCHED_CLS: u32 = 3;

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
        let attributes = MapElement {
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

impl AsFd for ArrayMap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Values of `N` numbers of 64 bits under some of the numbers of 32 bits. Takes memory only for what is in it.
#[derive(Debug)]
pub(crate) struct HashMap<const N: usize>(OwnedFd);

impl<const N: usize> HashMap<N> {
    /// Makes a map; `name` is for bpftool(8), and cut after 15 bytes.
    pub(crate) fn new(name: &str, entries: u32) -> io::Result<Self> {
        let attributes = MapCreate {
            map_type: MAP_TYPE_HASH,
            key_size: 4,
            value_size: u32::try_from(size_of::<[u64; N]>()).map_err(|_| Errno::E2BIG)?,
            max_entries: entries,
            map_flags: F_NO_PREALLOC,
            inner_map_fd: 0,
            numa_node: 0,
            map_name: object_name(name),
        };
        bpf(MAP_CREATE, &attributes).map(Self)
    }

    /// Sets the value under `key`. Whoever reads it at the same moment gets the old one or the new one, as a whole.
    pub(crate) fn set(&self, key: u32, value: &[u64; N]) -> io::Result<()> {
        call(MAP_UPDATE_ELEM, &self.element(&key, (&raw const *value).cast_mut()))?;
        Ok(())
    }

    /// The value under `key`, if there is one.
    pub(crate) fn look_up(&self, key: u32) -> io::Result<Option<[u64; N]>> {
        let mut value = [0; N];
        match call(MAP_LOOKUP_ELEM, &self.element(&key, &raw mut value)) {
            Ok(_) => Ok(Some(value)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the value under `key` out, if there is one.
    pub(crate) fn remove(&self, key: u32) -> io::Result<()> {
        match call(MAP_DELETE_ELEM, &self.element(&key, std::ptr::null_mut())) {
            Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
            _ => Ok(()),
        }
    }

    fn element(&self, key: &u32, value: *mut [u64; N]) -> MapElement {
        MapElement {
            map_fd: self.0.as_raw_fd().cast_unsigned(),
            padding: 0,
            key: address(&raw const *key),
            value: address(value),
            flags: 0,
        }
    }
}

impl<const N: usize> AsFd for HashMap<N> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A program that sees packets and returns a number.
#[derive(Debug)]
pub(crate) struct SocketProgram(OwnedFd);

impl SocketProgram {
    /// Has the kernel verify and compile a program for sockets.
    ///
    /// # Errors
    /// `EPERM` without `CAP_BPF` or `CAP_SYS_ADMIN`, or where a container may not call bpf(2); `ENOSYS` on a
    /// kernel without it.
    pub(crate) fn load(name: &str, instructions: &[Instruction]) -> io::Result<Self> {
        load(PROG_TYPE_SOCKET_FILTER, name, instructions).map(Self)
    }
}

/// A program that is asked about packets by a queueing discipline's filter.
#[derive(Debug)]
pub(crate) struct ClassifierProgram(OwnedFd);

impl ClassifierProgram {
    /// As [`SocketProgram::load`].
    pub(crate) fn load(name: &str, instructions: &[Instruction]) -> io::Result<Self> {
        load(PROG_TYPE_SCHED_CLS, name, instructions).map(Self)
    }
}

impl AsFd for ClassifierProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn load(prog_type: u32, name: &str, instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let count = u32::try_from(instructions.len()).map_err(|_| Errno::E2BIG)?;
    let attributes = ProgLoad {
        prog_type,
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
    bpf(PROG_LOAD, &attributes)
}

impl AsFd for SocketProgram {
    fn as_fd(&self) -> BorrowedFd<'_> {
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
struct MapElement {
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
// SAFETY: made by `ArrayMap::set` and the methods of `HashMap`, from a key and a value of the sizes that the maps were
// made with, or with no value for a command that knows none. What the kernel writes to is mutable there.
unsafe impl Attributes for MapElement {}
// SAFETY: `load` makes the only value, from a slice with its length, and a C string.
unsafe impl Attributes for ProgLoad {}

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

fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (byte, character) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *byte = character;
    }
    bytes
}
