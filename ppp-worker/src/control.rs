//! The socket to `pppoed`: non-blocking, with whole messages in and out.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ppp_ipc::adoption::{Claim, Welcome};
use ppp_ipc::codec::{self, DecodeError, EncodeError};
use ppp_ipc::frame::{FrameDecoder, FrameError};
use ppp_ipc::worker::{FromWorker, ToWorker};

/// Bytes that may wait for `pppoed` to read them. A session says a few hundred in its life.
const MAX_UNSENT: usize = 64 * 1024;

/// Time that `pppoed` has to read the last messages.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the socket cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Decode(#[from] DecodeError),
    #[error("{0}")]
    Encode(#[from] EncodeError),
    #[error("pppoed does not read")]
    NotRead,
    #[error("pppoed closed it")]
    Closed,
}

impl ControlError {
    /// Whether `pppoed` is gone, and not to blame.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self, Self::Closed | Self::Io(_))
    }
}

/// The worker's end of its control socket.
#[derive(Debug)]
pub(crate) struct Control {
    stream: UnixStream,
    decoder: FrameDecoder,
    unsent: Vec<u8>,
}

impl Control {
    /// The socket does not block: `pppoed` saw to that.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let stream = UnixStream::from(socket);
        Self { stream, decoder: FrameDecoder::new(), unsent: Vec::new() }
    }

    /// Waits for one message.
    pub(crate) fn wait_for_message(&mut self) -> Result<ToWorker, ControlError> {
        loop {
            if let Some(message) = self.next_message()? {
                return Ok(message);
            }
            let mut readable = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            match poll(&mut readable, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => self.receive()?,
                Err(errno) => return Err(io::Error::from(errno).into()),
            }
        }
    }

    /// Reads what is there. The messages are in [`Control::next_message`].
    pub(crate) fn receive(&mut self) -> Result<(), ControlError> {
        match self.read() {
            Err(ControlError::Io(error)) if would_block(&error) => Ok(()),
            outcome => outcome,
        }
    }

    fn read(&mut self) -> Result<(), ControlError> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer)? {
            0 => Err(ControlError::Closed),
            count => {
                self.decoder.push(buffer.get(..count).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// The next whole message that was read.
    pub(crate) fn next_message(&mut self) -> Result<Option<ToWorker>, ControlError> {
        match self.decoder.next_frame()? {
            Some(body) => Ok(Some(codec::decode(body)?)),
            None => Ok(None),
        }
    }

    /// The answer to a claim, once it was read.
    pub(crate) fn welcome(&mut self) -> Result<Option<Welcome>, ControlError> {
        match self.decoder.next_frame()? {
            Some(body) => Ok(Some(codec::decode(body)?)),
            None => Ok(None),
        }
    }

    /// Sends a message, or keeps it for [`Control::flush`].
    pub(crate) fn send(&mut self, message: &FromWorker) -> Result<(), ControlError> {
        self.send_bytes(&codec::encode(message)?)
    }

    /// As [`Control::send`], on a new socket.
    pub(crate) fn claim(&mut self, claim: &Claim) -> Result<(), ControlError> {
        self.send_bytes(&codec::encode(claim)?)
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), ControlError> {
        if self.unsent.len() + bytes.len() > MAX_UNSENT {
            return Err(ControlError::NotRead);
        }
        self.unsent.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes as much as the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), ControlError> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if would_block(&error) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Whether [`Control::flush`] has something to write.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Writes what is left, for as long as it may take at the end.
    pub(crate) fn flush_before_exit(&mut self) {
        let started = std::time::Instant::now();
        while self.flush().is_ok() && self.has_unsent() && started.elapsed() < EXIT_TIMEOUT {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use ppp_ipc::reason::EndReason;

    use super::*;

    fn pair() -> (Control, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Control::new(ours.into()), theirs)
    }

    fn terminate() -> Vec<u8> {
        codec::encode(&ToWorker::Terminate(EndReason::Admin)).unwrap().to_vec()
    }

    #[test]
    fn messages_come_whole_however_they_are_cut() {
        let (mut control, mut server) = pair();
        let bytes = [terminate(), codec::encode(&ToWorker::Open).unwrap().to_vec()].concat();
        server.write_all(&terminate()).unwrap();
        assert!(matches!(control.wait_for_message().unwrap(), ToWorker::Terminate(EndReason::Admin)));
        let mut seen = Vec::new();
        for byte in bytes {
            server.write_all(&[byte]).unwrap();
            control.receive().unwrap();
            seen.extend(control.next_message().unwrap());
        }
        assert!(matches!(seen[..], [ToWorker::Terminate(EndReason::Admin), ToWorker::Open]), "{seen:?}");
        // Nothing waits, and that is no error.
        control.receive().unwrap();
        assert!(control.next_message().unwrap().is_none());
    }

    #[test]
    fn the_server_is_not_believed_either() {
        let garbage = [&4_u32.to_le_bytes()[..], &[0xee; 4]].concat();
        let mut trailing = terminate();
        trailing[0] += 1;
        trailing.push(0);
        for bytes in [garbage, trailing] {
            let (mut control, mut server) = pair();
            server.write_all(&bytes).unwrap();
            assert!(matches!(control.wait_for_message(), Err(ControlError::Decode(_))), "{bytes:x?}");
        }
        let (mut control, mut server) = pair();
        server.write_all(&u32::MAX.to_le_bytes()).unwrap();
        assert!(matches!(control.wait_for_message(), Err(ControlError::Frame(_))));
        let (mut control, server) = pair();
        drop(server);
        assert!(matches!(control.wait_for_message(), Err(ControlError::Closed)));
    }

    #[test]
    fn a_server_that_does_not_read_is_noticed() {
        let (mut control, mut server) = pair();
        server.write_all(&terminate()).unwrap();
        control.wait_for_message().unwrap();
        let message = FromWorker::SandboxFailed { why: "x".repeat(1000) };
        let mut sent = 0;
        while !control.has_unsent() {
            control.send(&message).unwrap();
            sent += 1;
        }
        let error = loop {
            match control.send(&message) {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ControlError::NotRead), "{error:?}");
        assert!(control.unsent.len() <= MAX_UNSENT);

        // What was taken in is not lost once it reads again.
        server.set_nonblocking(true).unwrap();
        let mut decoder = FrameDecoder::new();
        let mut received = 0;
        while received < sent {
            let mut buffer = [0; 4096];
            control.flush().unwrap();
            let count = server.read(&mut buffer).unwrap();
            decoder.push(&buffer[..count]);
            while let Some(body) = decoder.next_frame().unwrap() {
                codec::decode::<FromWorker>(body).unwrap();
                received += 1;
            }
        }
        assert!(!control.has_unsent());
    }
}
