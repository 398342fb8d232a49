//! Reads a secrets file into its entries.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::lookup::Index;
use super::{
    AddressList, Entry, MAX_CHAP_SECRET, MAX_NAME, Notice, Pattern, Protocol, Secret, SecretsFile, Source,
};
use crate::files;
use crate::options::{UserWord, parse_user_options};
use crate::origin::Place;
use crate::words::{Word, Words};

/// Most bytes read of a secrets file: room for a million users.
const MAX_FILE: u64 = 64 << 20;

impl SecretsFile {
    /// Reads a secrets file.
    ///
    /// # Errors
    /// Those of the system. What is wrong inside the file never is an error: it comes as notices.
    pub fn load(path: &Path, protocol: Protocol) -> io::Result<(Self, Vec<Notice>)> {
        let (file, metadata) = files::open_regular(path)?;
        let contents = files::read_text(file, &metadata, MAX_FILE)?;
        let (this, mut notices) = Self::parse(path, &contents, protocol);
        if let Some(exposure) = files::exposure(path, &metadata) {
            notices.insert(0, Notice::Exposed { path: path.to_owned(), exposure });
        }
        Ok((this, notices))
    }

    /// Reads secrets from memory, under the name `path` in messages.
    pub fn parse(path: &Path, contents: &[u8], protocol: Protocol) -> (Self, Vec<Notice>) {
        let path: Arc<Path> = path.into();
        let (mut entries, mut notices) = (Vec::new(), Vec::new());
        let mut words = Words::new(contents).peekable();
        while let Some(first) = words.next() {
            let place = Place::new(Arc::clone(&path), first.line);
            let mut line = vec![first];
            while let Some(word) = words.next_if(|word| !word.starts_line) {
                line.push(word);
            }
            entries.extend(parse_line(place, line, protocol, &mut notices));
        }
        report_shadowed(&entries, &mut notices);
        let index = Index::new(&entries);
        (Self { path, entries, index }, notices)
    }
}

fn parse_line(
    place: Place,
    words: Vec<Word>,
    protocol: Protocol,
    notices: &mut Vec<Notice>,
) -> Option<Entry> {
    for word in &words {
        if let Some(flaw) = word.flaw {
            notices.push(Notice::Word { place: Place { line: word.line, ..place.clone() }, flaw });
        }
    }
    let count = words.len();
    let mut words = words.into_iter();
    let (Some(client), Some(server), Some(secret)) = (words.next(), words.next(), words.next()) else {
        notices.push(Notice::Incomplete { place, words: count });
        return None;
    };
    if client.bytes().len() > MAX_NAME || server.bytes().len() > MAX_NAME {
        notices.push(Notice::NameTooLong { place: place.clone() });
    }
    let source = parse_secret(&place, secret.into_bytes(), protocol, notices);
    let words: Vec<_> = words.collect();
    let mut columns = words.splitn(2, |word| word.bytes() == b"--");
    let addresses = columns.next().unwrap_or_default().iter().map(Word::bytes);
    let addresses = AddressList::parse(&place, addresses, notices);
    let options: Vec<_> = columns
        .next()
        .unwrap_or_default()
        .iter()
        .map(|word| UserWord { bytes: word.bytes(), place: Place { line: word.line, ..place.clone() } })
        .collect();
    let (options, option_errors, option_notices) = parse_user_options(&options);
    notices.extend(option_errors.into_iter().map(Notice::OptionLeftOut));
    notices.extend(option_notices.into_iter().map(Notice::Option));
    Some(Entry {
        place,
        client: Pattern::new(client.bytes()),
        server: Pattern::new(server.bytes()),
        source,
        addresses,
        options,
    })
}

fn parse_secret(place: &Place, secret: Secret, protocol: Protocol, notices: &mut Vec<Notice>) -> Source {
    if secret.starts_with(b"@/") {
        let path = OsStr::from_bytes(secret.get(1..).unwrap_or_default());
        return Source::File(path.into());
    }
    let place = place.clone();
    if secret.is_empty() {
        notices.push(Notice::EmptySecret { place });
    } else if protocol == Protocol::Pap && **secret == *super::candidate::SYSTEM_PASSWORD {
        notices.push(Notice::SystemPassword { place });
    } else if protocol == Protocol::Chap && secret.len() > MAX_CHAP_SECRET {
        notices.push(Notice::SecretTooLong { place });
    }
    Source::Word(secret)
}

/// Reads the file of an `@/path` secret.
pub(super) fn read_secret_file(path: &Path) -> Result<Secret, String> {
    const MAX_SECRET_FILE: u64 = 64 << 10;
    let (file, metadata) = files::open_regular(path).map_err(|error| error.to_string())?;
    if let Some(exposure) = files::exposure(path, &metadata).filter(files::Exposure::is_unsafe) {
        return Err(exposure.to_string());
    }
    let contents: Zeroizing<Vec<u8>> =
        files::read_text(file, &metadata, MAX_SECRET_FILE).map_err(|error| error.to_string())?;
    let word = Words::new(&contents).next().ok_or_else(|| "there is no word in it".to_owned())?;
    Ok(word.into_bytes())
}

fn report_shadowed(entries: &[Entry], notices: &mut Vec<Notice>) {
    let key = |pattern: &Pattern| match pattern {
        Pattern::Any => None,
        Pattern::Name(name) => Some(name.clone()),
    };
    let mut seen = BTreeMap::new();
    for entry in entries {
        // a line whose secret file cannot be read gives way to the next one
        if matches!(entry.source, Source::File(_)) {
            continue;
        }
        let first = *seen.entry((key(&entry.client), key(&entry.server))).or_insert(entry.place.line);
        if first != entry.place.line {
            notices.push(Notice::Shadowed { place: entry.place.clone(), first });
        }
    }
}
