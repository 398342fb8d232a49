//! Properties of the process as a whole.

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;

use super::{StepError, verify};

/// The kernel grants this "unsharing" (which changes nothing) only to a process that has one thread and
/// shares its memory with nobody (unshare(2)).
pub(super) const SINGLE_THREAD_FLAGS: CloneFlags =
    CloneFlags::CLONE_THREAD.union(CloneFlags::CLONE_SIGHAND).union(CloneFlags::CLONE_VM);

pub(crate) fn verify_single_thread() -> Result<(), StepError> {
    unshare(SINGLE_THREAD_FLAGS)
        .map_err(|errno| StepError::NotInForce(format!("the process has more than one thread ({errno})")))
}

pub(super) fn set_not_dumpable() -> Result<(), StepError> {
    prctl::set_dumpable(false).map_err(StepError::system("clear the dumpable flag"))?;
    verify_not_dumpable()
}

pub(super) fn verify_not_dumpable() -> Result<(), StepError> {
    let dumpable = prctl::get_dumpable().map_err(StepError::system("read the dumpable flag"))?;
    verify(!dumpable, || "the process is still dumpable".into())
}

pub(super) fn set_no_new_privileges() -> Result<(), StepError> {
    prctl::set_no_new_privs().map_err(StepError::system("set no_new_privs"))?;
    verify_no_new_privileges()
}

pub(super) fn verify_no_new_privileges() -> Result<(), StepError> {
    let set = prctl::get_no_new_privs().map_err(StepError::system("read no_new_privs"))?;
    verify(set, || "no_new_privs is not set".into())
}
