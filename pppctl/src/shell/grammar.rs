//! Where a line stands in the command table: what has been said, and what may come next.

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::program::Line;

/// The command table of the shell, options of every command included.
pub(crate) fn table() -> Command {
    let mut table = Line::command();
    table.build();
    table
}

/// The place that some words lead to.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// The command so far.
    pub(crate) command: &'a Command,
    /// Its words, in full.
    pub(crate) path: Vec<&'a str>,
    /// Arguments without a name that were given.
    pub(crate) given: Vec<&'a str>,
    /// The option whose value comes next.
    pub(crate) option: Option<&'a Arg>,
}

/// A word that leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Lost {
    /// No command is called so.
    #[error("no command {word:?}{}: {}", after(path), choices(next))]
    Unknown { word: String, path: Vec<String>, next: Vec<String> },
    /// Several are.
    #[error("{word:?}{} may be {}", after(path), list(next, "or"))]
    Ambiguous { word: String, path: Vec<String>, next: Vec<String> },
}

fn after(path: &[String]) -> String {
    if path.is_empty() { String::new() } else { format!(" after {:?}", path.join(" ")) }
}

fn choices(next: &[String]) -> String {
    format!("try {}", list(next, "or"))
}

/// `a, b or c`
pub(crate) fn list(words: &[String], joint: &str) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => only.clone(),
        [all @ .., last] => format!("{} {joint} {last}", all.join(", ")),
    }
}

/// Follows words from the root of the table.
pub(crate) fn follow<'a>(table: &'a Command, words: &[&'a str]) -> Result<Place<'a>, Lost> {
    let mut place = Place { command: table, path: Vec::new(), given: Vec::new(), option: None };
    for word in words {
        if place.option.take().is_some() {
            continue;
        }
        if word.len() > 1 && word.starts_with('-') {
            place.option = place.option_with_value(word);
        } else if place.command.has_subcommands() && place.given.is_empty() {
            match place.subcommand(word) {
                Ok(next) => {
                    place.path.push(next.get_name());
                    place.command = next;
                }
                // `trace 7` beside `trace new`.
                Err(Lost::Unknown { .. }) if place.positional().is_some() => place.given.push(word),
                Err(lost) => return Err(lost),
            }
        } else {
            place.given.push(word);
        }
    }
    Ok(place)
}

impl<'a> Place<'a> {
    /// The subcommand of this name, or of this unique beginning of one.
    fn subcommand(&self, word: &str) -> Result<&'a Command, Lost> {
        let visible = || self.command.get_subcommands().filter(|it| !it.is_hide_set());
        let exact = self.command.get_subcommands().find(|it| names(it).any(|name| name == word));
        if let Some(exact) = exact {
            return Ok(exact);
        }
        let found: Vec<_> = visible().filter(|it| names(it).any(|name| name.starts_with(word))).collect();
        let path = self.path.iter().map(|&word| word.to_owned()).collect();
        let word = word.to_owned();
        let named = |commands: &[&Command]| commands.iter().map(|it| it.get_name().to_owned()).collect();
        match *found {
            [only] => Ok(only),
            [] => Err(Lost::Unknown { word, path, next: named(&visible().collect::<Vec<_>>()) }),
            _ => Err(Lost::Ambiguous { word, path, next: named(&found) }),
        }
    }

    /// The option that this word is, if its value is the next word.
    fn option_with_value(&self, word: &str) -> Option<&'a Arg> {
        let takes_value = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        let options = || self.command.get_arguments().filter(|arg| !arg.is_positional());
        if let Some(long) = word.strip_prefix("--") {
            if long.contains('=') {
                return None;
            }
            let mut begun = options().filter(|arg| arg.get_long().is_some_and(|name| name.starts_with(long)));
            let exact = options().find(|arg| arg.get_long() == Some(long));
            let unique = begun.next().filter(|_| begun.next().is_none());
            return exact.or(unique).filter(takes_value);
        }
        // Of several short options in one word, the last one takes the value, if it is the first that can.
        let short = word.chars().next_back()?;
        options().find(|arg| arg.get_short() == Some(short)).filter(takes_value)
    }

    /// The argument without a name that comes next.
    pub(crate) fn positional(&self) -> Option<&'a Arg> {
        let all: Vec<&Arg> = self.command.get_positionals().collect();
        let repeated = |arg: &&&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        all.get(self.given.len()).or_else(|| all.last().filter(repeated)).copied()
    }

    /// The commands that may come next.
    pub(crate) fn subcommands(&self) -> impl Iterator<Item = &'a Command> {
        self.command.get_subcommands().filter(|it| !it.is_hide_set())
    }

    /// The options that may come next, beside the arguments that were given.
    pub(crate) fn options(&self) -> impl Iterator<Item = &'a Arg> {
        let given = self.command.get_positionals().take(self.given.len());
        let excluded: Vec<_> =
            given.flat_map(|arg| self.command.get_arg_conflicts_with(arg)).map(Arg::get_id).collect();
        let possible = self.command.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_hide_set());
        possible.filter(move |arg| !excluded.contains(&arg.get_id()))
    }

    /// Whether this is a whole command, as far as its words go.
    pub(crate) fn needs_word(&self) -> bool {
        self.command.is_subcommand_required_set()
    }
}

/// Every name of a command.
fn names(command: &Command) -> impl Iterator<Item = &str> {
    std::iter::once(command.get_name()).chain(command.get_all_aliases())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(line: &str) -> Result<String, String> {
        let table = table();
        let words: Vec<&str> = line.split_whitespace().collect();
        follow(&table, &words).map(|place| place.path.join(" ")).map_err(|lost| lost.to_string())
    }

    #[test]
    fn words_lead_somewhere() {
        for (line, expected) in [
            ("", ""),
            ("sh", "show"),
            ("sh ses", "show sessions"),
            ("show session 7", "show sessions"),
            ("-o json show stats", "show stats"),
            ("show --output json st", "show stats"),
            ("show --out=json st", "show stats"),
            ("show --json st", "show stats"),
            ("ter u alice", "terminate user"),
            ("trace 7", "trace"),
            ("trace 7 --data", "trace"),
            ("tr n", "trace new"),
            ("quit", "exit"),
        ] {
            assert_eq!(path(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn words_that_lead_nowhere_are_explained() {
        let error = path("shout").unwrap_err();
        assert!(error.starts_with("no command \"shout\": try ") && error.contains("terminate"), "{error}");
        let error = path("show frob").unwrap_err();
        assert!(error.starts_with("no command \"frob\" after \"show\": try "), "{error}");
        let error = path("show s").unwrap_err();
        assert!(error.starts_with("\"s\" after \"show\" may be ") && error.contains(" or "), "{error}");
    }

    #[test]
    fn options_that_exclude_each_other_are_not_offered() {
        let table = table();
        let offers = |words: &[&str]| {
            let place = follow(&table, words).unwrap();
            place.options().any(|arg| arg.get_long() == Some("sort"))
        };
        assert!(offers(&["show", "sessions"]) && !offers(&["show", "sessions", "7"]));
    }

    #[test]
    fn the_next_argument_is_known() {
        let table = table();
        let next = |words: &[&str]| {
            let place = follow(&table, words).unwrap();
            place.option.or(place.positional()).and_then(|arg| {
                arg.get_value_names().and_then(|names| names.first()).map(|name| name.to_string())
            })
        };
        assert_eq!(next(&["terminate", "user"]).as_deref(), Some("USER"));
        assert_eq!(next(&["terminate", "user", "alice"]), None);
        assert_eq!(next(&["show", "stats", "-o"]).as_deref(), Some("FORMAT"));
        assert_eq!(next(&["help", "show", "stats"]).as_deref(), Some("WORD"));
    }
}
