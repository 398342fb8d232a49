//! Memory that can be given back without being freed.

use std::ffi::c_void;
use std::io;
use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mmap_anonymous, munmap};

/// A buffer of whole pages, zeroed at first. A page takes no memory until it is written to, nor after it was
/// [given back](Self::give_back): so a buffer may be as large as the worst case needs, in thousands of processes.
#[derive(Debug)]
pub struct PageBuffer {
    start: NonNull<c_void>,
    len: NonZeroUsize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and is reached through this value only.
unsafe impl Send for PageBuffer {}

impl PageBuffer {
    /// A buffer of `len` bytes; at least 1.
    ///
    /// # Errors
    /// When the address space or its limit is used up.
    pub fn new(len: usize) -> io::Result<Self> {
        let len = NonZeroUsize::new(len).unwrap_or(NonZeroUsize::MIN);
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses an unused range of addresses, so no memory of ours is replaced.
        let start = unsafe { mmap_anonymous(None, len, protection, MapFlags::MAP_PRIVATE) }?;
        Ok(Self { start, len })
    }

    /// Gives all memory back. The buffer is zeroed.
    pub fn give_back(&mut self) {
        // SAFETY: exactly the range that `new` mapped, which is private and anonymous: the pages read as zeroes
        // from now on. Nobody else refers to it, as `self` is borrowed mutably.
        // It cannot fail for such a range; if it did, the memory would merely be kept.
        let _ = unsafe { madvise(self.start, self.len.get(), MmapAdvise::MADV_DONTNEED) };
    }
}

impl Deref for PageBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the range stays mapped until `drop`, is initialised (by the kernel, with zeroes), and is
        // written through `deref_mut` only.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.len.get()) }
    }
}

impl DerefMut for PageBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.len.get()) }
    }
}

impl Drop for PageBuffer {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped; no reference into it outlives `self`.
        // It cannot fail for such a range, and there is nothing to be done if it did.
        let _ = unsafe { munmap(self.start, self.len.get()) };
    }
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::*;

    /// How many pages of a buffer are there (mincore(2) knows of no others in an anonymous mapping).
    fn resident(buffer: &PageBuffer) -> usize {
        let mut pages = vec![0; buffer.len() / 4096];
        // SAFETY: the range is mapped, and `pages` has a byte for each of its pages.
        let outcome = unsafe { libc::mincore(buffer.start.as_ptr(), buffer.len(), pages.as_mut_ptr()) };
        assert_eq!(outcome, 0);
        pages.iter().filter(|page| **page & 1 == 1).count()
    }

    #[test]
    fn memory_is_taken_when_it_is_written_and_can_be_given_back() {
        let mut buffer = PageBuffer::new(256 << 10).unwrap();
        assert_eq!(resident(&buffer), 0);
        buffer[..100_000].fill(1);
        let touched = resident(&buffer);
        assert!(touched >= 100_000 / 4096, "{touched} pages");
        buffer.give_back();
        assert_eq!(resident(&buffer), 0);
        assert!(buffer.iter().all(|byte| *byte == 0));
        assert_eq!(PageBuffer::new(0).unwrap().len(), 1);
        assert!(PageBuffer::new(usize::MAX >> 1).is_err());
    }
}
