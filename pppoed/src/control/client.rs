//! One client of the control socket.

use std::io;

use interprocess::local_socket::tokio::{Stream as LocalStream, prelude::*};
use nix::unistd::Uid;
use ppp_ipc::{
    codec::{self, DecodeError, EncodeError},
    control::{ClientHello, Failure, Request, Response, ServerHello, VERSION},
    frame::{FrameDecoder, FrameError},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{mpsc, oneshot},
    time::{error::Elapsed, timeout},
};

use super::places::Place;
use super::{
    ANSWER_TIMEOUT, Answer, Answers, CLIENT_TIMEOUT, Call, Caller, IDLE_TIMEOUT, MAX_STREAMS, Rights, Stream,
};

/// Why a client was hung up on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("reading or writing failed: {0}")]
    Io(#[from] io::Error),
    #[error("invalid framing by the client: {0}")]
    Frame(#[from] FrameError),
    #[error("the client sent an invalid request: {0}")]
    Decode(#[from] DecodeError),
    #[error("an answer does not fit: {0}")]
    Encode(#[from] EncodeError),
    #[error("client timeout")]
    TimedOut(#[from] Elapsed),
    #[error("cannot determine the user of the client")]
    Anonymous,
    #[error("the client speaks version {theirs} of the control protocol, this is {VERSION}")]
    Version { theirs: u16 },
    #[error("the client hung up in the middle of a message")]
    CutOff,
    #[error("process {pid} of user {uid}, as which workers run, may not use this socket")]
    Worker { uid: u32, pid: i32 },
    #[error("the client sent no request, and others are waiting")]
    GaveWay,
}

/// Serves one client until it hangs up.
pub(super) async fn serve(
    stream: LocalStream,
    rights: Rights,
    stranger: Option<Uid>,
    place: &Place,
    calls: mpsc::Sender<Call>,
    answers: Answers,
) -> Result<(), ClientError> {
    let credentials = stream.peer_creds()?;
    let caller = match (credentials.euid(), credentials.pid()) {
        (Some(uid), Some(pid)) => Caller { uid, pid, rights },
        _ => return Err(ClientError::Anonymous),
    };
    if stranger.is_some_and(|stranger| stranger.as_raw() == caller.uid) {
        return Err(ClientError::Worker { uid: caller.uid, pid: caller.pid });
    }
    let mut connection = Connection { stream, decoder: FrameDecoder::new() };
    let hello = tokio::select! {
        hello = timeout(CLIENT_TIMEOUT, connection.receive::<ClientHello>()) => hello??,
        () = place.is_needed() => return Err(ClientError::GaveWay),
    };
    let Some(hello) = hello else { return Ok(()) };
    let ours = ServerHello {
        version: VERSION,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        host: nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    connection.send(&ours).await?;
    if hello.version != VERSION {
        return Err(ClientError::Version { theirs: hello.version });
    }
    let mut client = Client { connection, caller, rights, calls, answers };
    let mut next = None;
    loop {
        let request = match next.take() {
            Some(request) => Some(request),
            None => {
                place.set_idle();
                tokio::select! {
                    request = timeout(IDLE_TIMEOUT, client.connection.receive::<Request>()) => request??,
                    () = place.is_needed() => return Err(ClientError::GaveWay),
                }
            }
        };
        let Some(request) = request else { return Ok(()) };
        place.set_busy();
        next = match timeout(ANSWER_TIMEOUT, client.answer(request)).await?? {
            Some(stream) => client.stream(stream).await?,
            None => None,
        };
    }
}

/// One client that is known.
struct Client {
    connection: Connection,
    caller: Caller,
    rights: Rights,
    calls: mpsc::Sender<Call>,
    answers: Answers,
}

impl Client {
    /// Answers a request, or returns the answer without end that it has.
    async fn answer(&mut self, request: Request) -> Result<Option<Stream>, ClientError> {
        if self.rights == Rights::ReadOnly && !request.is_read_only() {
            self.send_all(&[Response::Failed(Failure::NotAllowed)]).await?;
            return Ok(None);
        }
        // Held until the answer is written.
        let questions = self.answers.questions.clone();
        let _answering = questions.acquire().await;
        let mut after = None;
        loop {
            match self.call(request.clone(), after).await {
                Answer::Whole(mut responses) => {
                    if !matches!(responses.last(), Some(Response::Failed(_))) {
                        responses.push(Response::Done);
                    }
                    self.send_all(&responses).await?;
                    return Ok(None);
                }
                Answer::Page { responses, after: last } => {
                    self.send_all(&responses).await?;
                    after = Some(last);
                }
                Answer::Stream(stream) => return Ok(Some(stream)),
            }
        }
    }

    async fn call(&self, request: Request, after: Option<u64>) -> Answer {
        let (answer, answered) = oneshot::channel();
        match self.calls.try_send(Call { caller: self.caller, request, after, answer }) {
            Ok(()) => answered.await.unwrap_or_else(|_| stopping()),
            Err(mpsc::error::TrySendError::Full(_)) => busy("too many requests at once"),
            Err(mpsc::error::TrySendError::Closed(_)) => stopping(),
        }
    }

    /// Passes on what comes, until there is no more or the client says something, which is returned.
    async fn stream(&mut self, mut stream: Stream) -> Result<Option<Request>, ClientError> {
        let streams = self.answers.streams(self.rights);
        let Ok(_streaming) = streams.try_acquire() else {
            let failed = Response::Failed(Failure::Busy(format!(
                "{MAX_STREAMS} clients of this socket have an answer without end, such as monitor's, and no more may"
            )));
            self.send_all(&[failed]).await?;
            return Ok(None);
        };
        loop {
            let response = tokio::select! {
                response = stream.next() => response,
                request = self.connection.receive::<Request>() => {
                    let request = request?;
                    if request.is_some() {
                        self.send_all(&[Response::Done]).await?;
                    }
                    return Ok(request);
                }
            };
            let is_over = response.is_none();
            self.send_all(&[response.unwrap_or(Response::Done)]).await?;
            if is_over {
                return Ok(None);
            }
        }
    }

    /// Sends responses in the time that a client has for them.
    async fn send_all(&mut self, responses: &[Response]) -> Result<(), ClientError> {
        let send = async {
            for response in responses {
                self.connection.send(response).await?;
            }
            Ok(())
        };
        timeout(CLIENT_TIMEOUT, send).await?
    }
}

fn busy(why: &str) -> Answer {
    Response::Failed(Failure::Busy(why.to_owned())).into()
}

fn stopping() -> Answer {
    busy("pppoed is stopping")
}

struct Connection {
    stream: LocalStream,
    decoder: FrameDecoder,
}

impl Connection {
    /// The next message, or `None` when the client hung up between two.
    async fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ClientError> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = self.decoder.next_frame()? {
                return Ok(Some(codec::decode(body)?));
            }
            let mut stream = &self.stream;
            let count = stream.read(&mut buffer).await?;
            if count == 0 {
                return if self.decoder.is_mid_frame() { Err(ClientError::CutOff) } else { Ok(None) };
            }
            self.decoder.take(buffer.get_mut(..count).unwrap_or_default());
        }
    }

    async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), ClientError> {
        let bytes = codec::encode(message)?;
        let mut stream = &self.stream;
        timeout(CLIENT_TIMEOUT, stream.write_all(&bytes)).await??;
        Ok(())
    }
}
