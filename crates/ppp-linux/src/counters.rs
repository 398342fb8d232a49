//! The counters of one session, in memory that the worker writes and the supervisor reads.
//!
//! They live in a memfd that outlasts the worker, however it ends: what it counted until it was killed can
//! still be read. The file can be neither shrunk nor grown nor otherwise sealed, so a worker that was taken
//! over cannot make the supervisor's mapping fault; it can write wrong numbers, and nothing else. The
//! supervisor maps the file read-only.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::sys::stat::fstat;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::ftruncate;
use thiserror::Error;

/// Version of the layout of [`Cells`]: changes whenever a field is added, removed or moved.
pub const LAYOUT_VERSION: u64 = 2;

/// What went wrong with a session's counters.
#[derive(Debug, Error)]
pub enum CountersError {
    /// The kernel refused one of the steps.
    #[error("cannot share a session's counters: {step}")]
    Setup {
        /// Which step.
        step: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The file could be shrunk or grown by somebody else while it is mapped.
    #[error("the counters' file is not sealed: it has {found:?}, {expected:?} are needed")]
    NotSealed {
        /// The seals that are needed.
        expected: SealFlag,
        /// The seals that it has.
        found: SealFlag,
    },
    /// The file has another size than the counters.
    #[error("the counters' file has {found} bytes instead of {expected}")]
    WrongSize {
        /// Size of [`Cells`] in bytes.
        expected: usize,
        /// Size of the file in bytes.
        found: i64,
    },
    /// The file was made by another version of the program.
    #[error("the counters' layout has version {found} instead of {LAYOUT_VERSION}")]
    WrongVersion {
        /// The version that the file claims.
        found: u64,
    },
}

/// One number in shared memory. Written by the worker only, which has a single thread.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Cell(AtomicU64);

impl Cell {
    /// Adds to a counter; beyond `u64::MAX` it starts again at 0.
    pub fn add(&self, amount: u64) {
        // There is one writer, so this need not be one atomic step.
        self.set(self.get().wrapping_add(amount));
    }

    /// Replaces the number.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number as it is now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares the shared layout and the plain copy of it with the same fields.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// The counters as they lie in shared memory.
        #[derive(Debug, Default)]
        #[repr(C)]
        pub struct Cells {
            layout_version: Cell,
            $($(#[$doc])* pub $name: Cell,)+
        }

        /// The counters of a session at one moment. Where they come from a worker they are what it claims.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)+
        }

        impl Cells {
            /// Copies all numbers, one after the other: they need not belong to the same moment.
            #[must_use]
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// IP packets from the peer that were handed to the kernel.
    rx_packets,
    /// Bytes of these packets, from the IP header on.
    rx_bytes,
    /// IP packets that were sent to the peer.
    tx_packets,
    /// Bytes of these packets, from the IP header on.
    tx_bytes,
    /// PPP control packets (LCP, authentication, NCPs) from the peer.
    rx_control_packets,
    /// PPP control packets that were sent to the peer.
    tx_control_packets,
    /// Frames from the peer that were dropped because a header or length in them was wrong.
    rx_drops_malformed,
    /// Packets from the peer that were dropped because their source was not the address that the peer was
    /// given.
    rx_drops_source_address,
    /// Packets from the peer that were dropped because their protocol was not open (yet).
    rx_drops_not_open,
    /// Packets from the peer that were dropped because they were longer than our MRU.
    rx_drops_oversize,
    /// Packets from the peer that the TUN did not take.
    rx_drops_tun_error,
    /// Frames that the kernel dropped because the worker did not fetch them in time.
    rx_drops_socket_full,
    /// Packets for the peer that were dropped because their protocol was not open (yet).
    tx_drops_not_open,
    /// Packets for the peer that were dropped because they were longer than the peer's MRU.
    tx_drops_oversize,
    /// Packets for the peer that were dropped because the kernel handed out something that is not an IP
    /// packet.
    tx_drops_malformed,
    /// Frames for the peer that the packet socket did not take.
    tx_drops_send_error,
    /// Packets from the peer that were dropped because they came faster than the session's limit.
    rx_drops_rate,
    /// Packets for the peer that were dropped because they came faster than the session's limit.
    tx_drops_rate,
    /// LCP Echo-Requests from the peer.
    rx_echo_requests,
    /// LCP Echo-Replies from the peer.
    rx_echo_replies,
    /// LCP Echo-Requests that were sent to the peer.
    tx_echo_requests,
    /// LCP Echo-Replies that were sent to the peer.
    tx_echo_replies,
    /// When the last frame came from the peer, in [`monotonic_millis`]; 0 for never.
    rx_last_activity_ms,
    /// When the last IP packet was sent to the peer, in [`monotonic_millis`]; 0 for never.
    tx_last_activity_ms,
}

/// Milliseconds of the monotonic clock, which is the same for all processes and does not run during suspend.
#[must_use]
pub fn monotonic_millis() -> u64 {
    // Linux always has this clock.
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(std::time::Duration::from).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Keeps the size as it is, and the seals too.
const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// The supervisor's end: makes the counters and reads them.
#[derive(Debug)]
pub struct SharedCounters {
    file: OwnedFd,
    mapping: Mapping,
}

impl SharedCounters {
    /// Makes counters that are all 0. The descriptor for the worker is [`AsFd::as_fd`].
    ///
    /// # Errors
    /// When the kernel refuses: no memory, or too many open files.
    pub fn create() -> Result<Self, CountersError> {
        let file = create_file().map_err(step("create the file"))?;
        let size = i64::try_from(size_of::<Cells>()).map_err(|_| step("set its size")(Errno::EFBIG))?;
        ftruncate(&file, size).map_err(step("set its size"))?;
        // The version is written through a mapping that is gone before anybody else has the descriptor.
        let writable = Mapping::new(file.as_fd(), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        writable.layout_version.set(LAYOUT_VERSION);
        drop(writable);
        fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS)).map_err(step("seal it"))?;
        check(file.as_fd())?;
        let mapping = Mapping::new(file.as_fd(), ProtFlags::PROT_READ)?;
        Ok(Self { file, mapping })
    }

    /// Takes over counters that [`SharedCounters::create`] made in another process.
    ///
    /// # Errors
    /// When `file` is anything else, or of another layout.
    pub fn from_fd(file: OwnedFd) -> Result<Self, CountersError> {
        check(file.as_fd())?;
        let mapping = Mapping::new(file.as_fd(), ProtFlags::PROT_READ)?;
        match mapping.layout_version.get() {
            LAYOUT_VERSION => Ok(Self { file, mapping }),
            found => Err(CountersError::WrongVersion { found }),
        }
    }

    /// The numbers as they are now, whether or not the worker still lives. Untrusted.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.mapping.snapshot()
    }
}

impl AsFd for SharedCounters {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The worker's end: [`Cells`] to add to.
#[derive(Debug)]
pub struct WorkerCounters(Mapping);

impl WorkerCounters {
    /// Maps the counters that the supervisor made. The mapping does not need the descriptor any longer.
    ///
    /// # Errors
    /// When the file is not what [`SharedCounters::create`] makes.
    pub fn map(file: impl AsFd) -> Result<Self, CountersError> {
        check(file.as_fd())?;
        let mapping = Mapping::new(file.as_fd(), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        match mapping.layout_version.get() {
            LAYOUT_VERSION => Ok(Self(mapping)),
            found => Err(CountersError::WrongVersion { found }),
        }
    }
}

impl Deref for WorkerCounters {
    type Target = Cells;

    fn deref(&self) -> &Cells {
        &self.0
    }
}

fn step(step: &'static str) -> impl Fn(Errno) -> CountersError {
    move |errno| CountersError::Setup { step, source: errno.into() }
}

fn create_file() -> nix::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let not_executable = MFdFlags::from_bits_retain(nix::libc::MFD_NOEXEC_SEAL);
    match memfd_create("pppoed-counters", flags | not_executable) {
        // Kernels before 6.3 do not know the last flag.
        Err(Errno::EINVAL) => memfd_create("pppoed-counters", flags),
        outcome => outcome,
    }
}

/// Makes sure that a mapping of `file` will never fault.
fn check(file: BorrowedFd<'_>) -> Result<(), CountersError> {
    let found = fcntl(file, FcntlArg::F_GET_SEALS).map_err(step("read its seals"))?;
    let found = SealFlag::from_bits_retain(found);
    if !found.contains(SEALS) {
        return Err(CountersError::NotSealed { expected: SEALS, found });
    }
    let expected = size_of::<Cells>();
    let found = fstat(file).map_err(step("read its size"))?.st_size;
    if usize::try_from(found) != Ok(expected) {
        return Err(CountersError::WrongSize { expected, found });
    }
    Ok(())
}

/// [`Cells`] in a file that another process may write at any time.
#[derive(Debug)]
struct Mapping(NonNull<Cells>);

// SAFETY: the mapping belongs to the process, not to a thread, and consists of atomics.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// `file` has the size of `Cells`, and unless the caller made it just now, [`check`] found that it keeps
    /// it.
    fn new(file: BorrowedFd<'_>, protection: ProtFlags) -> Result<Self, CountersError> {
        let size = NonZeroUsize::new(size_of::<Cells>()).ok_or_else(|| step("map it")(Errno::EINVAL))?;
        // SAFETY: the kernel chooses an unused range of addresses, so no memory of ours is replaced.
        let address =
            unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, file, 0) }.map_err(step("map it"))?;
        Ok(Self(address.cast()))
    }
}

impl Deref for Mapping {
    type Target = Cells;

    fn deref(&self) -> &Cells {
        // SAFETY: the range stays mapped until `drop`, is aligned to a page, and the file is as large as
        // `Cells` for good. `Cells` consists of atomics, for which every bit pattern is valid and writes by
        // others are allowed; through a read-only mapping only `snapshot`, which loads, is ever called.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped; no reference into it outlives `self`.
        // It cannot fail for such a range, and there is nothing to be done if it did.
        let _ = unsafe { munmap(self.0.cast::<c_void>(), size_of::<Cells>()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_reads_what_the_worker_counts() {
        let shared = SharedCounters::create().unwrap();
        assert_eq!(shared.snapshot(), Snapshot::default());
        let worker = WorkerCounters::map(&shared).unwrap();
        worker.rx_packets.add(1);
        worker.rx_packets.add(2);
        worker.rx_bytes.add(u64::MAX);
        worker.rx_bytes.add(2);
        worker.tx_last_activity_ms.set(monotonic_millis());
        let snapshot = shared.snapshot();
        assert_eq!((snapshot.rx_packets, snapshot.rx_bytes), (3, 1));
        assert!(snapshot.tx_last_activity_ms > 0);

        // What the worker counted stays when it is gone, and can be handed on.
        drop(worker);
        assert_eq!(shared.snapshot(), snapshot);
        let next = SharedCounters::from_fd(shared.as_fd().try_clone_to_owned().unwrap()).unwrap();
        drop(shared);
        assert_eq!(next.snapshot(), snapshot);
    }

    #[test]
    fn nobody_can_change_the_size_or_the_seals() {
        let shared = SharedCounters::create().unwrap();
        assert_eq!(ftruncate(&shared, 0), Err(Errno::EPERM));
        assert_eq!(ftruncate(&shared, 1 << 20), Err(Errno::EPERM));
        assert_eq!(fcntl(&shared, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)), Err(Errno::EPERM));
    }

    #[test]
    fn files_that_could_fault_are_refused() {
        let unsealed = create_file().unwrap();
        let size = i64::try_from(size_of::<Cells>()).unwrap();
        ftruncate(&unsealed, size).unwrap();
        assert!(matches!(WorkerCounters::map(&unsealed), Err(CountersError::NotSealed { .. })));

        let short = create_file().unwrap();
        ftruncate(&short, size - 1).unwrap();
        fcntl(&short, FcntlArg::F_ADD_SEALS(SEALS)).unwrap();
        assert!(matches!(WorkerCounters::map(&short), Err(CountersError::WrongSize { .. })));

        let blank = create_file().unwrap();
        ftruncate(&blank, size).unwrap();
        fcntl(&blank, FcntlArg::F_ADD_SEALS(SEALS)).unwrap();
        assert!(matches!(WorkerCounters::map(&blank), Err(CountersError::WrongVersion { found: 0 })));

        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(matches!(WorkerCounters::map(&file), Err(CountersError::Setup { .. })));

        for (file, what) in
            [(unsealed, "unsealed"), (short, "short"), (blank, "blank"), (file.into(), "no memory")]
        {
            assert!(SharedCounters::from_fd(file).is_err(), "{what}");
        }
    }

    #[test]
    fn the_layout_is_what_version_2_says() {
        assert_eq!(size_of::<Cells>(), 25 * 8);
        assert_eq!(std::mem::offset_of!(Cells, rx_packets), 8);
        assert_eq!(std::mem::offset_of!(Cells, tx_last_activity_ms), 24 * 8);
    }
}
