//! `pppoed.toml`, up to the settings that it makes.

use std::path::Path;

use pppoed_config::config::file::layer;
use pppoed_config::origin::{Origin, Place};

/// Lines of the file, and one beyond.
fn lines(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.split(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    let path = Path::new("/etc/pppoed.toml");
    let (settings, errors) = layer(path, bytes);
    for error in &errors {
        let message = error.to_string();
        assert!(message.starts_with("/etc/pppoed.toml"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
    let all = settings.server.iter().chain(&settings.ppp);
    assert!(all.clone().count() + settings.interfaces.len() + settings.pools.len() <= bytes.len());
    for setting in all {
        assert!(
            matches!(&setting.origin, Origin::File(Place { line, .. }) if (1..=lines(bytes)).contains(line))
        );
        assert!(setting.values.len() <= bytes.len());
    }
    // Read again it says the same.
    let (again, more) = layer(path, bytes);
    assert!(again == settings && more.len() == errors.len());
}
