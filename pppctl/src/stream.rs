//! Answers without end, shown piece by piece.

use std::{io::Write, time::Duration};

use ppp_ipc::control::{Request, Response};

use crate::{
    answer::{self, Piece},
    console::{Console, Wait},
    error::Error,
    interrupt::{self, Woken},
    output::Output,
    transport,
};

/// Time between two looks whether `pppoed` is there again.
const LOOK: Duration = Duration::from_millis(500);

/// As [`run`], and goes on with the next `pppoed` when this one ends; until Ctrl-C.
pub(crate) fn run_on(
    console: &mut Console,
    request: &Request,
    output: &dyn Output,
    out: &mut dyn Write,
) -> Result<(), Error> {
    // What is wrong at the start will not mend itself.
    console.server()?;
    let mut outcome = match run(console, request, output, out) {
        Err(error @ Error::Answer(_)) => return Err(error),
        outcome => outcome,
    };
    loop {
        match outcome {
            // The end of the answer is that of the server.
            Ok(()) => {}
            Err(error) if error.is_loss() => {}
            Err(error) => return Err(error),
        }
        let mut tell = |is_there| {
            let piece = Piece::Connection(is_there);
            output.write_piece(&piece, out).and_then(|()| out.flush()).map_err(Error::Output)
        };
        tell(false)?;
        console.hang_up();
        loop {
            if interrupt::wait(LOOK).map_err(Error::Input)? == Woken::Interrupted {
                return Err(Error::Transport(transport::Error::Interrupted));
            }
            match console.server() {
                Ok(_) => break,
                Err(error) if error.is_loss() => {}
                Err(error) => return Err(error),
            }
        }
        tell(true)?;
        outcome = run(console, request, output, out);
    }
}

/// Sends a request and writes each piece of its answer as it comes, until the server ends it.
pub(crate) fn run(
    console: &mut Console,
    request: &Request,
    output: &dyn Output,
    out: &mut dyn Write,
) -> Result<(), Error> {
    console.exchange(request, Wait::Forever, |response| {
        let piece = match response {
            Response::Event(event) => Piece::Event(event),
            Response::Traced(frames) => {
                for frame in frames {
                    let piece = Piece::Packet(Box::new(frame));
                    output.write_piece(&piece, out).map_err(Error::Output)?;
                }
                out.flush().map_err(Error::Output)?;
                return Ok(false);
            }
            Response::CaptureEnd(end) => Piece::TraceEnd(end),
            Response::Lost { count } if matches!(request, Request::Trace(_)) => Piece::LostPackets(count),
            Response::Lost { count } => Piece::Lost(count),
            Response::Done => return Ok(true),
            Response::Failed(failure) => return Err(answer::Error::new(failure, request).into()),
            other => return Err(answer::Error::unexpected(request, &other).into()),
        };
        output.write_piece(&piece, out).and_then(|()| out.flush()).map_err(Error::Output)?;
        Ok(false)
    })
}
