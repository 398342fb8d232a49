//! Text of peers, as it is shown everywhere: nothing acts on a reader, and nothing is shown as something else.

use ppp_wire::escape::Escaped;

/// Text as it was before it was escaped, or `None` when it is not what [`Escaped`] makes.
pub(super) fn unescaped(shown: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = shown.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            bytes.extend(character.to_string().bytes());
            continue;
        }
        match rest.next()? {
            'x' => {
                let digits: String = rest.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).ok()?);
            }
            'u' => {
                let digits: String = rest.by_ref().take_while(|c| *c != '}').filter(|c| *c != '{').collect();
                let character = char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?;
                bytes.extend(character.to_string().bytes());
            }
            'n' => bytes.push(b'\n'),
            'r' => bytes.push(b'\r'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            quoted @ ('\\' | '"') => bytes.push(u8::try_from(quoted).ok()?),
            _ => return None,
        }
    }
    Some(bytes)
}

pub(super) fn acts_on_a_reader(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// The bytes are the text.
pub fn run(bytes: &[u8]) {
    let shown = Escaped(bytes).to_string();
    assert!(!shown.chars().any(acts_on_a_reader), "{shown:?}");
    assert!(shown.len() <= 10 * bytes.len(), "{} bytes to show {}", shown.len(), bytes.len());
    assert_eq!(unescaped(&shown).as_deref(), Some(bytes));
    let mut quotes = shown.match_indices('"').map(|(at, _)| &shown[..at]);
    assert!(quotes.all(|before| before.ends_with('\\')), "it can stand between quotes");
}
