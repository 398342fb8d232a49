//! `pppoed check`: everything that a start would read, without a start.

use std::fmt::Write as _;

use crate::config::{Config, Line, Notice, Source};
use crate::{hooks, supervisor};

/// What there is to say about a configuration that could be read.
#[derive(Debug, Default)]
pub struct Findings {
    /// Reasons not to start, or not to serve some.
    pub errors: Vec<String>,
    /// What an administrator should know.
    pub remarks: Vec<String>,
}

/// Reads what `config` leads to: the users' files and the hook scripts. May block.
pub fn check(source: &Source, config: &Config, notices: &[Notice]) -> Findings {
    let mut remarks: Vec<String> = notices.iter().map(ToString::to_string).collect();
    let users = source.users(config).1;
    remarks.extend(users.notices.into_iter().chain(users.unreadable));
    let mut errors: Vec<String> = supervisor::check_discovery(config).err().into_iter().collect();
    errors.extend(hooks::check(&config.hooks.directory).err().unwrap_or_default());
    Findings { errors, remarks }
}

/// Longest value in the middle column; a longer one pushes the rest of its line to the right.
const WIDEST: usize = 40;

/// Every setting that holds, one to a line: name, value, and where it was made.
pub fn explain(config: &Config) -> String {
    let lines = config.listing(&config.limits.mac_rules);
    let width = |column: fn(&Line) -> usize, most: usize| {
        lines.iter().map(column).filter(|width| *width <= most).max().unwrap_or(0)
    };
    let names = width(|(name, ..)| name.chars().count(), WIDEST);
    let values = width(|(_, setting, _)| setting.value.chars().count(), WIDEST);
    let mut table = String::new();
    for (name, setting, _) in &lines {
        let value = if setting.value.is_empty() { "\"\"" } else { &setting.value };
        // Writing to a text cannot fail.
        let _ = writeln!(table, "{name:names$}  {value:values$}  {}", setting.origin);
    }
    table
}
