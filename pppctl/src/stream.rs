//! Answers without end, shown piece by piece.

use std::io::Write;

use ppp_ipc::control::{Request, Response};

use crate::{
    answer::{self, Piece},
    console::{Console, Wait},
    error::Error,
    output::Output,
};

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
