//! pppd's options files.

use std::path::Path;

use pppoed_config::options::{PppOptions, Reader};

use super::names::would_ask_the_system;

fn read(bytes: &[u8]) -> (PppOptions, Vec<String>, Vec<String>) {
    let mut reader = Reader::new();
    reader.read_bytes(Path::new("/etc/options"), bytes);
    let (options, errors, notices) = reader.finish();
    let shown = |error: &dyn std::fmt::Display| error.to_string();
    (options, errors.iter().map(|e| shown(e)).collect(), notices.iter().map(|n| shown(n)).collect())
}

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    if would_ask_the_system(bytes) {
        return;
    }
    let (options, errors, notices) = read(bytes);
    for message in errors.iter().chain(&notices) {
        assert!(message.starts_with("/etc/options:"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
    assert!(notices.len() <= 1 + bytes.len());
    if let Some(mru) = &options.mru {
        assert!((128..=1500).contains(&mru.value), "{mru}");
    }
    let _ = options.auth_methods();
    let session = options.session.clone();
    let _ = (session.name_servers(), session.rates());
    assert_eq!(session.clone().over(&session), session, "over itself it is the same");
    // The file twice is the file once: the later line wins. Lists and counters grow, and are bounded.
    let twice = [bytes, b"\n", bytes].concat();
    if errors.is_empty() && pppoed_config::words::Words::new(bytes).all(|word| word.flaw.is_none()) {
        let (again, errors, _) = read(&twice);
        assert_eq!(errors, [] as [String; 0]);
        assert_eq!(again.auth_methods().value, options.auth_methods().value);
        assert_eq!(again.mru.map(|mru| mru.value), options.mru.map(|mru| mru.value));
        assert!(again.session.ms_dns.len() <= 2 && again.session.ms_wins.len() <= 2);
    }
}
