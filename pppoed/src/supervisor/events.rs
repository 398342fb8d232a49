//! What consoles are told as it happens (`pppctl monitor`).
//!
//! Nothing here waits for anybody: an event goes into one queue of bounded length, from which each console reads at its
//! own pace, and loses the oldest if it is too slow.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ppp_ipc::control::{Event, EventCaller, EventFilter, EventName, EventSession};
use ppp_ipc::name::Name;
use ppp_ipc::reason::EndReason;
use ppp_wire::MacAddr;
use tokio::sync::broadcast;

use super::session::Session;
use crate::control::{Caller, Stream, Subscription};

/// Events that wait for a console at most.
const QUEUE_LEN: usize = 1024;

/// The events since the start.
#[derive(Debug)]
pub(super) struct Events {
    queue: broadcast::Sender<Arc<Event>>,
    seq: u64,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { queue: broadcast::Sender::new(QUEUE_LEN), seq: 0 }
    }

    /// All events from now on that `filter` lets through.
    pub(super) fn subscribe(&self, mut filter: EventFilter) -> Stream {
        filter.names.sort_unstable();
        filter.names.dedup();
        Stream::Events(Subscription::new(self.queue.subscribe(), filter))
    }

    /// Tells every console of an event, which `fill` describes; nobody describes what nobody wants to know.
    pub(super) fn publish(&mut self, event: EventName, fill: impl FnOnce(&mut Event)) {
        self.seq += 1;
        if self.queue.receiver_count() == 0 {
            return;
        }
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut event = Event {
            seq: self.seq,
            time_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
            event,
            session: None,
            interface: None,
            reason: None,
            detail: None,
            duration_s: None,
            traffic: None,
            caller: None,
        };
        fill(&mut event);
        // Fails only if the last console has just gone.
        let _ = self.queue.send(Arc::new(event));
    }

    /// Something happened to a session.
    pub(super) fn session(&mut self, event: EventName, session: &Session) {
        self.publish(event, |event| event.session = Some(session.event_session()));
    }

    /// A proof was refused; `name` is what the peer claims to be.
    pub(super) fn auth_refused(&mut self, session: &Session, name: Name, why: &str) {
        self.publish(EventName::AuthRefused, |event| {
            let session = session.event_session();
            event.session = Some(EventSession { username: Some(name), ..session });
            event.reason = Some(why.to_owned());
        });
    }

    pub(super) fn session_ended(&mut self, session: &Session, reason: EndReason, detail: &str, now: Instant) {
        self.publish(EventName::SessionEnded, |event| {
            event.session = Some(session.event_session());
            event.reason = Some(reason.as_str().to_owned());
            event.detail = (!detail.is_empty()).then(|| detail.to_owned());
            event.duration_s = Some(session.age(now).as_secs());
            event.traffic = Some(session.traffic());
        });
    }

    /// A host that asked for a session on an access interface got none.
    pub(super) fn refused(&mut self, interface: &str, mac: MacAddr, why: &str) {
        self.publish(EventName::Refused, |event| {
            event.interface = Some(interface.to_owned());
            event.reason = Some(why.to_owned());
            event.detail = Some(mac.to_string());
        });
    }

    /// An access interface changed, in these words.
    pub(super) fn interface(&mut self, name: &str, what: &str) {
        self.publish(EventName::Interface, |event| {
            event.interface = Some(name.to_owned());
            event.detail = Some(what.to_owned());
        });
    }

    /// Something that a console asked for, in these words.
    pub(super) fn by_console(&mut self, event: EventName, caller: Caller, what: &str) {
        self.publish(event, |event| {
            event.caller = Some(EventCaller { uid: caller.uid, pid: caller.pid });
            event.detail = Some(what.to_owned());
        });
    }

    /// Something that concerns the whole server, in these words.
    pub(super) fn server(&mut self, event: EventName, what: &str) {
        self.publish(event, |event| event.detail = Some(what.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::Response;

    use super::*;

    /// Everything that waits.
    fn drain(stream: &mut Stream) -> Vec<Response> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut responses = Vec::new();
            while let Ok(Some(response)) =
                tokio::time::timeout(std::time::Duration::from_millis(1), stream.next()).await
            {
                responses.push(response);
            }
            responses
        })
    }

    #[test]
    fn a_slow_console_loses_the_oldest_and_is_told_how_many() {
        let mut events = Events::new();
        let mut stream = events.subscribe(EventFilter::default());
        for _ in 0..QUEUE_LEN + 5 {
            events.server(EventName::Reload, "again");
        }
        let responses = drain(&mut stream);
        assert_eq!(responses.len(), QUEUE_LEN + 1);
        assert_eq!(responses[0], Response::Lost { count: 5 });
        assert!(matches!(&responses[1], Response::Event(event) if event.seq == 6), "{:?}", responses[1]);
    }

    #[test]
    fn events_are_counted_when_nobody_listens_and_filtered_when_somebody_does() {
        let mut events = Events::new();
        events.server(EventName::Reload, "unheard");
        let names = vec![EventName::Config; 1000];
        let mut stream = events.subscribe(EventFilter { names, sessions: None });
        events.server(EventName::Reload, "not wanted");
        events.server(EventName::Config, "wanted");
        let responses = drain(&mut stream);
        let [Response::Event(event)] = responses.as_slice() else { panic!("{responses:?}") };
        assert_eq!((event.seq, event.detail.as_deref()), (3, Some("wanted")));
        assert!(event.time_ms > 1_600_000_000_000);
    }
}
