//! Programs and maps that somebody else has loaded.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::{Attributes, HashMap, MAP_TYPE_HASH, address, bpf, call, object_name};

// Of linux/bpf.h.
const PROG_GET_FD_BY_ID: c_int = 13;
const MAP_GET_FD_BY_ID: c_int = 14;
const OBJ_GET_INFO_BY_FD: c_int = 15;

/// The map of this name and shape that a loaded program uses, if it uses one.
///
/// # Errors
/// `ENOENT` when there is no such program; `EPERM` without `CAP_SYS_ADMIN`.
pub(crate) fn map_of_program<const N: usize>(
    program_id: u32,
    map_name: &str,
) -> io::Result<Option<HashMap<N>>> {
    let program = program_by_id(program_id)?;
    let mut map_ids = [0_u32; 8];
    let mut info = ProgramInfo { map_ids: address(&raw mut map_ids), ..ProgramInfo::default() };
    info.nr_map_ids = u32::try_from(map_ids.len()).unwrap_or_default();
    examine(&program, &mut info)?;
    let count = usize::try_from(info.nr_map_ids).unwrap_or_default();
    for &id in map_ids.iter().take(count) {
        let map = bpf(MAP_GET_FD_BY_ID, &ById { id, next_id: 0, open_flags: 0 })?;
        let mut info = MapInfo::default();
        examine(&map, &mut info)?;
        let value_size = usize::try_from(info.value_size).unwrap_or_default();
        let is_it = info.map_type == MAP_TYPE_HASH
            && (info.key_size, value_size) == (4, size_of::<[u64; N]>())
            && info.name == object_name(map_name);
        if is_it {
            return Ok(Some(HashMap(map)));
        }
    }
    Ok(None)
}

/// A loaded program.
///
/// # Errors
/// As [`map_of_program`].
pub(super) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    bpf(PROG_GET_FD_BY_ID, &ById { id, next_id: 0, open_flags: 0 })
}

/// The name that a program was loaded with, as far as the kernel keeps it.
pub(super) fn name_of_program(program: &OwnedFd) -> io::Result<[u8; 16]> {
    let mut info = ProgramInfo::default();
    examine(program, &mut info)?;
    Ok(info.name)
}

fn examine<T: Info>(object: &OwnedFd, info: &mut T) -> io::Result<()> {
    let attributes = GetInfo {
        bpf_fd: object.as_raw_fd().cast_unsigned(),
        info_len: u32::try_from(size_of::<T>()).unwrap_or_default(),
        info: address(&raw mut *info),
    };
    call(OBJ_GET_INFO_BY_FD, &attributes)?;
    Ok(())
}

#[repr(C)]
struct ById {
    id: u32,
    next_id: u32,
    open_flags: u32,
}

#[repr(C)]
struct GetInfo {
    bpf_fd: u32,
    info_len: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`; the kernel writes no more than it is told that there is room for.
#[repr(C)]
#[derive(Default)]
struct ProgramInfo {
    program_type: u32,
    id: u32,
    tag: [u8; 8],
    jited_prog_len: u32,
    xlated_prog_len: u32,
    jited_prog_insns: u64,
    xlated_prog_insns: u64,
    load_time: u64,
    created_by_uid: u32,
    nr_map_ids: u32,
    map_ids: u64,
    name: [u8; 16],
}

/// The beginning of `struct bpf_map_info`.
#[repr(C)]
#[derive(Default)]
struct MapInfo {
    map_type: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    name: [u8; 16],
}

/// What `OBJ_GET_INFO_BY_FD` reads and writes.
///
/// # Safety
/// Integers without padding; where one is an address, that of memory which has the room that the one beside it says.
unsafe trait Info {}
// SAFETY: `map_of_program` makes the one value with an address, of an array and its length.
unsafe impl Info for ProgramInfo {}
// SAFETY: there are no addresses in it.
unsafe impl Info for MapInfo {}

// SAFETY: there are no addresses in it.
unsafe impl Attributes for ById {}
// SAFETY: `examine` makes the only value, from an `Info` of this length that it borrows mutably.
unsafe impl Attributes for GetInfo {}
