//! The console file: written anew it says what it said.

use std::path::Path;

use pppoed_config::policy::{By, parse, text};
use toml::Table;

use super::names::table_would_ask_the_system;

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    let plain = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<Table>().ok());
    if plain.as_ref().is_some_and(table_would_ask_the_system) {
        return;
    }
    let path = Path::new("/etc/console.toml");
    match parse(path, bytes) {
        Ok(policy) => {
            assert!(plain.is_some(), "no TOML, and yet it is read");
            let text = text(&policy, By { uid: 1000, time_ms: 1 });
            let again = parse(path, text.as_bytes()).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
            assert!(again.says_the_same(&policy), "{again:?}\n{policy:?}\n{text}");
        }
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            for error in errors {
                let message = error.to_string();
                assert!(message.starts_with("/etc/console.toml:"), "{message}");
                assert!(!message.chars().any(char::is_control), "{message:?}");
            }
        }
    }
}
