//! `man/pppoed-hooks.7` and the code name the same things.

use std::collections::BTreeSet;
use std::process::Command;

use ppp_ipc::hooks::Event;

use crate::host::Host;

const PAGE: &str = include_str!("../../../man/pppoed-hooks.7");
/// Where the tables of sessions are made.
const FIELDS: &str = include_str!("../../src/supervisor/hook_fields.rs");
/// Lua's own, which the page need not name.
const OF_LUA: [&str; 6] = ["coroutine", "math", "os", "string", "table", "utf8"];
/// What fills a script's globals, and is no function of ours.
const NOT_OURS: [&str; 22] = [
    "_G",
    "_VERSION",
    "assert",
    "collectgarbage",
    "error",
    "getmetatable",
    "ip_up",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "rawequal",
    "rawget",
    "rawlen",
    "rawset",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "warn",
    "xpcall",
];

/// The lines between a heading and the next one of its kind.
fn section(heading: &str) -> &'static str {
    let kind = heading.split_once(' ').unwrap().0;
    let start = PAGE.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let rest = &PAGE[start + heading.len() + 2..];
    let end = [format!("\n{kind} "), "\n.Sh ".to_owned()].iter().filter_map(|next| rest.find(next)).min();
    &rest[..end.unwrap_or(rest.len())]
}

/// The terms of a section's lists, up to their parentheses.
fn terms(text: &'static str) -> BTreeSet<&'static str> {
    let items = text.lines().filter_map(|line| line.strip_prefix(".It Ic "));
    let terms = items.flat_map(|line| line.split(" , Ic "));
    terms.map(|term| term.trim_start_matches('"').split('(').next().unwrap_or_default()).collect()
}

/// All names in the page: `store.get`, `sessions`.
fn names() -> BTreeSet<&'static str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    PAGE.split(|c| !is_part(c)).map(|name| name.trim_matches('.')).collect()
}

fn difference<'a>(one: &BTreeSet<&'a str>, other: &BTreeSet<&'a str>) -> Vec<&'a str> {
    one.symmetric_difference(other).copied().collect()
}

#[test]
fn the_events() {
    let in_code: BTreeSet<&str> = Event::ALL.iter().map(|event| event.as_str()).collect();
    let events = section(".Sh EVENTS");
    let list = events.split_once("\n.Ss ").map_or(events, |(list, _)| list);
    assert_eq!(difference(&terms(list), &in_code), Vec::<&str>::new());
}

#[test]
fn the_functions() {
    let mut host = Host::of(
        "function ip_up()
           local names = {}
           for name, value in pairs(_G) do
             if type(value) ~= 'table' then names[#names + 1] = name
             else for member in pairs(value) do names[#names + 1] = name .. '.' .. member end end
           end
           for method in pairs(nft()) do names[#names + 1] = 'nft:' .. method end
           return table.concat(names, ' ')
         end",
    );
    let listed = host.run().unwrap();
    let of_globals = |name: &&str| {
        let table = name.split('.').next().unwrap_or_default();
        !OF_LUA.contains(&table) && !NOT_OURS.contains(&table)
    };
    let found: BTreeSet<&str> = listed.trim_matches('"').split(' ').filter(of_globals).collect();
    let (methods, functions): (BTreeSet<&str>, BTreeSet<&str>) =
        found.iter().partition(|name| name.starts_with("nft:"));
    let methods: BTreeSet<&str> = methods.iter().filter_map(|name| name.strip_prefix("nft:")).collect();
    assert!(functions.len() > 20 && methods.len() > 10, "{listed}");

    let named = names();
    let missing: Vec<_> = functions.iter().filter(|name| !named.contains(*name)).collect();
    assert!(missing.is_empty(), "not in the page: {missing:?}");
    let tables: BTreeSet<&str> =
        functions.iter().filter_map(|name| name.split_once('.').map(|(table, _)| table)).collect();
    let unknown: Vec<_> = named
        .iter()
        .filter(|name| name.split_once('.').is_some_and(|(table, _)| tables.contains(table)))
        .filter(|name| !functions.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "not in the code: {unknown:?}");
    assert_eq!(difference(&terms(section(".Ss nft")), &methods), Vec::<&str>::new());
}

#[test]
fn the_fields_of_a_session() {
    let all = FIELDS.split_once("const SYNONYMS").unwrap().1;
    let of_session = all.split_once("fn of_offer").unwrap().0;
    // Names stand in lists, or are what is added.
    let lists = of_session.split('[').skip(1).filter_map(|rest| rest.split_once(']')).map(|(list, _)| list);
    let added = of_session.split("fields.").skip(1);
    let added = added.filter_map(|rest| {
        rest.strip_prefix("add(").or_else(|| rest.strip_prefix("maybe("))?.split_once(',')
    });
    let lists = lists.chain(added.map(|(name, _)| name));
    let in_code: BTreeSet<&str> = lists.flat_map(|list| list.split('"').skip(1).step_by(2)).collect();
    assert!(in_code.len() > 50, "{in_code:?}");
    assert_eq!(difference(&terms(section(".Sh THE SESSION")), &in_code), Vec::<&str>::new());
}

#[test]
fn the_flags() {
    let help = Command::new(env!("CARGO_BIN_EXE_pppoed")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let in_help: BTreeSet<&str> =
        help.split_whitespace().filter_map(|word| word.strip_prefix("--hook")).collect();
    let flags = section(".Sh FLAGS");
    let items = flags.lines().filter_map(|line| line.strip_prefix(".It Fl -hook"));
    let in_page: BTreeSet<&str> = items.filter_map(|item| item.split(' ').next()).collect();
    assert!(in_page.len() > 5, "{in_page:?}");
    assert_eq!(difference(&in_page, &in_help), Vec::<&str>::new());
}
