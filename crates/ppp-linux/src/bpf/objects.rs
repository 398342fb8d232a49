//! Programs that somebody has loaded.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use super::{Attributes, address, bpf, call};

// Of linux/bpf.h.
const PROG_GET_FD_BY_ID: c_int = 13;
const OBJ_GET_INFO_BY_FD: c_int = 15;

/// What is known of a loaded program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProgramFacts {
    /// The kernel's number of it.
    pub(crate) id: u32,
    /// Hash of its instructions: the same for programs that do the same with maps that may be others.
    pub(crate) tag: [u8; 8],
    /// The name that it was loaded with, cut after 15 bytes.
    pub(crate) name: String,
}

/// A loaded program.
///
/// # Errors
/// `ENOENT` when there is no such program; `EPERM` without `CAP_SYS_ADMIN`.
pub(crate) fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    bpf(PROG_GET_FD_BY_ID, &ById { id, next_id: 0, open_flags: 0 })
}

/// What is known of a loaded program.
///
/// # Errors
/// The kernel's answer.
pub(crate) fn program_facts(program: impl AsFd) -> io::Result<ProgramFacts> {
    let mut info = ProgramInfo::default();
    examine(program, &mut info)?;
    let name: Vec<u8> = info.name.into_iter().take_while(|byte| *byte != 0).collect();
    Ok(ProgramFacts { id: info.id, tag: info.tag, name: String::from_utf8_lossy(&name).into_owned() })
}

/// The numbers of the maps that a loaded program uses: the first 16.
///
/// # Errors
/// The kernel's answer.
pub(crate) fn map_ids(program: impl AsFd) -> io::Result<Vec<u32>> {
    let mut ids = [0_u32; 16];
    let mut info = ProgramInfo { map_ids: address(&raw mut ids), ..ProgramInfo::default() };
    info.nr_map_ids = u32::try_from(ids.len()).unwrap_or_default();
    examine(program, &mut info)?;
    let count = usize::try_from(info.nr_map_ids).unwrap_or_default();
    Ok(ids.into_iter().take(count).collect())
}

fn examine(object: impl AsFd, info: &mut ProgramInfo) -> io::Result<()> {
    let attributes = GetInfo {
        bpf_fd: object.as_fd().as_raw_fd().cast_unsigned(),
        info_len: u32::try_from(size_of::<ProgramInfo>()).unwrap_or_default(),
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

// SAFETY: there are no addresses in it.
unsafe impl Attributes for ById {}
// SAFETY: `examine` makes the only value, from a `ProgramInfo` of this length that it borrows mutably, whose one address is 0 or
// that of an array with the length beside it (`map_ids`).
unsafe impl Attributes for GetInfo {}
