//! Answers without end.

use std::sync::Arc;

use ppp_ipc::control::{Event, EventFilter, Response};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

/// What comes of a request until one of both sides hangs up.
#[derive(Debug)]
pub enum Stream {
    /// Events.
    Events(Subscription),
    /// Frames of a capture.
    Capture(mpsc::Receiver<Response>),
}

impl Stream {
    /// The next piece; `None` at the end. Nothing is lost when this is dropped while it waits.
    pub async fn next(&mut self) -> Option<Response> {
        match self {
            Self::Events(subscription) => subscription.next().await,
            Self::Capture(frames) => frames.recv().await,
        }
    }
}

/// The events that one client wants.
///
/// They wait in a queue of bounded length that all clients share. Who is slow loses the oldest of them, and is told how
/// many; the sender never waits.
#[derive(Debug)]
pub struct Subscription {
    events: Receiver<Arc<Event>>,
    filter: EventFilter,
}

impl Subscription {
    /// Those of `events` that `filter` lets through.
    pub fn new(events: Receiver<Arc<Event>>, filter: EventFilter) -> Self {
        Self { events, filter }
    }

    async fn next(&mut self) -> Option<Response> {
        loop {
            match self.events.recv().await {
                Ok(event) if self.filter.matches(&event) => {
                    return Some(Response::Event(Box::new(Event::clone(&event))));
                }
                Ok(_) => {}
                Err(RecvError::Lagged(count)) => return Some(Response::Lost { count }),
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
