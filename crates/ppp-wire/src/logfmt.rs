//! Values of `name=value` pairs in lines of the log, as readers of logfmt take them apart
//! (<https://brandur.org/logfmt>; what it leaves open as Go's `go-logfmt` reads it).

use std::borrow::Cow;

/// The value as it stands behind `name=`: bare where that is unambiguous, otherwise [`quoted`].
pub fn value(value: &str) -> Cow<'_, str> {
    let is_bare = |character: char| !matches!(character, ' ' | '"' | '=') && !character.is_whitespace();
    if !value.is_empty() && value.chars().all(is_bare) {
        return Cow::Borrowed(value);
    }
    Cow::Owned(quoted(value))
}

/// The value between double quotes, with a backslash before quotes and backslashes. Whoever unquotes it gets `value` back.
///
/// Control characters must be escaped before ([`crate::escape`]); they are not this function's task.
pub fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_bare_and_sentences_are_quoted() {
        for (raw, shown) in [
            ("padt", "padt"),
            ("02:00:5e:10:00:07", "02:00:5e:10:00:07"),
            (r"DOM\\bob", r"DOM\\bob"),
            ("", r#""""#),
            ("a=b", r#""a=b""#),
            (r#"user "alice" is denied"#, r#""user \"alice\" is denied""#),
            (r"a\nb c", r#""a\\nb c""#),
        ] {
            assert_eq!(value(raw), shown);
        }
    }

    /// What a reader of logfmt takes from behind `=`, and where it stops.
    fn read(line: &str) -> (String, &str) {
        let Some(rest) = line.strip_prefix('"') else {
            let end = line.find(' ').unwrap_or(line.len());
            return (line[..end].to_owned(), &line[end..]);
        };
        let mut text = String::new();
        let mut characters = rest.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => return (text, &rest[at + 1..]),
                '\\' => text.extend(characters.next().map(|(_, character)| character)),
                _ => text.push(character),
            }
        }
        panic!("no closing quote: {line}");
    }

    proptest! {
        #[test]
        fn a_value_is_read_back_and_ends_where_it_ends(raw in r#"[ -~äß]{0,12}"#, next in "[a-z]{1,3}") {
            let line = format!("{} {next}=1", value(&raw));
            let (text, rest) = read(&line);
            prop_assert_eq!(text, raw);
            prop_assert_eq!(rest, format!(" {next}=1"));
        }
    }
}
