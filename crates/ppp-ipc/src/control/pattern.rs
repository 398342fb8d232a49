//! Patterns for names and addresses: `*` is any number of characters, `?` is one.

/// Whether all of `text` is as `pattern` says. Letters are compared without regard to case.
///
/// Takes time in proportion to the product of both lengths at most, whatever the pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let fold = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (pattern, text) = (fold(pattern), fold(text));
    let (mut at, mut position) = (0, 0);
    // Where to go on when what follows the last star does not fit: the star takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while position < text.len() {
        match (pattern.get(at), text.get(position)) {
            (Some('*'), _) => {
                star = Some((at, position));
                at += 1;
            }
            (Some('?'), _) => (at, position) = (at + 1, position + 1),
            (Some(wanted), Some(found)) if wanted == found => (at, position) = (at + 1, position + 1),
            _ => match star {
                Some((star_at, taken)) => {
                    star = Some((star_at, taken + 1));
                    (at, position) = (star_at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("alice", "alice", true),
            ("ALICE", "Alice", true),
            ("alice", "alice2", false),
            ("al*", "alice", true),
            ("*@isp1.example", "bob@isp1.example", true),
            ("*@isp1.example", "bob@isp1.example.org", false),
            ("u?er*", "user00001", true),
            ("u?er", "uer", false),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("02:00:5e:*", "02:00:5e:10:00:01", true),
            ("?", "ü", true),
            ("**", "x", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let text = "a".repeat(1000);
        assert!(!matches(&("*a".repeat(100) + "b"), &text));
    }
}
