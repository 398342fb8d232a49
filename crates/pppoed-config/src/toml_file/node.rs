//! The tables of a TOML file, with the place of every key and value.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use ppp_wire::name::NameText;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::error::{FileError, Problem};
use crate::origin::Place;

/// A table, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Where it begins.
    pub place: Place,
    /// Its keys with their values.
    pub items: Vec<Item>,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: String,
    /// Where the key is.
    pub place: Place,
    /// The value, with its place.
    pub value: Node,
}

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it is.
    pub place: Place,
}

/// A value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// A list.
    Array(Vec<Node>),
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number; how it is written does not matter any more.
    Integer(i64),
    /// A date, a number with a point, or an integer beyond 64 bits: nothing here takes any. What it is, in words.
    Other(&'static str),
    /// A table.
    Table(Table),
    /// A text. It may be a password.
    Text(Zeroizing<String>),
}

impl Value {
    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "a list",
            Self::Boolean(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::Other(what) => what,
            Self::Table(_) => "a table",
            Self::Text(_) => "a string",
        }
    }
}

/// Texts are not shown: they may be passwords.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(nodes) => f.debug_list().entries(nodes).finish(),
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(number) => number.fmt(f),
            Self::Table(table) => table.fmt(f),
            Self::Other(_) | Self::Text(_) => f.write_str(self.kind()),
        }
    }
}

/// Reads the text of a TOML file, under the name `path` in messages.
///
/// # Errors
/// Everything that is not TOML, each with line and column.
pub fn parse(path: &Path, contents: &[u8]) -> Result<Table, Vec<FileError>> {
    let source = Source::new(path, contents);
    let text = match std::str::from_utf8(contents) {
        Ok(text) => text,
        Err(error) => {
            return Err(vec![FileError {
                place: source.place(error.valid_up_to()),
                problem: Problem::NotText,
            }]);
        }
    };
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(source.table(root.get_ref(), 0));
    }
    let error = |error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        let problem = match what_to_write(source.line(at), &message) {
            Some(hint) => Problem::Syntax(format!("{message}; {hint}")),
            None => Problem::Syntax(message),
        };
        FileError { place: source.place(at), problem }
    };
    Err(errors.into_iter().map(error).collect())
}

/// What the author of a line that is no TOML will have meant, where that is clear.
fn what_to_write(line: &str, message: &str) -> Option<String> {
    let line = line.trim();
    if message.contains("duplicate key") && line.starts_with("[[interface]]")
        || line.split('=').next().is_some_and(|key| key.trim() == "interface")
            && message.contains("duplicate")
    {
        let instead = "[[interface]] with name = \"…\" below it in place of the line interface = …";
        return Some(format!("a name is a setting or tables, not both: write {instead}"));
    }
    let (name, _) = line.strip_prefix('[')?.split_once(']')?;
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // What cannot be seen is not repeated: a message goes to terminals.
    let is_shown = NameText(name.trim().as_bytes()).to_string() == name.trim();
    let is_name = !name.is_empty() && is_shown && !name.contains(['"', '\'', '[', '\\']);
    (is_name && !name.bytes().all(is_bare)).then(|| format!("quote the name: [\"{}\"]", name.trim()))
}

/// Bytes of a line up to which columns count characters; beyond, bytes: counting takes its time.
const COUNTED: usize = 1000;

struct Source<'a> {
    file: Arc<Path>,
    text: &'a [u8],
    /// Where the lines begin, but for the first.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    fn new(path: &Path, text: &'a [u8]) -> Self {
        let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self { file: path.into(), text, lines: ends.map(|(end, _)| end + 1).collect() }
    }

    /// The place of the byte at `offset`.
    fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let before = self.lines.partition_point(|&start| start <= offset);
        let start = before.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let in_line = self.text.get(start..offset).unwrap_or_default();
        let column = match in_line.len() <= COUNTED {
            // Characters, not the bytes that continue one.
            true => in_line.iter().filter(|&&byte| byte & 0xc0 != 0x80).count(),
            false => in_line.len(),
        };
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        Place { column: Some(number(column)), ..Place::new(Arc::clone(&self.file), number(before)) }
    }

    /// The line of the byte at `offset`; empty if it is not text.
    fn line(&self, offset: usize) -> &'a str {
        let offset = offset.min(self.text.len());
        let before = self.lines.partition_point(|&start| start <= offset);
        let start = before.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or(0);
        let end = self.lines.get(before).copied().unwrap_or(self.text.len());
        self.text.get(start..end).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default()
    }

    fn table(&self, table: &DeTable<'_>, offset: usize) -> Table {
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let items = keys.into_iter().map(|(key, value)| Item {
            key: key.get_ref().to_string(),
            place: self.place(key.span().start),
            value: self.node(value),
        });
        Table { place: self.place(offset), items: items.collect() }
    }

    fn node(&self, node: &Spanned<DeValue<'_>>) -> Node {
        let start = node.span().start;
        let value = match node.get_ref() {
            DeValue::String(text) => Value::Text(Zeroizing::new(text.to_string())),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("a number that is too large"),
            },
            DeValue::Float(_) => Value::Other("a number with a decimal point"),
            DeValue::Boolean(value) => Value::Boolean(*value),
            DeValue::Datetime(_) => Value::Other("a date or time"),
            DeValue::Array(nodes) => Value::Array(nodes.iter().map(|node| self.node(node)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table, start)),
        };
        Node { value, place: self.place(start) }
    }
}
