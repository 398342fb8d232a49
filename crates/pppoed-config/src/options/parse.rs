//! Reads options files and the options of one user.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assign::option_group;
use super::table::{self, Action, Row};
use super::{OptionError, OptionNotice, PppOptions, SessionOptions, ValueError, value};
use crate::files;
use crate::origin::{Origin, Place, Sourced};
use crate::words::{Word, Words};

/// Most bytes read of one options file.
const MAX_FILE: u64 = 1 << 20;
/// Most files read, those of `file` options included.
const MAX_FILES: usize = 32;

/// Beginnings of names of Ethernet interfaces.
const ETHERNET: &[&[u8]] = &[b"eth", b"en", b"br", b"bond", b"veth", b"vlan"];

/// What it means if an options file is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Nothing (`/etc/ppp/options`).
    Optional,
    /// A notice (the default of `-O`).
    Expected,
    /// An error (a file that was named by the administrator).
    Required,
}

/// An option as it stood in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The option.
    pub name: &'static str,
    /// Its argument; empty for options without one.
    pub argument: Vec<u8>,
    /// Where it stood.
    pub place: Place,
}

/// Collects the options of several files, and everything there is to say about them.
#[derive(Debug, Default)]
pub struct Reader {
    pub(super) options: PppOptions,
    errors: Vec<OptionError>,
    notices: Vec<OptionNotice>,
    /// Options whose notice was given already: once is enough.
    noticed: BTreeSet<&'static str>,
    /// Every option that was set, in order.
    applied: Vec<Applied>,
    /// Groups of options that a stronger layer sets.
    pub(super) overridden: BTreeSet<&'static str>,
    files: usize,
    /// Where relative paths start from.
    directory: PathBuf,
}

impl Reader {
    /// A reader that has read nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader that has read nothing, for which relative paths start from `directory`.
    pub fn in_directory(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), ..Self::default() }
    }

    /// Reads one file, and the files that it names by `file`.
    pub fn read_file(&mut self, path: &Path, presence: Presence) {
        self.open(path, presence, None);
    }

    /// Reads options from memory, under the name `path` in messages.
    pub fn read_bytes(&mut self, path: &Path, contents: &[u8]) {
        let path: Arc<Path> = path.into();
        let mut words = Words::new(contents).peekable();
        while let Some(word) = words.next() {
            let place = Place::new(Arc::clone(&path), word.line);
            self.check_flaw(&word, &place);
            let Some(row) = table::find(word.bytes()) else {
                if !self.bare_word(&word, &place) {
                    // what follows on the line probably belongs to the unknown word
                    while words.next_if(|next| !next.starts_line).is_some() {}
                }
                continue;
            };
            if let Action::Refused(why) = row.action {
                // Whatever stands behind it on the line, it is not worth a word of its own.
                if row.argument.is_some() {
                    drop(words.next_if(|next| !next.starts_line));
                }
                if !self.is_overridden(row) {
                    self.errors.push(OptionError::Refused { place, option: row.name, why });
                }
                continue;
            }
            let Some(expects) = row.argument else {
                self.apply(row, place, None);
                continue;
            };
            match words.next_if(|next| !(next.starts_line && table::find(next.bytes()).is_some())) {
                Some(argument) => {
                    let place = Place::new(Arc::clone(&path), argument.line);
                    self.check_flaw(&argument, &place);
                    self.apply(row, place, Some(&argument));
                }
                None => self.errors.push(OptionError::MissingArgument { place, option: row.name, expects }),
            }
        }
    }

    /// Every option that has an effect and was set so far, in order.
    pub fn applied(&self) -> &[Applied] {
        &self.applied
    }

    /// The options that could be read, every error found, and what there is to say beside.
    pub fn finish(self) -> (PppOptions, Vec<OptionError>, Vec<OptionNotice>) {
        (self.options, self.errors, self.notices)
    }

    fn open(&mut self, path: &Path, presence: Presence, included: Option<Place>) {
        self.files += 1;
        let contents = files::open_regular(&self.directory.join(path))
            .and_then(|(file, metadata)| files::read_text(file, &metadata, MAX_FILE));
        match contents {
            Ok(contents) => self.read_bytes(path, &contents),
            Err(error) if error.kind() == io::ErrorKind::NotFound && presence != Presence::Required => {
                if presence == Presence::Expected {
                    self.notices.push(OptionNotice::NoFile { path: path.to_owned() });
                }
            }
            Err(source) => {
                self.errors.push(OptionError::Unreadable { path: path.to_owned(), included, source });
            }
        }
    }

    fn check_flaw(&mut self, word: &Word, place: &Place) {
        if let Some(flaw) = word.flaw {
            self.notices.push(OptionNotice::Word { place: place.clone(), flaw });
        }
    }

    fn apply(&mut self, row: &Row, place: Place, argument: Option<&Word>) {
        if self.is_overridden(row) {
            return;
        }
        let origin = Origin::File(place.clone());
        self.apply_at(row, place, &origin, argument.map(Word::bytes).unwrap_or_default());
    }

    /// Whether a stronger layer sets it.
    fn is_overridden(&self, row: &Row) -> bool {
        option_group(row.name).is_some_and(|group| self.overridden.contains(group))
    }

    pub(super) fn error(&mut self, error: OptionError) {
        self.errors.push(error);
    }

    /// Sets an option to its argument. Mistakes are at `place`.
    pub(super) fn apply_at(&mut self, row: &Row, place: Place, origin: &Origin, bytes: &[u8]) {
        let origin = origin.clone();
        let action = row.action(bytes);
        let result = match action {
            Action::Global(set) => set(&mut self.options, bytes, origin),
            Action::Session(set) => {
                if let Some(notice) = server_notice(row, &self.options.session, &place) {
                    self.notice_once(row.name, notice);
                }
                set(&mut self.options.session, bytes, origin)
            }
            Action::Include => {
                self.include(bytes, place.clone());
                Ok(())
            }
            Action::AlreadyTrue => Ok(()),
            Action::NoEffect(why) => {
                self.notice_once(
                    row.name,
                    OptionNotice::NoEffect { place: place.clone(), option: row.name, why },
                );
                Ok(())
            }
            Action::Refused(why) => {
                self.errors.push(OptionError::Refused { place: place.clone(), option: row.name, why });
                Ok(())
            }
            // A decision is never to decide again.
            Action::ByArgument(_) => Ok(()),
        };
        match result {
            Ok(()) => {
                if matches!(action, Action::Global(_) | Action::Session(_)) {
                    let (argument, place) = (bytes.to_vec(), place.clone());
                    self.applied.push(Applied { name: row.name, argument, place });
                }
                if let Some(notice) = remark(row, &place) {
                    self.notice_once(row.name, notice);
                }
            }
            Err(why) => {
                let value = String::from_utf8_lossy(bytes).into_owned();
                self.errors.push(OptionError::BadValue { place, option: row.name, value, why });
            }
        }
    }

    fn include(&mut self, path: &[u8], place: Place) {
        let path = Path::new(OsStr::from_bytes(path));
        if self.files >= MAX_FILES {
            let path = path.to_owned();
            self.errors.push(OptionError::TooManyFiles { place, path, limit: MAX_FILES });
        } else {
            self.open(path, Presence::Required, Some(place));
        }
    }

    fn notice_once(&mut self, option: &'static str, notice: OptionNotice) {
        if self.noticed.insert(option) {
            self.notices.push(notice);
        }
    }

    /// A word that is no option's name: addresses, a speed, or unknown. Returns false if it is unknown.
    fn bare_word(&mut self, word: &Word, place: &Place) -> bool {
        let bytes = word.bytes();
        if let Some(colon) = bytes.iter().position(|&byte| byte == b':')
            && as_written(bytes).is_none()
        {
            let (local, remote) = bytes.split_at(colon);
            if let Err(why) = self.addresses(local, remote.get(1..).unwrap_or_default(), place) {
                self.errors.push(OptionError::BadValue {
                    place: place.clone(),
                    option: "local:remote",
                    value: word.text(),
                    why,
                });
            }
            return true;
        }
        let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
        if value::number(unsigned, 1, u32::MAX).is_ok() {
            let notice = OptionNotice::Speed { place: place.clone(), word: word.text() };
            self.notice_once("tty speed", notice);
            return true;
        }
        // The plug-in's name for the Ethernet interface; without "nic-" only where it was loaded.
        let is_ethernet = || ETHERNET.iter().any(|name| bytes.starts_with(name));
        if bytes.starts_with(b"nic-") || (self.noticed.contains("plugin") && is_ethernet()) {
            let (option, why) = ("an interface", "those that are served are given by -I");
            self.notice_once(option, OptionNotice::NoEffect { place: place.clone(), option, why });
            return true;
        }
        self.errors.push(if bytes.starts_with(b"/dev/") || bytes.starts_with(b"tty") {
            OptionError::Refused {
                place: place.clone(),
                option: "a serial device",
                why: "sessions run over the Ethernet interfaces given by -I; remove the word",
            }
        } else if let Some(written) = as_written(bytes) {
            OptionError::Form { place: place.clone(), word: word.text(), written }
        } else {
            OptionError::Unknown {
                place: place.clone(),
                word: word.text(),
                suggestion: table::nearest(bytes, |_| true),
            }
        });
        false
    }

    fn addresses(&mut self, local: &[u8], remote: &[u8], place: &Place) -> Result<(), ValueError> {
        for (word, slot) in
            [(local, &mut self.options.local_address), (remote, &mut self.options.remote_address)]
        {
            if word.is_empty() {
                continue;
            }
            let address = value::host_address(word)?;
            // 0.0.0.0 leaves the address open, as in pppd
            if !address.is_unspecified() {
                *slot = Some(Sourced::new(address, Origin::File(place.clone())));
            }
        }
        Ok(())
    }
}

/// What an option is in pppd's own form, of one that stands in another program's.
fn as_written(word: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(word).ok()?;
    if text.parse::<Ipv4Addr>().is_ok() {
        return Some("the name of an option before each address, such as ms-dns".to_owned());
    }
    let (name, value) = text.split_once(['=', ':'])?;
    let row = table::find(name.as_bytes()).filter(|row| row.is_accepted())?;
    Some(match row.argument {
        Some(_) => format!("{name} {value}"),
        None => name.to_owned(),
    })
}

fn remark(row: &Row, place: &Place) -> Option<OptionNotice> {
    row.remark.map(|why| OptionNotice::Limited { place: place.clone(), option: row.name, why })
}

fn server_notice(row: &Row, session: &SessionOptions, place: &Place) -> Option<OptionNotice> {
    let full = match row.name {
        "ms-dns" => session.ms_dns.len() >= 2,
        "ms-wins" => session.ms_wins.len() >= 2,
        _ => false,
    };
    full.then(|| OptionNotice::TooManyServers { place: place.clone(), option: row.name })
}

/// A word behind `--` in a secrets file.
#[derive(Clone, Debug)]
pub struct UserWord<'a> {
    /// The word.
    pub bytes: &'a [u8],
    /// Where it stands.
    pub place: Place,
}

pub(super) fn user_words(words: &[UserWord<'_>]) -> (SessionOptions, Vec<OptionError>, Vec<OptionNotice>) {
    let mut options = SessionOptions::default();
    let (mut errors, mut notices) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(UserWord { bytes, place }) = words.next() {
        let place = place.clone();
        let text = || String::from_utf8_lossy(bytes).into_owned();
        let Some(row) = table::find(bytes) else {
            errors.push(OptionError::Unknown {
                place,
                word: text(),
                suggestion: table::nearest_for_user(bytes),
            });
            // the rest of the line may be arguments of the unknown word
            break;
        };
        let argument = match row.argument {
            None => &[],
            Some(expects) => match words.next() {
                Some(argument) => argument.bytes,
                None => {
                    errors.push(OptionError::MissingArgument { place, option: row.name, expects });
                    break;
                }
            },
        };
        match row.action(argument) {
            Action::Session(set) => {
                notices.extend(server_notice(row, &options, &place));
                match set(&mut options, argument, Origin::File(place.clone())) {
                    Ok(()) => notices.extend(remark(row, &place)),
                    Err(why) => {
                        let value = String::from_utf8_lossy(argument).into_owned();
                        errors.push(OptionError::BadValue { place, option: row.name, value, why });
                    }
                }
            }
            Action::AlreadyTrue => {}
            Action::NoEffect(why) => notices.push(OptionNotice::NoEffect { place, option: row.name, why }),
            Action::Refused(why) => errors.push(OptionError::Refused { place, option: row.name, why }),
            Action::Global(_) | Action::Include | Action::ByArgument(_) => {
                errors.push(OptionError::NotForUsers { place, option: row.name });
            }
        }
    }
    (options, errors, notices)
}
