//! Output as a page shows it, compared with what a program printed.
//!
//! A line `...` stands for any number of lines, and `...` within a line for any text. Runs of blanks are all the same:
//! tables are as wide as what is in them.

/// Whether `printed` is what the page shows.
pub(super) fn matches(shown: &[String], printed: &str) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| squeeze(line)).collect();
    let printed: Vec<String> = printed.lines().map(squeeze).collect();
    lines_match(&shown, &printed)
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines_match(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.iter().all(String::is_empty),
        Some((line, rest)) if line == "..." => {
            (0..=printed.len()).any(|skipped| lines_match(rest, printed.get(skipped..).unwrap_or_default()))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| line_matches(line, first) && lines_match(rest, others)),
    }
}

fn line_matches(shown: &str, printed: &str) -> bool {
    let Some((first, shown)) = shown.split_once("...") else { return shown == printed };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let (middle, last) = shown.rsplit_once("...").unwrap_or(("", shown));
    for part in middle.split("...") {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_stand_for_what_differs_from_day_to_day() {
        let is_shown = |shown: &str, printed: &str| {
            matches(&shown.lines().map(str::to_owned).collect::<Vec<_>>(), printed)
        };
        assert!(is_shown("ID  USER\n1  alice", "ID   USER\n1    alice\n"));
        assert!(is_shown("a ... c", "a b c") && is_shown("...", "") && is_shown("...", "x\ny\n"));
        assert!(is_shown("a\n...\nz", "a\nz") && is_shown("a\n...\nz", "a\nb\nc\nz"));
        assert!(is_shown("up ... for ... s", "up since 12:00 for 3 s"));
        assert!(is_shown("", "") && is_shown("", "\n"));
        for (shown, printed) in
            [("", "x"), ("x", ""), ("a", "b"), ("a ... c", "a b"), ("a\n...\nz", "a\nb"), ("ab...ba", "aba")]
        {
            assert!(!is_shown(shown, printed), "{shown:?} is not {printed:?}");
        }
    }
}
