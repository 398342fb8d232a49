//! The pages as they are in the tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set to anything, it has the tests write what they would compare.
const UPDATE: &str = "UPDATE_MAN";

/// The top of the tree.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the top of the tree")
}

/// The page `man/NAME` has to be `page`, which `package`'s tests make.
///
/// # Panics
/// When it is another, and `UPDATE_MAN` is not in the environment.
pub fn check_page(name: &str, page: &str, package: &str) {
    let path = root().join("man").join(name);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "man/{name} is not that of the tables: {UPDATE}=1 cargo test -p {package} man");
}

/// The region `region` of `file` (a path in the tree) has to be `content`: what is between the lines with
/// `begin REGION` and `end REGION`, which are comments.
///
/// # Panics
/// When it is another, and `UPDATE_MAN` is not in the environment.
pub fn check_region(file: &str, region: &str, content: &str, package: &str) {
    let path = root().join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
    let wanted = with_region(&text, region, content).unwrap_or_else(|| panic!("{file}: no region {region}"));
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap();
    assert!(
        there == wanted,
        "{file}, {region}: not that of the tables: {UPDATE}=1 cargo test -p {package} man"
    );
}

fn with_region(text: &str, region: &str, content: &str) -> Option<String> {
    let line_with = |words: &str| {
        let found = text.find(words)?;
        let start = text[..found].rfind('\n').map_or(0, |end| end + 1);
        let end = found + text[found..].find('\n')? + 1;
        Some((start, end))
    };
    let (_, begin) = line_with(&format!("begin {region}:"))?;
    let (end, _) = line_with(&format!("end {region}."))?;
    Some([text.get(..begin)?, content, text.get(end..)?].concat())
}

/// What mandoc complains about in a page of the tree.
///
/// # Panics
/// When it complains, or is not there.
pub fn lint(name: &str) {
    let path = root().join("man").join(name);
    let output = Command::new("mandoc")
        .arg("-Tlint")
        .arg(&path)
        .output()
        .expect("mandoc is installed; `testbed setup` does that");
    let said = [output.stdout, output.stderr].concat();
    // It looks for other pages among those that are installed, in a list that may be an old one.
    let is_of_the_page = |line: &&str| {
        !["referenced manual not found", "outdated mandoc.db"].iter().any(|it| line.contains(it))
    };
    let said = String::from_utf8_lossy(&said);
    let complaints: Vec<&str> = said.lines().filter(is_of_the_page).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// What users read: README.md and what else is at the top, docs, man, and what is written beside the code; with their paths
/// in the tree, sorted.
pub fn documents() -> Vec<(PathBuf, String)> {
    let root = root();
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md", "man/*"])
        .current_dir(&root)
        .output()
        .expect("git");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut paths: Vec<PathBuf> =
        String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect();
    paths.sort();
    paths.dedup();
    let existing = paths.into_iter().filter(|path| root.join(path).exists());
    existing.map(|path| (path.clone(), fs::read_to_string(root.join(path)).unwrap())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_replaced_and_nothing_else() {
        let text = "a\n.\\\" begin x: made\nold\n.\\\" end x.\nb\n";
        assert_eq!(
            with_region(text, "x", "new\n").unwrap(),
            "a\n.\\\" begin x: made\nnew\n.\\\" end x.\nb\n"
        );
        assert_eq!(with_region(text, "y", "new\n"), None);
    }

    #[test]
    fn the_documents_are_found() {
        let found = documents();
        for expected in ["README.md", "docs/limits.md", "man/pppctl.8"] {
            assert!(
                found.iter().any(|(path, text)| path == Path::new(expected) && !text.is_empty()),
                "{expected}"
            );
        }
    }
}
