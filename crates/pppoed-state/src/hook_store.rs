//! What hook scripts keep: a table of keys and values that outlives their calls, and this process.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ppp_ipc::codec::Room;
use ppp_ipc::hooks::{MAX_STORE_VALUE as MAX_VALUE, StoreValue};
use pppoed_config::files;
use serde::{Deserialize, Serialize};

/// Most bytes of a key.
pub const MAX_KEY: usize = 256;
/// Most keys.
const MAX_KEYS: usize = 131_072;
/// Most bytes of all keys and values: a line of accounting for each of the sessions that ids allow.
const MAX_BYTES: usize = 32 << 20;
/// Most bytes of the file: quoted and escaped, each byte may take six, and each line has its frame.
const MAX_FILE: u64 = (6 * 32 + 8) << 20;
/// Keys in one answer to a host; fewer, if they do not fit into a frame.
const KEYS_PER_ANSWER: usize = 1024;
/// Time from a change until it is written.
const WRITE_DELAY: Duration = Duration::from_secs(1);
/// Time until writing is tried again that failed.
const RETRY_DELAY: Duration = Duration::from_secs(10);

/// One line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    key: Text,
    value: Stored,
}

/// Bytes, readable where they are UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Bytes { bytes: Vec<u8> },
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(Text),
    /// JSON has no infinity and no NaN.
    Odd {
        number: String,
    },
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Plain(text.to_owned()),
            Err(_) => Self::Bytes { bytes: bytes.to_vec() },
        }
    }
}

impl Text {
    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Plain(text) => text.into_bytes(),
            Self::Bytes { bytes } => bytes,
        }
    }
}

impl From<&StoreValue> for Stored {
    fn from(value: &StoreValue) -> Self {
        match value {
            StoreValue::Boolean(value) => Self::Boolean(*value),
            StoreValue::Integer(number) => Self::Integer(*number),
            StoreValue::Number(number) if number.is_finite() => Self::Number(*number),
            StoreValue::Number(number) => Self::Odd { number: number.to_string() },
            StoreValue::Bytes(bytes) => Self::Text(bytes.as_slice().into()),
        }
    }
}

impl Stored {
    fn into_value(self) -> StoreValue {
        match self {
            Self::Boolean(value) => StoreValue::Boolean(value),
            Self::Integer(number) => StoreValue::Integer(number),
            Self::Number(number) => StoreValue::Number(number),
            Self::Odd { number } => StoreValue::Number(number.parse().unwrap_or(f64::NAN)),
            Self::Text(text) => StoreValue::Bytes(text.into_bytes()),
        }
    }
}

/// Why the store does not take something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A key of so many bytes.
    #[error("a key must have 1 to {MAX_KEY} bytes, found {0}")]
    Key(usize),
    /// A value of so many bytes.
    #[error("a value of {0} bytes exceeds the maximum of {MAX_VALUE}")]
    Value(usize),
    /// There are as many keys as there may be.
    #[error("the store is full: it has {MAX_KEYS} keys")]
    Keys,
    /// There are as many bytes as there may be.
    #[error("the store is full: it has {MAX_BYTES} bytes")]
    Bytes,
    /// A number was to be added to a value that is not a number.
    #[error("the stored value is not a number")]
    NotANumber,
}

/// The table.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    values: BTreeMap<Vec<u8>, StoreValue>,
    bytes: usize,
    /// When it is to be written; none while the file has everything.
    due: Option<Instant>,
    /// It is being written now.
    is_writing: bool,
    has_failed: bool,
}

fn size(key: &[u8], value: &StoreValue) -> usize {
    key.len()
        + match value {
            StoreValue::Bytes(bytes) => bytes.len(),
            _ => 8,
        }
}

impl Store {
    /// Reads the file; none is an empty store.
    ///
    /// # Errors
    /// When the file cannot be read or understood; it is not overwritten then. Names the file and the line.
    pub fn open(path: &Path) -> Result<Self, String> {
        let told = |error: io::Error| {
            format!("{}: cannot read the hooks' store (--hook-store): {error}", path.display())
        };
        match files::open_regular(path) {
            Ok((file, metadata)) => {
                Self::parse(path, &files::read_all(file, &metadata, MAX_FILE).map_err(told)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::parse(path, b""),
            Err(error) => Err(told(error)),
        }
    }

    /// A store with what can be understood of a file that [`Store::open`] refused, which is kept under another name. Tells
    /// what was done.
    pub fn salvage(path: &Path) -> (Self, String) {
        let mut store = Self::empty(path);
        let mut damaged = path.as_os_str().to_owned();
        damaged.push(".damaged");
        let damaged = PathBuf::from(damaged);
        let contents = files::read_bounded(path, MAX_FILE);
        if let Err(error) = fs::rename(path, &damaged) {
            // Not to be overwritten.
            store.path = damaged;
            return (store, format!("an empty one is in use, as the file cannot be renamed ({error})"));
        }
        let (mut kept, mut lost) = (0_usize, 0_usize);
        let contents = contents.map(|contents| contents.to_vec()).unwrap_or_default();
        for line in contents.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let entry = serde_json::from_slice(line).ok();
            let put = |Line { key, value }| store.put(key.into_bytes(), value.into_value()).ok();
            match entry.and_then(put) {
                Some(()) => kept += 1,
                None => lost += 1,
            }
        }
        store.due = Some(Instant::now());
        (
            store,
            format!(
                "entries in use: {kept}, lines lost: {lost}, and the damaged file is kept as {}",
                damaged.display()
            ),
        )
    }

    fn empty(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            values: BTreeMap::new(),
            bytes: 0,
            due: None,
            is_writing: false,
            has_failed: false,
        }
    }

    /// A store with these contents of the file at `path`.
    ///
    /// # Errors
    /// The first line that is no entry.
    pub fn parse(path: &Path, contents: &[u8]) -> Result<Self, String> {
        let mut store = Self::empty(path);
        let lines = contents.split(|byte| *byte == b'\n').zip(1..).filter(|(line, _)| !line.is_empty());
        for (line, number) in lines {
            let Line { key, value } = serde_json::from_slice(line).map_err(|error| {
                format!("{}:{number}: this is no entry of a hooks' store: {error}", path.display())
            })?;
            store
                .put(key.into_bytes(), value.into_value())
                .map_err(|error| format!("{}:{number}: {error}", path.display()))?;
        }
        Ok(store)
    }

    /// The value of a key.
    pub fn get(&self, key: &[u8]) -> Option<&StoreValue> {
        self.values.get(key)
    }

    /// Sets a value, or removes it.
    ///
    /// # Errors
    /// When key or value is too long, or the store is full.
    pub fn set(&mut self, key: Vec<u8>, value: Option<StoreValue>, now: Instant) -> Result<(), StoreError> {
        match value {
            Some(value) => self.put(key, value)?,
            None => match self.values.remove(&key) {
                Some(value) => self.bytes -= size(&key, &value),
                None => return Ok(()),
            },
        }
        self.touch(now);
        Ok(())
    }

    /// Adds to a number; gives the sum.
    ///
    /// # Errors
    /// As of [`Store::set`], and when the value that is there is not a number.
    pub fn add(&mut self, key: Vec<u8>, number: StoreValue, now: Instant) -> Result<StoreValue, StoreError> {
        let sum = match (self.values.get(&key), number) {
            (None, number) => number,
            (Some(StoreValue::Integer(old)), StoreValue::Integer(number)) => {
                StoreValue::Integer(old.saturating_add(number))
            }
            (Some(old), number) => StoreValue::Number(float(old)? + float(&number)?),
        };
        self.put(key, sum.clone())?;
        self.touch(now);
        Ok(sum)
    }

    /// Some keys with this beginning that come after `after`, and whether there are more.
    pub fn keys(&self, prefix: &[u8], after: Option<&[u8]>) -> (Vec<Vec<u8>>, bool) {
        let from = match after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        let keys = self
            .values
            .range::<[u8], _>((from, Bound::Unbounded))
            .map(|(key, _)| key)
            .skip_while(|key| key.as_slice() < prefix)
            .take_while(|key| key.starts_with(prefix));
        let (mut some, mut room) = (Vec::new(), Room::new());
        for key in keys {
            if some.len() == KEYS_PER_ANSWER || !room.take(key) {
                return (some, true);
            }
            some.push(key.clone());
        }
        (some, false)
    }

    fn put(&mut self, key: Vec<u8>, value: StoreValue) -> Result<(), StoreError> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(StoreError::Key(key.len()));
        }
        if let StoreValue::Bytes(bytes) = &value
            && bytes.len() > MAX_VALUE
        {
            return Err(StoreError::Value(bytes.len()));
        }
        let before = self.values.get(&key).map(|value| size(&key, value));
        let bytes = self.bytes - before.unwrap_or(0) + size(&key, &value);
        if bytes > MAX_BYTES {
            return Err(StoreError::Bytes);
        }
        if before.is_none() && self.values.len() == MAX_KEYS {
            return Err(StoreError::Keys);
        }
        self.bytes = bytes;
        self.values.insert(key, value);
        Ok(())
    }

    fn touch(&mut self, now: Instant) {
        self.due.get_or_insert(now + WRITE_DELAY);
    }

    /// When [`Store::begin_writing`] has something to do.
    pub fn next_write(&self) -> Option<Instant> {
        self.due.filter(|_| !self.is_writing)
    }

    /// What is to be written now, if anything. [`Store::written`] must follow.
    pub fn begin_writing(&mut self, now: Instant) -> Option<Writing> {
        self.next_write().filter(|due| *due <= now)?;
        self.due = None;
        self.is_writing = true;
        Some(self.writing())
    }

    /// Everything, if the file has not all of it: at the end, when nobody may wait any longer.
    pub fn last_writing(&self) -> Option<Writing> {
        (self.due.is_some() || self.is_writing || self.has_failed).then(|| self.writing())
    }

    fn writing(&self) -> Writing {
        Writing { path: self.path.clone(), values: self.values.clone() }
    }

    /// The file as it should be.
    pub fn contents(&self) -> Vec<u8> {
        contents(&self.values)
    }

    /// What came of writing. Gives what is to be told, when that changes.
    pub fn written(&mut self, result: Result<(), io::Error>, now: Instant) -> Option<String> {
        self.is_writing = false;
        let failed_before = std::mem::replace(&mut self.has_failed, result.is_err());
        match result {
            Ok(()) if failed_before => Some("the hooks' store is written again".to_owned()),
            Ok(()) => None,
            Err(error) => {
                self.due = Some(now + RETRY_DELAY);
                let path = self.path.display();
                (!failed_before).then(|| {
                    format!("{path}: the hooks' store cannot be written, and is kept in memory: {error}")
                })
            }
        }
    }
}

fn float(value: &StoreValue) -> Result<f64, StoreError> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "as Lua adds an integer to a float")]
        StoreValue::Integer(number) => Ok(*number as f64),
        StoreValue::Number(number) => Ok(*number),
        StoreValue::Boolean(_) | StoreValue::Bytes(_) => Err(StoreError::NotANumber),
    }
}

fn contents(values: &BTreeMap<Vec<u8>, StoreValue>) -> Vec<u8> {
    let mut contents = Vec::new();
    for (key, value) in values {
        let line = Line { key: key.as_slice().into(), value: value.into() };
        // Strings and finite numbers always are JSON, and memory takes everything.
        if serde_json::to_writer(&mut contents, &line).is_ok() {
            contents.push(b'\n');
        }
    }
    contents
}

/// What the file is to hold, to be put together and written where it may take its time.
#[derive(Debug)]
pub struct Writing {
    path: PathBuf,
    values: BTreeMap<Vec<u8>, StoreValue>,
}

impl Writing {
    /// Writes beside, then renames: after a crash there is the old file or the new one. May block.
    ///
    /// # Errors
    /// Those of the system; the file is then as it was.
    pub fn carry_out(&self) -> io::Result<()> {
        files::replace(&self.path, &contents(&self.values))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn bytes(text: &[u8]) -> StoreValue {
        StoreValue::Bytes(text.to_vec())
    }

    fn written(store: &mut Store, now: Instant) {
        let writing = store.begin_writing(now + WRITE_DELAY).unwrap();
        assert_eq!(store.written(writing.carry_out(), now), None);
    }

    #[test]
    fn everything_is_there_again_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new/store");
        let now = Instant::now();
        let values = [
            (b"text".as_slice(), bytes(b"a\"\n")),
            (b"raw\xff\0", bytes(b"\xfe\n")),
            (b"integer", StoreValue::Integer(i64::MIN)),
            (b"float", StoreValue::Number(0.1)),
            (b"long float", StoreValue::Number(4.555_555_555_555_555e57)),
            (b"one", StoreValue::Number(1.0)),
            (b"infinite", StoreValue::Number(f64::NEG_INFINITY)),
            (b"boolean", StoreValue::Boolean(false)),
        ];
        let mut store = Store::open(&path).unwrap();
        for (key, value) in &values {
            store.set(key.to_vec(), Some(value.clone()), now).unwrap();
        }
        assert!(store.begin_writing(now).is_none(), "not yet");
        written(&mut store, now);
        assert_eq!((store.next_write(), store.last_writing().is_none()), (None, true));
        let again = Store::open(&path).unwrap();
        for (key, value) in &values {
            assert_eq!(again.get(key), Some(value));
        }
        assert_eq!(again.bytes, store.bytes);

        store.set(b"text".to_vec(), None, now).unwrap();
        written(&mut store, now);
        assert_eq!(Store::open(&path).unwrap().get(b"text"), None);
    }

    #[test]
    fn numbers_are_added_to() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("store")).unwrap();
        let now = Instant::now();
        let mut add = |number| store.add(b"n".to_vec(), number, now);
        assert_eq!(add(StoreValue::Integer(2)), Ok(StoreValue::Integer(2)));
        assert_eq!(add(StoreValue::Integer(i64::MAX)), Ok(StoreValue::Integer(i64::MAX)));
        assert_eq!(add(StoreValue::Integer(-7)), Ok(StoreValue::Integer(i64::MAX - 7)));
        store.set(b"n".to_vec(), Some(StoreValue::Integer(1)), now).unwrap();
        assert_eq!(store.add(b"n".to_vec(), StoreValue::Number(0.5), now), Ok(StoreValue::Number(1.5)));
        store.set(b"n".to_vec(), Some(bytes(b"x")), now).unwrap();
        assert_eq!(store.add(b"n".to_vec(), StoreValue::Integer(1), now), Err(StoreError::NotANumber));
    }

    #[test]
    fn each_limit_at_its_edge() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(&directory.path().join("store")).unwrap();
        let now = Instant::now();
        let mut set = |key: &[u8], value: usize| store.set(key.to_vec(), Some(bytes(&vec![0; value])), now);
        assert_eq!(set(b"", 0), Err(StoreError::Key(0)));
        assert_eq!(set(&[b'k'; MAX_KEY + 1], 0), Err(StoreError::Key(MAX_KEY + 1)));
        assert_eq!(set(b"k", MAX_VALUE + 1), Err(StoreError::Value(MAX_VALUE + 1)));
        set(&[b'k'; MAX_KEY], MAX_VALUE).unwrap();
        store.set(vec![b'k'; MAX_KEY], None, now).unwrap();
        assert_eq!(store.bytes, 0);
        for number in 0..MAX_KEYS {
            store.set(number.to_string().into_bytes(), Some(StoreValue::Boolean(true)), now).unwrap();
        }
        assert_eq!(store.set(b"more".to_vec(), Some(StoreValue::Boolean(true)), now), Err(StoreError::Keys));
        store.set(b"0".to_vec(), Some(StoreValue::Boolean(false)), now).unwrap();

        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let (some, more) = store.keys(b"1", after.as_deref());
            after = some.last().cloned();
            keys.extend(some);
            if !more {
                break;
            }
        }
        let mut expected: Vec<Vec<u8>> = (0..MAX_KEYS)
            .map(|number| number.to_string().into_bytes())
            .filter(|key| key.starts_with(b"1"))
            .collect();
        expected.sort();
        assert_eq!(keys, expected);

        let mut full = Store::open(&directory.path().join("full")).unwrap();
        let fits = MAX_BYTES / (MAX_VALUE + 4);
        assert!((1000..10_000).contains(&fits));
        for number in 0..fits {
            full.set(format!("{number:04}").into_bytes(), Some(bytes(&[0; MAX_VALUE])), now).unwrap();
        }
        assert_eq!(full.set(b"last".to_vec(), Some(bytes(&[0; MAX_VALUE])), now), Err(StoreError::Bytes));
    }

    #[test]
    fn a_full_disk_is_told_once_and_tried_again() {
        let now = Instant::now();
        let directory = tempfile::tempdir().unwrap();
        let blocker = directory.path().join("store.new");
        fs::create_dir(&blocker).unwrap();
        let mut store = Store::open(&directory.path().join("store")).unwrap();
        store.set(b"k".to_vec(), Some(StoreValue::Integer(1)), now).unwrap();
        let writing = store.begin_writing(now + WRITE_DELAY).unwrap();
        let told = store.written(writing.carry_out(), now).unwrap();
        assert!(told.contains("store: the hooks' store cannot be written"), "{told}");
        assert_eq!(store.next_write(), Some(now + RETRY_DELAY));
        let writing = store.begin_writing(now + RETRY_DELAY).unwrap();
        assert_eq!(store.written(writing.carry_out(), now), None, "it was told already");
        fs::remove_dir(&blocker).unwrap();
        let writing = store.begin_writing(now + RETRY_DELAY).unwrap();
        assert!(store.written(writing.carry_out(), now).unwrap().contains("again"));
        assert_eq!(
            Store::open(&directory.path().join("store")).unwrap().get(b"k"),
            Some(&StoreValue::Integer(1))
        );
    }

    #[test]
    fn a_file_that_is_no_store_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        fs::write(&path, "{\"key\":\"a\",\"value\":1}\n\nnonsense\n").unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(error.contains("store:3: this is no entry"), "{error}");
    }
}
