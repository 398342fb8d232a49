//! The options of one user, behind `--` in a secrets file.

use std::path::Path;
use std::sync::Arc;

use pppoed_config::options::{SessionOptions, UserWord, parse_user_options};
use pppoed_config::origin::Place;
use pppoed_config::words::Words;

use super::names::would_ask_the_system;

/// The bytes are the words.
pub fn run(bytes: &[u8]) {
    if would_ask_the_system(bytes) {
        return;
    }
    let place = Place::new(Arc::from(Path::new("/etc/secrets")), 1);
    let words: Vec<_> = Words::new(bytes).collect();
    let words: Vec<_> =
        words.iter().map(|word| UserWord { bytes: word.bytes(), place: place.clone() }).collect();
    let (options, errors, notices) = parse_user_options(&words);
    assert!(errors.len() + notices.len() <= 2 * words.len());
    let errors = errors.iter().map(ToString::to_string);
    for message in errors.chain(notices.iter().map(ToString::to_string)) {
        assert!(message.starts_with("/etc/secrets:1"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
    assert!(options.ms_dns.len() <= 2 && options.ms_wins.len() <= 2);
    assert_eq!(options.clone().over(&SessionOptions::default()), options);
    assert_eq!(SessionOptions::default().over(&options), options);
}
