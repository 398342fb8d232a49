//! A console that speaks the control protocol, well or badly.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use ppp_ipc::codec;
use ppp_ipc::control::{ClientHello, Request, Response, Selector, ServerHello, SessionSummary, VERSION};
use ppp_ipc::frame::FrameDecoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lab::PATIENCE;

/// A connection to a control socket.
pub(crate) struct Console {
    stream: UnixStream,
    decoder: FrameDecoder,
}

impl Console {
    /// Connects and exchanges hellos.
    pub(crate) fn connect(path: &Path) -> Self {
        let mut console = Self::open(path);
        console.send(&ClientHello { version: VERSION });
        let hello: ServerHello = console.receive().expect("a hello");
        assert_eq!(hello.version, VERSION);
        console
    }

    /// Connects and says nothing.
    pub(crate) fn open(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, decoder: FrameDecoder::new() }
    }

    pub(crate) fn send<T: Serialize>(&mut self, message: &T) {
        self.send_bytes(&codec::encode(message).unwrap());
    }

    /// Sends anything. The server may hang up at any time, so failure is no surprise.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Says that nothing more will come.
    pub(crate) fn end_of_input(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next message; `None` when the server hung up.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = self.decoder.next_frame().unwrap() {
                return Some(codec::decode(body).unwrap());
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("waiting for the server: {error}"),
            }
        }
    }

    /// Everything that is answered, without the closing `Done`.
    pub(crate) fn ask(&mut self, request: &Request) -> Vec<Response> {
        self.send(request);
        let mut answers = Vec::new();
        loop {
            match self.receive::<Response>().expect("an answer") {
                Response::Done => return answers,
                failed @ Response::Failed(_) => {
                    answers.push(failed);
                    return answers;
                }
                other => answers.push(other),
            }
        }
    }

    /// Asks without reading, until no more can be sent.
    pub(crate) fn ask_until_stuck(&mut self, request: &Request) {
        let bytes = codec::encode(request).unwrap();
        self.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        while self.stream.write_all(&bytes).is_ok() {}
    }

    pub(crate) fn sessions(&mut self) -> Vec<SessionSummary> {
        let of = |response| match response {
            Response::Sessions(sessions) => sessions,
            other => panic!("{other:?}"),
        };
        self.ask(&Request::ShowSessions).into_iter().flat_map(of).collect()
    }

    pub(crate) fn terminate(&mut self, selector: Selector) -> Vec<Response> {
        self.ask(&Request::Terminate(selector))
    }
}
