//! The journal, by the native protocol of systemd-journald (systemd.io/JOURNAL_NATIVE_PROTOCOL).
//!
//! Each line of the log is an entry with its fields in upper case, so `journalctl USERNAME=alice` tells one subscriber's
//! whole story. `MESSAGE` holds the fields too: plain `journalctl -u pppoed` shows nothing else, and "session ended" alone
//! helps nobody. That is why this is not tracing-journald, whose messages are without the fields.

use std::io;
use std::os::unix::net::UnixDatagram;

use ppp_ipc::control::LogField;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::log_ring::collect;
use crate::message::by_name;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Bytes of an entry's values together; what is longer is cut. Small enough for one datagram.
const MAX_ENTRY: usize = 16 << 10;

/// Writes every line of the log to the journal.
#[derive(Debug)]
pub struct JournalLayer {
    socket: UnixDatagram,
}

impl JournalLayer {
    /// Connects to the journal.
    ///
    /// # Errors
    /// When there is none.
    pub fn connect() -> io::Result<Self> {
        Self::connect_to(SOCKET)
    }

    fn connect_to(path: &str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // A journal that hangs must not take the server with it.
        socket.set_nonblocking(true)?;
        Ok(Self { socket })
    }
}

impl<S: Subscriber> Layer<S> for JournalLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (message, fields) = collect(event, MAX_ENTRY);
        let entry = entry(event.metadata(), &message, &fields);
        if self.socket.send(&entry).is_err() {
            // It was restarted, perhaps: the name leads to the new one. What it does not take now is lost: the
            // journal is the last to tell about that.
            let _ = self.socket.connect(SOCKET).and_then(|()| self.socket.send(&entry));
        }
    }
}

fn entry(metadata: &Metadata<'_>, message: &str, fields: &[LogField]) -> Vec<u8> {
    // syslog(3)
    let priority = match *metadata.level() {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    };
    let mut entry = Vec::with_capacity(512);
    put(&mut entry, "PRIORITY", priority);
    put(&mut entry, "SYSLOG_IDENTIFIER", "pppoed");
    put(&mut entry, "TARGET", metadata.target());
    if let Some(known) = by_name(metadata.name()) {
        put(&mut entry, "MESSAGE_ID", &format!("{:032x}", known.id));
        put(&mut entry, "EVENT", known.name);
    }
    let mut text = message.to_owned();
    for LogField { name, value } in fields {
        let quoted = value.is_empty() || value.contains([' ', '"', '=']);
        let shown = if quoted { format!("{value:?}") } else { value.clone() };
        text.push_str(&format!(" {name}={shown}"));
    }
    put(&mut entry, "MESSAGE", &text);
    for LogField { name, value } in fields {
        put(&mut entry, &name.replace('.', "_").to_ascii_uppercase(), value);
    }
    entry
}

/// A field with the length of its value, which may hold anything (the text form ends at a line's end).
fn put(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'\n');
    entry.extend_from_slice(&u64::try_from(value.len()).unwrap_or(0).to_le_bytes());
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::message::SESSION_UP;

    /// The fields of an entry in the protocol's binary form.
    fn parse(mut entry: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while let Some(end) = entry.iter().position(|byte| *byte == b'\n') {
            let (name, rest) = entry.split_at(end);
            let length = usize::try_from(u64::from_le_bytes(rest[1..9].try_into().unwrap())).unwrap();
            let value = &rest[9..9 + length];
            assert_eq!(rest[9 + length], b'\n');
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            fields.push((text(name), text(value)));
            entry = &rest[10 + length..];
        }
        fields
    }

    #[test]
    fn an_entry_has_its_fields_and_a_message_that_stands_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let layer = JournalLayer::connect_to(path.to_str().unwrap()).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(
                session = 7,
                username = "al ice",
                empty = "",
                odd = "a\nb\u{202e}",
                "session ended"
            );
            tracing::info!(name: SESSION_UP.name, session = 7, "{}", SESSION_UP.words);
        });
        let mut buffer = [0; 2048];
        let length = journal.recv(&mut buffer).unwrap();
        let expected = [
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "pppoed"),
            ("TARGET", "pppoed::journal::tests"),
            ("MESSAGE", "session ended session=7 username=\"al ice\" empty=\"\" odd=a\\nb\\u{202e}"),
            ("SESSION", "7"),
            ("USERNAME", "al ice"),
            ("EMPTY", ""),
            ("ODD", "a\\nb\\u{202e}"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(&buffer[..length]), expected);

        let length = journal.recv(&mut buffer).unwrap();
        let entry = parse(&buffer[..length]);
        let value = |name| entry.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        assert_eq!(value("MESSAGE"), Some("session up session=7"));
        assert_eq!(
            (value("EVENT"), value("MESSAGE_ID")),
            (Some("session-up"), Some("eaf13e95def747a0a3f945be89f2c600"))
        );
    }
}
