//! What `docs/logging.md` and the catalog say of the messages of the log.

use std::process::Command;

use pppoed::message::{ALL, Message, by_name};

use crate::{read, sources};

#[test]
fn the_table_of_messages_is_that_of_the_code() {
    let mut table = String::from("| event | `MESSAGE_ID` | words | |\n|---|---|---|---|\n");
    for Message { name, id, words, meaning } in ALL {
        table.push_str(&format!("| `{name}` | `{id:032x}` | {words} | {meaning} |\n"));
    }
    manual::check_region("docs/logging.md", "messages", &table, "pppoed --test");
}

#[test]
fn every_message_is_written_by_something() {
    let sources = sources();
    for message in ALL {
        let constant = message.name.replace('-', "_").to_uppercase();
        let is_written = [".name,", ", self", ", session"].iter().any(|after| {
            sources.contains(&format!("{constant}{after}")) || sources.contains(&format!("{constant},\n"))
        });
        assert!(is_written, "nothing writes {}", message.name);
    }
}

/// The numbers of the catalog's texts, each with the name in the remark before it.
fn catalog() -> Vec<(String, String)> {
    let text = read("etc/pppoed.catalog");
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).filter_map(|pair| {
        let id = pair[1].strip_prefix("-- ")?;
        Some((pair[0].strip_prefix("# ").unwrap().to_owned(), id.to_owned()))
    });
    pairs.collect()
}

#[test]
fn the_catalog_has_the_numbers_of_the_messages() {
    let catalog = catalog();
    assert!(catalog.len() >= 10);
    for (name, id) in catalog {
        let message = by_name(&name).unwrap_or_else(|| panic!("there is no message {name}"));
        assert_eq!(id, format!("{:032x}", message.id), "{name}");
    }
}

/// With the journal's own tool.
#[test]
fn the_journal_takes_the_catalog() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("usr/lib/systemd/catalog");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).unwrap();
    std::fs::copy(manual::root().join("etc/pppoed.catalog"), directory.join("pppoed.catalog")).unwrap();
    let journalctl = |what: &str| {
        let output = Command::new("journalctl")
            .arg(format!("--root={}", root.path().display()))
            .arg(what)
            .output()
            .expect("journalctl is installed");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{what}: {said}");
        String::from_utf8(output.stdout).unwrap()
    };
    journalctl("--update-catalog");
    let listed = journalctl("--list-catalog");
    for (name, id) in catalog() {
        assert!(listed.contains(&format!("{id} pppoed: ")), "{name}: {listed}");
    }
}
