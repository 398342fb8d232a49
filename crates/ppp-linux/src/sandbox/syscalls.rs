//! The system calls that remain (seccomp(2)). Everything else kills the process, at once and with `SIGSYS`.
//!
//! A worker's list is that of a program with one thread that is linked with glibc and waits with poll(2). What it
//! does *not* contain: anything that opens a path, makes a process or a thread, names another process, or maps memory
//! that can be executed or belongs to a file. The one way to make a descriptor is a Unix socket to connect to the next
//! supervisor by: the only name that a worker can reach is the one in its root directory, and abstract names belong to
//! a network namespace, of which it has an empty one.
//!
//! The template's list has that, and beside it what it forks with and what a worker does before its own list holds:
//! look at what it was born with, and lock itself in. That list holds for workers as well; the kernel lets a
//! call pass only if all filters of a process do.

use std::collections::BTreeMap;
use std::ffi::c_int;

use nix::errno::Errno;
use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::process::SINGLE_THREAD_FLAGS;
use super::{StepError, verify};
use crate::template::FORK_FLAGS;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("the list of system calls has been thought through for x86_64 and aarch64 only");

/// Whose list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The template's.
    Template,
    /// A worker's.
    Worker,
}

/// Calls that are allowed whatever their arguments.
const ALLOWED: &[i64] = &[
    // The kept descriptors: sockets, the TUN, standard error.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    // The way back to a supervisor; for the socket see below. Neither the packet socket nor the TUN can be connected.
    libc::SYS_connect,
    // Waiting for them; the last one is how the kernel continues a wait that a stop signal interrupted.
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_restart_syscall,
    // Time, where the vDSO cannot read the machine's clock; and std::thread::sleep.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    // Seeds of hash maps, Magic-Numbers.
    libc::SYS_getrandom,
    // The allocator; for `mmap` and `madvise` see below.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    // Signal handlers return with the first; the others are used on the way to abort(3), by ppoll(2)'s
    // callers and by the standard library's stack-overflow handler, which hands a crash on to the default
    // action and removes its own stack at exit.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigaction,
    libc::SYS_sigaltstack,
    // abort(3) asks who it is.
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls that are allowed beside them in the template, and in a worker until it has its own list.
const ALLOWED_BEFORE: &[i64] = &[
    // What a worker is born with comes with a record.
    libc::SYS_recvmsg,
    // What is not a worker's is closed.
    libc::SYS_close_range,
    // What is there is as it should be.
    libc::SYS_fstat,
    libc::SYS_getgroups,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_capget,
    // The worker's list; a filter can only take away.
    libc::SYS_seccomp,
    // abort(3), whatever the process id of the worker is; its own list knows.
    libc::SYS_tgkill,
];

/// The one kind of socket that a worker can make.
const RECONNECT_TYPE: c_int = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;

/// A comparison of an argument, counted from 0.
struct Argument {
    index: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
}

fn equals(index: u8, value: c_int) -> Argument {
    integer(index, SeccompCmpOp::Eq, value)
}

fn has(index: u8, flag: c_int) -> Argument {
    integer(index, SeccompCmpOp::MaskedEq(bits(flag)), flag)
}

fn has_not(index: u8, flag: c_int) -> Argument {
    integer(index, SeccompCmpOp::MaskedEq(bits(flag)), 0)
}

/// The kernel looks at the lower 32 bits of such an argument only.
fn integer(index: u8, operator: SeccompCmpOp, value: c_int) -> Argument {
    Argument { index, length: SeccompCmpArgLen::Dword, operator, value: bits(value) }
}

fn is_null(index: u8) -> Argument {
    Argument { index, length: SeccompCmpArgLen::Qword, operator: SeccompCmpOp::Eq, value: 0 }
}

fn bits(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

/// Calls that are allowed with certain arguments, as [`ALLOWED_BEFORE`]: all of one line at a time.
fn restricted_before() -> Vec<(i64, Vec<Argument>)> {
    vec![
        (libc::SYS_clone, vec![equals(0, FORK_FLAGS), is_null(1)]),
        // The verification that there is one thread, which changes nothing.
        (libc::SYS_unshare, vec![equals(0, SINGLE_THREAD_FLAGS.bits())]),
        // The counters.
        (libc::SYS_mmap, vec![has_not(2, libc::PROT_EXEC), equals(3, libc::MAP_SHARED)]),
        (libc::SYS_fcntl, vec![equals(1, libc::F_GET_SEALS)]),
        // fstat(3); there are no files that a path could name.
        (libc::SYS_newfstatat, vec![has(3, libc::AT_EMPTY_PATH)]),
        // That the session's TUN is what it should be.
        (
            libc::SYS_ioctl,
            vec![Argument {
                index: 1,
                length: SeccompCmpArgLen::Dword,
                operator: SeccompCmpOp::Eq,
                value: libc::TUNGETIFF,
            }],
        ),
        // A worker's standard error.
        (libc::SYS_dup3, vec![equals(1, 2)]),
        // A worker's name, and what else it inherited.
        (libc::SYS_prctl, vec![equals(0, libc::PR_SET_NAME)]),
        (libc::SYS_prctl, vec![equals(0, libc::PR_GET_DUMPABLE)]),
        (libc::SYS_prctl, vec![equals(0, libc::PR_GET_NO_NEW_PRIVS)]),
        (libc::SYS_prctl, vec![equals(0, libc::PR_SET_NO_NEW_PRIVS)]),
        // A process's own limits. They can only be lowered.
        (libc::SYS_prlimit64, vec![equals(0, 0)]),
    ]
}

/// Calls that are allowed with certain arguments: all of one line at a time.
fn restricted() -> Vec<(i64, Vec<Argument>)> {
    let own_pid = nix::unistd::getpid().as_raw();
    vec![
        // Only to where the socket is bound or connected to. With an address, a packet socket sends through
        // every interface of the namespace that it was made in, which is the host's; that is also why
        // sendmsg(2) and sendmmsg(2), whose addresses cannot be seen from here, are missing.
        (libc::SYS_sendto, vec![is_null(4)]),
        // The way back to a supervisor.
        (libc::SYS_socket, vec![equals(0, libc::AF_UNIX), equals(1, RECONNECT_TYPE), equals(2, 0)]),
        // The allocator: anonymous memory that cannot be executed.
        (libc::SYS_mmap, vec![has_not(2, libc::PROT_EXEC), has(3, libc::MAP_ANONYMOUS)]),
        // The allocator: giving memory back (musl), asking for huge pages (glibc from 2.43 on).
        (libc::SYS_madvise, vec![equals(2, libc::MADV_DONTNEED)]),
        (libc::SYS_madvise, vec![equals(2, libc::MADV_FREE)]),
        (libc::SYS_madvise, vec![equals(2, libc::MADV_HUGEPAGE)]),
        // pthread_once(3), which the unwinder uses at the first panic, wakes others even if there are none.
        // Not the rest of futex(2): its requeueing and priority inheritance have been ways into the kernel.
        (libc::SYS_futex, vec![equals(1, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG)]),
        (libc::SYS_futex, vec![equals(1, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG)]),
        (libc::SYS_futex, vec![equals(1, libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG)]),
        // With debug assertions the standard library checks each descriptor that it is about to close.
        (libc::SYS_fcntl, vec![equals(1, libc::F_GETFD)]),
        // That the session's socket is what it should be.
        (libc::SYS_getsockopt, vec![equals(1, libc::SOL_SOCKET)]),
        // How many frames the packet socket had to drop.
        (libc::SYS_getsockopt, vec![equals(1, libc::SOL_PACKET), equals(2, libc::PACKET_STATISTICS)]),
        // abort(3), to itself only.
        (libc::SYS_tgkill, vec![equals(0, own_pid)]),
        // The verification that this filter is in force.
        (libc::SYS_prctl, vec![equals(0, libc::PR_GET_SECCOMP)]),
    ]
}

/// Installs the filter of a stage.
pub(super) fn install(stage: Stage) -> Result<(), StepError> {
    let failed =
        |error: seccompiler::BackendError| StepError::NotInForce(format!("cannot build it: {error}"));
    let program = program(stage).map_err(failed)?;
    apply_filter(&program).map_err(|error| StepError::NotInForce(format!("cannot install it: {error}")))?;

    // SAFETY: this operation has no further arguments.
    let mode = Errno::result(unsafe { libc::prctl(libc::PR_GET_SECCOMP) })
        .map_err(StepError::system("read the mode of seccomp"))?;
    verify(mode.cast_unsigned() == libc::SECCOMP_MODE_FILTER, || format!("the mode of seccomp is {mode}"))
}

fn program(stage: Stage) -> Result<BpfProgram, seccompiler::BackendError> {
    let (before, restricted_before) = match stage {
        Stage::Template => (ALLOWED_BEFORE, restricted_before()),
        Stage::Worker => (&[][..], Vec::new()),
    };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (number, arguments) in restricted().into_iter().chain(restricted_before) {
        let conditions = arguments
            .into_iter()
            .map(|Argument { index, length, operator, value }| {
                SeccompCondition::new(index, length, operator, value)
            })
            .collect::<Result<_, _>>()?;
        rules.entry(number).or_default().push(SeccompRule::new(conditions)?);
    }
    rules.extend(ALLOWED.iter().chain(before).map(|&number| (number, Vec::new())));
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, ARCH)?.try_into()
}
