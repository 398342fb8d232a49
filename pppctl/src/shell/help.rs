//! Help in the shell: `help`, `help COMMAND` and `?`.

use std::io::Write;

use clap::Command;
use unicode_width::UnicodeWidthStr;

use super::{complete::Candidate, filter::FILTERS, grammar};
use crate::{error::Error, output::style::Style, terminal::Screen};

/// Most values that `?` lists.
const MAX_LISTED: usize = 40;

/// What the shell can do beside its commands.
pub(crate) const FEATURES: &str = "\
Commands may be abbreviated as long as they are unambiguous: sh ses. Tab completes commands, and the ids, names and
addresses of sessions. ? lists possible continuations. Ctrl-C interrupts a command, Ctrl-D exits the shell, Ctrl-R
searches the history. ; separates commands on one line; # starts a comment.";

/// Examples of lines of the shell.
const EXAMPLES: [(&str, &str); 6] = [
    ("show sessions", "list sessions"),
    ("sh ses | include eth1", "only lines that contain eth1"),
    ("sh ses | count", "number of sessions"),
    ("show session 7", "details of session 7"),
    ("terminate user alice", "terminate all sessions of alice"),
    ("show stats --json", "output as JSON"),
];

/// Writes what `help` tells: of everything, or of the command that the words lead to.
pub(crate) fn command(words: &[String], screen: Screen, out: &mut dyn Write) -> Result<(), Error> {
    let table = grammar::table();
    let texts: Vec<&str> = words.iter().map(String::as_str).collect();
    let place = grammar::follow(&table, &texts).map_err(|lost| Error::Line(lost.to_string()))?;
    if place.path.is_empty() {
        return overview(&table, screen, out).map_err(Error::Output);
    }
    let mut command = place.command.clone();
    if let Some(width) = screen.width {
        command = command.term_width(width);
    }
    let help = command.render_long_help();
    let text = if screen.colour { help.ansi().to_string() } else { help.to_string() };
    writeln!(out, "{}", text.trim_end()).map_err(Error::Output)
}

fn overview(table: &Command, screen: Screen, out: &mut dyn Write) -> std::io::Result<()> {
    let heading = |text: &str| Style::Heading.paint(text, screen.colour);
    writeln!(out, "{}", heading("Commands"))?;
    let commands = table.get_subcommands().filter(|it| !it.is_hide_set());
    let rows: Vec<(String, String)> = commands
        .map(|it| (it.get_name().to_owned(), it.get_about().map(ToString::to_string).unwrap_or_default()))
        .collect();
    list(&rows, out)?;
    writeln!(out, "\n{}", heading("Filters, after a command and |"))?;
    let filters = FILTERS.map(|(name, argument, about)| {
        (format!("{name} {argument}").trim_end().to_owned(), about.to_owned())
    });
    list(&filters, out)?;
    writeln!(out, "\n{}", heading("Examples"))?;
    list(&EXAMPLES.map(|(line, about)| (line.to_owned(), about.to_owned())), out)?;
    writeln!(out, "\n{FEATURES}\nhelp COMMAND shows the help of a command.")
}

/// Writes what `?` found.
pub(crate) fn print(candidates: &[Candidate], screen: Screen, out: &mut dyn Write) -> std::io::Result<()> {
    if candidates.is_empty() {
        return writeln!(out, "  no further argument expected");
    }
    let rows: Vec<(String, String)> = candidates
        .iter()
        .take(MAX_LISTED)
        .map(|it| {
            let room = screen.width.unwrap_or(usize::MAX).saturating_sub(4);
            // The first line of a long explanation.
            let about = it.about.lines().next().unwrap_or_default();
            (it.word.clone(), about.chars().take(room).collect())
        })
        .collect();
    list(&rows, out)?;
    match candidates.len().saturating_sub(MAX_LISTED) {
        0 => Ok(()),
        more => writeln!(out, "  and {more} more"),
    }
}

/// Two columns.
fn list(rows: &[(String, String)], out: &mut dyn Write) -> std::io::Result<()> {
    let width = rows.iter().map(|(word, _)| word.width()).max().unwrap_or(0);
    for (word, about) in rows {
        let padding = width - word.width();
        writeln!(out, "{}", format!("  {word}{:padding$}  {about}", "").trim_end())?;
    }
    Ok(())
}
