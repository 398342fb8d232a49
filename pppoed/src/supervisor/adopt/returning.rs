//! The task of a worker that another `pppoed` has started.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use ppp_ipc::codec;
use ppp_linux::pidfd::{Exit, PidFd};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::warn;
use zeroize::Zeroizing;

use crate::supervisor::template::wait;
use crate::supervisor::watch::watch;
use crate::supervisor::worker::{Gone, Order, Report, Reporter, converse, kill, reap};

/// Time that a worker has to come back. It tries once a second; one that is stopped, or loops, never does.
const RETURN_DEADLINE: Duration = Duration::from_secs(30);

/// A worker that lives, and is expected.
#[derive(Debug)]
pub(in super::super) struct Returning {
    pub(super) process: PidFd,
    /// Whether it can come back: there is a socket for that.
    pub(super) door: Rc<Cell<bool>>,
}

impl Returning {
    /// Its life from here. Returns when its process is gone.
    pub(in super::super) async fn run(self, mut orders: mpsc::Receiver<Order>, reporter: &Reporter) -> Gone {
        let Self { process, door } = self;
        // What comes before it does waits for it.
        let mut first = Zeroizing::new(Vec::new());
        let expected = match watch(process) {
            Ok(expected) => expected,
            Err(error) => {
                warn!(%error, "cannot watch a worker");
                return Gone(Some(Exit::Unknown));
            }
        };
        let mut deadline = Instant::now() + RETURN_DEADLINE;
        let stream = loop {
            let order = tokio::select! {
                exit = wait(&expected) => return Gone(Some(exit)),
                order = orders.recv() => order,
                () = sleep_until(deadline) => {
                    if !door.get() {
                        deadline = Instant::now() + RETURN_DEADLINE;
                        continue;
                    }
                    reporter.report(Report::Failed("its worker did not come back to pppoed".to_owned())).await;
                    Some(Order::Kill)
                }
            };
            match order {
                Some(Order::Send(message)) => {
                    first.extend_from_slice(&codec::encode(&message).unwrap_or_default())
                }
                Some(Order::Attach(stream, welcome)) => {
                    let welcome = codec::encode(&welcome).unwrap_or_default();
                    first.splice(..0, welcome.iter().copied());
                    break Some(stream);
                }
                Some(Order::Kill) => break None,
                None => return pending().await,
            }
        };
        let process = expected.into_inner();
        match stream {
            None => kill(&process),
            Some(mut stream) => {
                let parting = converse(&mut stream, first, &mut orders, reporter).await;
                if !parting.carry_out(&process, reporter).await {
                    return Gone(None);
                }
            }
        }
        Gone(Some(reap(process, &mut orders, reporter).await))
    }
}
