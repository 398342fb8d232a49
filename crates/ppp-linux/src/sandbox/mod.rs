//! What a worker has around it before it reads the first byte from its peer.
//!
//! The sandbox is entered in two stages. The template that workers are forked from (see [`crate::template`])
//! does once what a process can do that still forks: [`enter`]. Each worker inherits that and does the rest:
//! [`Entered::finish`]. In both stages everything is done, and then verified, in the order of [`Step`]; the
//! first step that fails ends it, and the process has to exit.
//!
//! Afterwards the template can receive descriptors and fork, and a worker can compute, read and write the
//! descriptors that it kept, wait for them, allocate memory and exit. Neither can be traced or dumped by other
//! processes of its user.
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
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use bitflags::bitflags;
use thiserror::Error;

pub(crate) use self::process::verify_single_thread;
use self::syscalls::Stage;

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
    /// The template's socket: the only descriptor that it keeps, besides 0, 1 and 2, which the standard
    /// library takes for granted.
    pub socket: BorrowedFd<'a>,
    /// How many descriptors a worker is born with, that is, come through the socket at once.
    pub descriptors: u8,
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
    /// No new descriptors, processes, threads or files; a bound on memory. In the template, as many processes as
    /// there may be workers, and as many descriptors as one is born with.
    Limits,
    /// All system calls but those of a short list kill the process. The worker's list is shorter than the template's,
    /// and both hold for it.
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

/// The steps that are done, and the first that failed.
#[derive(Clone, Copy, Debug)]
struct Progress(Protections);

impl Progress {
    fn done(
        &mut self,
        step: Step,
        outcome: Result<(), StepError>,
        protection: Protections,
    ) -> Result<(), SandboxError> {
        outcome.map_err(|source| SandboxError { step, source })?;
        self.0 |= protection;
        Ok(())
    }
}

/// That the process is in the first stage, and so are those that are forked from it.
#[derive(Clone, Copy, Debug)]
pub struct Entered {
    progress: Progress,
    uid: u32,
    gid: u32,
    address_space_limit: u64,
    /// No descriptor has this number or a higher one, nor will one ever.
    descriptors_end: RawFd,
}

/// Enters the first stage, in the template. There is no way back.
///
/// All descriptors that are not mentioned in `config` are closed, whoever owns them: call this before
/// anything else is opened. The process must have been started as root and have one thread.
///
/// # Errors
/// The first step that failed. The caller has to exit then.
pub fn enter(config: SandboxConfig<'_>) -> Result<Entered, SandboxError> {
    let SandboxConfig { uid, gid, netns, root, address_space_limit, socket, descriptors } = config;
    let descriptors_end = socket.as_raw_fd().max(2).saturating_add(1).saturating_add(descriptors.into());
    let limits = limits::of_template(descriptors_end, address_space_limit);

    let none = Protections::empty();
    let mut progress = Progress(none);
    progress.done(Step::Configuration, credentials::check(uid, gid), none)?;
    progress.done(Step::SingleThread, process::verify_single_thread(), none)?;
    progress.done(Step::Descriptors, descriptors::close_others(&netns, socket), none)?;
    progress.done(
        Step::NetworkNamespace,
        surroundings::enter_netns(netns),
        Protections::NETWORK_NAMESPACE,
    )?;
    progress.done(Step::Root, surroundings::change_root(root), Protections::ROOT)?;
    // Dropping the bounding set needs a capability, so this goes before the change of user.
    progress.done(Step::Capabilities, credentials::drop_bounding_set(), none)?;
    progress.done(Step::Credentials, credentials::become_user(uid, gid), Protections::CREDENTIALS)?;
    progress.done(Step::Capabilities, credentials::drop_capabilities(), Protections::CAPABILITIES)?;
    // The kernel sets this flag anew at each change of user.
    progress.done(Step::NotDumpable, process::set_not_dumpable(), Protections::NOT_DUMPABLE)?;
    progress.done(Step::NoNewPrivileges, process::set_no_new_privileges(), Protections::NO_NEW_PRIVILEGES)?;
    progress.done(Step::Limits, limits::set(&limits), none)?;
    progress.done(Step::SystemCalls, syscalls::install(Stage::Template), none)?;
    Ok(Entered { progress, uid, gid, address_space_limit, descriptors_end })
}

impl Entered {
    /// What is in force already.
    #[must_use]
    pub fn protections(&self) -> Protections {
        self.progress.0
    }

    /// Enters the second stage, in a worker that was forked from the template. There is no way back.
    ///
    /// All descriptors but 0, 1, 2 and those of `keep` are closed, whoever owns them. What was inherited from
    /// the template is verified again, as far as a process without `/proc` can: for the namespace and the root
    /// directory there is the kernel's word that a child has its parent's.
    ///
    /// # Errors
    /// The first step that failed. The caller has to exit then.
    pub fn finish(self, keep: &[BorrowedFd<'_>]) -> Result<Protections, SandboxError> {
        let Self { mut progress, uid, gid, address_space_limit, descriptors_end } = self;
        let limits = limits::of_worker(keep, address_space_limit);
        let none = Protections::empty();
        progress.done(
            Step::Descriptors,
            descriptors::close_others_below(descriptors_end, keep),
            Protections::DESCRIPTORS,
        )?;
        progress.done(Step::Credentials, credentials::verify_user(uid, gid), none)?;
        progress.done(Step::Capabilities, credentials::verify_no_capabilities(), none)?;
        progress.done(Step::NotDumpable, process::verify_not_dumpable(), none)?;
        progress.done(Step::NoNewPrivileges, process::verify_no_new_privileges(), none)?;
        progress.done(Step::Limits, limits::set(&limits), Protections::LIMITS)?;
        progress.done(Step::SystemCalls, syscalls::install(Stage::Worker), Protections::SYSTEM_CALLS)?;
        Ok(progress.0)
    }
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
