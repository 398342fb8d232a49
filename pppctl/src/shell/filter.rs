//! What may follow a `|`: filters over the lines of an answer.

use std::io::{self, Write};

use regex_lite::Regex;

use crate::output::grid::HEADING_MARK;

/// Filters, for help and completion: name, argument, what it does.
pub(crate) const FILTERS: [(&str, &str, &str); 5] = [
    ("include", "PATTERN", "Show headings, and lines that match a regular expression"),
    ("exclude", "PATTERN", "Show headings, and lines that do not match"),
    ("begin", "PATTERN", "Show lines from the first match on"),
    ("count", "", "Count the lines, without headings"),
    ("no-more", "", "Do not use a pager"),
];

/// One filter.
#[derive(Debug)]
enum Filter {
    Include(Regex),
    Exclude(Regex),
    /// Until the pattern was found.
    Begin(Option<Regex>),
    Count(u64),
}

/// The filters of a line.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    list: Vec<Filter>,
    /// `no-more` was among them.
    pub(crate) no_pager: bool,
}

/// What stands behind a `|` is no filter.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("expected a filter after |: include, exclude, begin, count or no-more")]
    Missing,
    #[error("unknown filter {0:?}; expected include, exclude, begin, count or no-more")]
    Unknown(String),
    #[error("{0}: expected {1}")]
    Arguments(&'static str, &'static str),
    #[error("invalid regular expression {pattern:?}")]
    Pattern { pattern: String, source: regex_lite::Error },
}

impl Filters {
    /// From the words behind each `|`. Names may be cut short while they stay unique.
    pub(crate) fn parse(stages: &[Vec<String>]) -> Result<Self, Error> {
        let mut filters = Self::default();
        for stage in stages {
            let (word, arguments) = stage.split_first().ok_or(Error::Missing)?;
            let unknown = || Error::Unknown(word.clone());
            let mut named = FILTERS.iter().filter(|(name, ..)| name.starts_with(word.as_str()));
            let (name, takes, _) = *named.next().filter(|_| !word.is_empty()).ok_or_else(unknown)?;
            if named.next().is_some() {
                return Err(unknown());
            }
            let pattern = || match arguments {
                [] => Err(Error::Arguments(name, "a regular expression")),
                // The words of a pattern need no quotes, unless there is more than one space between them.
                words => {
                    let pattern = words.join(" ");
                    Regex::new(&pattern).map_err(|source| Error::Pattern { pattern, source })
                }
            };
            if takes.is_empty() && !arguments.is_empty() {
                return Err(Error::Arguments(name, "no argument"));
            }
            match name {
                "include" => filters.list.push(Filter::Include(pattern()?)),
                "exclude" => filters.list.push(Filter::Exclude(pattern()?)),
                "begin" => filters.list.push(Filter::Begin(Some(pattern()?))),
                "count" => filters.list.push(Filter::Count(0)),
                _ => filters.no_pager = true,
            }
        }
        Ok(filters)
    }

    /// Whether every line passes.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// Passes lines through filters.
pub(crate) struct Filtered<'a> {
    filters: Vec<Filter>,
    /// The line that has begun.
    line: Vec<u8>,
    out: &'a mut dyn Write,
}

impl<'a> Filtered<'a> {
    pub(crate) fn new(filters: Filters, out: &'a mut dyn Write) -> Self {
        Self { filters: filters.list, line: Vec::new(), out }
    }

    /// Writes what is known at the end only. To be called once, after the last line.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.pass()?;
        }
        for index in 0..self.filters.len() {
            if let Some(Filter::Count(count)) = self.filters.get(index) {
                let line = format!("{count}\n");
                pass(self.filters.get_mut(index + 1..).unwrap_or_default(), line.as_bytes(), self.out)?;
            }
        }
        Ok(())
    }

    fn pass(&mut self) -> io::Result<()> {
        let result = pass(&mut self.filters, &self.line, self.out);
        self.line.clear();
        result
    }
}

/// Writes a line, unless a filter keeps it.
fn pass(filters: &mut [Filter], line: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let (heading, text) = match line.split_first() {
        Some((&HEADING_MARK, text)) => (true, text),
        _ => (false, line),
    };
    let shown = String::from_utf8_lossy(text);
    let shown = shown.trim_end_matches('\n');
    for filter in filters {
        let passes = match filter {
            Filter::Count(count) => {
                *count += u64::from(!heading);
                false
            }
            _ if heading => true,
            Filter::Include(pattern) => pattern.is_match(shown),
            Filter::Exclude(pattern) => !pattern.is_match(shown),
            Filter::Begin(wanted) => {
                if wanted.as_ref().is_some_and(|pattern| pattern.is_match(shown)) {
                    *wanted = None;
                }
                wanted.is_none()
            }
        };
        if !passes {
            return Ok(());
        }
    }
    out.write_all(text)
}

impl Write for Filtered<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.pass()?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(line: &str) -> Vec<Vec<String>> {
        line.split('|').map(|stage| stage.split_whitespace().map(str::to_owned).collect()).collect()
    }

    fn filtered(line: &str, text: &str) -> String {
        let mut out = Vec::new();
        let mut filtered = Filtered::new(Filters::parse(&stages(line)).unwrap(), &mut out);
        // In small pieces: lines do not come in one.
        for piece in text.as_bytes().chunks(3) {
            filtered.write_all(piece).unwrap();
        }
        filtered.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    const TEXT: &str = "\u{1}ID  USER\n1  alice\n2  bob\n3  carol b\n";

    #[test]
    fn lines_pass_or_not() {
        for (line, shown) in [
            ("include bob", "ID  USER\n2  bob\n"),
            ("i ^[13]", "ID  USER\n1  alice\n3  carol b\n"),
            ("exclude alice", "ID  USER\n2  bob\n3  carol b\n"),
            ("begin bob", "ID  USER\n2  bob\n3  carol b\n"),
            ("include carol b", "ID  USER\n3  carol b\n"),
            ("include (?i)BOB$", "ID  USER\n2  bob\n"),
            ("count", "3\n"),
            ("include b | exclude carol | count", "1\n"),
            ("include zed | count", "0\n"),
            ("count | include 3", "3\n"),
            ("count | include 4", ""),
            ("no-more", "ID  USER\n1  alice\n2  bob\n3  carol b\n"),
        ] {
            assert_eq!(filtered(line, TEXT), shown, "{line}");
        }
        assert_eq!(filtered("include b", "b without an end"), "b without an end\n");
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (line, message) in [
            ("", "expected a filter after |"),
            ("grep x", "unknown filter \"grep\""),
            ("include", "include: expected a regular expression"),
            ("count 3", "count: expected no argument"),
            ("include [", "invalid regular expression \"[\""),
        ] {
            let error = Filters::parse(&stages(line)).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
