//! Command lines in the examples of pages.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::documents;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path in the tree.
    pub file: PathBuf,
    /// Number of the line, from 1 on.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A command line of an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Where it is.
    pub place: Place,
    /// Its words after the program's name, as a shell would pass them on.
    pub words: Vec<String>,
}

/// The lines in the examples of all documents that call `program`, without those that leave something out (`…`).
pub fn command_lines(program: &str) -> Vec<Example> {
    documents().iter().flat_map(|(path, text)| lines_of(program, path, text)).collect()
}

fn lines_of(program: &str, path: &Path, text: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    for (number, line) in code_blocks(path, text) {
        // After a prompt.
        let line = line.trim_start();
        for command in commands(line.strip_prefix("# ").or(line.strip_prefix("$ ")).unwrap_or(line)) {
            let Some(words) = arguments(&command, program) else { continue };
            let place = Place { file: path.to_owned(), line: number };
            examples.push(Example { place, words });
        }
    }
    examples
}

/// The lines of examples, with their numbers: indented or fenced code in Markdown, `.Bd -literal` and `.Dl` in mdoc. A line that ends in a
/// backslash goes on in the next one.
pub fn code_blocks(path: &Path, text: &str) -> Vec<(usize, String)> {
    let is_markdown = path.extension().is_some_and(|extension| extension == "md");
    let lines = if is_markdown { markdown_code(text) } else { mdoc_code(text) };
    let mut whole: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in lines {
        let (part, ends_open) = match line.strip_suffix('\\') {
            Some(part) => (part.to_owned(), true),
            None => (line, false),
        };
        match whole.last_mut() {
            Some((_, last)) if goes_on => last.push_str(&part),
            _ => whole.push((number, part)),
        }
        goes_on = ends_open;
    }
    whole
}

fn markdown_code(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut fenced, mut after_blank) = (Vec::new(), false, true);
    let mut in_list = false;
    for (index, line) in text.lines().enumerate() {
        let is_fence = line.trim_start().starts_with("```");
        if is_fence {
            fenced = !fenced;
        } else if fenced {
            lines.push((index + 1, line.trim_start().to_owned()));
        } else if let Some(code) = line.strip_prefix("    ")
            && !in_list
            && (after_blank || lines.last().is_some_and(|(number, _)| *number == index))
        {
            lines.push((index + 1, code.to_owned()));
        }
        after_blank = line.trim().is_empty();
        // An indented paragraph of a list is no code.
        if line.starts_with(['-', '*']) || line.starts_with(|c: char| c.is_ascii_digit()) {
            in_list = true;
        } else if !line.starts_with(' ') && !after_blank {
            in_list = false;
        }
    }
    lines
}

fn mdoc_code(text: &str) -> Vec<(usize, String)> {
    let (mut lines, mut literal) = (Vec::new(), false);
    for (index, line) in text.lines().enumerate() {
        if line.starts_with(".Bd -literal") {
            literal = true;
        } else if line.starts_with(".Ed") {
            literal = false;
        } else if let Some(code) = line.strip_prefix(".Dl ") {
            lines.push((index + 1, unescape(code)));
        } else if literal {
            lines.push((index + 1, unescape(line)));
        }
    }
    lines
}

fn unescape(line: &str) -> String {
    line.replace("\\e", "\\")
        .replace("\\-", "-")
        .replace("\\&", "")
        .replace("\\(aq", "'")
        .replace("\\(dq", "\"")
}

/// The commands of a shell's line, as words. No substitutions: what they are in does not matter here.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let (mut word, mut quote) = (None::<String>, None::<char>);
    let mut chars = line.chars().peekable();
    let end_word = |commands: &mut Vec<Vec<String>>, word: &mut Option<String>| {
        if let Some(word) = word.take() {
            commands.last_mut().unwrap().push(word);
        }
    };
    while let Some(character) = chars.next() {
        match (quote, character) {
            (Some(end), _) if character == end => quote = None,
            (Some('"'), '\\') | (None, '\\') => {
                word.get_or_insert_default().extend(chars.next());
            }
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&' | '<' | '>') => {
                end_word(&mut commands, &mut word);
                if matches!(character, '<' | '>') {
                    // The name of a file follows, which is no argument.
                    commands.push(vec!["<>".to_owned()]);
                } else {
                    commands.push(Vec::new());
                }
            }
            // A remark, as in the examples of a program's help.
            (None, ' ') if word.is_none() && chars.peek() == Some(&' ') => break,
            (None, ' ' | '\t') => end_word(&mut commands, &mut word),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    end_word(&mut commands, &mut word);
    commands.retain(|words| !words.is_empty());
    commands
}

/// The words after `program`, if the command calls it.
fn arguments(command: &[String], program: &str) -> Option<Vec<String>> {
    let is_before = |word: &str| word == "sudo" || word.contains('=') && !word.starts_with('-');
    let mut words = command.iter().skip_while(|word| is_before(word));
    let name = words.next()?;
    if name.rsplit('/').next() != Some(program) {
        return None;
    }
    let words: Vec<String> = words.cloned().collect();
    let is_partial = words.iter().any(|word| word.contains('…') || word.contains("..."));
    (!is_partial).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(path: &str, text: &str) -> Vec<(usize, String)> {
        let found = lines_of("pppctl", Path::new(path), text);
        found.into_iter().map(|it| (it.place.line, it.words.join("|"))).collect()
    }

    #[test]
    fn command_lines_of_markdown_are_found() {
        let text = "text `pppctl x`\n    pppctl no\n\n    pppctl a 'b c' \"d\\\" e\" # remark\n    sudo pppctl f; pppctl g | jq .\n\n\
                    ```\n# pppctl reload\nsessions: 9\nX=1 /usr/bin/pppctl \\\nh < FILE\npppctl sh …\n```\n- list\n\n    pppctl in a list\n";
        let expected = [(4, "a|b c|d\" e"), (5, "f"), (5, "g"), (8, "reload"), (10, "h")];
        assert_eq!(words("a.md", text), expected.map(|(line, words)| (line, words.to_owned())));
    }

    #[test]
    fn command_lines_of_mdoc_are_found() {
        let text = "pppctl a\n.Bd -literal -offset indent\n# pppctl b \\-\\-json \\e\n-c\npppctl z   remark\n.Ed\n.Dl pppctl d\npppctl e\n";
        let expected = [(3, "b|--json|-c"), (5, "z"), (7, "d")];
        assert_eq!(words("a.8", text), expected.map(|(line, words)| (line, words.to_owned())));
    }
}
