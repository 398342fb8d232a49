//! Where a setting was made, kept beside its value so that every message can name it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A line of a file. Shown as `/etc/ppp/options:12`, or `pppoed.toml:3:9` where the column is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file as it was named to us.
    pub file: Arc<Path>,
    /// Line number, from 1; 0 for the whole.
    pub line: u32,
    /// Character in the line, from 1.
    pub column: Option<u32>,
}

impl Place {
    /// A line.
    pub fn new(file: Arc<Path>, line: u32) -> Self {
        Self { file, line, column: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        // What is no file has no lines.
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// Where a setting was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the built-in default.
    Default,
    /// On the command line, by this flag (`-N`, `--run-dir`).
    Flag(&'static str),
    /// In a file.
    File(Place),
    /// At the console of the running server (`pppctl`), not in a file (yet).
    Console,
    /// Somewhere where an earlier `pppoed` found it, which began the session that it holds for.
    Earlier,
}

impl Origin {
    /// For messages about a mistake there: of a place in a file, the column too.
    pub fn exact(&self) -> String {
        match self {
            Self::File(place) => place.to_string(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Flag(flag) => f.write_str(flag),
            // The column is for mistakes; a setting is found by its line.
            Self::File(Place { file, line: 0, .. }) => write!(f, "{}", file.display()),
            Self::File(Place { file, line, .. }) => write!(f, "{}:{line}", file.display()),
            Self::Console => f.write_str("console"),
            Self::Earlier => f.write_str("an earlier pppoed"),
        }
    }
}

/// A value and where it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value in effect.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// A value set at `origin`.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// A built-in default.
    pub fn default_value(value: T) -> Self {
        Self::new(value, Origin::Default)
    }

    /// The same origin with another form of the value (seconds to a duration, for instance).
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Sourced<U> {
        self.map_with(|value, _| f(value))
    }

    /// As [`Self::map`], for forms that depend on the origin.
    pub fn map_with<U>(self, f: impl FnOnce(T, &Origin) -> U) -> Sourced<U> {
        Sourced { value: f(self.value, &self.origin), origin: self.origin }
    }
}

/// One setting as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// A long flag (`sessions`), or an option word (`ms-dns`).
    pub key: String,
    /// Its values as one would write them on the command line or in an options file. One, or any number for lists;
    /// `true` or `false` for switches and options without an argument.
    pub values: Vec<String>,
    /// Where it was made.
    pub origin: Origin,
}

/// Shown as `10 (/etc/ppp/options:3)`.
impl<T: fmt::Display> fmt::Display for Sourced<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.value, self.origin)
    }
}
