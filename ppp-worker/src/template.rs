//! The process that workers are forked from. It never reads a byte of a peer.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use ppp_ipc::codec::{self, DecodeError};
use ppp_ipc::template::{DESCRIPTORS, FromTemplate, NETNS_FD, SOCKET_FD, SandboxParameters, ToTemplate};
use ppp_ipc::worker::VERSION;
use ppp_linux::records::{RecordError, RecordSocket};
use ppp_linux::sandbox::{self, Entered, SandboxConfig, SandboxError};
use ppp_linux::spawn::{InheritError, give_memory_back, set_process_name, take_inherited, wake_in_time};
use ppp_linux::template::{self, Birth};

use crate::newborn::Newborn;
use crate::with_cause;

/// Why a template cannot go on. `pppoed` reads it on standard error, which it shares.
#[derive(Debug, thiserror::Error)]
enum TemplateError {
    #[error("it is started by pppoed only")]
    NotOurs(#[from] InheritError),
    #[error("the socket to pppoed: {0}")]
    Socket(#[from] RecordError),
    #[error("the socket to pppoed: {0}")]
    Send(#[from] io::Error),
    #[error("pppoed sent an invalid message: {0}")]
    Decode(#[from] DecodeError),
    #[error("expected Enter as first message of pppoed")]
    NoEnter,
    #[error("pppoed has version {0} of the worker protocol, this is {VERSION}")]
    Version(u16),
    #[error("{}", with_cause(.0))]
    Sandbox(#[from] SandboxError),
    #[error("{}", with_cause(.0))]
    Serve(#[from] template::TemplateError),
}

/// Runs the program: `work` in each worker, and in the template the wait for the next.
///
/// `work` is [`Newborn::run`], but for tests of what `pppoed` does with others.
pub fn run(work: impl FnOnce(Newborn) -> ExitCode) -> ExitCode {
    match wait_for_birth() {
        Ok(Some(newborn)) => work(newborn),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            crate::say_last_words(&error);
            ExitCode::FAILURE
        }
    }
}

/// Returns in each worker, and in the template with `None` at its end.
fn wait_for_birth() -> Result<Option<Newborn>, TemplateError> {
    let [socket, netns] = take_inherited([SOCKET_FD, NETNS_FD])?;
    // Only for ps(1), so it may fail.
    let _ = set_process_name("ppp-template");
    give_memory_back();
    // Without it, a worker's pauses on a busy line are longer.
    let _ = wake_in_time();
    let socket = RecordSocket::from(socket);
    // pppoed may have gone before it said anything.
    let Some(first) = socket.receive()? else { return Ok(None) };
    let ToTemplate::Enter { version, sandbox } = codec::decode_frame(&first.bytes)? else {
        return Err(TemplateError::NoEnter);
    };
    if version != VERSION {
        return Err(TemplateError::Version(version));
    }
    let entered = match enter(&sandbox, netns, &socket) {
        Ok(entered) => entered,
        Err(error) => {
            socket.write(&encode(&FromTemplate::Failed { why: with_cause(&error) }))?;
            return Err(error.into());
        }
    };
    socket.write(&encode(&FromTemplate::Ready { version: VERSION }))?;
    let birth = template::serve::<DESCRIPTORS>(socket, |forked| {
        encode(&match forked {
            Ok(pid) => FromTemplate::Forked { pid },
            Err(error) => FromTemplate::NotForked { why: error.to_string() },
        })
    })?;
    // What comes with the descriptors can only be `Fork`.
    Ok(birth.map(|Birth { descriptors, .. }| Newborn::new(entered, descriptors)))
}

fn enter(
    sandbox: &SandboxParameters,
    netns: std::os::fd::OwnedFd,
    socket: &RecordSocket,
) -> Result<Entered, SandboxError> {
    sandbox::enter(SandboxConfig {
        uid: sandbox.uid,
        gid: sandbox.gid,
        netns,
        root: Path::new(&sandbox.chroot),
        address_space_limit: sandbox.address_space_limit,
        socket: socket.as_fd(),
        descriptors: u8::try_from(DESCRIPTORS).unwrap_or(u8::MAX),
    })
}

/// These messages are short; if one were too long, an empty record would end the template.
fn encode(message: &FromTemplate) -> Vec<u8> {
    codec::encode(message).map(|frame| frame.to_vec()).unwrap_or_default()
}
