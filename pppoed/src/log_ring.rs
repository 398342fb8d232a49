//! The latest lines of the log, in memory, for `pppctl show log`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ppp_ipc::control::{LogField, LogLevel, LogLine, LogQuery};
use ppp_ipc::name::Name;
use ppp_wire::MacAddr;
use ppp_wire::escape::harmless;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that are remembered.
pub const MAX_LINES: usize = 2000;

/// Bytes of one line, all values together; what is longer is cut. A peer's name may be longer than anybody reads.
const MAX_LINE: usize = 1200;

/// The lines. A clone is the same ring.
#[derive(Clone, Debug, Default)]
pub struct LogRing(Arc<Mutex<Lines>>);

#[derive(Debug, Default)]
struct Lines {
    last_seq: u64,
    lines: VecDeque<LogLine>,
}

/// Writes every line of the log to a ring.
#[derive(Debug)]
pub struct RingLayer(LogRing);

impl LogRing {
    /// An empty ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// The layer that fills it.
    pub fn layer(&self) -> RingLayer {
        RingLayer(self.clone())
    }

    /// The first lines that fit `query`, at most `max` of them, with numbers greater than `after`; none for those
    /// from the `count`th of the latest on.
    pub fn select(&self, query: &LogQuery, after: Option<u64>, max: usize) -> Vec<LogLine> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = [
            ("session", query.session.map(|id| id.to_string())),
            ("username", query.user.as_ref().map(Name::to_string)),
            ("peer_mac", query.mac.map(|mac| MacAddr(mac).to_string())),
        ];
        let is_about = |line: &&LogLine| {
            let has = |(name, value): &(&str, Option<String>)| {
                let is_it = |field: &LogField| field.name == *name && Some(&field.value) == value.as_ref();
                value.is_none() || line.fields.iter().any(is_it)
            };
            line.level <= query.level && line.time_ms >= query.since_ms && wanted.iter().all(has)
        };
        let matching = || ring.lines.iter().filter(is_about);
        match after {
            Some(after) => matching().filter(|line| line.seq > after).take(max).cloned().collect(),
            None => {
                let count = usize::try_from(query.count).unwrap_or(usize::MAX);
                let skip = matching().count().saturating_sub(count);
                matching().skip(skip).take(max).cloned().collect()
            }
        }
    }

    fn push(&self, mut line: LogLine) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.last_seq += 1;
        line.seq = ring.last_seq;
        if ring.lines.len() == MAX_LINES {
            ring.lines.pop_front();
        }
        ring.lines.push_back(line);
    }
}

impl<S: Subscriber> Layer<S> for RingLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let level = match *event.metadata().level() {
            Level::ERROR => LogLevel::Error,
            Level::WARN => LogLevel::Warn,
            Level::INFO => LogLevel::Info,
            Level::DEBUG => LogLevel::Debug,
            Level::TRACE => LogLevel::Trace,
        };
        let (message, fields) = collect(event, MAX_LINE);
        let time_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        self.0.push(LogLine { seq: 0, time_ms, level, message, fields });
    }
}

/// The words and the fields of a line, with at most so many bytes of values; no control characters are left in them.
pub(crate) fn collect(event: &Event<'_>, room: usize) -> (String, Vec<LogField>) {
    let mut collector = Collector { message: String::new(), fields: Vec::new(), room };
    event.record(&mut collector);
    (collector.message, collector.fields)
}

struct Collector {
    message: String,
    fields: Vec<LogField>,
    room: usize,
}

impl Collector {
    fn add(&mut self, field: &Field, value: &str) {
        // What peers said was made safe before it came here; this is for what else there may be.
        let mut value = harmless(value).into_owned();
        if value.len() > self.room {
            let end = value.floor_char_boundary(self.room);
            value.truncate(end);
            value.push('…');
        }
        self.room = self.room.saturating_sub(value.len());
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push(LogField { name: name.to_owned(), value }),
        }
    }
}

impl Visit for Collector {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// The words of all lines.
#[cfg(test)]
pub(crate) fn messages(ring: &LogRing) -> Vec<String> {
    let all = LogQuery::latest(u32::MAX);
    ring.select(&all, None, MAX_LINES).into_iter().map(|line| line.message).collect()
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn with_ring(act: impl FnOnce(&LogRing)) {
        let ring = LogRing::new();
        let subscriber = tracing_subscriber::registry().with(ring.layer());
        tracing::subscriber::with_default(subscriber, || act(&ring));
    }

    #[test]
    fn lines_are_selected() {
        with_ring(|ring| {
            tracing::info!(session = 1_u16, username = "alice", uptime = ?Some(3), "up");
            tracing::warn!(session = 12_u16, "odd");
            tracing::debug!("detail");
            let select = |level, count, session, after| {
                ring.select(&LogQuery { level, session, ..LogQuery::latest(count) }, after, 100)
                    .into_iter()
                    .map(|line| line.message)
                    .collect::<Vec<_>>()
            };
            assert_eq!(select(LogLevel::Trace, 10, None, None), ["up", "odd", "detail"]);
            assert_eq!(select(LogLevel::Info, 1, None, None), ["odd"]);
            assert_eq!(select(LogLevel::Trace, 10, Some(1), None), ["up"]);
            assert_eq!(select(LogLevel::Trace, 1, None, Some(1)), ["odd", "detail"]);
            let all = LogQuery { session: Some(1), ..LogQuery::latest(1) };
            let line = ring.select(&all, None, 1).remove(0);
            let fields: Vec<_> =
                line.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
            assert_eq!(fields, [("session", "1"), ("username", "alice"), ("uptime", "Some(3)")]);
            assert_eq!((line.seq, line.level), (1, LogLevel::Info));
        });
    }

    #[test]
    fn the_ring_is_bounded_in_lines_and_bytes() {
        with_ring(|ring| {
            for number in 0..MAX_LINES + 3 {
                tracing::info!(number, "line");
            }
            tracing::info!(name = "ü".repeat(5000), rest = "r".repeat(5000), "long\n\u{1b}[2J");
            let all = LogQuery::latest(u32::MAX);
            let lines = ring.select(&all, None, usize::MAX);
            assert_eq!(lines.len(), MAX_LINES);
            assert_eq!(lines[0].seq, 5);
            let last = lines.last().unwrap();
            assert_eq!(last.message, "long\\n\\u{1b}[2J");
            let bytes: usize = last.fields.iter().map(|field| field.value.len()).sum();
            assert!(bytes <= MAX_LINE + 2 * '…'.len_utf8(), "{bytes}");
        });
    }

    #[test]
    fn nothing_in_a_line_acts_on_its_reader() {
        with_ring(|ring| {
            tracing::info!(odd = "a\0\u{9b}\u{2066}b", shown = %"\u{202e}c", "d\n\u{feff}");
            let all = LogQuery::latest(1);
            let line = ring.select(&all, None, 1).remove(0);
            let values = line.fields.iter().map(|field| field.value.as_str());
            let values: Vec<&str> = values.chain([line.message.as_str()]).collect();
            assert_eq!(values, ["a\\u{0}\\u{9b}\\u{2066}b", "\\u{202e}c", "d\\n\\u{feff}"]);
        });
    }
}
