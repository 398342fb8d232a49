//! The arrows between the crates, checked from `cargo metadata`, and between the folders of a crate, checked from its paths
//! (`use crate::…`, `super::…`): who may use whom.

#![allow(clippy::indexing_slicing, clippy::string_slice, clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace, the crates of the workspace that it may use, and what it may never pull in, by those neither.
const ALLOWED: &[(&str, &[&str], &[&str])] = &[
    // Only tests use it, and so it stands in no list of what may be used.
    ("manual", &[], &["tokio", "nix"]),
    ("ppp-wire", &[], &["tokio", "nix", "serde"]),
    ("ppp-proto", &["ppp-wire"], &["tokio", "nix", "getrandom"]),
    ("ppp-ipc", &["ppp-wire"], &["tokio", "nix"]),
    ("ppp-linux", &["ppp-wire"], &["tokio"]),
    ("ppp-session", &["ppp-ipc"], &["tokio", "nix", "getrandom", "tracing-subscriber"]),
    ("pppoed-config", &["ppp-session", "ppp-proto", "ppp-wire", "ppp-ipc"], &["tokio", "mlua", "tracing"]),
    ("pppoed-hooks", &["pppoed-config", "ppp-wire", "ppp-ipc", "ppp-linux"], &["tokio", "tracing"]),
    ("pppoed-state", &["pppoed-config", "ppp-wire", "ppp-ipc"], &["tokio", "mlua", "tracing"]),
    (
        "pppoed",
        &[
            "pppoed-config",
            "ppp-session",
            "pppoed-hooks",
            "pppoed-state",
            "ppp-proto",
            "ppp-wire",
            "ppp-ipc",
            "ppp-linux",
        ],
        &[],
    ),
    ("ppp-worker", &["ppp-proto", "ppp-wire", "ppp-ipc", "ppp-linux"], &["tokio", "mlua", "toml", "clap"]),
    // The formats only to show packets (`trace`): who has privileges is not to read them for that.
    ("pppctl", &["ppp-ipc", "ppp-wire"], &[]),
    (
        "pppoed-fuzz",
        &["ppp-proto", "ppp-wire", "ppp-ipc", "pppoed-config", "pppoed-state"],
        &["tokio", "mlua"],
    ),
    ("testbed", &["ppp-proto", "ppp-wire", "ppp-ipc", "ppp-linux"], &[]),
];

/// The one crate that may use bincode, the one that may use Lua, and the one that may hold unsafe code.
const ONLY_USER_OF_BINCODE: &str = "ppp-ipc";
const ONLY_USER_OF_LUA: &str = "pppoed-hooks";
const ONLY_UNSAFE: &str = "ppp-linux";

/// A folder or file at the top of a crate's `src`, and those that it uses.
type Folders = &'static [(&'static str, &'static [&'static str])];

/// The crates whose folders have their arrows here, with the circles among them that there still are. What is in no list uses no
/// other folder.
const FOLDERS: &[(&str, Folders, &[&[&str]])] = &[
    ("crates/pppoed-config", CONFIG, &[]),
    ("crates/pppoed-state", STATE, &[]),
    ("pppoed", SUPERVISOR, &[]),
    // To be undone: the table of commands names the arguments of those that have a file of their own, which run others.
    ("pppctl", CONSOLE, &[CONSOLE_CIRCLE]),
];

const CONFIG: Folders = &[
    (
        "config",
        &[
            "files",
            "flags",
            "inet",
            "mac_list",
            "options",
            "origin",
            "pool",
            "secrets",
            "shown",
            "spelling",
            "toml_file",
        ],
    ),
    ("flags", &["origin", "spelling"]),
    ("hook_scripts", &["files"]),
    ("import", &["config", "files", "flags", "options"]),
    ("inet", &["files"]),
    ("mac_list", &["files", "origin"]),
    ("options", &["files", "inet", "origin", "shown", "spelling", "words"]),
    (
        "policy",
        &["config", "files", "flags", "inet", "mac_list", "options", "origin", "spelling", "toml_file"],
    ),
    ("pool", &["files", "inet", "origin", "secrets"]),
    ("secrets", &["files", "inet", "options", "origin", "toml_file", "words"]),
    ("toml_file", &["flags", "options", "origin", "spelling"]),
];

const STATE: Folders = &[("known", &["options", "record"]), ("options", &["record"])];

const SUPERVISOR: Folders = &[
    ("check", &["preflight", "supervisor"]),
    ("control", &["log_limit", "turns"]),
    ("journal", &["log_ring", "message"]),
    ("logging", &["journal", "log_levels", "log_ring"]),
    ("names", &["threads"]),
    ("preflight", &["daemon"]),
    ("problems", &["message"]),
    ("startup", &["last_good", "problems", "supervisor"]),
    // As it is: whatever it needs, a file of it may use. It is to become folders with an arrow each.
    (
        "supervisor",
        &[
            "control",
            "daemon",
            "first_run",
            "last_good",
            "log_levels",
            "log_limit",
            "logging",
            "message",
            "names",
            "oom",
            "pool",
            "preflight",
            "problems",
            "systemd",
            "text",
            "threads",
            "turns",
        ],
    ),
    ("turns", &["message"]),
];

const CONSOLE_CIRCLE: &[&str] = &["command", "hooks", "policy", "question", "run", "sessions", "top"];

const CONSOLE: Folders = &[
    ("answer", &["failure", "info"]),
    ("capture", &["console", "error", "failure", "output", "transport", "wait"]),
    ("command", &["clock", "hooks", "parse", "policy", "sessions", "top"]),
    ("completions", &["connection", "console", "error", "program", "shell"]),
    ("connection", &["parse"]),
    ("console", &["answer", "connection", "error", "transport", "wait"]),
    ("error", &["failure", "transport"]),
    ("hooks", &["command", "error"]),
    ("info", &["failure"]),
    ("main", &["console", "error", "program", "run", "shell"]),
    ("man", &["program", "shell"]),
    ("metrics", &["answer", "console", "error", "info", "interrupt"]),
    ("output", &["answer", "clock", "format", "info", "terminal"]),
    ("password", &["error", "terminal"]),
    ("policy", &["answer", "command", "console", "error", "output", "parse", "question", "run", "terminal"]),
    ("program", &["clock", "command", "connection", "format", "terminal"]),
    ("question", &["answer", "command", "console", "error", "info", "output", "terminal"]),
    ("request", &["command", "hooks", "policy"]),
    (
        "run",
        &[
            "answer", "capture", "command", "console", "error", "failure", "format", "hooks", "metrics",
            "output", "password", "policy", "question", "sessions", "stream", "terminal", "top",
        ],
    ),
    (
        "sessions",
        &[
            "command",
            "console",
            "error",
            "failure",
            "format",
            "interrupt",
            "output",
            "parse",
            "run",
            "terminal",
            "transport",
            "wait",
        ],
    ),
    (
        "shell",
        &[
            "answer",
            "command",
            "connection",
            "console",
            "error",
            "failure",
            "info",
            "interrupt",
            "output",
            "program",
            "run",
            "sessions",
            "terminal",
            "wait",
        ],
    ),
    ("stream", &["answer", "console", "error", "failure", "interrupt", "output", "transport", "wait"]),
    ("terminal", &["clock", "interrupt"]),
    (
        "top",
        &[
            "command",
            "connection",
            "console",
            "error",
            "format",
            "interrupt",
            "output",
            "parse",
            "run",
            "sessions",
            "terminal",
            "transport",
        ],
    ),
    ("transport", &["interrupt", "wait"]),
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Names of the normal and build dependencies of a package; tests may use more.
fn dependencies(package: &Value) -> BTreeSet<String> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| dependency["kind"].as_str() != Some("dev"))
        .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn only_the_allowed_arrows_stand_between_the_crates() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let members: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, ..)| *name).collect();
    assert_eq!(members, known, "a crate was added or removed: say here what it may use");

    let direct: BTreeMap<String, BTreeSet<String>> = packages
        .iter()
        .map(|package| (package["name"].as_str().unwrap().to_owned(), dependencies(package)))
        .collect();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let (_, allowed, forbidden) = ALLOWED.iter().find(|(known, ..)| *known == name).unwrap();
        let pulled_in = reached(name, &direct);
        let wrong: Vec<_> = forbidden.iter().filter(|dependency| pulled_in.contains(**dependency)).collect();
        assert!(wrong.is_empty(), "{name} may not pull in {wrong:?}");
        for dependency in dependencies(package) {
            if members.contains(dependency.as_str()) {
                assert!(allowed.contains(&dependency.as_str()), "{name} may not use {dependency}");
            }
            assert!(dependency != "mlua" || name == ONLY_USER_OF_LUA, "{name} may not use mlua");
            assert!(dependency != "bincode" || name == ONLY_USER_OF_BINCODE, "{name} may not use bincode");
        }
    }
}

/// `forbid` comes with the workspace's lints, so a crate that does not inherit them could hold unsafe code.
#[test]
fn every_crate_but_one_forbids_unsafe_code() {
    let root = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")).unwrap();
    assert!(root.contains("unsafe_code = \"forbid\""));
    for package in metadata()["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let inherits = manifest.contains("[lints]\nworkspace = true");
        assert_eq!(inherits, name != ONLY_UNSAFE, "{name}: lints.workspace");
    }
}

/// The paths that a tree of `use` names.
fn leaves(tree: &str, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let segments = |text: &str| -> Vec<String> {
        let name = |segment: &str| segment.trim().split(' ').next().unwrap().to_owned();
        text.split("::").map(name).filter(|segment| !segment.is_empty()).collect()
    };
    let Some(open) = tree.find('{') else {
        found.push([prefix, &segments(tree)].concat());
        return;
    };
    let prefix = [prefix, &segments(&tree[..open])].concat();
    let (mut depth, mut start) = (0, open + 1);
    for (at, character) in tree.char_indices().skip_while(|(at, _)| *at <= open) {
        match character {
            '{' => depth += 1,
            ',' if depth == 0 => {
                leaves(&tree[start..at], &prefix, found);
                start = at + 1;
            }
            '}' if depth == 0 => return leaves(&tree[start..at], &prefix, found),
            '}' => depth -= 1,
            _ => {}
        }
    }
}

/// Every path of a source that begins in its own crate, but for its tests and comments.
fn paths(source: &str) -> Vec<Vec<String>> {
    let mut code: String =
        source.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect();
    if let Some(tests) = code.find("#[cfg(test)]\nmod tests {") {
        code.truncate(tests);
    }
    let (mut found, mut rest) = (Vec::new(), String::new());
    for statement in code.split_inclusive(';') {
        match statement.rsplit_once("use ") {
            Some((before, tree)) if before.trim_end().is_empty() || before.ends_with([' ', '\n', ')']) => {
                rest.push_str(before);
                leaves(tree.trim_end_matches(';'), &[], &mut found);
            }
            _ => rest.push_str(statement),
        }
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words =
        rest.split(|c| !is_path(c)).filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    found.extend(words.map(|word| word.split("::").map(str::to_owned).collect()));
    found.retain(|path: &Vec<String>| ["crate", "super"].contains(&path[0].as_str()));
    found
}

/// Adds what the files below a directory use, by the folder at the top that they are in. `module` is the directory's path.
fn add_arrows(
    directory: &Path,
    module: &[String],
    tops: &BTreeSet<String>,
    arrows: &mut BTreeMap<String, BTreeSet<String>>,
) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if name == "tests" || name.ends_with("_tests") {
            continue;
        }
        let own = match name.as_str() {
            "mod" | "lib" => module.to_vec(),
            _ => [module, &[name]].concat(),
        };
        if path.is_dir() {
            add_arrows(&path, &own, tops, arrows);
            continue;
        }
        let Some(top) = own.first().filter(|_| path.extension().is_some_and(|end| end == "rs")) else {
            continue;
        };
        for used in paths(&fs::read_to_string(&path).unwrap()) {
            let supers = used.iter().take_while(|segment| *segment == "super").count();
            let base = if supers == 0 { &[][..] } else { &own[..own.len().saturating_sub(supers)] };
            let other = base.iter().chain(used.iter().skip(supers.max(1))).next();
            if let Some(other) = other.filter(|other| *other != top && tops.contains(*other)) {
                arrows.entry(top.clone()).or_default().insert(other.clone());
            }
        }
    }
}

/// Everything that a folder reaches by its arrows.
fn reached<'a>(from: &'a str, arrows: &'a BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&'a str> {
    let (mut all, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(folder) = next.pop() {
        next.extend(
            arrows.get(folder).into_iter().flatten().map(String::as_str).filter(|other| all.insert(*other)),
        );
    }
    all
}

#[test]
fn only_the_allowed_arrows_stand_between_folders_and_they_go_down() {
    for (package, allowed, circles) in FOLDERS {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
        let entries = fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().path());
        let tops = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        let mut arrows = BTreeMap::new();
        add_arrows(&source, &[], &tops, &mut arrows);
        let own = |name: &&str| (*name).to_owned();
        let expected: BTreeMap<String, BTreeSet<String>> =
            allowed.iter().map(|(from, to)| ((*from).to_owned(), to.iter().map(own).collect())).collect();
        for (from, to) in &arrows {
            let known = expected.get(from).cloned().unwrap_or_default();
            let new: Vec<_> = to.difference(&known).collect();
            assert!(
                new.is_empty(),
                "{package}: {from} may not use {new:?}: let them have a leaf below both, or say here why"
            );
        }
        for (from, to) in &expected {
            let gone: Vec<_> = to.difference(arrows.get(from).unwrap_or(&BTreeSet::new())).cloned().collect();
            assert!(gone.is_empty(), "{package}: {from} does not use {gone:?} any more: take that out here");
        }
        for folder in arrows.keys() {
            let round: BTreeSet<&str> = reached(folder, &arrows)
                .into_iter()
                .filter(|other| reached(other, &arrows).contains(folder.as_str()))
                .collect();
            let is_known =
                circles.iter().any(|circle| circle.iter().copied().collect::<BTreeSet<_>>() == round);
            assert!(round.is_empty() || is_known, "{package}: a circle of folders: {round:?}");
        }
    }
}

/// The reader of paths finds what there is, lest the test above passes for want of arrows.
#[test]
fn paths_are_read_from_sources() {
    let source = "use std::io;\npub(crate) use crate::a::{b, c::{D, self}, e as f};\nuse super::{g, h};\n\
                  // use crate::no;\nfn x() { crate::i::j(super::k::L); }\n#[cfg(test)]\nmod tests { use crate::no; }\n";
    let found: BTreeSet<String> = paths(source).iter().map(|path| path.join("::")).collect();
    let expected = [
        "crate::a::b",
        "crate::a::c::D",
        "crate::a::c::self",
        "crate::a::e",
        "crate::i::j",
        "super::g",
        "super::h",
        "super::k::L",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}
