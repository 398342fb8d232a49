//! A host's end of the socket to `pppoed`. It waits where it must: the host has nothing else to do.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;

use ppp_ipc::codec;
use ppp_ipc::frame::FrameDecoder;
use ppp_ipc::hooks::{FromHost, Question, Reply, ToHost};

/// The socket.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    decoder: RefCell<FrameDecoder>,
}

/// The socket is of no use any more: `pppoed` is gone, or is another program. The host ends then.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    #[error("the socket to pppoed: {0}")]
    Io(#[from] io::Error),
    #[error("pppoed closed its socket")]
    Closed,
    #[error("invalid framing by pppoed: {0}")]
    Frame(#[from] ppp_ipc::frame::FrameError),
    #[error("pppoed sent an invalid message: {0}")]
    Decode(#[from] codec::DecodeError),
    #[error("{0}")]
    Encode(#[from] codec::EncodeError),
    #[error("pppoed sent a message that does not fit here")]
    Unexpected,
}

impl Link {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, decoder: RefCell::default() }
    }

    pub(super) fn receive(&self) -> Result<ToHost, LinkError> {
        let mut decoder = self.decoder.borrow_mut();
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = decoder.next_frame()? {
                return Ok(codec::decode(body)?);
            }
            let count = match (&self.stream).read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count?,
            };
            if count == 0 {
                return Err(LinkError::Closed);
            }
            decoder.take(buffer.get_mut(..count).unwrap_or_default());
        }
    }

    pub(super) fn send(&self, message: &FromHost) -> Result<(), LinkError> {
        let bytes = codec::encode(message)?;
        (&self.stream).write_all(&bytes)?;
        Ok(())
    }

    pub(super) fn ask(&self, question: Question) -> Result<Reply, LinkError> {
        self.send(&FromHost::Ask(question))?;
        match self.receive()? {
            ToHost::Reply(reply) => Ok(reply),
            ToHost::Load(_) | ToHost::Call(_) => Err(LinkError::Unexpected),
        }
    }
}
