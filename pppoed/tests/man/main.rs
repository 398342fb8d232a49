//! The man pages of the server, and command lines in all documents, against the code.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod logging;
mod toml_page;

use std::path::Path;
use std::process::{Command, Stdio};

use clap::{CommandFactory, Parser};
use manual::Page;
use pppoed_config::flags::Flags;
use pppoed_config::import::ImportFlags;

fn read(path: &str) -> String {
    std::fs::read_to_string(manual::root().join(path)).unwrap()
}

/// What is between a heading of the page and the next one.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let start = page.find(&format!("\n.Sh {heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &page[start + 1..];
    rest.split("\n.Sh ").next().unwrap()
}

/// All sources of the server, to look for its messages.
fn sources() -> String {
    fn add(directory: &Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(&path, text);
            } else {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    for directory in ["pppoed/src", "crates/pppoed-config/src", "crates/pppoed-hooks/src"] {
        add(&manual::root().join(directory), &mut text);
    }
    text
}

#[test]
fn the_flags_of_the_page_are_those_of_the_table() {
    let mut flags = Flags::command();
    flags.build();
    let mut page = Page::new();
    flags.get_arguments().filter(|arg| Page::is_shown(arg)).for_each(|arg| page.option(arg));
    manual::check_region("man/pppoed.8", "flags", &page.into_source(), "pppoed --test");

    let mut import = ImportFlags::command();
    import.build();
    let mut page = Page::new();
    import.get_arguments().filter(|arg| Page::is_shown(arg)).for_each(|arg| page.option(arg));
    manual::check_region("man/pppoed.8", "import", &page.into_source(), "pppoed --test");
}

#[test]
fn mandoc_has_nothing_to_say_about_the_pages() {
    for page in std::fs::read_dir(manual::root().join("man")).unwrap() {
        manual::lint(page.unwrap().file_name().to_str().unwrap());
    }
}

#[test]
fn command_lines_in_documents_are_taken() {
    let examples = manual::command_lines("pppoed");
    assert!(examples.len() > 5, "{examples:?}");
    for manual::Example { place, words } in examples {
        let outcome = match words.first().map(String::as_str) {
            Some("import") => ImportFlags::try_parse_from(words).map(drop),
            // As the program does it.
            Some("check") => Flags::try_parse_from(
                ["pppoed", "--check"].into_iter().chain(words.iter().skip(1).map(String::as_str)),
            )
            .map(drop),
            _ => Flags::try_parse_from(["pppoed".to_owned()].into_iter().chain(words)).map(drop),
        };
        if let Err(error) = outcome {
            assert!(!error.use_stderr(), "{place}: {error}");
        }
    }
}

/// Flags for the unit and the init script.
#[test]
fn flags_in_the_environment_file_are_taken() {
    let mut count = 0;
    for (path, text) in manual::documents() {
        for (line, code) in manual::code_blocks(&path, &text) {
            let Some((_, flags)) = code.split_once("PPPOED_OPTIONS=\"") else { continue };
            let flags = flags.split('"').next().unwrap();
            let parsed = Flags::try_parse_from(["pppoed"].into_iter().chain(flags.split_whitespace()));
            parsed.unwrap_or_else(|error| panic!("{}:{line}: {error}", path.display()));
            count += 1;
        }
    }
    assert!(count > 0);
}

/// The files that an example shows by `# cat FILE`.
fn shown_file(page: &str, path: &str) -> String {
    let lines: Vec<(usize, String)> = manual::code_blocks(Path::new("pppoed.8"), page);
    let shown = lines.iter().map(|(_, line)| line.as_str());
    let start = format!("# cat {path}");
    let after = shown.skip_while(|line| *line != start).skip(1).take_while(|line| !line.starts_with("# "));
    let text: String = after.map(|line| format!("{line}\n")).collect();
    assert!(!text.is_empty(), "nothing shows {path}");
    text
}

#[test]
fn the_files_of_the_examples_have_no_mistakes() {
    let page = read("man/pppoed.8");
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, path: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, shown_file(&page, path)).unwrap();
        file
    };
    let options = write("options", "/etc/ppp/pppoe-server-options");
    let secrets = write("chap-secrets", "/etc/ppp/chap-secrets");
    std::fs::set_permissions(&secrets, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let empty = directory.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    std::fs::set_permissions(&empty, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    // The machine has the interface that the page's example is about.
    let machine = "ip link add eth1 type veth peer name far1 && ip link set eth1 up && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--net", "sh", "-c", machine, env!("CARGO_BIN_EXE_pppoed")])
        .args(["--worker", "/bin/true", "--worker-user", "nobody"])
        .args(["--check", "-I", "eth1", "--common-options"])
        .arg(&empty)
        .arg("--pap-secrets")
        .arg(&empty)
        .arg("-O")
        .arg(options)
        .arg("--chap-secrets")
        .arg(secrets)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_diagnostics_of_the_page_are_in_the_code() {
    let page = read("man/pppoed.8");
    let sources = sources();
    let items: Vec<&str> =
        section(&page, "DIAGNOSTICS").lines().filter_map(|line| line.strip_prefix(".It ")).collect();
    assert!(items.len() > 10, "{items:?}");
    for item in items {
        // The constant that the message is made of has the path's name.
        let text = item.replace("/dev/net/tun", "{TUN}");
        assert!(sources.contains(&text), "nothing says {item:?}");
    }
}

#[test]
fn the_steps_of_the_sandbox_are_those_of_the_page() {
    let page = read("man/ppp-worker.8");
    let told: Vec<&str> =
        section(&page, "SANDBOX").lines().filter_map(|line| line.strip_prefix(".It ")).collect();
    let source = read("crates/ppp-linux/src/sandbox/mod.rs");
    let names = source.split("impl fmt::Display for Step").nth(1).unwrap().split("\n}").next().unwrap();
    let steps: Vec<&str> =
        names.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\",")).collect();
    assert_eq!(told, steps);
}

#[test]
fn exit_statuses_are_those_of_the_pages() {
    let status = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pppoed"));
        let command = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(Stdio::null()).status().unwrap().code()
    };
    assert_eq!(status(&["--help"]), Some(0));
    assert_eq!(status(&[]), Some(2));
    assert_eq!(status(&["--nonsense"]), Some(2));
    assert_eq!(status(&["--check", "-p", "/no/such/file"]), Some(2));
    assert_eq!(status(&["--check-hooks", "/no/such/directory"]), Some(2));
}
