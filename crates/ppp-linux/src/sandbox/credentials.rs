//! Users, groups and capabilities.

use std::ffi::{c_int, c_ulong};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Uid, getresgid, getresuid, setgroups, setresgid, setresuid};

use super::{StepError, verify};

/// Refuses a sandbox in which the process would still be root.
pub(super) fn check(uid: u32, gid: u32) -> Result<(), StepError> {
    // The highest number means "leave as it is" to the system calls.
    let privileged = |id| id == 0 || id == u32::MAX;
    verify(!privileged(uid), || format!("user id {uid} is not that of an unprivileged user"))?;
    verify(!privileged(gid), || format!("group id {gid} is not that of an unprivileged group"))
}

/// Changes all three user and group ids for good.
pub(super) fn become_user(uid: u32, gid: u32) -> Result<(), StepError> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setgroups(&[]).map_err(StepError::system("leave all supplementary groups"))?;
    setresgid(gid, gid, gid).map_err(StepError::system(format!("become group {gid}")))?;
    setresuid(uid, uid, uid).map_err(StepError::system(format!("become user {uid}")))?;
    verify_user(uid.as_raw(), gid.as_raw())
}

/// All three user and group ids are these, and there are no other groups.
pub(super) fn verify_user(uid: u32, gid: u32) -> Result<(), StepError> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // SAFETY: with room for none the call only counts, and writes nothing.
    let groups = Errno::result(unsafe { libc::getgroups(0, ptr::null_mut()) })
        .map_err(StepError::system("count the supplementary groups"))?;
    verify(groups == 0, || format!("there are still {groups} supplementary groups"))?;
    let gids = getresgid().map_err(StepError::system("read the group ids"))?;
    verify([gids.real, gids.effective, gids.saved] == [gid; 3], || format!("the group ids are {gids:?}"))?;
    let uids = getresuid().map_err(StepError::system("read the user ids"))?;
    verify([uids.real, uids.effective, uids.saved] == [uid; 3], || format!("the user ids are {uids:?}"))
}

/// Takes all capabilities out of the bounding set, so that no program file can ever give them back.
pub(super) fn drop_bounding_set() -> Result<(), StepError> {
    for capability in 0.. {
        match prctl(libc::PR_CAPBSET_READ, capability, 0) {
            // The kernel's last capability was the one before.
            Err(Errno::EINVAL) if capability > 0 => return Ok(()),
            Err(errno) => return Err(StepError::system("read the bounding set")(errno)),
            Ok(0) => continue,
            Ok(_) => {}
        }
        let action = || format!("drop capability {capability} from the bounding set");
        prctl(libc::PR_CAPBSET_DROP, capability, 0).map_err(StepError::system(action()))?;
        let left = prctl(libc::PR_CAPBSET_READ, capability, 0).map_err(StepError::system(action()))?;
        verify(left == 0, || format!("capability {capability} is still in the bounding set"))?;
    }
    Ok(())
}

/// Clears the ambient, permitted, effective and inheritable sets, and makes sure that root's id is out of
/// reach.
pub(super) fn drop_capabilities() -> Result<(), StepError> {
    prctl(libc::PR_CAP_AMBIENT, AMBIENT_CLEAR_ALL, 0).map_err(StepError::system("clear the ambient set"))?;
    for capability in 0.. {
        match prctl(libc::PR_CAP_AMBIENT, AMBIENT_IS_SET, capability) {
            Err(Errno::EINVAL) if capability > 0 => break,
            Err(errno) => return Err(StepError::system("read the ambient set")(errno)),
            Ok(set) => verify(set == 0, || format!("capability {capability} is still ambient"))?,
        }
    }

    let none = [CapabilitySets::default(); 2];
    capset(&none).map_err(StepError::system("drop all capabilities"))?;
    verify_no_capabilities()?;

    let root = Uid::from_raw(0);
    verify(setresuid(root, root, root) == Err(Errno::EPERM), || "the process can become root again".into())?;
    let root = Gid::from_raw(0);
    verify(setresgid(root, root, root) == Err(Errno::EPERM), || "the process can join group 0 again".into())
}

/// The permitted, effective and inheritable sets are empty.
pub(super) fn verify_no_capabilities() -> Result<(), StepError> {
    let sets = capget().map_err(StepError::system("read the capabilities"))?;
    let none = [CapabilitySets::default(); 2];
    verify(sets == none, || format!("there are still capabilities: {sets:x?}"))
}

/// `PR_CAP_AMBIENT_CLEAR_ALL` and `PR_CAP_AMBIENT_IS_SET`, as the argument that they are.
const AMBIENT_CLEAR_ALL: c_ulong = 4;
const AMBIENT_IS_SET: c_ulong = 1;

/// One of the operations about capabilities, all of whose arguments are numbers.
fn prctl(operation: c_int, first: c_ulong, second: c_ulong) -> nix::Result<c_int> {
    const UNUSED: c_ulong = 0;
    // SAFETY: no operation that this module uses reads or writes memory of ours.
    Errno::result(unsafe { libc::prctl(operation, first, second, UNUSED, UNUSED) })
}

/// `_LINUX_CAPABILITY_VERSION_3`: 64 capabilities, in two halves.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    /// 0: the calling thread.
    pid: c_int,
}

/// `struct __user_cap_data_struct`: one half of the three sets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct CapabilitySets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn capset(sets: &[CapabilitySets; 2]) -> nix::Result<()> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    // SAFETY: both are laid out as the kernel has them, and this version reads two halves.
    let outcome = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    Errno::result(outcome).map(drop)
}

fn capget() -> nix::Result<[CapabilitySets; 2]> {
    let mut header = CapabilityHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut sets = [CapabilitySets::default(); 2];
    // SAFETY: both are laid out as the kernel has them, and this version writes two halves.
    let outcome = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    Errno::result(outcome).map(|_| sets)
}
