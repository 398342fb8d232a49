//! The users file: what it says is what a plain reader of TOML finds in it, or all of it is refused; and no password is shown.

use std::path::Path;

use pppoed_config::secrets::{User, Users};
use toml::{Table, Value};

use super::names::table_would_ask_the_system;

/// A password that is not shown.
const MARK: &str = "hunter2";

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    let text = std::str::from_utf8(bytes).ok();
    let plain = text.and_then(|text| text.parse::<Table>().ok());
    if plain.as_ref().is_some_and(table_would_ask_the_system) {
        return;
    }
    let path = Path::new("/etc/users.toml");
    let (read, messages): (_, Vec<String>) = match Users::parse(path, bytes) {
        Ok((users, notices)) => (Some(users), notices.iter().map(ToString::to_string).collect()),
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            (None, errors.iter().map(ToString::to_string).collect())
        }
    };
    for message in &messages {
        assert!(message.starts_with("/etc/users.toml:"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
    let Some(plain) = plain else {
        assert!(read.is_none(), "no TOML, and yet there are users");
        return;
    };
    if is_a_password_alone(&plain) {
        assert!(!messages.iter().any(|message| message.contains(MARK)), "{messages:?}");
        let shown = format!("{read:?}");
        assert!(!shown.contains(MARK), "{shown}");
    }
    let Some(users) = read else { return };
    assert!(users.find(b"").is_none() && users.find(b"*").is_none());
    assert_eq!(users.iter().count(), plain.len());
    for (name, settings) in &plain {
        let user = users.find(name.as_bytes()).unwrap_or_else(|| panic!("{name:?} is lost"));
        check(name, user, settings.as_table().expect("a user is a table"));
    }
}

fn check(name: &str, user: &User, settings: &Table) {
    let denial = user.denial(name.as_bytes());
    assert_eq!(denial.is_err(), settings.get("deny") == Some(&Value::Boolean(true)));
    if let Err(refusal) = denial {
        let shown = refusal.to_string();
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    let line = user.line(name.as_bytes());
    let password = settings.get("password").map(|password| password.as_str().expect("a password is a text"));
    assert_eq!(line.is_some(), password.is_some(), "a line of one's own is one with a password");
    let (Some(line), Some(password)) = (line, password) else { return };
    assert!(!password.is_empty(), "an empty password is refused");
    let is_right = |secret: &[u8]| line.candidate(false).verify_chap(|own| own == secret).is_ok();
    assert!(is_right(password.as_bytes()));
    assert!(!is_right(b"") && !is_right(&[password.as_bytes(), b"x"].concat()));
    // Whatever a hash may cost is for its tests.
    if !password.starts_with('$') {
        let lets_in = |given: &[u8]| line.candidate(false).verify_pap(given).is_ok();
        assert_eq!(lets_in(password.as_bytes()), password != "@login");
        assert!(!lets_in(b"") && !lets_in(&[password.as_bytes(), b"x"].concat()));
        assert!(
            line.candidate(true).verify_pap(password.as_bytes()).is_err(),
            "papcrypt takes no password as it is"
        );
    }
}

/// Whether the mark is in the password of a user, and nowhere else.
fn is_a_password_alone(plain: &Table) -> bool {
    let (mut in_password, mut elsewhere) = (false, false);
    for (name, settings) in plain {
        elsewhere |= name.contains(MARK);
        let Some(settings) = settings.as_table() else {
            elsewhere |= format!("{settings:?}").contains(MARK);
            continue;
        };
        for (key, value) in settings {
            match value.as_str() {
                Some(password) if key == "password" => in_password |= password.contains(MARK),
                _ => elsewhere |= key.contains(MARK) || format!("{value:?}").contains(MARK),
            }
        }
    }
    in_password && !elsewhere
}
