//! Answers without end, shown piece by piece.

use std::io::{self, Write};

use ppp_ipc::control::{Request, Response};

use crate::{
    answer::{self, Piece},
    error::Error,
    output::Output,
    transport::Client,
};

/// Sends a request and writes each piece of its answer as it comes, until the server ends it.
pub(crate) fn run(client: &mut Client, request: Request, output: &dyn Output) -> Result<(), Error> {
    client.send(&request)?;
    loop {
        let piece = match client.receive_next()? {
            Response::Event(event) => Piece::Event(event),
            Response::Lost { count } => Piece::Lost(count),
            Response::Done => return Ok(()),
            Response::Failed(failure) => return Err(answer::Error::new(failure, &request).into()),
            other => return Err(answer::Error::unexpected(&request, &other).into()),
        };
        let mut out = io::stdout().lock();
        output.write_piece(&piece, &mut out).and_then(|()| out.flush()).map_err(Error::Output)?;
    }
}
