//! Words of bash: which are typed, and how what completes the last one has to be written.

/// A line up to the cursor.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// The words behind the program's name, without quotes, but for the last one.
    pub(super) words: Vec<String>,
    /// The word that is being typed, without quotes.
    pub(super) word: String,
    /// The part of it in front of what readline replaces.
    kept: String,
    /// The quote that it stands in.
    quote: Option<char>,
}

/// Takes a line apart as bash does. What readline replaces begins behind the last of `breaks` (`COMP_WORDBREAKS`) outside of
/// quotes, or behind an open quote.
pub(super) fn typed(line: &str, breaks: &str) -> Typed {
    let mut typed = Typed::default();
    let mut in_word = false;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (typed.quote, character) {
            (Some(quote), _) if character == quote => typed.quote = None,
            (Some('"'), '\\') => match characters.next() {
                Some(escaped @ ('"' | '\\' | '$' | '`')) => typed.word.push(escaped),
                Some(other) => typed.word.extend(['\\', other]),
                None => {}
            },
            (Some(_), _) => typed.word.push(character),
            (None, '\'' | '"') => {
                typed.quote = Some(character);
                typed.kept.clone_from(&typed.word);
            }
            (None, '\\') => typed.word.extend(characters.next()),
            (None, ';' | '|' | '&' | '(' | ')' | '\n') => typed = Typed::default(),
            (None, ' ' | '\t') => {
                if in_word {
                    let word = std::mem::take(&mut typed.word);
                    // What stands before the program's name is another one's: `sudo -u root pppctl`.
                    match word.rsplit('/').next() {
                        Some("pppctl") => typed.words.clear(),
                        _ => typed.words.push(word),
                    }
                }
                typed.kept.clear();
                in_word = false;
                continue;
            }
            (None, _) => {
                // Of bash's special prefixes, the word begins with the character itself.
                if breaks.contains(character) && character == '@' {
                    typed.kept.clone_from(&typed.word);
                }
                typed.word.push(character);
                if breaks.contains(character) && character != '@' {
                    typed.kept.clone_from(&typed.word);
                }
            }
        }
        in_word = true;
    }
    typed
}

impl Typed {
    /// What readline has to put in the place of what it replaces, so that the word is this one. Nothing if that cannot be said
    /// inside of the quotes that are open.
    pub(super) fn insert(&self, word: &str) -> Option<String> {
        let rest = word.strip_prefix(&self.kept)?;
        match self.quote {
            None => Some(escaped(rest, |character| {
                character.is_ascii()
                    && !character.is_ascii_alphanumeric()
                    && !"_-+.,:/@=%".contains(character)
            })),
            Some('"') => Some(escaped(rest, |character| r#""\$`"#.contains(character))),
            Some(quote) => (!rest.contains(quote)).then(|| rest.to_owned()),
        }
    }
}

fn escaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if is_special(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    #[test]
    fn lines_are_taken_apart() {
        for (line, words, word, kept) in [
            ("pppctl ", &[][..], "", ""),
            ("pppctl show ses", &["show"], "ses", ""),
            ("sudo -u root /usr/bin/pppctl show ", &["show"], "", ""),
            ("echo x; pppctl show", &[], "show", ""),
            (r"pppctl terminate user DOM\\b", &["terminate", "user"], r"DOM\b", ""),
            (r"pppctl terminate user 'DOM\b", &["terminate", "user"], r"DOM\b", ""),
            (r"pppctl terminate user a\ b", &["terminate", "user"], "a b", ""),
            ("pppctl trace mac 02:00:5", &["trace", "mac"], "02:00:5", "02:00:"),
            ("pppctl terminate user a@is", &["terminate", "user"], "a@is", "a"),
            ("pppctl set user 'a b' proxyarp=t", &["set", "user", "a b"], "proxyarp=t", "proxyarp="),
            (r#"pppctl -c "a \"b\" \c" x"#, &["-c", r#"a "b" \c"#], "x", ""),
        ] {
            let typed = typed(line, BREAKS);
            assert_eq!(
                (typed.words.as_slice(), typed.word.as_str()),
                (&words.iter().map(ToString::to_string).collect::<Vec<_>>()[..], word),
                "{line}"
            );
            assert_eq!(typed.kept, kept, "{line}");
        }
    }

    #[test]
    fn candidates_are_written_so_that_bash_reads_them() {
        let insert = |line: &str, candidate: &str| typed(line, BREAKS).insert(candidate);
        assert_eq!(insert("pppctl x ", r"DOM\bob").as_deref(), Some(r"DOM\\bob"));
        assert_eq!(insert("pppctl x 'D", r"DOM\bob").as_deref(), Some(r"DOM\bob"));
        assert_eq!(insert("pppctl x 'i", "it's"), None);
        assert_eq!(insert("pppctl x \"", "a $b").as_deref(), Some(r"a \$b"));
        assert_eq!(insert("pppctl x ", "a $b;c").as_deref(), Some(r"a\ \$b\;c"));
        assert_eq!(insert("pppctl x 02:00:", "02:00:5e").as_deref(), Some("5e"));
        assert_eq!(insert("pppctl x a@", "a@isp").as_deref(), Some("@isp"));
        assert_eq!(insert("pppctl x ", "Zoë@用户").as_deref(), Some("Zoë@用户"));
    }
}
