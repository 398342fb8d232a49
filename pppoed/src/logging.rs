//! Where the log goes: the journal when it is there, standard error otherwise, and the `logfile` of the options.
//!
//! Fields have the same names everywhere (`session`, `ifname`, `username`, `peer_mac`, `peer_ip`, `reason`); in
//! the journal they are upper case, so `journalctl USERNAME=alice` tells one subscriber's whole story.
//!
//! Files and standard error are written by threads of their own: a disk that is full or a pipe that nobody reads costs
//! lines of the log, and nothing else.

mod sink;

use std::env;
use std::fmt::{self as text, Debug};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use ppp_wire::escape::harmless;
use ppp_wire::logfmt;
use pppoed_config::config::Config;
use pppoed_config::flags::LogLevel;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, filter, fmt, reload};

use self::sink::{LocalTime, Sink};
use crate::journal::JournalLayer;
use crate::log_levels::Levels;
use crate::log_ring::LogRing;

/// File that a background process writes to when there is neither a journal nor a `logfile`.
pub const FALLBACK_FILE: &str = "/var/log/pppoed.log";

/// What the log is to be.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// Least important level that is written.
    pub level: LevelFilter,
    /// `logfile` of the options: written beside the journal or standard error.
    pub file: Option<PathBuf>,
    /// Whether standard error is about to go away.
    pub background: bool,
}

type Layers = Vec<Box<dyn Layer<Registry> + Send + Sync>>;

/// The hold on the log of a running server.
#[derive(Clone)]
pub struct LogHandle {
    /// The latest lines.
    pub ring: LogRing,
    levels: reload::Handle<Levels, Layered<Layers, Registry>>,
    file: Sink,
    stderr: Option<Sink>,
    /// Where warnings go as well as long as somebody at a terminal waits for the start.
    terminal: Option<Terminal>,
    /// File to write to without a `logfile`.
    fallback: Option<PathBuf>,
}

impl LogHandle {
    /// What is logged.
    pub fn levels(&self) -> Option<Levels> {
        self.levels.clone_current()
    }

    /// Changes what is logged, from now on.
    pub fn change(&self, change: impl FnOnce(&mut Levels)) {
        // Fails only when the log is gone.
        let _ = self.levels.modify(change);
    }

    /// Opens the log file of this configuration, anew if it is open: it may have been renamed.
    pub fn reopen(&self, config: &Config) {
        let file = config.logfile.as_ref().map(|file| file.value.clone());
        self.file.reopen(file.or_else(|| self.fallback.clone()));
    }

    /// Nobody waits for the start any longer: what is logged from now on goes to the log alone. Waits, not long, until what was
    /// logged before is shown.
    pub fn leave_terminal(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.is_watched.store(false, Ordering::Relaxed);
            terminal.sink.drain();
        }
    }

    /// Waits, not long, until everything is written.
    pub fn finish(&self) {
        let terminal = self.terminal.as_ref().map(|terminal| &terminal.sink);
        self.stderr.iter().chain(terminal).chain([&self.file]).for_each(Sink::drain);
    }
}

/// The terminal of a start in the background, until the start is over.
#[derive(Clone)]
struct Terminal {
    sink: Sink,
    is_watched: Arc<AtomicBool>,
}

impl Terminal {
    fn new() -> std::io::Result<Self> {
        let is_watched = Arc::new(AtomicBool::new(true));
        Ok(Self { sink: Sink::standard_error()?, is_watched })
    }

    /// Warnings and errors, as the rest of the start shows them: `pppoed: words name=value`.
    fn layer(&self) -> impl Layer<Registry> + use<> {
        let is_watched = self.is_watched.clone();
        let sink = self.sink.clone();
        fmt::layer()
            .event_format(ForTerminal)
            .fmt_fields(Fields)
            .with_writer(move || sink.clone())
            .with_ansi(false)
            .log_internal_errors(false)
            .with_filter(filter::dynamic_filter_fn(move |event, _| {
                *event.level() <= Level::WARN && is_watched.load(Ordering::Relaxed)
            }))
    }
}

struct ForTerminal;

impl<S, N> FormatEvent<S, N> for ForTerminal
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> text::Result {
        writer.write_str("pppoed: ")?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Starts logging. Must be called once.
///
/// # Errors
/// When the log file cannot be opened; the message names it.
pub fn start(settings: &LogSettings) -> anyhow::Result<LogHandle> {
    let mut layers: Layers = Vec::new();
    let under_systemd = env::var_os("JOURNAL_STREAM").is_some();
    let journal = (under_systemd || settings.background).then(JournalLayer::connect).and_then(Result::ok);
    let (mut fallback, mut stderr) = (None, None);
    match journal {
        Some(journal) => {
            layers.push(journal.boxed());
        }
        None if settings.background => fallback = Some(PathBuf::from(FALLBACK_FILE)),
        None => {
            let sink = Sink::standard_error().context("starting to log")?;
            layers.push(lines(&sink).boxed());
            stderr = Some(sink);
        }
    }
    let terminal = settings.background.then(Terminal::new).transpose().context("starting to log")?;
    layers.extend(terminal.iter().map(|terminal| terminal.layer().boxed()));
    let path = settings.file.clone().or_else(|| fallback.clone());
    let file = Sink::file(path.clone()).with_context(|| {
        let path = path.unwrap_or_default();
        format!("{}: cannot open the log file", path.display())
    })?;
    let only_to_a_file = file.clone();
    let is_wanted = filter::dynamic_filter_fn(move |_, _| only_to_a_file.has_file());
    layers.push(lines(&file).with_filter(is_wanted).boxed());
    let ring = LogRing::new();
    layers.push(ring.layer().boxed());
    let (filter, levels) = reload::Layer::new(Levels::new(settings.level));
    tracing_subscriber::registry().with(layers).with(filter).init();
    Ok(LogHandle { ring, levels, file, stderr, terminal, fallback })
}

/// Lines for people.
fn lines(sink: &Sink) -> impl Layer<Registry> + use<> {
    let sink = sink.clone();
    // The layer's own complaints would go to standard error, and panic if that is gone.
    fmt::layer()
        .fmt_fields(Fields)
        .with_timer(LocalTime)
        .with_writer(move || sink.clone())
        .with_ansi(false)
        .with_target(false)
        .log_internal_errors(false)
}

/// The words and the fields of a line, in logfmt. What peers said was made safe before; nothing that acts on a reader gets in
/// here whatever was forgotten.
struct Fields;

impl<'writer> FormatFields<'writer> for Fields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> text::Result {
        let mut line = Line { writer, outcome: Ok(()), is_first: true };
        fields.record(&mut line);
        line.outcome
    }
}

/// A line that is being written.
struct Line<'writer> {
    writer: Writer<'writer>,
    outcome: text::Result,
    is_first: bool,
}

impl Line<'_> {
    fn add(&mut self, field: &Field, value: &str, shown: impl FnOnce(&str) -> String) {
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        let value = harmless(value);
        self.outcome = self.outcome.and_then(|()| match field.name() {
            "message" => write!(self.writer, "{space}{value}"),
            name => write!(self.writer, "{space}{name}={}", shown(&value)),
        });
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value, logfmt::quoted);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format!("{value:?}"), |value| logfmt::value(value).into_owned());
    }
}

/// The level in the terms of those who filter.
pub fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nothing_in_a_line_of_text_acts_on_its_reader() {
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt::layer()
            .fmt_fields(Fields)
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .with_target(false)
            .without_time();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let evil = "\x1b[2J\u{9b}\r\n\0\u{202e}\"x\"";
            let words = "user \"alice\" has no line";
            tracing::info!(session = 7, text = evil, shown = %evil, words, bare = %"padt", empty = "", "words {evil}");
            tracing::warn!("no fields");
        });
        let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let plain = r#"\u{1b}[2J\u{9b}\r\n\u{0}\u{202e}"x""#;
        let quoted = r#""\\u{1b}[2J\\u{9b}\\r\\n\\u{0}\\u{202e}\"x\"""#;
        let words = r#""user \"alice\" has no line""#;
        let expected = format!(
            " INFO words {plain} session=7 text={quoted} shown={quoted} words={words} bare=padt empty=\"\"\n WARN no fields\n"
        );
        assert_eq!(written, expected);
    }
}
