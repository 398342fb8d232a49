//! What somebody will have meant who wrote a word that does not exist.

/// Longest word that is looked at: no name here is near a longer one.
const MAX_WORD: usize = 40;

/// The name that is nearest to `word`, if it is near enough to be a slip of the pen: at most two letters added, left out,
/// changed or swapped, and no more than half of the name. Of equals, the first in the alphabet.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let near = names.into_iter().map(|name| (strsim::osa_distance(name, word), name));
    near.filter(|&(distance, name)| distance <= 2 && distance * 2 <= name.len() && name.len() > 3)
        .min()
        .map(|(_, name)| name)
}

/// ` (did you mean "name"?)`, or nothing.
pub(crate) fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!(" (did you mean {name:?}?)")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        let names = ["lcp-echo-interval", "ms-dns", "idle", "require-chap", "mtu", "mru"];
        for (word, expected) in [
            ("lcp-echo-intervall", Some("lcp-echo-interval")),
            ("msdns", Some("ms-dns")),
            ("idel", Some("idle")),
            ("requre-chap", Some("require-chap")),
            ("requ-chap", None),
            ("something", None),
            ("mtr", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(1000), names), None);
    }
}
