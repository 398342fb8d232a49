//! Links between documents lead somewhere.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

/// Targets of the links in Markdown, with the numbers of their lines; what is code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut fenced) = (Vec::new(), false);
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced || line.starts_with("    ") {
            continue;
        }
        // What stands between two backquotes.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for (start, _) in prose.match_indices("](") {
            let target = prose.get(start + 2..).unwrap().split(')').next().unwrap();
            found.push((index + 1, target.split(' ').next().unwrap().to_owned()));
        }
    }
    found
}

/// The names by which GitHub and others let one link to headings.
fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    let mut seen = BTreeMap::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        }
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let kept: String = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect();
        let count: &mut u32 = seen.entry(kept.clone()).or_default();
        found.push(if *count == 0 { kept } else { format!("{kept}-{count}") });
        *count += 1;
    }
    found
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::ParentDir => _ = plain.pop(),
            Component::CurDir => {}
            other => plain.push(other),
        }
        plain
    })
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let root = manual::root();
    let documents: BTreeMap<PathBuf, String> = manual::documents().into_iter().collect();
    let mut count = 0;
    let mut dead = Vec::new();
    for (path, text) in documents.iter().filter(|(path, _)| path.extension().is_some_and(|it| it == "md")) {
        for (line, link) in links(text) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file.is_empty() {
                true => path.clone(),
                false => plain(&path.parent().unwrap().join(file)),
            };
            let has_heading =
                || documents.get(&target).is_some_and(|text| anchors(text).iter().any(|it| it == anchor));
            if !root.join(&target).exists() || !anchor.is_empty() && !has_heading() {
                dead.push(format!("{}:{line}: {link}", path.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links: {dead:#?}");
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn links_and_headings_are_found() {
    let text = "[a](x.md) and `[b](no)` [c](y.md#z \"title\")\n```\n[d](no)\n# no\n```\n    [e](no)\n## From one `pppoed` to the next\n# A, b!\n# A, b!\n";
    assert_eq!(links(text), [(1, "x.md".to_owned()), (1, "y.md#z".to_owned())]);
    assert_eq!(anchors(text), ["from-one-pppoed-to-the-next", "a-b", "a-b-1"]);
}
