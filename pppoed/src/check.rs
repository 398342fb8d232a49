//! `pppoed check`: everything that a start would read, without a start.

use std::fmt::Write as _;

use crate::config::{Config, Line, Notice, Source};
use crate::inet::SystemNames;
use crate::{hooks, preflight, supervisor};

/// What there is to say about a configuration that could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Reasons not to start, or not to serve some.
    pub errors: Vec<String>,
    /// What an administrator should know.
    pub remarks: Vec<String>,
}

impl Findings {
    /// Adds others.
    pub fn extend(&mut self, other: Self) {
        self.errors.extend(other.errors);
        self.remarks.extend(other.remarks);
    }
}

/// Reads what `config` leads to, the users' files and the hook scripts, and looks for all that would keep the start from
/// succeeding on this machine. May block.
pub fn check(source: &Source, config: &Config, notices: &[Notice]) -> Findings {
    let mut findings =
        Findings { errors: Vec::new(), remarks: notices.iter().map(ToString::to_string).collect() };
    let users = source.users(config, Some(&SystemNames)).1;
    findings.remarks.extend(users.notices.into_iter().chain(users.unreadable));
    findings.errors.extend(supervisor::check_discovery(config).err());
    match hooks::check(&config.hooks.directory) {
        Ok(scripts) => findings.remarks.extend(scripts_without_caller(config, scripts.is_empty())),
        Err(errors) => findings.errors.extend(errors),
    }
    findings.extend(supervisor::check_start(config));
    match nix::unistd::geteuid().is_root() {
        true => findings.extend(preflight::machine(config)),
        false => findings.remarks.push("not root: what this machine allows was not looked at".to_owned()),
    }
    findings
}

/// Scripts of pppd that options name, where no hook script would run them.
pub fn scripts_without_caller(config: &Config, without_hooks: bool) -> Option<String> {
    let script = config.scripts.values().next().filter(|_| without_hooks)?;
    Some(format!(
        "{}: nothing runs {}: that is done by the hook script compat.lua, and there is no hook script in {}: \
         see pppoed-hooks(7)",
        script.origin.exact(),
        script.value.display(),
        config.hooks.directory.display()
    ))
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
