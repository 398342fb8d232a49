//! Completion of commands, options, values and filters.

use std::{
    borrow::Cow,
    cell::RefCell,
    sync::{Arc, Mutex},
};

use clap::{Arg, Command, ValueEnum, builder::PossibleValue};
use rustyline::{
    Cmd, ConditionalEventHandler, Context, Event, EventContext, Helper, RepeatCount,
    completion::{Completer, FilenameCompleter, Pair},
    highlight::Highlighter,
    hint::Hinter,
    validate::Validator,
};

use super::{
    filter, grammar,
    live::Live,
    words::{self, Token, Word},
};
use crate::{command::values, sessions::field::Field};

/// What rustyline asks.
pub(crate) struct Completion {
    table: Command,
    live: RefCell<Live>,
    files: FilenameCompleter,
    /// The prompt in colours.
    pub(crate) prompt: String,
}

/// A word that may stand here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) word: String,
    /// What it means, where that is not plain.
    pub(crate) about: String,
}

/// What may stand somewhere.
pub(crate) enum Wanted {
    /// The name of a file.
    File,
    /// One of these words; whether more may stand right behind it.
    Word { candidates: Vec<String>, goes_on: bool },
}

/// The word that is being typed, and the words in front of it.
struct Typed<'a> {
    before: Vec<&'a str>,
    /// Offset of the word in the line, and its text.
    start: usize,
    prefix: &'a str,
    /// The filter that they belong to, if they stand behind `|`.
    in_filter: bool,
}

impl Completion {
    pub(crate) fn new(live: Live) -> Self {
        Self::of(grammar::table(), live)
    }

    /// For the commands of this table, which was built.
    pub(crate) fn of(table: Command, live: Live) -> Self {
        Self { table, live: RefCell::new(live), files: FilenameCompleter::new(), prompt: String::new() }
    }

    /// What may stand at the end of `line`, whose last word may have begun: offset of that word, and the candidates.
    fn candidates(&self, line: &str) -> (usize, Vec<Candidate>) {
        let tokens = words::split(line);
        let typed = typed(&tokens, line.len());
        if typed.in_filter {
            let filters = filter::FILTERS.iter().filter(|_| typed.before.is_empty());
            let named = filters.filter(|(name, ..)| name.starts_with(typed.prefix));
            let found = named.map(|(name, _, about)| Candidate::new(name, about)).collect();
            return (typed.start, found);
        }
        (typed.start, self.next(&typed.before, typed.prefix))
    }

    /// What may stand behind these words, where `prefix` has begun.
    pub(crate) fn after(&self, before: &[&str], prefix: &str) -> Wanted {
        let place = grammar::follow(&self.table, before).ok();
        let arg = place.as_ref().and_then(|place| place.option.or(place.positional()));
        if !prefix.starts_with('-')
            && arg.is_some_and(|arg| [values::FILE, values::PATH].contains(&value_name(arg)))
        {
            return Wanted::File;
        }
        let candidates: Vec<String> = self.next(before, prefix).into_iter().map(|it| it.word).collect();
        let is_list = arg.is_some_and(|arg| arg.get_value_delimiter().is_some());
        let goes_on = is_list || matches!(candidates.as_slice(), [only] if only.ends_with('='));
        Wanted::Word { candidates, goes_on }
    }

    fn next(&self, before: &[&str], prefix: &str) -> Vec<Candidate> {
        let Ok(place) = grammar::follow(&self.table, before) else { return Vec::new() };
        let mut found = Vec::new();
        if let Some(option) = place.option {
            found = self.values(option);
            // The next word of a list, behind those that it has.
            if let Some((head, _)) =
                prefix.rsplit_once(',').filter(|_| option.get_value_delimiter() == Some(','))
            {
                found.iter_mut().for_each(|it| it.word = format!("{head},{}", it.word));
            }
        } else if prefix.starts_with('-') {
            let named = place.options().filter_map(|arg| Some((arg.get_long()?, arg)));
            found.extend(
                named.map(|(long, arg)| Candidate::new(&format!("--{long}"), &about(arg.get_help()))),
            );
        } else {
            // The words that are told about are those of a command.
            let (place, before_help) = match place.path.first() {
                Some(&"help") => {
                    let rest: Vec<&str> = before.iter().skip(1).copied().collect();
                    match grammar::follow(&self.table, &rest) {
                        Ok(place) => (place, true),
                        Err(_) => return Vec::new(),
                    }
                }
                _ => (place, false),
            };
            let commands = place.subcommands();
            found.extend(commands.map(|it| Candidate::new(it.get_name(), &about(it.get_about()))));
            if !before_help && let Some(positional) = place.positional() {
                let of_place = self.live.borrow_mut().of_place(&place.path, &place.given, prefix);
                match of_place {
                    Some(known) => found.extend(known),
                    None => found.extend(self.values(positional)),
                }
            }
        }
        found.retain(|candidate| candidate.word.starts_with(prefix));
        found
    }

    /// What an argument may be.
    fn values(&self, arg: &Arg) -> Vec<Candidate> {
        let possible: Vec<PossibleValue> = arg.get_possible_values();
        if !possible.is_empty() {
            let shown = possible.iter().filter(|value| !value.is_hide_set());
            return shown.map(|it| Candidate::new(it.get_name(), &about(it.get_help()))).collect();
        }
        let known = match value_name(arg) {
            values::SORT => Field::value_variants().iter().map(|field| field.name()).collect(),
            name => self.live.borrow_mut().values(name),
        };
        known.iter().map(|value| Candidate::new(value, "")).collect()
    }

    /// Whether the word at the end of `line` is the name of a file.
    fn is_file(&self, line: &str) -> bool {
        let tokens = words::split(line);
        let typed = typed(&tokens, line.len());
        let place = grammar::follow(&self.table, &typed.before).ok();
        let arg = place.and_then(|place| place.option.or(place.positional()));
        !typed.in_filter && arg.is_some_and(|arg| value_name(arg) == values::FILE)
    }

    /// Whether the word at the end of `line` is a list with commas.
    fn is_list(&self, line: &str) -> bool {
        let tokens = words::split(line);
        let typed = typed(&tokens, line.len());
        let place = grammar::follow(&self.table, &typed.before).ok();
        place.and_then(|place| place.option).is_some_and(|arg| arg.get_value_delimiter().is_some())
    }

    /// Help on what may stand at the end of `line`, for `?`.
    pub(crate) fn help(&self, line: &str) -> Vec<Candidate> {
        let tokens = words::split(line);
        let typed = typed(&tokens, line.len());
        let (_, mut found) = self.candidates(line);
        let place = grammar::follow(&self.table, &typed.before);
        if typed.in_filter {
            if let Some(word) = typed.before.first() {
                let mut named = filter::FILTERS.iter().filter(|(name, ..)| name.starts_with(word));
                found.extend(named.next().map(|(_, argument, about)| Candidate::new(argument, about)));
            }
            return found;
        }
        let place = match place {
            Ok(place) => place,
            Err(lost) => return vec![Candidate::new("", &lost.to_string())],
        };
        if let Some(arg) = place.option.or(place.positional()).filter(|arg| !value_name(arg).is_empty()) {
            // What it is stands in front of the values that it may be.
            found.insert(0, Candidate::new(&format!("<{}>", value_name(arg)), &about(arg.get_help())));
        }
        if place.option.is_none() && typed.prefix.is_empty() {
            let options = place.options().filter_map(|arg| Some((arg.get_long()?, arg)));
            let own = options.filter(|(_, arg)| !place.path.is_empty() && !arg.is_global_set());
            found.extend(own.map(|(long, arg)| Candidate::new(&format!("--{long}"), &about(arg.get_help()))));
            if !place.needs_word() {
                let required = place.positional().is_some_and(Arg::is_required_set);
                found.extend((!required).then(|| Candidate::new("<Enter>", "Carry it out")));
            }
        }
        found
    }
}

impl Candidate {
    pub(super) fn new(word: &str, about: &str) -> Self {
        Self { word: word.to_owned(), about: about.to_owned() }
    }
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

fn value_name(arg: &Arg) -> &str {
    arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()).unwrap_or_default()
}

/// The last command of a line, up to the word that is being typed.
fn typed(tokens: &words::Tokens, end: usize) -> Typed<'_> {
    let begin = tokens.list.iter().rposition(|token| *token == Token::Semicolon).map_or(0, |at| at + 1);
    let mut typed = Typed { before: Vec::new(), start: end, prefix: "", in_filter: false };
    let mut list: Vec<&Word> = Vec::new();
    for token in tokens.list.get(begin..).unwrap_or_default() {
        match token {
            Token::Word(word) => list.push(word),
            Token::Pipe => {
                list.clear();
                typed.in_filter = true;
            }
            Token::Semicolon => {}
        }
    }
    if let Some(word) = list.pop_if(|_| tokens.in_word) {
        (typed.start, typed.prefix) = (word.start, &word.text);
    }
    typed.before = list.iter().map(|word| word.text.as_str()).collect();
    typed
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Self::Candidate>)> {
        let line = line.get(..pos).unwrap_or(line);
        if self.is_file(line) {
            return self.files.complete(line, pos, context);
        }
        let (start, found) = self.candidates(line);
        // A list, and what has a value behind it, may go on.
        let goes_on = found.iter().any(|candidate| candidate.word.ends_with('='));
        let only = found.len() == 1 && !self.is_list(line) && !goes_on;
        let pairs = found.into_iter().map(|candidate| Pair {
            // A word that is certain is finished.
            replacement: words::quote(&candidate.word) + if only { " " } else { "" },
            display: candidate.word,
        });
        Ok((start, pairs.collect()))
    }
}

impl Highlighter for Completion {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, default: bool) -> Cow<'b, str> {
        if default && !self.prompt.is_empty() { Cow::Borrowed(&self.prompt) } else { Cow::Borrowed(prompt) }
    }
}

impl Hinter for Completion {
    type Hint = String;
}

impl Validator for Completion {}

impl Helper for Completion {}

/// The line behind which `?` was typed.
pub(crate) type Asked = Arc<Mutex<Option<(String, String)>>>;

/// The key `?`: ends the line and leaves word that help is wanted. Inside of quotes it is a character.
pub(crate) struct QuestionMark(pub(crate) Asked);

impl ConditionalEventHandler for QuestionMark {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext<'_>) -> Option<Cmd> {
        let (left, right) = context.line().split_at_checked(context.pos())?;
        if words::split(left).open.is_some() {
            return None;
        }
        if let Ok(mut asked) = self.0.lock() {
            *asked = Some((left.to_owned(), right.to_owned()));
        }
        Some(Cmd::AcceptLine)
    }
}
