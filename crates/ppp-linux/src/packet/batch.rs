//! Many frames at once.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, iovec, mmsghdr};

/// How many frames a batch holds at most.
pub const MAX_BATCH: usize = 32;

/// Buffers for a number of frames of limited length, allocated once. Frames are added at the end, by
/// receiving or by [`vacant`](Self::vacant) and [`commit`](Self::commit), and leave at the front, by sending
/// or [`discard_first`](Self::discard_first).
#[derive(Debug)]
pub struct FrameBatch {
    storage: Box<[u8]>,
    frame_size: usize,
    /// Of each frame, on the wire: more than `frame_size` when it was cut.
    lengths: [usize; MAX_BATCH],
    capacity: usize,
    /// Frames `first..end` are there.
    first: usize,
    end: usize,
}

/// One frame of a batch, Ethernet header included.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The bytes that fitted into the buffer.
    pub bytes: &'a mut [u8],
    /// The length on the wire.
    pub wire_len: usize,
}

impl Frame<'_> {
    /// Whether the frame was longer than its buffer.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.wire_len > self.bytes.len()
    }
}

impl FrameBatch {
    /// Room for `frames` (at least 1, at most [`MAX_BATCH`]) frames of up to `frame_size` bytes (at least 1).
    #[must_use]
    pub fn new(frames: usize, frame_size: usize) -> Self {
        let capacity = frames.clamp(1, MAX_BATCH);
        let frame_size = frame_size.max(1);
        let storage = vec![0; capacity.saturating_mul(frame_size)].into_boxed_slice();
        Self { storage, frame_size, lengths: [0; MAX_BATCH], capacity, first: 0, end: 0 }
    }

    /// Number of frames that there is room for in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of frames that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.end - self.first
    }

    /// Whether no frame is there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all frames.
    pub fn clear(&mut self) {
        (self.first, self.end) = (0, 0);
    }

    /// The frames, oldest first.
    pub fn frames_mut(&mut self) -> impl Iterator<Item = Frame<'_>> {
        let (first, end) = (self.first, self.end);
        self.storage
            .chunks_exact_mut(self.frame_size)
            .zip(self.lengths)
            .take(end)
            .skip(first)
            .map(|(buffer, wire_len)| Frame { bytes: cut(buffer, wire_len), wire_len })
    }

    /// The buffer for the next frame, with unspecified content; `None` when there is no more room.
    #[must_use]
    pub fn vacant(&mut self) -> Option<&mut [u8]> {
        if self.end == self.capacity {
            return None;
        }
        self.storage.chunks_exact_mut(self.frame_size).nth(self.end)
    }

    /// Adds the frame whose first `length` bytes were written to [`vacant`](Self::vacant); more than its size
    /// counts as its size. Without room nothing happens.
    pub fn commit(&mut self, length: usize) {
        if self.end == self.capacity {
            return;
        }
        if let Some(slot) = self.lengths.get_mut(self.end) {
            *slot = length.min(self.frame_size);
            self.end += 1;
        }
    }

    /// Drops the oldest frame, e.g. one that the kernel refuses to send.
    pub fn discard_first(&mut self) {
        self.advance(1);
    }

    fn advance(&mut self, frames: usize) {
        self.first = self.first.saturating_add(frames).min(self.end);
        if self.first == self.end {
            self.clear();
        }
    }

    /// Replaces the content by what waits in the socket. Returns the number of frames.
    pub(super) fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.clear();
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
        self.end = received;
        Ok(received)
    }

    /// Sends as many frames as the socket takes and removes them. Returns their number.
    pub(super) fn transmit(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<usize> {
        let mut sent = 0;
        let mut outcome = Ok(());
        for frame in self.frames_mut() {
            outcome = send(frame.bytes);
            if outcome.is_err() {
                break;
            }
            sent += 1;
        }
        if sent == 0 {
            outcome?;
        }
        self.advance(sent);
        Ok(sent)
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

fn cut(buffer: &mut [u8], length: usize) -> &mut [u8] {
    let length = length.min(buffer.len());
    buffer.split_at_mut(length).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_added_at_the_end_and_leave_at_the_front() {
        let mut batch = FrameBatch::new(2, 4);
        assert!(batch.is_empty());
        batch.vacant().unwrap()[..3].copy_from_slice(b"one");
        batch.commit(3);
        batch.vacant().unwrap().copy_from_slice(b"full");
        batch.commit(9);
        assert!(batch.vacant().is_none());
        batch.commit(1);
        assert_eq!(batch.len(), 2);

        let frames: Vec<Vec<u8>> = batch.frames_mut().map(|frame| frame.bytes.to_vec()).collect();
        assert_eq!(frames, [b"one".to_vec(), b"full".to_vec()]);
        batch.discard_first();
        assert_eq!(batch.frames_mut().next().unwrap().bytes, b"full");
        assert!(batch.vacant().is_none(), "room returns only when all frames are gone");
        batch.discard_first();
        batch.discard_first();
        assert!(batch.is_empty() && batch.vacant().is_some());
    }

    #[test]
    fn the_number_of_frames_is_limited() {
        let mut batch = FrameBatch::new(1000, 1);
        for _ in 0..1000 {
            batch.commit(1);
        }
        assert_eq!(batch.len(), MAX_BATCH);
    }
}
