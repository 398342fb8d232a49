//! Names as text, both ways: what is shown is what is compared.

use ppp_ipc::name::{Name, NamePattern};
use ppp_wire::name::{NameText, bytes_of};

use super::escaping::acts_on_a_reader;

/// The bytes are a name, and then a text that somebody typed.
pub fn run(bytes: &[u8]) {
    let text = NameText(bytes).to_string();
    assert!(!text.chars().any(acts_on_a_reader), "{text:?}");
    assert!(
        !text.contains(['"', '*', '?']) && !text.starts_with(['-', ' ']) && !text.ends_with(' '),
        "{text:?}"
    );
    assert_eq!(bytes_of(text.as_bytes()), bytes);

    // Any text is a name, which is shown in one way.
    let name = Name::from_text(bytes);
    assert!(name.as_bytes().len() <= bytes.len());
    assert_eq!(Name::from_text(name.to_string()), name);

    let pattern = NamePattern::from_text(bytes);
    assert_eq!(NamePattern::from_text(pattern.to_string()), pattern);
    let exactly = NamePattern::from_text(name.to_string());
    assert_eq!(exactly.exact().as_ref(), Some(&name), "its text is no pattern for others");
    assert!(exactly.matches(name.as_bytes()));
    if let Some(only) = pattern.exact() {
        assert_eq!(only, name);
    }
}
