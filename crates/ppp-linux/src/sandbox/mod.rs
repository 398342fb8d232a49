//! What a worker does to itself before it reads the first byte from its peer.
//!
//! Everything is done, and then verified, in the order of [`Step`]; the first step that fails ends it, and
//! the worker has to exit. Afterwards the process can compute, read and write the descriptors that it kept,
//! wait for them, allocate memory and exit. It can be neither traced nor dumped by other processes of its
//! user.
//!
//! The parent-death signal is left alone on purpose: workers outlive the supervisor.

mod credentials;
mod descriptors;
mod limits;
mod process;
mod surroundings;
mod syscalls;

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use bitflags::bitflags;
use thiserror::Error;

/// What the sandbox is made of.
#[derive(Debug)]
pub struct SandboxConfig<'a> {
    /// User to become; not 0.
    pub uid: u32,
    /// Group to become, without any supplementary group; not 0.
    pub gid: u32,
    /// Network namespace to enter, in which no interface is up; see [`crate::netns::create`].
    pub netns: OwnedFd,
    /// Directory to become the root. It belongs to root, nobody else may write it, and it contains nothing
    /// but sockets.
    pub root: &'a Path,
    /// Limit of the address space in bytes: the program's code, its stacks and its memory together.
    pub address_space_limit: u64,
    /// The descriptors to keep, besides 0, 1 and 2, which the standard library takes for granted. No
    /// directories.
    pub keep: &'a [BorrowedFd<'a>],
}

/// The steps, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The configuration asks for a sandbox that would be none.
    Configuration,
    /// The process has one thread: much of what follows would not reach the others.
    SingleThread,
    /// All descriptors but the kept ones are closed.
    Descriptors,
    /// The process is in the network namespace where no interface is up.
    NetworkNamespace,
    /// The root directory is the empty one.
    Root,
    /// User and group are unprivileged, there are no other groups, and no way back.
    Credentials,
    /// All capabilities are gone, and none can ever be gained again.
    Capabilities,
    /// Other processes of the user can neither trace it nor read its memory, and it leaves no core file.
    NotDumpable,
    /// Executing a program could not raise privileges.
    NoNewPrivileges,
    /// No new descriptors, processes, threads or files; a bound on memory.
    Limits,
    /// All system calls but those of a short list kill the process.
    SystemCalls,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "configuration",
            Self::SingleThread => "single thread",
            Self::Descriptors => "descriptors",
            Self::NetworkNamespace => "network namespace",
            Self::Root => "root directory",
            Self::Credentials => "user and groups",
            Self::Capabilities => "capabilities",
            Self::NotDumpable => "dumpable flag",
            Self::NoNewPrivileges => "no new privileges",
            Self::Limits => "resource limits",
            Self::SystemCalls => "system call filter",
        })
    }
}

/// The sandbox could not be entered; the process is in an undefined state between outside and inside and has
/// to exit.
#[derive(Debug, Error)]
#[error("sandbox: step \"{step}\" failed")]
pub struct SandboxError {
    /// Which step.
    pub step: Step,
    /// Why.
    pub source: StepError,
}

/// Why a step failed.
#[derive(Debug, Error)]
pub enum StepError {
    /// The system refused what was asked of it.
    #[error("cannot {action}")]
    System {
        /// What was attempted.
        action: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The system agreed, and yet the outcome is not the intended one.
    #[error("{0}")]
    NotInForce(String),
}

impl StepError {
    fn system<E: Into<io::Error>>(action: impl Into<String>) -> impl FnOnce(E) -> Self {
        let action = action.into();
        move |error| Self::System { action, source: error.into() }
    }
}

/// `Ok` if a condition that has to hold does; `problem` says what is wrong otherwise.
fn verify(holds: bool, problem: impl FnOnce() -> String) -> Result<(), StepError> {
    if holds { Ok(()) } else { Err(StepError::NotInForce(problem())) }
}

bitflags! {
    /// What is in force in a process. Bits that came from a worker are its claim.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Protections: u32 {
        /// [`Step::Descriptors`]
        const DESCRIPTORS = 1 << 0;
        /// [`Step::NetworkNamespace`]
        const NETWORK_NAMESPACE = 1 << 1;
        /// [`Step::Root`]
        const ROOT = 1 << 2;
        /// [`Step::Credentials`]
        const CREDENTIALS = 1 << 3;
        /// [`Step::Capabilities`]
        const CAPABILITIES = 1 << 4;
        /// [`Step::NotDumpable`]
        const NOT_DUMPABLE = 1 << 5;
        /// [`Step::NoNewPrivileges`]
        const NO_NEW_PRIVILEGES = 1 << 6;
        /// [`Step::Limits`]
        const LIMITS = 1 << 7;
        /// [`Step::SystemCalls`]
        const SYSTEM_CALLS = 1 << 8;
    }
}

impl Protections {
    /// What is in force, one phrase for each, for people.
    pub fn descriptions(self) -> impl Iterator<Item = &'static str> {
        const PHRASES: [(Protections, &str); 9] = [
            (Protections::DESCRIPTORS, "only its own descriptors"),
            (Protections::NETWORK_NAMESPACE, "empty network namespace"),
            (Protections::ROOT, "empty root directory"),
            (Protections::CREDENTIALS, "unprivileged user"),
            (Protections::CAPABILITIES, "no capabilities"),
            (Protections::NOT_DUMPABLE, "not traceable"),
            (Protections::NO_NEW_PRIVILEGES, "no new privileges"),
            (Protections::LIMITS, "resource limits"),
            (Protections::SYSTEM_CALLS, "system call filter"),
        ];
        PHRASES.into_iter().filter(move |&(flag, _)| self.contains(flag)).map(|(_, phrase)| phrase)
    }
}

/// Enters the sandbox. There is no way back.
///
/// All descriptors that are not mentioned in `config` are closed, whoever owns them: call this before
/// anything else is opened. The process must have been started as root and have one thread.
///
/// # Errors
/// The first step that failed. The caller has to exit then.
pub fn enter(config: SandboxConfig<'_>) -> Result<Protections, SandboxError> {
    let mut protections = Protections::empty();
    let mut done = |step, outcome: Result<(), StepError>, protection| match outcome {
        Ok(()) => {
            protections |= protection;
            Ok(())
        }
        Err(source) => Err(SandboxError { step, source }),
    };
    let SandboxConfig { uid, gid, netns, root, address_space_limit, keep } = config;

    done(Step::Configuration, credentials::check(uid, gid), Protections::empty())?;
    done(Step::SingleThread, process::verify_single_thread(), Protections::empty())?;
    done(Step::Descriptors, descriptors::close_others(&netns, keep), Protections::DESCRIPTORS)?;
    done(Step::NetworkNamespace, surroundings::enter_netns(netns), Protections::NETWORK_NAMESPACE)?;
    done(Step::Root, surroundings::change_root(root), Protections::ROOT)?;
    // Dropping the bounding set needs a capability, so this goes before the change of user.
    done(Step::Capabilities, credentials::drop_bounding_set(), Protections::empty())?;
    done(Step::Credentials, credentials::become_user(uid, gid), Protections::CREDENTIALS)?;
    done(Step::Capabilities, credentials::drop_capabilities(), Protections::CAPABILITIES)?;
    // The kernel sets this flag anew at each change of user.
    done(Step::NotDumpable, process::set_not_dumpable(), Protections::NOT_DUMPABLE)?;
    done(Step::NoNewPrivileges, process::set_no_new_privileges(), Protections::NO_NEW_PRIVILEGES)?;
    done(Step::Limits, limits::set(keep, address_space_limit), Protections::LIMITS)?;
    done(Step::SystemCalls, syscalls::install(), Protections::SYSTEM_CALLS)?;
    Ok(protections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protection_has_its_phrase() {
        assert_eq!(Protections::all().descriptions().count(), Protections::all().iter().count());
        assert_eq!(Protections::empty().descriptions().count(), 0);
        let one: Vec<_> =
            (Protections::ROOT | Protections::from_bits_retain(1 << 31)).descriptions().collect();
        assert_eq!(one, ["empty root directory"]);
    }
}
