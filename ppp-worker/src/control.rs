//! The socket to `pppoed`: non-blocking, with whole messages in and out.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

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

/// The worker's end of its control socket.
#[derive(Debug)]
pub(crate) struct Control {
    stream: UnixStream,
    decoder: FrameDecoder,
    unsent: Vec<u8>,
}

impl Control {
    pub(crate) fn new(socket: OwnedFd) -> Result<Self, ControlError> {
        Ok(Self { stream: UnixStream::from(socket), decoder: FrameDecoder::new(), unsent: Vec::new() })
    }

    /// Waits for one message; makes the socket non-blocking afterwards.
    pub(crate) fn wait_for_message(&mut self) -> Result<ToWorker, ControlError> {
        loop {
            if let Some(message) = self.next_message()? {
                self.stream.set_nonblocking(true)?;
                return Ok(message);
            }
            self.read()?;
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

    /// Sends a message, or keeps it for [`Control::flush`].
    pub(crate) fn send(&mut self, message: &FromWorker) -> Result<(), ControlError> {
        let bytes = codec::encode(message)?;
        if self.unsent.len() + bytes.len() > MAX_UNSENT {
            return Err(ControlError::NotRead);
        }
        self.unsent.extend_from_slice(&bytes);
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
