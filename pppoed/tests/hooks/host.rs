//! A hook host, and this process in the place of the supervisor.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use ppp_ipc::codec;
use ppp_ipc::frame::FrameDecoder;
use ppp_ipc::hooks::{
    Answer, Argument, Call, CallError, Event, Field, FileReport, FromHost, Function, Level, Load, PLACE_FD,
    PLACE_LEN, Question, ROLE, Reply, Returned, SOCKET_FD, SOURCE_FD, Source, ToHost,
};

/// Less than scripts have by themselves, so that tests find its end soon.
const MEMORY: u64 = 16 << 20;

/// Answers questions in the supervisor's place.
pub(crate) type Answers = Box<dyn FnMut(&Question) -> Reply>;

pub(crate) struct Host {
    child: Child,
    stream: UnixStream,
    decoder: FrameDecoder,
    place: File,
    pub(crate) logged: Vec<(Level, String)>,
    pub(crate) children: Vec<Option<u32>>,
    pub(crate) questions: Vec<Question>,
    pub(crate) replies: Vec<Reply>,
    /// In place of replies.
    pub(crate) answers: Option<Answers>,
}

impl Host {
    pub(crate) fn start(scripts: &[(&str, &str)]) -> Result<(Self, Vec<FileReport>), Vec<String>> {
        Self::start_with(scripts, MEMORY)
    }

    /// With so many bytes of memory for each script.
    pub(crate) fn start_with(
        scripts: &[(&str, &str)],
        memory_limit: u64,
    ) -> Result<(Self, Vec<FileReport>), Vec<String>> {
        let mut texts = tempfile::tempfile().unwrap();
        let files = scripts.iter().map(|(name, source)| {
            texts.write_all(source.as_bytes()).unwrap();
            Source { name: (*name).to_owned(), len: source.len().try_into().unwrap() }
        });
        let files = files.collect();
        let (stream, theirs) = UnixStream::pair().unwrap();
        let place = tempfile::tempfile().unwrap();
        let map = |parent_fd: OwnedFd, child_fd| FdMapping { parent_fd, child_fd };
        let mut command = Command::new(env!("CARGO_BIN_EXE_pppoed"));
        command.arg(ROLE).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
        let mappings = vec![
            map(theirs.into(), SOCKET_FD),
            map(texts.into(), SOURCE_FD),
            map(place.try_clone().unwrap().into(), PLACE_FD),
        ];
        command.fd_mappings(mappings).unwrap();
        let child = command.spawn().unwrap();
        drop(command);
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut host = Self {
            child,
            stream,
            decoder: FrameDecoder::new(),
            place,
            logged: Vec::new(),
            children: Vec::new(),
            questions: Vec::new(),
            replies: Vec::new(),
            answers: None,
        };
        host.send(&ToHost::Load(Load { files, memory_limit }));
        loop {
            match host.receive().unwrap() {
                FromHost::Loaded(reports) => return Ok((host, reports)),
                FromHost::LoadFailed(errors) => return Err(errors),
                FromHost::Log { level, text } => host.logged.push((level, String::from_utf8(text).unwrap())),
                other => panic!("{other:?}"),
            }
        }
    }

    /// One script, which loads.
    pub(crate) fn of(source: &str) -> Self {
        Self::start(&[("test.lua", source)]).unwrap_or_else(|errors| panic!("{errors:#?}")).0
    }

    pub(crate) fn send(&mut self, message: &ToHost) {
        self.stream.write_all(&codec::encode(message).unwrap()).unwrap();
    }

    /// None when the host has closed its socket.
    pub(crate) fn receive(&mut self) -> Option<FromHost> {
        let mut buffer = [0; 65536];
        loop {
            if let Some(body) = self.decoder.next_frame().unwrap() {
                return Some(codec::decode(body).unwrap());
            }
            let count = self.stream.read(&mut buffer).unwrap_or(0);
            if count == 0 {
                return None;
            }
            self.decoder.push(&buffer[..count]);
        }
    }

    pub(crate) fn begin(&mut self, function: Function, arguments: Vec<Argument>, deadline: Duration) {
        let deadline_ms = deadline.as_millis().try_into().unwrap();
        self.send(&ToHost::Call(Call { file: 0, function, arguments, deadline_ms, show: true }));
    }

    /// Until the call has returned; questions get the replies that were prepared.
    pub(crate) fn finish(&mut self) -> Option<Returned> {
        loop {
            match self.receive()? {
                FromHost::Returned(returned) => return Some(*returned),
                FromHost::Log { level, text } => {
                    self.logged.push((level, String::from_utf8_lossy(&text).into_owned()));
                }
                FromHost::Child(pid) => self.children.push(pid),
                FromHost::Ask(question) => {
                    let reply = match &mut self.answers {
                        Some(answers) => answers(&question),
                        None => self.replies.remove(0),
                    };
                    self.questions.push(question);
                    self.send(&ToHost::Reply(reply));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) fn call(&mut self, event: Event, fields: &[Field]) -> Returned {
        self.begin(Function::Event(event), vec![Argument::Table(fields.to_vec())], Duration::from_secs(20));
        self.finish().expect("the host is alive")
    }

    /// What `ip_up` returned, as text.
    pub(crate) fn run(&mut self) -> Result<String, CallError> {
        let returned = self.call(Event::IpUp, &[]);
        returned.result.map(|answer| {
            assert_eq!(answer, Answer::None);
            returned.shown.unwrap_or_default()
        })
    }

    /// Where the host last noted that its script is.
    pub(crate) fn place(&self) -> String {
        let mut note = vec![0; PLACE_LEN];
        let count = self.place.read_at(&mut note, 0).unwrap();
        note.truncate(count);
        String::from_utf8(note).unwrap().lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn hang_up(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `expression` is, as JSON.
pub(crate) fn evaluate(expression: &str) -> String {
    let mut host = Host::of(&format!("function ip_up(s) return {expression} end"));
    host.run().unwrap_or_else(|error| panic!("{expression}: {}", error.message))
}

/// The first line of the error that `statements` raise.
pub(crate) fn error_of(statements: &str) -> String {
    let mut host = Host::of(&format!("function ip_up(s)\n{statements}\nend"));
    let message = host.run().expect_err(statements).message;
    message.lines().next().unwrap_or_default().to_owned()
}
