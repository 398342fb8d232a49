//! The command line of pppoe-server in what starts it: rc.local, an init script, a systemd unit.
//!
//! This is no shell. It knows quotes, continued lines, comments, `;` and its kin, redirections, variables that are simply
//! assigned in the file or in files that it reads (`. FILE`, `EnvironmentFile=FILE`) with their defaults (`${NAME:-default}`),
//! and nothing else; what it cannot know, it tells, with the flag that it stands behind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::ImportError;
use crate::config::getopt::{Piece, pieces};
use crate::files;

/// Most bytes of a script.
const MAX_FILE: u64 = 1 << 20;
/// Most files that a script reads in turn.
const MAX_FILES: usize = 16;
/// Most bytes that variables may make of one line.
const MAX_LINE: usize = 64 << 10;

/// Words that may stand before the program and run it.
const WRAPPERS: &[&str] = &[
    "@reboot",
    "command",
    "command:",
    "daemon",
    "exec",
    "ionice",
    "nice",
    "nohup",
    "post-up",
    "pre-up",
    "procd_set_param",
    "setsid",
    "start-stop-daemon",
    "sudo",
    "systemd-run",
    "timeout",
    "up",
    "then",
    "else",
    "do",
    "{",
];

/// A command line that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The words behind the program.
    pub arguments: Vec<String>,
    /// The line of the script, from 1.
    pub line: usize,
    /// What there is to say about it.
    pub remarks: Vec<String>,
    /// The script starts more servers.
    pub is_one_of_several: bool,
}

/// Reads a script and finds the first line that starts pppoe-server.
///
/// # Errors
/// When the script cannot be read, or starts none.
pub fn find(path: &Path) -> Result<Found, ImportError> {
    let text = read(path)?;
    let mut script = Script::default();
    script.run(&text);
    script.run_by_variables();
    let mut found = script.found.into_iter();
    let mut first = found.next().ok_or_else(|| ImportError::NoCommand(path.to_owned()))?;
    for other in found {
        first.remarks.push(format!(
            "line {} starts another server, which is left out: to serve its interfaces too, give each an [[interface]] \
             table, with a pool of its own",
            other.line
        ));
        first.is_one_of_several = true;
    }
    Ok(first)
}

fn read(path: &Path) -> Result<String, ImportError> {
    let unreadable = |source| ImportError::Unreadable { path: path.to_owned(), source };
    let (file, metadata) = files::open_regular(path).map_err(unreadable)?;
    let contents = files::read_text(file, &metadata, MAX_FILE).map_err(unreadable)?;
    Ok(String::from_utf8_lossy(&contents).into_owned())
}

/// One word, or what separates commands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `;`, `&&`, `|` and the like, and the ends of lines.
    Separator,
    /// `>`, `<` and the like: the next word is a file.
    Redirection,
}

#[derive(Default)]
struct Script {
    variables: BTreeMap<String, String>,
    found: Vec<Found>,
    files: usize,
}

impl Script {
    fn run(&mut self, text: &str) {
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let mut line = line.to_owned();
            // An odd number of backslashes continues the line.
            while (line.len() - line.trim_end_matches('\\').len()) % 2 == 1 {
                line.pop();
                line.push(' ');
                let Some((_, next)) = lines.next() else { break };
                line.push_str(next.trim_start());
            }
            self.line(line.trim(), number + 1);
        }
    }

    fn line(&mut self, line: &str, number: usize) {
        // systemd: Key=value, where the value is a command line, or assignments.
        let unit = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let line = match unit {
            Some(("ExecStart", command)) => {
                let command = command.trim_start_matches(['-', '@', ':', '+', '!']);
                &specifiers_marked(command)
            }
            Some(("Environment", assignments)) => {
                return self.assign(&tokens(assignments, &self.variables));
            }
            Some(("EnvironmentFile", path)) => return self.include(path.trim_start_matches('-')),
            _ => line,
        };
        for command in tokens(line, &self.variables).split(|token| *token == Token::Separator) {
            self.command(command, number);
        }
    }

    /// Scripts of OpenRC and of Debian's init-d-script name the program and its flags in variables, and start nothing
    /// themselves.
    fn run_by_variables(&mut self) {
        let pairs = [("command", "command_args"), ("DAEMON", "DAEMON_ARGS"), ("DAEMON", "DAEMON_OPTS")];
        for (program, arguments) in pairs {
            let is_server = self.variables.get(program).is_some_and(|path| is_server(&path.as_str()));
            let arguments = self.variables.get(arguments).filter(|_| is_server && self.found.is_empty());
            if let Some(arguments) = arguments.cloned() {
                let words = tokens(&arguments, &self.variables).into_iter().filter_map(|token| match token {
                    Token::Word(word) => Some(word),
                    Token::Separator | Token::Redirection => None,
                });
                self.found.push(Found::new(words.collect(), 1));
            }
        }
    }

    fn command(&mut self, tokens: &[Token], number: usize) {
        let mut words = Vec::new();
        let mut tokens = tokens.iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word) => words.push(word.as_str()),
                Token::Redirection => drop(tokens.next()),
                Token::Separator => {}
            }
        }
        if let [".", file] | ["source", file] = words.as_slice() {
            return self.include(file);
        }
        // case "$1" in start) COMMAND
        if let ["case", _, "in", ..] = words.as_slice() {
            words.drain(..3);
        }
        if let ["sh" | "/bin/sh" | "bash" | "/bin/bash", "-c", line] = words.as_slice() {
            return self.line(line, number);
        }
        let Some(at) = words.iter().position(is_server) else {
            let assignments: Vec<Token> = words
                .iter()
                .skip_while(|word| **word == "export")
                .map(|word| Token::Word((*word).to_owned()))
                .collect();
            return self.assign(&assignments);
        };
        let (before, after) = words.split_at(at);
        // Of "start) pppoe-server", too.
        let is_option =
            |word: &&str| word.starts_with('-') || word.ends_with(')') || assignment(word).is_some();
        let wrapper = before.iter().find(|word| !is_option(word));
        let by_daemon = wrapper == Some(&"start-stop-daemon");
        let starts = match wrapper {
            None => true,
            Some(word) if !WRAPPERS.contains(word) => false,
            Some(_) => !by_daemon || before.iter().any(|word| ["--start", "-S"].contains(word)),
        };
        if !starts {
            return;
        }
        let mut arguments: Vec<String> = after.iter().skip(1).map(ToString::to_string).collect();
        if by_daemon {
            let own =
                arguments.iter().position(|word| word == "--").map_or(arguments.len(), |dashes| dashes + 1);
            arguments.drain(..own);
        }
        self.found.push(Found::new(arguments, number));
    }

    /// Takes over `NAME=value` words; others are no business of ours.
    fn assign(&mut self, tokens: &[Token]) {
        for token in tokens {
            if let Token::Word(word) = token
                && let Some((name, value)) = assignment(word)
            {
                self.variables.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Takes over the variables of a file that the script reads, if it is there.
    fn include(&mut self, path: &str) {
        if self.files < MAX_FILES
            && let Ok(text) = read(Path::new(path))
        {
            self.files += 1;
            self.run(&text);
        }
    }
}

impl Found {
    /// The words without what is not known: a flag whose value that is goes with it.
    fn new(arguments: Vec<String>, line: usize) -> Self {
        let (mut known, mut remarks) = (Vec::new(), Vec::new());
        for piece in pieces(arguments.into_iter().map(OsString::from)) {
            let (text, words) = match piece {
                Piece::Word(word) | Piece::Stray(word) => {
                    let word = word.to_string_lossy().into_owned();
                    (word.clone(), vec![word])
                }
                Piece::Valued { flag, value } => {
                    let value = value.to_string_lossy().into_owned();
                    (value.clone(), vec![flag, value])
                }
            };
            let unknown = marked(&text);
            match (unknown.is_empty(), words.as_slice()) {
                (true, _) => known.extend(words),
                (false, [flag, value]) => {
                    let (value, unknown) = (plain(value), unknown.join(" and "));
                    remarks.push(format!(
                        "line {line}: {flag} {value} was left out, because {unknown} is not known here: add it yourself"
                    ));
                }
                (false, _) => remarks.extend(unknown.iter().map(|what| {
                    format!("line {line}: {what} is not known here and was left out: see what it adds")
                })),
            }
        }
        Self { arguments: known, line, remarks, is_one_of_several: false }
    }
}

/// Whether a word is the program.
fn is_server(word: &&str) -> bool {
    matches!(word.rsplit('/').next(), Some("pppoe-server" | "pppoed")) && !word.contains('=')
}

/// What stands in place of something that is not known: its name between these two, which are for private use in Unicode.
const UNKNOWN: (char, char) = ('\u{f0001}', '\u{f0002}');

/// In place of a space in such a name, which must stay one word.
const SPACE: char = '\u{f0003}';

fn mark(name: &str) -> String {
    format!("{}{}{}", UNKNOWN.0, name.replace(' ', &SPACE.to_string()), UNKNOWN.1)
}

/// The names of what is not known in a word.
fn marked(word: &str) -> Vec<String> {
    let names = word.split(UNKNOWN.0).skip(1);
    names.map(|rest| rest.split(UNKNOWN.1).next().unwrap_or(rest).replace(SPACE, " ")).collect()
}

/// A word as it stood.
fn plain(word: &str) -> String {
    word.replace([UNKNOWN.0, UNKNOWN.1], "").replace(SPACE, " ")
}

/// systemd's specifiers (`%i`): only systemd knows what they are.
fn specifiers_marked(command: &str) -> String {
    let mut text = String::new();
    let mut rest = command.chars();
    while let Some(character) = rest.next() {
        match (character, rest.clone().next()) {
            ('%', Some('%')) => {
                rest.next();
                text.push('%');
            }
            ('%', Some(specifier)) if specifier.is_ascii_alphabetic() => {
                rest.next();
                text.push_str(&mark(&format!("%{specifier}")));
            }
            _ => text.push(character),
        }
    }
    text
}

fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    (is_name && !name.starts_with(|first: char| first.is_ascii_digit())).then_some((name, value))
}

/// The words of a line, with variables filled in; what could not be is marked.
fn tokens(line: &str, variables: &BTreeMap<String, String>) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut room = MAX_LINE;
    let mut quote = None;
    let mut rest = line.chars().peekable();
    let finish = |word: &mut Option<String>, tokens: &mut Vec<Token>| {
        tokens.extend(word.take().map(Token::Word));
    };
    while let Some(character) = rest.next() {
        match (character, quote) {
            ('\'', None) | ('"', None) => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (character, Some(open)) if character == open => quote = None,
            (character, Some('\'')) => word.get_or_insert_default().push(character),
            ('\\', _) => word.get_or_insert_default().extend(rest.next()),
            ('$', _) => {
                let value = value(&variable(&mut rest), variables, 0);
                match value {
                    value if value.len() <= room => {
                        room -= value.len();
                        // Outside of quotes a value is as many words as it has.
                        for (number, piece) in value.split(' ').enumerate() {
                            if number > 0 && quote.is_none() {
                                finish(&mut word, &mut tokens);
                            } else if number > 0 {
                                word.get_or_insert_default().push(' ');
                            }
                            if !piece.is_empty() {
                                word.get_or_insert_default().push_str(piece);
                            }
                        }
                    }
                    _ => word.get_or_insert_default().push_str(&mark("a very long value")),
                }
            }
            ('`', _) => {
                rest.by_ref().take_while(|character| *character != '`').for_each(drop);
                word.get_or_insert_default().push_str(&mark("a command in `…`"));
            }
            (character, Some(_)) => word.get_or_insert_default().push(character),
            ('#', None) if word.is_none() => break,
            (';' | '|' | '&', None) => {
                finish(&mut word, &mut tokens);
                tokens.push(Token::Separator);
            }
            ('>' | '<', None) => {
                // 2>
                if word.as_ref().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
                    word = None;
                }
                finish(&mut word, &mut tokens);
                while rest.next_if(|next| ['>', '<', '&'].contains(next)).is_some() {}
                tokens.push(Token::Redirection);
            }
            (character, None) if character.is_whitespace() => finish(&mut word, &mut tokens),
            (character, None) => word.get_or_insert_default().push(character),
        }
    }
    finish(&mut word, &mut tokens);
    tokens
}

/// Most defaults within each other.
const MAX_DEPTH: usize = 8;

/// What stands behind a dollar, filled in: `NAME`, or the inside of braces (`NAME:-default` and the like), or `(`.
fn value(reference: &str, variables: &BTreeMap<String, String>, depth: usize) -> String {
    let is_of_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let end = reference.find(|character| !is_of_name(character)).unwrap_or(reference.len());
    let (name, rest) = reference.split_at(end);
    let known = variables.get(name);
    // With a colon, what is empty counts as not set.
    let (rest, known) = match rest.strip_prefix(':') {
        Some(rest) => (rest, known.filter(|value| !value.is_empty())),
        None => (rest, known),
    };
    let unknown = || mark(&format!("${name}"));
    if reference.starts_with('(') {
        return mark("a command in $(…)");
    }
    match (rest.chars().next(), known) {
        (None | Some('-' | '=' | '?'), Some(value)) => value.clone(),
        (Some('-' | '='), None) if depth < MAX_DEPTH => {
            default(rest.get(1..).unwrap_or_default(), variables, depth)
        }
        (Some('+'), Some(_)) if depth < MAX_DEPTH => {
            default(rest.get(1..).unwrap_or_default(), variables, depth)
        }
        (Some('+'), None) => String::new(),
        (None | Some('?'), None) if !name.is_empty() => unknown(),
        _ if reference.chars().count() == 1 => mark(&format!("${reference}")),
        _ => mark(&format!("${{{reference}}}")),
    }
}

/// The word of `${NAME:-word}`, without its quotes.
fn default(word: &str, variables: &BTreeMap<String, String>, depth: usize) -> String {
    let mut text = String::new();
    let mut rest = word.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '$' => text.push_str(&value(&variable(&mut rest), variables, depth + 1)),
            '\\' => text.extend(rest.next()),
            '"' | '\'' => {}
            character => text.push(character),
        }
    }
    text
}

/// What stands behind a dollar: a name, or a digit or the like, or all that is between braces; of a command, its `(`.
fn variable(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut name = String::new();
    for (open, close) in [('{', '}'), ('(', ')')] {
        if rest.next_if_eq(&open).is_none() {
            continue;
        }
        if open == '(' {
            name.push(open);
        }
        let mut depth = 1;
        for character in rest.by_ref() {
            match character {
                _ if character == open => depth += 1,
                _ if character == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            name.push(character);
        }
        return name;
    }
    if let Some(special) = rest.next_if(|next| next.is_ascii_digit() || "@*#?$!".contains(*next)) {
        return special.to_string();
    }
    while let Some(character) = rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
        name.push(character);
    }
    name
}
