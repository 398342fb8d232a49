//! Answers without end, shown piece by piece.

use std::{collections::VecDeque, io::Write, time::Duration};

use ppp_ipc::control::{CapturedFrame, Request, Response, TracedFrame};

use crate::{
    answer::Piece,
    console::Console,
    error::Error,
    failure,
    interrupt::{self, Woken},
    output::Output,
    transport,
    wait::Wait,
};

/// Time between two looks whether `pppoed` is there again.
const LOOK: Duration = Duration::from_millis(500);

/// Packets among which one is looked for that is seen again.
const REMEMBERED: usize = 32;

/// The latest packets of a trace, so that what is sent once more is told from what is new: the first Configure-Request goes
/// out twice if the peer was not there for the first (RFC 1661 §4.6).
#[derive(Default)]
struct Repeats(VecDeque<(bool, Vec<u8>)>);

impl Repeats {
    /// Whether this packet was there before, from the same end.
    fn see(&mut self, traced: &TracedFrame) -> bool {
        let CapturedFrame { is_from_peer, bytes, .. } = &traced.frame;
        let is_repeated =
            self.0.iter().any(|(from_peer, before)| from_peer == is_from_peer && before == bytes);
        if !is_repeated {
            if self.0.len() >= REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back((*is_from_peer, bytes.clone()));
        }
        is_repeated
    }
}

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
    let mut repeats = Repeats::default();
    console.exchange(request, Wait::Forever, |response| {
        let piece = match response {
            Response::Event(event) => Piece::Event(event),
            Response::Traced(frames) => {
                for frame in frames {
                    let is_repeated = repeats.see(&frame);
                    let piece = Piece::Packet { frame: Box::new(frame), is_repeated };
                    output.write_piece(&piece, out).map_err(Error::Output)?;
                }
                out.flush().map_err(Error::Output)?;
                return Ok(false);
            }
            Response::CaptureEnd(end) => Piece::TraceEnd(end),
            Response::Lost { count } if matches!(request, Request::Trace(_)) => Piece::LostPackets(count),
            Response::Lost { count } => Piece::Lost(count),
            Response::Done => return Ok(true),
            Response::Failed(failure) => return Err(failure::Error::new(failure, request).into()),
            other => return Err(failure::Error::unexpected(request, &other).into()),
        };
        output.write_piece(&piece, out).and_then(|()| out.flush()).map_err(Error::Output)?;
        Ok(false)
    })
}
