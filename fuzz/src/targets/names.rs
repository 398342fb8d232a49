//! What a target must not do: ask the system for names, or read its files.

use std::net::Ipv4Addr;

use pppoed_config::inet::{self, Resolve};
use pppoed_config::words::Words;
use toml::{Table, Value};

/// Whether reading these words of an options or secrets file would ask the system for a name, or open a file.
pub(super) fn would_ask_the_system(contents: &[u8]) -> bool {
    let is_name = |word: &[u8]| std::str::from_utf8(word).is_ok_and(inet::is_name);
    let mut before = Vec::new();
    Words::new(contents).any(|word| {
        let before = std::mem::replace(&mut before, word.bytes().to_vec());
        let takes_address = before == b"ms-dns" || before == b"ms-wins";
        let colon = word.bytes().iter().position(|byte| *byte == b':');
        let is_pair =
            colon.is_some_and(|at| is_name(&word.bytes()[..at]) || is_name(&word.bytes()[at + 1..]));
        before == b"file"
            || word.bytes().starts_with(b"@/")
            || (takes_address && is_name(word.bytes()))
            || is_pair
    })
}

/// The same of a file in TOML.
pub(super) fn table_would_ask_the_system(table: &Table) -> bool {
    let is_name = |value: &Value| value.as_str().is_some_and(inet::is_name);
    table.iter().any(|(key, value)| match value {
        Value::Table(table) => table_would_ask_the_system(table),
        _ if key != "ms-dns" && key != "ms-wins" => false,
        Value::Array(values) => values.iter().any(is_name),
        value => is_name(value),
    })
}

/// Names that the target makes up.
pub(super) struct MadeUp;

impl Resolve for MadeUp {
    fn host(&self, name: &str) -> Option<Ipv4Addr> {
        (!name.starts_with('n')).then_some(Ipv4Addr::new(
            192,
            0,
            2,
            u8::try_from(name.len() % 256).unwrap_or(0),
        ))
    }

    fn network(&self, name: &str) -> Option<Ipv4Addr> {
        name.starts_with('n').then_some(Ipv4Addr::new(198, 51, 100, 0))
    }
}
