//! Messages to `pppoed` and back, each wait bounded.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use interprocess::{
    ConnectWaitMode,
    local_socket::{ConnectOptions, GenericFilePath, Stream, traits::Stream as _},
};
use ppp_ipc::{
    codec::{self, DecodeError, EncodeError},
    control::{ClientHello, Request, Response, ServerHello, VERSION},
    frame::{FrameDecoder, FrameError},
};
use serde::de::DeserializeOwned;

use crate::{
    interrupt::{self, Woken},
    wait::Wait,
};

/// Pause before the next try when the server's queue of connections is full.
const CONNECT_RETRY: Duration = Duration::from_millis(20);

/// The server could not be talked to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody listens there.
    #[error(
        "pppoed is not running ({why} {}): start it (systemctl start pppoed), or give --socket", path.display()
    )]
    NotRunning { path: PathBuf, why: &'static str },
    /// The system denied the connection.
    #[error(
        "permission denied for {}: run as root, or as a member of the socket's group \
         (usermod -aG pppoed NAME)", path.display()
    )]
    NotAllowed { path: PathBuf },
    /// The connection failed in another way.
    #[error("cannot connect to {}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    /// The server was silent.
    #[error("no {what} from pppoed within {after:?}: look at its log, or give a longer --timeout")]
    Timeout { what: &'static str, after: Duration },
    /// Ctrl-C was pressed while the server was waited for.
    #[error("interrupted")]
    Interrupted,
    /// The server hung up instead of answering.
    #[error("pppoed closed the connection without an answer: look at its log")]
    Closed,
    /// The server hung up in the middle of a message.
    #[error("pppoed closed the connection in the middle of an answer: look at its log")]
    CutOff,
    /// Reading or writing failed.
    #[error("the connection to pppoed broke")]
    Io(#[source] io::Error),
    /// A request does not fit into a frame.
    #[error("the request cannot be sent")]
    Encode(#[source] EncodeError),
    /// The server broke the framing.
    #[error("pppoed did not answer in its own protocol (is --socket its control socket?)")]
    Frame(#[source] FrameError),
    /// The server sent a frame that holds no such message.
    #[error("pppoed sent an answer that this pppctl does not understand")]
    Decode(#[source] DecodeError),
    /// The server speaks another version.
    #[error(
        "pppoed {software} speaks version {version} of the control protocol, this pppctl version {VERSION}: \
         use the pppctl that belongs to that pppoed"
    )]
    Version { version: u16, software: String },
}

impl Error {
    /// Whether the server ended the conversation.
    pub(crate) fn is_hang_up(&self) -> bool {
        matches!(self, Self::Closed | Self::CutOff)
    }
}

/// A connection to `pppoed`, past the hello.
pub(crate) struct Client {
    connection: Connection,
    server: ServerHello,
}

impl Client {
    /// Connects and says hello. `timeout` bounds this and later each wait for a message.
    pub(crate) fn connect(path: &Path, timeout: Duration) -> Result<Self, Error> {
        let (connection, server) = Connection::open(path, timeout)?;
        if server.version != VERSION {
            return Err(Error::Version { version: server.version, software: server.software });
        }
        Ok(Self { connection, server })
    }

    /// What the server said of itself.
    pub(crate) fn server(&self) -> &ServerHello {
        &self.server
    }

    /// Sends one request.
    pub(crate) fn send(&mut self, request: &Request) -> Result<(), Error> {
        self.connection.send(&codec::encode(request).map_err(Error::Encode)?)
    }

    /// Waits for the next piece of the answer.
    pub(crate) fn receive(&mut self, wait: Wait) -> Result<Response, Error> {
        match wait {
            Wait::Timeout => return self.connection.receive("answer"),
            Wait::Patiently => {
                let limit = self.connection.timeout.max(PATIENCE);
                return self.connection.receive_within("answer", limit);
            }
            Wait::Forever => {}
        }
        loop {
            match self.connection.receive_within("event", FOREVER) {
                Err(Error::Timeout { .. }) => {}
                outcome => return outcome,
            }
        }
    }
}

/// Time that `pppoed` may take for reading its files, by default, and some more.
const PATIENCE: Duration = Duration::from_secs(35);

/// Time that passes before a wait is begun again.
const FOREVER: Duration = Duration::from_secs(3600);

struct Connection {
    stream: Stream,
    decoder: FrameDecoder,
    timeout: Duration,
}

impl Connection {
    fn open(path: &Path, timeout: Duration) -> Result<(Self, ServerHello), Error> {
        let hello = codec::encode(&ClientHello { version: VERSION }).map_err(Error::Encode)?;
        let deadline = Instant::now() + timeout;
        loop {
            let mut connection = Self { stream: dial(path, timeout)?, decoder: FrameDecoder::new(), timeout };
            match connection.send(&hello) {
                Ok(()) => {
                    let server = connection.receive("greeting")?;
                    return Ok((connection, server));
                }
                // The queue of connections is full: the socket was left unconnected (EAGAIN of connect(2)).
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::NotConnected => {
                    if Instant::now() >= deadline {
                        return Err(Error::Timeout { what: "accepted connection", after: timeout });
                    }
                    std::thread::sleep(CONNECT_RETRY);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn fd(&self) -> BorrowedFd<'_> {
        let Stream::UdSocket(stream) = &self.stream;
        stream.as_fd()
    }

    fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        self.stream.set_send_timeout(Some(self.timeout)).map_err(Error::Io)?;
        self.stream.write_all(frame).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Error::Timeout { what: "readiness for a request", after: self.timeout }
            }
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Closed,
            _ => Error::Io(error),
        })
    }

    /// Waits for one whole message, however slowly it trickles in, for at most the time-out.
    fn receive<T: DeserializeOwned>(&mut self, what: &'static str) -> Result<T, Error> {
        self.receive_within(what, self.timeout)
    }

    fn receive_within<T: DeserializeOwned>(
        &mut self,
        what: &'static str,
        timeout: Duration,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + timeout;
        let silent = Error::Timeout { what, after: timeout };
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some(body) = self.decoder.next_frame().map_err(Error::Frame)? {
                return codec::decode(body).map_err(Error::Decode);
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(silent);
            }
            match interrupt::wait_readable(self.fd(), Some(remaining)).map_err(Error::Io)? {
                Woken::Readable => {}
                Woken::TimedOut => continue,
                Woken::Interrupted => return Err(Error::Interrupted),
            }
            self.stream.set_recv_timeout(Some(remaining)).map_err(Error::Io)?;
            match self.stream.read(&mut buffer) {
                Ok(0) if self.decoder.is_mid_frame() => return Err(Error::CutOff),
                Ok(0) => return Err(Error::Closed),
                Ok(len) => self.decoder.push(buffer.get(..len).unwrap_or_default()),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Err(silent),
                    io::ErrorKind::ConnectionReset => return Err(Error::Closed),
                    _ => return Err(Error::Io(error)),
                },
            }
        }
    }
}

fn dial(path: &Path, timeout: Duration) -> Result<Stream, Error> {
    let connect = |path: &Path| {
        let name = interprocess::local_socket::ToFsName::to_fs_name::<GenericFilePath>(path)?;
        ConnectOptions::new().name(name).wait_mode(ConnectWaitMode::Timeout(timeout)).connect_sync()
    };
    let outcome = match connect(path) {
        // Who may not do everything may perhaps look.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            connect(&path.with_extension("view.sock")).map_err(|_| error)
        }
        outcome => outcome,
    };
    outcome.map_err(|source| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Error::NotRunning { path, why: "no socket at" },
            io::ErrorKind::ConnectionRefused => Error::NotRunning { path, why: "nobody listens on" },
            io::ErrorKind::PermissionDenied => Error::NotAllowed { path },
            _ => Error::Connect { path, source },
        }
    })
}
