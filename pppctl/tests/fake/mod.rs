//! A `pppoed` for one connection, honest or hostile, and a way to run the real `pppctl` against it.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use ppp_ipc::{
    codec,
    control::{ClientHello, Request, Response, ServerHello, VERSION},
    frame::FrameDecoder,
};
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;

/// Listens in a directory of its own.
pub(crate) struct Fake {
    _directory: TempDir,
    pub(crate) socket: PathBuf,
    thread: JoinHandle<()>,
}

/// The server's end of the one connection.
pub(crate) struct Connection {
    pub(crate) stream: UnixStream,
    decoder: FrameDecoder,
}

impl Fake {
    /// Accepts one client and lets `serve` have it.
    pub(crate) fn start(serve: impl FnOnce(&mut Connection) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            serve(&mut Connection { stream, decoder: FrameDecoder::new() });
        });
        Self { _directory: directory, socket, thread }
    }

    /// Says hello, then answers each request with what `answer` makes of it.
    pub(crate) fn answering(answer: impl Fn(Request) -> Vec<Response> + Send + 'static) -> Self {
        Self::start(move |connection| {
            connection.greet();
            while let Some(request) = connection.receive::<Request>() {
                for response in answer(request) {
                    connection.send(&response);
                }
            }
        })
    }

    /// Waits until it has ended.
    pub(crate) fn join(self) {
        self.thread.join().expect("the fake server panicked");
    }

    /// Runs `pppctl` against this server until both have ended.
    pub(crate) fn run(self, arguments: &[&str]) -> Output {
        let output = pppctl(&self.socket, arguments).output().unwrap();
        self.thread.join().expect("the fake server panicked");
        output
    }
}

/// As [`Fake`], for any number of clients, and able to go away.
pub(crate) struct Server {
    _directory: Option<TempDir>,
    pub(crate) socket: PathBuf,
    stopping: Arc<AtomicBool>,
    streams: Arc<Mutex<Vec<UnixStream>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers each request of each client with what `answer` makes of it.
    pub(crate) fn answering(answer: impl Fn(Request) -> Vec<Response> + Send + Sync + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("control.sock");
        let mut server = Self::at(&socket, answer);
        server._directory = Some(directory);
        server
    }

    /// The same in a given place.
    pub(crate) fn at(
        socket: &Path,
        answer: impl Fn(Request) -> Vec<Response> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let (stopping, streams) =
            (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<UnixStream>>>::default());
        let (stop, clients, answer) = (Arc::clone(&stopping), Arc::clone(&streams), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                clients.lock().unwrap().push(stream.try_clone().unwrap());
                let answer = Arc::clone(&answer);
                std::thread::spawn(move || {
                    let mut connection = Connection { stream, decoder: FrameDecoder::new() };
                    connection.greet();
                    while let Some(request) = connection.receive::<Request>() {
                        answer(request).iter().for_each(|response| connection.send(response));
                    }
                });
            }
        });
        Self { _directory: None, socket: socket.to_owned(), stopping, streams, thread: Some(thread) }
    }

    /// Hangs up on everybody and listens no more.
    pub(crate) fn stop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
        for stream in self.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The real program, with this socket and these arguments.
pub(crate) fn pppctl(socket: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pppctl"));
    // Colours have tests of their own.
    command.arg("--socket").arg(socket).args(arguments).stdin(Stdio::null()).env("NO_COLOR", "1");
    command
}

impl Connection {
    /// The hello of a `pppoed` of the same version.
    pub(crate) fn greet(&mut self) {
        // Who only looks whether somebody listens says nothing.
        let Some(hello) = self.receive::<ClientHello>() else { return };
        assert_eq!(hello.version, VERSION);
        self.send(&ServerHello { version: VERSION, software: "0.1.0".into(), host: "bras1".into() });
    }

    pub(crate) fn send<T: Serialize>(&mut self, value: &T) {
        self.send_raw(&codec::encode(value).unwrap());
    }

    /// Sends bytes as they are. A client that has gone already is fine.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next message, or `None` once the client has gone.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = self.decoder.next_frame().unwrap() {
                return Some(codec::decode(body).unwrap());
            }
            match self.stream.read(&mut buffer).unwrap_or(0) {
                0 => return None,
                len => self.decoder.push(&buffer[..len]),
            }
        }
    }

    /// Waits until the client hangs up.
    pub(crate) fn wait_for_end(&mut self) {
        while matches!(self.stream.read(&mut [0; 64]), Ok(1..)) {}
    }
}
