//! Many frames at once.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, iovec, mmsghdr};

use crate::pages::PageBuffer;

/// How many frames a batch holds at most.
pub const MAX_BATCH: usize = 64;

/// Buffers for a number of received frames of limited length, one behind the other.
///
/// They take memory only as far as frames were received: those of a quiet line are all received into the first one.
#[derive(Debug)]
pub struct FrameBatch {
    storage: PageBuffer,
    frame_size: usize,
    /// Of each frame, on the wire: more than `frame_size` when it was cut.
    lengths: [usize; MAX_BATCH],
    capacity: usize,
    len: usize,
    /// Most frames that there were since the memory was given back.
    used: usize,
}

/// Where a frame of a batch is, Ethernet header included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The bytes of [`FrameBatch::storage`] that fitted into the buffer.
    pub bytes: Range<usize>,
    /// The length on the wire.
    pub wire_len: usize,
}

impl Frame {
    /// Whether the frame was longer than its buffer.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.wire_len > self.bytes.len()
    }
}

impl FrameBatch {
    /// Room for `frames` (at least 1, at most [`MAX_BATCH`]) frames of up to `frame_size` bytes (at least 1).
    ///
    /// # Errors
    /// As [`PageBuffer::new`].
    pub fn new(frames: usize, frame_size: usize) -> io::Result<Self> {
        let capacity = frames.clamp(1, MAX_BATCH);
        let frame_size = frame_size.max(1);
        let storage = PageBuffer::new(capacity.saturating_mul(frame_size))?;
        Ok(Self { storage, frame_size, lengths: [0; MAX_BATCH], capacity, len: 0, used: 0 })
    }

    /// Number of frames that there is room for in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Most frames that there were at once since [`give_back`](Self::give_back).
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Forgets all frames, and gives their memory back.
    pub fn give_back(&mut self) {
        (self.len, self.used) = (0, 0);
        self.storage.give_back();
    }

    /// What the frames are in.
    #[must_use]
    pub fn storage(&mut self) -> &mut [u8] {
        &mut self.storage
    }

    /// The frame of this number, counted from 0, which is the oldest.
    #[must_use]
    pub fn frame(&self, number: usize) -> Option<Frame> {
        let wire_len = *self.lengths.get(..self.len)?.get(number)?;
        let start = number * self.frame_size;
        Some(Frame { bytes: start..start + wire_len.min(self.frame_size), wire_len })
    }

    /// Replaces the content by what waits in the socket. Returns the number of frames.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.len = 0;
        let mut vectors = [EMPTY_VECTOR; MAX_BATCH];
        for (vector, buffer) in vectors.iter_mut().zip(self.storage.chunks_exact_mut(self.frame_size)) {
            *vector = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        }
        let mut headers = headers(&mut vectors);
        let count = libc::c_uint::try_from(self.capacity).unwrap_or_default();
        // SAFETY: the first `count` headers each point to one vector, and each of these to a buffer of its
        // own within `storage`, which is borrowed mutably and not touched while the kernel writes.
        let outcome = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT | libc::MSG_TRUNC,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(Errno::result(outcome)?).unwrap_or_default().min(self.capacity);
        for (length, header) in self.lengths.iter_mut().zip(&headers).take(received) {
            *length = usize::try_from(header.msg_len).unwrap_or(usize::MAX);
        }
        self.len = received;
        self.used = self.used.max(received);
        Ok(received)
    }
}

const EMPTY_VECTOR: iovec = iovec { iov_base: ptr::null_mut(), iov_len: 0 };

/// One message for each vector.
fn headers(vectors: &mut [iovec; MAX_BATCH]) -> [mmsghdr; MAX_BATCH] {
    // SAFETY: `mmsghdr` consists of integers and raw pointers, for which all zeroes is a valid value.
    let mut headers: [mmsghdr; MAX_BATCH] = unsafe { std::mem::zeroed() };
    for (header, vector) in headers.iter_mut().zip(vectors) {
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    headers
}
