//! Every test that the threat model names exists.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

/// Where tests are: sources, scripts of conformance, fuzz targets.
const PLACES: [&str; 7] =
    ["crates", "pppoed", "ppp-worker", "pppctl", "testbed/src", "testbed/tests", "fuzz/fuzz_targets"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Names of files, without their ends, and what is in them.
fn collect(directory: &Path, names: &mut Vec<String>, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names, text);
        } else if path.extension().is_some_and(|end| end == "rs" || end == "txt")
            && !path.ends_with("threats.rs")
        {
            names.push(path.file_stem().unwrap().to_string_lossy().into_owned());
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands in backquotes behind the arrow of each line of a table.
fn named(model: &str) -> Vec<&str> {
    let lines = model.lines().filter(|line| line.starts_with('|'));
    lines
        .filter_map(|line| line.split_once('→'))
        .flat_map(|(_, proof)| proof.split('`').skip(1).step_by(2))
        .collect()
}

#[test]
fn every_named_test_exists() {
    let model = fs::read_to_string(workspace().join("docs/threat-model.md")).unwrap();
    let (mut files, mut text) = (Vec::new(), String::new());
    PLACES.iter().for_each(|place| collect(&workspace().join(place), &mut files, &mut text));
    let names = named(&model);
    assert!(names.len() > 50, "{names:?}");
    let exists = |name: &str| {
        files.iter().any(|file| file == name)
            || text.contains(&format!("fn {name}("))
            || text.contains(&format!("\"{name}\""))
    };
    let missing: Vec<_> = names.into_iter().filter(|name| !exists(name)).collect();
    assert_eq!(missing, [""; 0], "docs/threat-model.md names tests that are not there");
}

#[test]
fn every_line_has_its_proof_or_says_where() {
    let model = fs::read_to_string(workspace().join("docs/threat-model.md")).unwrap();
    let attacks = model.split("\n## ").filter(|section| section.contains("| attack |"));
    for line in attacks.flat_map(str::lines).filter(|line| line.starts_with('|')) {
        let is_heading = line.starts_with("| attack") || line.starts_with("|-");
        assert!(is_heading || line.contains('→'), "no test proves: {line}");
    }
}
