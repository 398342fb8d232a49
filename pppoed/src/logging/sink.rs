//! A place for the lines of the log that may block or fail: a pipe that nobody reads, a disk that is full or hangs.
//!
//! A thread of its own writes them; who logs never waits, and never fails. Lines that find no room in the queue, or
//! cannot be written, are lost, and counted: how many is the next thing that is written.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{Timestamp, tz::TimeZone};
use tracing::warn;
use tracing_subscriber::fmt::format;
use tracing_subscriber::fmt::time::FormatTime;

/// The time of a line: `2026-11-30T11:31:02.123456+01:00`, by the zone of the machine (or `TZ`) as it was at the first line: later
/// looks at its files could block whoever logs.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalTime;

static ZONE: LazyLock<TimeZone> = LazyLock::new(TimeZone::system);

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut format::Writer<'_>) -> std::fmt::Result {
        let now = Timestamp::now().to_zoned_datetime(ZONE.clone());
        write!(writer, "{}", now.strftime("%Y-%m-%dT%H:%M:%S.%6f%:z"))
    }
}

/// Lines that may wait.
const QUEUE_LEN: usize = 1024;
/// Time that the last lines have at the end of the program.
const FAREWELL: Duration = Duration::from_secs(1);

/// Where to write the lines of one sink. Each value is one whole line.
#[derive(Clone, Debug)]
pub(super) struct Sink {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    /// Answer when everything before this is written.
    Flush(SyncSender<()>),
}

#[derive(Debug, Default)]
struct Shared {
    /// Lines that did not fit into the queue.
    lost: AtomicU64,
    /// The file to write to; none for nowhere, or for what is no file.
    path: Mutex<Option<PathBuf>>,
    /// The file is to be opened anew before the next line.
    reopen: AtomicBool,
}

impl Sink {
    /// Lines go to standard error.
    pub(super) fn standard_error() -> io::Result<Self> {
        Self::start(Some(Box::new(io::stderr())), None)
    }

    /// Lines go to this file, or nowhere as long as there is none.
    ///
    /// # Errors
    /// When it cannot be opened, or no thread can be started.
    pub(super) fn file(path: Option<PathBuf>) -> io::Result<Self> {
        let target = path.as_deref().map(open).transpose()?;
        Self::start(target.map(|file| Box::new(file) as Target), path)
    }

    fn start(target: Option<Target>, path: Option<PathBuf>) -> io::Result<Self> {
        let (queue, messages) = sync_channel(QUEUE_LEN);
        let shared = Arc::new(Shared { path: Mutex::new(path), ..Shared::default() });
        let writer = Writer { target, shared: shared.clone(), failed: None, is_mid_line: false };
        thread::Builder::new().name("pppoed-log".to_owned()).spawn(move || writer.run(&messages))?;
        Ok(Self { queue, shared })
    }

    /// From the next line on, goes on in this file, also if it has the name of the one before: that may have been
    /// renamed.
    pub(super) fn reopen(&self, path: Option<PathBuf>) {
        *self.shared.path.lock().unwrap_or_else(PoisonError::into_inner) = path;
        self.shared.reopen.store(true, Ordering::Release);
    }

    /// Whether there is a file.
    pub(super) fn has_file(&self) -> bool {
        self.shared.path.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Waits, not long, until all lines are written.
    pub(super) fn drain(&self) {
        let started = Instant::now();
        let (done, wait) = sync_channel(1);
        let mut request = Message::Flush(done);
        while let Err(TrySendError::Full(unsent)) = self.queue.try_send(request) {
            if started.elapsed() > FAREWELL {
                return;
            }
            thread::sleep(Duration::from_millis(5));
            request = unsent;
        }
        let _ = wait.recv_timeout(FAREWELL.saturating_sub(started.elapsed()));
    }
}

impl Write for Sink {
    /// Never waits and never fails.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.queue.try_send(Message::Line(line.to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Target = Box<dyn Write + Send>;

/// The thread's part.
struct Writer {
    target: Option<Target>,
    shared: Arc<Shared>,
    /// Lines that could not be written, and why.
    failed: Option<(u64, io::Error)>,
    /// The last line was written in part.
    is_mid_line: bool,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        for message in messages {
            match message {
                Message::Line(line) => self.write_line(&line),
                Message::Flush(done) => {
                    let _ = done.try_send(());
                }
            }
        }
    }

    fn write_line(&mut self, line: &[u8]) {
        if self.shared.reopen.swap(false, Ordering::Acquire) {
            self.open();
        }
        if self.target.is_none() {
            return;
        }
        let complaint = self.complaint();
        let bytes = [if self.is_mid_line { &b"\n"[..] } else { b"" }, complaint.as_bytes(), line].concat();
        match self.write_all(&bytes) {
            Ok(()) => self.failed = None,
            Err(error) => {
                let before = self.failed.take().map_or(0, |(count, _)| count);
                let unfit =
                    if complaint.is_empty() { 0 } else { self.shared.lost.swap(0, Ordering::Relaxed) };
                self.failed = Some((before + unfit + 1, error));
            }
        }
    }

    /// What there is to say about lines that were lost.
    fn complaint(&self) -> String {
        let mut text = String::new();
        let mut complain = |count: u64, why: &dyn std::fmt::Display| {
            // Neither fails on a String.
            let _ = LocalTime.format_time(&mut format::Writer::new(&mut text));
            text.push_str(&format!("  WARN {count} lines of the log were lost here: {why}\n"));
        };
        if let Some((count, error)) = &self.failed {
            complain(*count, error);
        }
        let lost = self.shared.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            complain(lost, &"they came faster than they could be written");
        }
        text
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(target) = &mut self.target else { return Ok(()) };
        while !bytes.is_empty() {
            match target.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    let (written, rest) = bytes.split_at(count.min(bytes.len()));
                    self.is_mid_line = !written.ends_with(b"\n");
                    bytes = rest;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open(&mut self) {
        let path = self.shared.path.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match path.as_deref().map(open).transpose() {
            Ok(file) => {
                self.target = file.map(|file| Box::new(file) as Target);
                self.is_mid_line = false;
            }
            // Into the queues of all sinks, this one's too: that does not wait.
            Err(error) => {
                warn!(path = ?path, %error, "cannot open the log file; continuing with the previous file")
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes so many bytes, and then none until it gets more.
    struct Disk {
        room: mpsc::Receiver<usize>,
        left: usize,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.left += self.room.try_iter().sum::<usize>();
            let count = bytes.len().min(self.left);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.left -= count;
            self.written.send(bytes[..count].to_vec()).unwrap();
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn put(sink: &mut Sink, line: &str) {
        assert_eq!(sink.write(line.as_bytes()).unwrap(), line.len());
        sink.drain();
    }

    #[test]
    fn a_full_disk_costs_lines_and_says_how_many() {
        let (more, room) = mpsc::channel();
        let (written, on_disk) = mpsc::channel();
        let mut sink = Sink::start(Some(Box::new(Disk { room, left: 8, written })), None).unwrap();
        for line in ["one\n", "twotwotwo\n", "three\n"] {
            put(&mut sink, line);
        }
        more.send(1000).unwrap();
        put(&mut sink, "four\n");
        put(&mut sink, "five\n");
        let text = String::from_utf8(on_disk.try_iter().flatten().collect()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert_eq!((lines[0], lines[1], lines[3], lines[4]), ("one", "twot", "four", "five"), "{text}");
        assert!(lines[2].starts_with("20") && lines[2].ends_with("lost here: no storage space"), "{text}");
        assert!(lines[2].contains(" WARN 2 lines of the log"), "{text}");
    }

    /// A pipe whose reader sleeps.
    struct Stuck(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_sleeps_stops_nobody() {
        let (wake, sleeping) = mpsc::channel();
        let (written, read) = mpsc::channel();
        let mut sink = Sink::start(Some(Box::new(Stuck(sleeping, written))), None).unwrap();
        for number in 0..QUEUE_LEN + 500 {
            sink.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(wake);
        sink.drain();
        sink.write_all(b"later\n").unwrap();
        sink.drain();
        let text = String::from_utf8(read.try_iter().flatten().collect()).unwrap();
        let (complaints, lines): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.contains("WARN"));
        assert!(lines.starts_with(&["0", "1", "2"]) && lines.ends_with(&["later"]), "{text}");
        let [complaint] = complaints[..] else { panic!("{complaints:?}") };
        // One or none of the lines was taken out of the queue meanwhile.
        assert!(
            ["499", "500"].iter().any(|count| complaint.contains(&format!("{count} lines"))),
            "{complaint}"
        );
        assert!(complaint.ends_with("they came faster than they could be written"), "{complaint}");
    }

    #[test]
    fn a_file_that_was_renamed_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let [log, old, other] = ["log", "log.1", "other"].map(|name| directory.path().join(name));
        let mut sink = Sink::file(Some(log.clone())).unwrap();
        put(&mut sink, "one\n");
        std::fs::rename(&log, &old).unwrap();
        put(&mut sink, "two\n");
        sink.reopen(Some(log.clone()));
        put(&mut sink, "three\n");
        sink.reopen(Some(directory.path().join("no/such/directory")));
        put(&mut sink, "four\n");
        sink.reopen(Some(other.clone()));
        put(&mut sink, "five\n");
        sink.reopen(None);
        assert!(!sink.has_file());
        put(&mut sink, "six\n");
        let read = |path| std::fs::read_to_string(path).unwrap();
        assert_eq!(
            (read(&old), read(&log), read(&other)),
            ("one\ntwo\n".into(), "three\nfour\n".into(), "five\n".into())
        );
    }
}
