//! What somebody will have meant who wrote a word that does not exist.

/// Longest word that is looked at: no name here is near a longer one.
const MAX_WORD: usize = 40;

/// The name that is nearest to `word`, if it is near enough to be a slip of the pen: at most two letters added, left out,
/// changed or swapped, and no more than half of the name. Of equals, the first in the alphabet. Nobody writes `no`, `-` or
/// `+` too much or too little: with one of them a name means the opposite. The caller leaves out names that it would refuse.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_WORD {
        return None;
    }
    let near = names.into_iter().map(|name| (strsim::osa_distance(name, word), name));
    near.filter(|&(distance, name)| distance <= 2 && distance * 2 <= name.len() && name.len() > 3)
        .filter(|(_, name)| sense(name) == sense(word))
        .min()
        .map(|(_, name)| name)
}

/// What the beginning of a name says of its sense.
fn sense(name: &str) -> Option<char> {
    name.chars().next().filter(|first| ['n', '-', '+'].contains(first))
}

/// ` (did you mean "name"?)`, or nothing.
pub fn did_you_mean(suggestion: Option<&str>) -> String {
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

    #[test]
    fn never_the_opposite() {
        let names = ["nomppe", "noauth", "auth", "+chap", "-chap", "proxyarp", "noproxyarp"];
        for (word, expected) in [
            ("mppe", None),
            ("nauth", Some("noauth")),
            ("auht", Some("auth")),
            ("chap", None),
            ("-chp", Some("-chap")),
            ("noprxyarp", Some("noproxyarp")),
            ("+proxyarp", None),
        ] {
            assert_eq!(nearest(word, names), expected, "{word}");
        }
    }
}
