//! `man/pppoed.toml.5` against the tables of keys and options.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use manual::Page;
use pppoed_config::config::{CommandLine, Source};
use pppoed_config::flags::keys::{Kind, server_keys};
use pppoed_config::options::{OptionUse, all_options};
use pppoed_config::secrets::Users;

use crate::read;

const PAGE: &str = "man/pppoed.toml.5";
const TEST: &str = "pppoed --test";

fn escaped(name: &str) -> String {
    name.replace('-', "\\-")
}

/// Names on a line, with commas between.
fn enumeration(names: &[&str]) -> String {
    let mut lines = String::new();
    for (index, name) in names.iter().enumerate() {
        let mark = match index + 1 == names.len() {
            true => ".",
            false => ",",
        };
        lines.push_str(&format!(".Ic {} {mark}\n", escaped(name)));
    }
    lines
}

#[test]
fn the_settings_are_those_of_the_table() {
    let mut page = Page::new();
    for key in server_keys().iter().filter(|key| key.not_in_file.is_none()) {
        let value = match key.kind {
            Kind::Switch => "Cm true | Cm false".to_owned(),
            Kind::Number | Kind::Quantity | Kind::Text | Kind::Path => format!("Ar {}", key.value_name),
            Kind::List => format!("Ar {} No or list", key.value_name),
        };
        page.line(&format!(".It Ic {} No = {value}", key.name));
        page.text(&format!("{}.", key.about.trim_end_matches('.')));
        match key.kind {
            Kind::Text => page.text("A string."),
            Kind::Path => page.text("A path as a string."),
            Kind::List => page.text("A string, or a list of strings."),
            Kind::Number | Kind::Quantity | Kind::Switch => {}
        }
        if let Some(default) = &key.default {
            page.text(&format!("By default {default}."));
        }
    }
    manual::check_region(PAGE, "settings", &page.into_source(), TEST);
    let refused: Vec<&str> =
        server_keys().iter().filter(|key| key.not_in_file.is_some()).map(|key| key.name.as_str()).collect();
    manual::check_region(PAGE, "flags", &enumeration(&refused), TEST);

    let (mut without, mut true_anyway) = (Vec::new(), Vec::new());
    let mut refused: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for option in all_options() {
        match option.use_ {
            OptionUse::NoEffect(_) => without.push(option.name),
            OptionUse::AlreadyTrue => true_anyway.push(option.name),
            OptionUse::Refused(why) => refused.entry(why).or_default().push(option.name),
            OptionUse::Server | OptionUse::Session | OptionUse::Include => {}
        }
    }
    without.sort_unstable();
    true_anyway.sort_unstable();
    manual::check_region(PAGE, "without effect", &enumeration(&without), TEST);
    manual::check_region(PAGE, "already true", &enumeration(&true_anyway), TEST);
    let mut page = Page::new();
    for (why, names) in refused {
        let names: Vec<String> = names.iter().map(|name| escaped(name)).collect();
        page.line(&format!(".It Ic {}", names.join(" , ")));
        let mut reason: String = why.chars().take(1).flat_map(char::to_uppercase).collect();
        reason.extend(why.chars().skip(1));
        page.text(&format!("{}.", reason.trim_end_matches('.')));
    }
    manual::check_region(PAGE, "refused", &page.into_source(), TEST);
}

/// The names in `.It Ic` between two headings.
fn described<'a>(page: &'a str, from: &str, to: &str) -> BTreeSet<&'a str> {
    let start = page.find(from).unwrap();
    let end = start + page[start..].find(to).unwrap();
    let items = page[start..end].lines().filter_map(|line| line.strip_prefix(".It Ic "));
    items.flat_map(|line| line.split(" , ")).collect()
}

#[test]
fn the_options_that_work_are_described_and_no_others() {
    let page = read(PAGE);
    let names = |wanted: OptionUse| -> Vec<&str> {
        let mut names: Vec<&str> =
            all_options().filter(|option| option.use_ == wanted).map(|it| it.name).collect();
        names.sort_unstable();
        names
    };
    let told = |from, to| described(&page, from, to).into_iter().collect::<Vec<_>>();
    assert_eq!(told(".Ss Of the server", ".Ss Of a session"), names(OptionUse::Server));
    assert_eq!(told(".Ss Of a session", ".Ss Without effect"), names(OptionUse::Session));
    assert_eq!(names(OptionUse::Include), ["file"]);
}

#[test]
fn the_keys_of_interfaces_and_pools_are_described() {
    let page = read(PAGE);
    let source = read("crates/pppoed-config/src/config/file/section.rs");
    let list = |name: &str| -> BTreeSet<String> {
        let declared = source.split(&format!("const {name}: ")).nth(1).unwrap();
        let values = declared.split_once("=").unwrap().1.split("];").next().unwrap();
        values.split('"').skip(1).step_by(2).map(str::to_owned).collect()
    };
    let told = |from, to| -> BTreeSet<String> {
        described(&page, from, to).iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect()
    };
    let keys = &list("OWN_KEYS") | &list("SERVER_KEYS");
    assert!(keys.len() > 8, "{keys:?}");
    assert_eq!(told(".Sh INTERFACES", ".Sh POOLS"), keys);
    assert_eq!(told(".Sh POOLS", ".Sh OPTIONS"), list("POOL_KEYS"));
    let source = read("crates/pppoed-config/src/secrets/users.rs");
    let list = source.split_once("const KEYS: ").unwrap().1.split_once("= [").unwrap().1;
    let keys: BTreeSet<String> =
        list.split("];").next().unwrap().split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(told(".Sh USERS", ".Sh FILES"), keys);
}

#[test]
fn the_examples_have_no_mistakes() {
    let page = read(PAGE);
    let mut examples: Vec<String> = Vec::new();
    let (mut last, mut users) = (0, 0);
    for (number, line) in manual::code_blocks(Path::new(PAGE), &page) {
        if line == "# /etc/pppoed/pppoed.toml" {
            examples.push(String::new());
        } else if line == "# /etc/pppoed/users.toml" {
            users = examples.len();
            examples.push(String::new());
        } else if number > last + 1 {
            panic!("{PAGE}:{number}: an example that is none of a file");
        }
        last = number;
        let example = examples.last_mut().unwrap();
        example.push_str(&line);
        example.push('\n');
    }
    assert_eq!(examples.len(), 5);
    let users = examples.remove(users);
    let (_, notices) = Users::parse(Path::new("users.toml"), users.as_bytes()).unwrap();
    assert!(users.contains("[mallory]") && notices.is_empty(), "{notices:?}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pppoed.toml");
    std::fs::write(directory.path().join("options"), "").unwrap();
    for example in examples {
        std::fs::write(&file, &example).unwrap();
        let at = directory.path().display();
        let line = format!("pppoed -c {at}/pppoed.toml --common-options {at}/options -O {at}/options");
        let line = CommandLine::try_parse_from(line.split(' ')).unwrap();
        let (config, notices) = Source::new(line).config();
        let config = config.unwrap_or_else(|errors| panic!("{errors:#?}\n{example}"));
        assert!(config.pools().count() + config.pool.len() > 0);
        let notices: Vec<String> = notices
            .iter()
            .map(ToString::to_string)
            .filter(|notice| !notice.contains(&at.to_string()))
            .collect();
        assert_eq!(notices, Vec::<String>::new(), "{example}");
    }
}
