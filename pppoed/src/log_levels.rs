//! What is logged, and how that is changed while the server runs: a level for everything, and a higher one for single
//! sessions.

use std::collections::BTreeMap;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Sessions that may have a level of their own at once.
pub const MAX_SESSIONS: usize = 64;

/// The levels in force. As a layer it decides about every line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Of everything.
    pub level: LevelFilter,
    /// Of sessions, by PPPoE session id, where more is to be told.
    pub sessions: BTreeMap<u16, LevelFilter>,
}

impl Levels {
    /// The same for all.
    pub fn new(level: LevelFilter) -> Self {
        Self { level, sessions: BTreeMap::new() }
    }

    fn highest(&self) -> LevelFilter {
        self.sessions.values().copied().fold(self.level, LevelFilter::max)
    }
}

impl<S: Subscriber> Layer<S> for Levels {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let level = *metadata.level();
        if level <= self.level {
            Interest::always()
        } else if level <= self.highest() {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.highest()
    }

    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let level = *event.metadata().level();
        if level <= self.level {
            return true;
        }
        let mut session = SessionOf(None);
        event.record(&mut session);
        session.0.and_then(|id| self.sessions.get(&id)).is_some_and(|limit| level <= *limit)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.highest())
    }
}

/// Finds the field `session`.
struct SessionOf(Option<u16>);

impl Visit for SessionOf {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "session" {
            self.0 = u16::try_from(value).ok();
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::reload;

    use super::*;
    use crate::log_ring::{LogRing, messages};

    #[test]
    fn levels_change_while_it_runs() {
        let ring = LogRing::new();
        let (levels, handle) = reload::Layer::new(Levels::new(LevelFilter::INFO));
        let subscriber = tracing_subscriber::registry().with(ring.layer()).with(levels);
        tracing::subscriber::with_default(subscriber, || {
            let say = || {
                tracing::warn!(session = 1_u16, "warning of 1");
                tracing::debug!(session = 1_u16, "step of 1");
                tracing::debug!(session = 2_u16, "step of 2");
                tracing::debug!("step of nobody");
            };
            say();
            assert_eq!(messages(&ring), ["warning of 1"]);
            handle.modify(|levels| _ = levels.sessions.insert(2, LevelFilter::DEBUG)).unwrap();
            say();
            assert_eq!(messages(&ring), ["warning of 1", "warning of 1", "step of 2"]);
            handle.modify(|levels| *levels = Levels::new(LevelFilter::DEBUG)).unwrap();
            say();
            assert_eq!(
                messages(&ring).split_off(3),
                ["warning of 1", "step of 1", "step of 2", "step of nobody"]
            );
            handle.modify(|levels| levels.level = LevelFilter::ERROR).unwrap();
            say();
            assert_eq!(messages(&ring).len(), 7);
        });
    }
}
