//! Sockets that carry whole records, and descriptors with them (`SOCK_SEQPACKET`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg,
    socketpair,
};
use thiserror::Error;

/// Descriptors that one record carries at most.
pub const MAX_DESCRIPTORS: usize = 8;

/// Longest record in bytes.
pub const MAX_RECORD_LEN: usize = 4096;

/// Why no record was received.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The kernel's answer. [`io::ErrorKind::WouldBlock`]: none is there yet.
    #[error("cannot receive a record")]
    Receive(#[from] io::Error),
    /// The record was longer than [`MAX_RECORD_LEN`], came with more than [`MAX_DESCRIPTORS`] descriptors, or with
    /// more than the process may open.
    #[error("a record was cut off")]
    CutOff,
}

/// What was sent at once.
#[derive(Debug)]
pub struct Record {
    /// Its bytes; never empty.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it, in the order in which they were sent. They are closed on exec.
    pub descriptors: Vec<OwnedFd>,
}

/// One end of a connection that carries records.
#[derive(Debug)]
pub struct RecordSocket(OwnedFd);

impl RecordSocket {
    /// Both ends of a new connection. They block, and are closed on exec.
    ///
    /// # Errors
    /// When the process has too many open files.
    pub fn pair() -> io::Result<(Self, Self)> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
        Ok((Self(one), Self(other)))
    }

    /// Makes this end return [`io::ErrorKind::WouldBlock`] instead of waiting.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        fcntl(&self.0, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(())
    }

    /// Sends a record, which must not be empty, with descriptors: the other end gets duplicates.
    ///
    /// # Errors
    /// [`io::ErrorKind::BrokenPipe`] when the other end was closed; [`io::ErrorKind::InvalidInput`] when the record is
    /// empty or too much for one.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let fits = (1..=MAX_RECORD_LEN).contains(&bytes.len()) && descriptors.len() <= MAX_DESCRIPTORS;
        if !fits {
            return Err(Errno::EINVAL.into());
        }
        let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let rights = [ControlMessage::ScmRights(&numbers)];
        let control = if numbers.is_empty() { &[][..] } else { &rights };
        let flags = MsgFlags::MSG_NOSIGNAL;
        sendmsg::<()>(self.0.as_raw_fd(), &[IoSlice::new(bytes)], control, flags, None)?;
        Ok(())
    }

    /// Sends a record without descriptors by write(2), for a process that may not call sendmsg(2).
    ///
    /// # Errors
    /// As [`RecordSocket::send`], but for the signal that a closed connection brings.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        nix::unistd::write(&self.0, bytes)?;
        Ok(())
    }

    /// Receives a record; `None` when the other end was closed.
    ///
    /// # Errors
    /// [`RecordError`]; whatever descriptors came are closed then.
    pub fn receive(&self) -> Result<Option<Record>, RecordError> {
        let mut bytes = vec![0; MAX_RECORD_LEN];
        let mut control = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
        let (len, flags, descriptors) = {
            let mut vectors = [IoSliceMut::new(&mut bytes)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(self.0.as_raw_fd(), &mut vectors, Some(&mut control), flags)
                .map_err(io::Error::from)?;
            let numbers = message.cmsgs().map_err(io::Error::from)?.filter_map(|message| match message {
                ControlMessageOwned::ScmRights(numbers) => Some(numbers),
                _ => None,
            });
            // SAFETY: the kernel made these descriptors just now, and nobody else knows them.
            let owned = numbers.flatten().map(|number| unsafe { OwnedFd::from_raw_fd(number) });
            (message.bytes, message.flags, owned.collect::<Vec<_>>())
        };
        if flags.intersects(MsgFlags::MSG_CTRUNC | MsgFlags::MSG_TRUNC) {
            return Err(RecordError::CutOff);
        }
        bytes.truncate(len);
        Ok((len > 0).then_some(Record { bytes, descriptors }))
    }
}

impl AsFd for RecordSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for RecordSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl From<OwnedFd> for RecordSocket {
    /// Takes over an end that was handed over.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl From<RecordSocket> for OwnedFd {
    fn from(socket: RecordSocket) -> Self {
        socket.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn records_stay_whole_and_bring_their_descriptors() {
        let (ours, theirs) = RecordSocket::pair().unwrap();
        let (mut reader, writer) = std::io::pipe().unwrap();
        let file = File::open("/dev/null").unwrap();
        ours.send(b"first", &[file.as_fd(), writer.as_fd()]).unwrap();
        ours.write(b"second").unwrap();
        drop(writer);

        let mut first = theirs.receive().unwrap().unwrap();
        assert_eq!((first.bytes.as_slice(), first.descriptors.len()), (&b"first"[..], 2));
        nix::unistd::write(first.descriptors.pop().unwrap(), b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");

        let second = theirs.receive().unwrap().unwrap();
        assert_eq!((second.bytes.as_slice(), second.descriptors.len()), (&b"second"[..], 0));
        drop(ours);
        assert!(theirs.receive().unwrap().is_none());
        assert_eq!(theirs.send(b"third", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let (ours, theirs) = RecordSocket::pair().unwrap();
        let file = File::open("/dev/null").unwrap();
        assert!(ours.send(b"", &[]).is_err());
        assert!(ours.send(&[0; MAX_RECORD_LEN + 1], &[]).is_err());
        assert!(ours.send(b"x", &[file.as_fd(); MAX_DESCRIPTORS + 1]).is_err());
        ours.write(&[0; MAX_RECORD_LEN + 1]).unwrap();
        assert!(matches!(theirs.receive(), Err(RecordError::CutOff)));

        theirs.set_nonblocking().unwrap();
        let Err(RecordError::Receive(error)) = theirs.receive() else { panic!("nothing was sent") };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }
}
