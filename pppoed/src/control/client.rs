//! One client of the control socket.

use std::io;

use interprocess::local_socket::tokio::{Stream, prelude::*};
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

use super::{Answers, CLIENT_TIMEOUT, Call, Caller, IDLE_TIMEOUT};

/// Why a client was hung up on.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("reading or writing failed: {0}")]
    Io(#[from] io::Error),
    #[error("the client broke the framing: {0}")]
    Frame(#[from] FrameError),
    #[error("the client sent something that is not a request: {0}")]
    Decode(#[from] DecodeError),
    #[error("an answer does not fit: {0}")]
    Encode(#[from] EncodeError),
    #[error("the client took too long")]
    TimedOut(#[from] Elapsed),
    #[error("the system does not say who the client is")]
    Anonymous,
    #[error("the client speaks version {theirs} of the control protocol, this is {VERSION}")]
    Version { theirs: u16 },
    #[error("the client hung up in the middle of a message")]
    CutOff,
}

/// Serves one client until it hangs up.
pub(super) async fn serve(
    stream: Stream,
    calls: mpsc::Sender<Call>,
    answers: Answers,
) -> Result<(), ClientError> {
    let credentials = stream.peer_creds()?;
    let caller = match (credentials.euid(), credentials.pid()) {
        (Some(uid), Some(pid)) => Caller { uid, pid },
        _ => return Err(ClientError::Anonymous),
    };
    let mut connection = Connection { stream, decoder: FrameDecoder::new() };
    let Some(hello) = timeout(CLIENT_TIMEOUT, connection.receive::<ClientHello>()).await?? else {
        return Ok(());
    };
    let ours = ServerHello {
        version: VERSION,
        software: env!("CARGO_PKG_VERSION").to_owned(),
        host: nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
    };
    connection.send(&ours).await?;
    if hello.version != VERSION {
        return Err(ClientError::Version { theirs: hello.version });
    }
    while let Some(request) = timeout(IDLE_TIMEOUT, connection.receive::<Request>()).await?? {
        // Held until the answer is written.
        let _answering = answers.0.acquire().await;
        let (answer, answered) = oneshot::channel();
        let call = Call { caller, request, answer };
        let responses = match calls.try_send(call) {
            Ok(()) => answered.await.unwrap_or_else(|_| stopping()),
            Err(mpsc::error::TrySendError::Full(_)) => {
                vec![Response::Failed(Failure::Busy("too many requests at once; try again".into()))]
            }
            Err(mpsc::error::TrySendError::Closed(_)) => stopping(),
        };
        let failed = matches!(responses.last(), Some(Response::Failed(_)));
        for response in &responses {
            connection.send(response).await?;
        }
        if !failed {
            connection.send(&Response::Done).await?;
        }
    }
    Ok(())
}

fn stopping() -> Vec<Response> {
    vec![Response::Failed(Failure::Busy("pppoed is stopping".into()))]
}

struct Connection {
    stream: Stream,
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
            self.decoder.push(buffer.get(..count).unwrap_or_default());
        }
    }

    async fn send<T: Serialize>(&mut self, message: &T) -> Result<(), ClientError> {
        let bytes = codec::encode(message)?;
        let mut stream = &self.stream;
        timeout(CLIENT_TIMEOUT, stream.write_all(&bytes)).await??;
        Ok(())
    }
}
