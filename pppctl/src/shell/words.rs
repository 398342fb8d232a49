//! The words of a line: quoting, separators, comments.
//!
//! White space separates words. `'…'` and `"…"` keep white space and separators. A backslash keeps the next character if that
//! would mean something else, in `"…"` only `"` and `\`; otherwise it stands for itself, as in `DOM\bob`. `|` begins a filter, `;` another command, and `#` in front of a word a comment.

use std::mem;

/// A word, and where it stands in its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Without its quotes.
    pub(crate) text: String,
    /// Offset of its first byte, quotes included.
    pub(crate) start: usize,
}

/// A piece of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word(Word),
    /// `|`
    Pipe,
    /// `;`
    Semicolon,
}

/// A line in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) list: Vec<Token>,
    /// The quote that is never closed, or the backslash that nothing follows.
    pub(crate) open: Option<char>,
    /// Whether the last word ends where the line ends: what is typed next belongs to it.
    pub(crate) in_word: bool,
}

/// Cuts a line into its pieces.
pub(crate) fn split(line: &str) -> Tokens {
    let mut tokens = Tokens::default();
    let mut word: Option<Word> = None;
    let mut characters = line.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let separator = match character {
            '|' => Some(Token::Pipe),
            ';' => Some(Token::Semicolon),
            _ => None,
        };
        if separator.is_some() || character.is_whitespace() {
            tokens.list.extend(word.take().map(Token::Word));
            tokens.list.extend(separator);
            continue;
        }
        if character == '#' && word.is_none() {
            return tokens;
        }
        let text = &mut word.get_or_insert_with(|| Word { text: String::new(), start }).text;
        match character {
            '\'' | '"' => {
                let mut closed = false;
                while let Some((_, inner)) = characters.next() {
                    let escapes = character == '"' && inner == '\\';
                    if inner == character {
                        closed = true;
                        break;
                    }
                    match characters.next_if(|&(_, next)| escapes && matches!(next, '"' | '\\')) {
                        Some((_, escaped)) => text.push(escaped),
                        None => text.push(inner),
                    }
                }
                if !closed {
                    tokens.open = Some(character);
                }
            }
            '\\' => match characters.next_if(|&(_, next)| is_special(next)) {
                Some((_, escaped)) => text.push(escaped),
                None if characters.peek().is_none() => tokens.open = Some('\\'),
                None => text.push('\\'),
            },
            _ => text.push(character),
        }
    }
    tokens.in_word = word.is_some();
    tokens.list.extend(word.take().map(Token::Word));
    tokens
}

/// Whether a character means something other than itself outside of quotes.
fn is_special(character: char) -> bool {
    character.is_whitespace() || r#"'"\|;#?"#.contains(character)
}

/// A word as it has to be typed.
pub(crate) fn quote(text: &str) -> String {
    if !text.is_empty() && !text.contains(is_special) {
        return text.to_owned();
    }
    if !text.contains('\'') {
        return format!("'{text}'");
    }
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', r#"\""#))
}

/// The commands of a line, each with the filters behind it, as lists of words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pipeline {
    pub(crate) command: Vec<String>,
    pub(crate) filters: Vec<Vec<String>>,
}

/// A line that is not whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Incomplete {
    /// A quote is missing, or something behind a backslash.
    #[error("unterminated {0}")]
    Open(char),
    /// `|` with no command in front of it.
    #[error("expected a command before |")]
    NoCommand,
}

/// The commands of a line.
pub(crate) fn pipelines(line: &str) -> Result<Vec<Pipeline>, Incomplete> {
    let tokens = split(line);
    if let Some(open) = tokens.open {
        return Err(Incomplete::Open(open));
    }
    let mut pipelines = Vec::new();
    let mut current = Pipeline::default();
    for token in tokens.list {
        match token {
            Token::Word(word) => current.filters.last_mut().unwrap_or(&mut current.command).push(word.text),
            Token::Pipe if current.command.is_empty() => return Err(Incomplete::NoCommand),
            Token::Pipe => current.filters.push(Vec::new()),
            Token::Semicolon => pipelines.push(mem::take(&mut current)),
        }
    }
    pipelines.push(current);
    pipelines.retain(|pipeline| !pipeline.command.is_empty());
    Ok(pipelines)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<String> {
        let texts = split(line).list.into_iter().map(|token| match token {
            Token::Word(word) => word.text,
            other => panic!("{other:?}"),
        });
        texts.collect()
    }

    #[test]
    fn quotes_keep_what_they_hold() {
        for (line, expected) in [
            ("", &[][..]),
            ("  show\tsessions ", &["show", "sessions"]),
            (r#"user 'a b' "c d" e\ f"#, &["user", "a b", "c d", "e f"]),
            (r"DOM\bob DOM\\bob caf\xe9 a\;b \'", &[r"DOM\bob", r"DOM\bob", r"caf\xe9", "a;b", "'"]),
            (r#"a"b c"'d e'f"#, &["ab cd ef"]),
            (r#""" ''"#, &["", ""]),
            (r#""a\"b\\c\d" 'e\f'"#, &[r#"a"b\c\d"#, r"e\f"]),
            ("'a|b;c#d' a#b", &["a|b;c#d", "a#b"]),
            ("show stats # all of it | ; '", &["show", "stats"]),
            ("zoë 日本", &["zoë", "日本"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn an_open_end_is_told() {
        for (line, open) in
            [("a 'b", Some('\'')), (r#"a "b\""#, Some('"')), (r"a \", Some('\\')), ("a 'b'", None)]
        {
            assert_eq!(split(line).open, open, "{line}");
        }
        assert!(split("show se").in_word && !split("show ").in_word && !split("show |").in_word);
    }

    #[test]
    fn lines_have_commands_and_filters() {
        let pipeline = |command: &[&str], filters: &[&[&str]]| Pipeline {
            command: command.iter().map(|&word| word.to_owned()).collect(),
            filters: filters.iter().map(|it| it.iter().map(|&word| word.to_owned()).collect()).collect(),
        };
        assert_eq!(
            pipelines("a b | include c|count; ; d;").unwrap(),
            [pipeline(&["a", "b"], &[&["include", "c"], &["count"]]), pipeline(&["d"], &[])]
        );
        assert_eq!(pipelines(" # nothing").unwrap(), []);
        assert_eq!(pipelines("a | | b").unwrap(), [pipeline(&["a"], &[&[], &["b"]])]);
        assert_eq!(pipelines("| include a"), Err(Incomplete::NoCommand));
        assert_eq!(pipelines("a; 'b"), Err(Incomplete::Open('\'')));
    }

    proptest! {
        #[test]
        fn a_quoted_word_is_read_back(words in prop::collection::vec("[^\\p{C}]*", 0..4)) {
            let line = words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
            let tokens = split(&line);
            prop_assert_eq!(tokens.open, None);
            let read: Vec<String> = tokens.list.into_iter().filter_map(|token| match token {
                Token::Word(word) => Some(word.text),
                Token::Pipe | Token::Semicolon => None,
            }).collect();
            prop_assert_eq!(read, words);
        }
    }
}
