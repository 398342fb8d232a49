//! The command line of pppoe-server in what starts it: rc.local, an init script, a systemd unit.
//!
//! This is no shell. It knows quotes, continued lines, comments, `;` and its kin, redirections, variables that are simply
//! assigned in the file or in files that it reads (`. FILE`, `EnvironmentFile=FILE`), and nothing else; what it cannot know,
//! it tells.

use std::collections::BTreeMap;
use std::path::Path;

use super::ImportError;
use crate::files;

/// Most bytes of a script.
const MAX_FILE: u64 = 1 << 20;
/// Most files that a script reads in turn.
const MAX_FILES: usize = 16;
/// Most bytes that variables may make of one line.
const MAX_LINE: usize = 64 << 10;

/// Words that may stand before the program and run it.
const WRAPPERS: &[&str] = &[
    "command",
    "daemon",
    "exec",
    "ionice",
    "nice",
    "nohup",
    "setsid",
    "start-stop-daemon",
    "sudo",
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
}

/// Reads a script and finds the first line that starts pppoe-server.
///
/// # Errors
/// When the script cannot be read, or starts none.
pub fn find(path: &Path) -> Result<Found, ImportError> {
    let text = read(path)?;
    let mut script = Script::default();
    script.run(&text);
    let mut found = script.found.into_iter();
    let mut first = found.next().ok_or_else(|| ImportError::NoCommand(path.to_owned()))?;
    for other in found {
        first.remarks.push(format!(
            "line {} starts another server, which is left out: import it on its own, or give it an [[interface]] table",
            other.line
        ));
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
            Some(("ExecStart", command)) => command.trim_start_matches(['-', '@', ':', '+', '!']),
            Some(("Environment", assignments)) => {
                let (tokens, _) = tokens(assignments, &self.variables);
                return self.assign(&tokens);
            }
            Some(("EnvironmentFile", path)) => return self.include(path.trim_start_matches('-')),
            _ => line,
        };
        let (tokens, unknown) = tokens(line, &self.variables);
        for command in tokens.split(|token| *token == Token::Separator) {
            self.command(command, number, &unknown);
        }
    }

    fn command(&mut self, tokens: &[Token], number: usize, unknown: &[String]) {
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
        let is_server = |word: &&str| {
            matches!(word.rsplit('/').next(), Some("pppoe-server" | "pppoed")) && !word.contains('=')
        };
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
        let remarks = unknown
            .iter()
            .map(|what| format!("line {number}: {what} is not known here and was left out: see what it adds"))
            .collect();
        self.found.push(Found { arguments, line: number, remarks });
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

fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    (is_name && !name.starts_with(|first: char| first.is_ascii_digit())).then_some((name, value))
}

/// The words of a line, with variables filled in; and what could not be.
fn tokens(line: &str, variables: &BTreeMap<String, String>) -> (Vec<Token>, Vec<String>) {
    let (mut tokens, mut unknown) = (Vec::new(), Vec::new());
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
                let name = variable(&mut rest);
                match variables.get(&name) {
                    Some(value) if value.len() <= room => {
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
                    _ => unknown.push(format!("${name}")),
                }
            }
            ('`', _) => {
                rest.by_ref().take_while(|character| *character != '`').for_each(drop);
                unknown.push("a command in `…`".to_owned());
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
    (tokens, unknown)
}

/// The name behind a dollar: `NAME` or `{NAME}`; with anything else in the braces, all of that.
fn variable(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    if rest.next_if_eq(&'{').is_some() {
        let mut name = String::new();
        for character in rest.by_ref().take_while(|character| *character != '}') {
            name.push(character);
        }
        return name;
    }
    let mut name = String::new();
    while let Some(character) = rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '_') {
        name.push(character);
    }
    name
}
