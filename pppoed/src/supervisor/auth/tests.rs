use ppp_ipc::hooks::Secret;
use ppp_proto::auth::chap::md5_response;

use super::*;
use crate::secrets::Settings;

fn challenge() -> Challenge {
    Challenge::after(None).unwrap()
}

/// A response as somebody makes it who has this secret.
fn chap(name: &[u8], secret: &[u8]) -> Attempt {
    let challenge = challenge();
    let response = md5_response(challenge.identifier, secret, &challenge.value);
    Attempt::chap(name, &response, challenge).unwrap()
}

fn pap(name: &[u8], password: &[u8]) -> Attempt {
    Attempt::pap(name, password).unwrap()
}

/// Files that are not there.
fn no_secrets() -> Mutex<Secrets> {
    let settings = Settings {
        chap_secrets: "/nonexistent/chap".into(),
        pap_secrets: "/nonexistent/pap".into(),
        users_file: None,
        our_name: b"gw".to_vec(),
        papcrypt: false,
    };
    Mutex::new(Secrets::new(settings))
}

#[test]
fn a_proof_fits_the_whole_secret_and_nothing_else() {
    let secret = b"open sesame";
    for attempt in [chap, pap].map(|attempt| attempt(b"alice", secret)) {
        assert!(attempt.fits(secret));
        for other in [&b""[..], b"open sesam", b"open sesame ", b"open sesame\0", b"Open sesame", &[0; 11]] {
            assert!(!attempt.fits(other), "{other:?}");
        }
    }
}

#[test]
fn the_empty_secret_is_proven_by_nothing() {
    for attempt in [chap(b"alice", b""), pap(b"alice", b""), pap(b"alice", b"x")] {
        assert!(!attempt.fits(b""));
        // Nor if a hook should give it, which the host of the hooks does not let pass.
        let decider = Decider::Secret { file: "a.lua".to_owned(), secret: Secret(Vec::new()) };
        let ruling = Ruling { decider, ..Ruling::default() };
        assert!(compare(&no_secrets(), &attempt, ruling, 0).is_err());
    }
}

#[test]
fn fields_have_the_length_that_their_protocol_has_room_for() {
    let field = |len: usize| vec![b'x'; len];
    for (name, password, possible) in
        [(0, 0, true), (255, 255, true), (256, 255, false), (255, 256, false), (60_000, 1, false)]
    {
        assert_eq!(Attempt::pap(&field(name), &field(password)).is_some(), possible, "{name} {password}");
    }
    for (len, possible) in [(0, false), (15, false), (16, true), (17, false)] {
        assert_eq!(Attempt::chap(b"alice", &field(len), challenge()).is_some(), possible, "{len}");
    }
}

#[test]
fn no_hook_lets_in_a_name_that_is_too_long() {
    for (len, accepted) in [(MAX_NAME, true), (MAX_NAME + 1, false)] {
        let ruling = || Ruling { decider: Decider::Nobody { file: "a.lua".to_owned() }, ..Ruling::default() };
        let result = compare(&no_secrets(), &chap(&vec![b'x'; len], b"x"), ruling(), 0);
        assert_eq!(result.is_ok(), accepted, "{len}: {result:?}");
    }
}

#[test]
fn attempts_show_no_secret() {
    for attempt in [chap(b"alice", b"hunter2"), pap(b"alice", b"hunter2")] {
        assert_eq!(format!("{attempt:?}"), r#"Attempt { name: "alice", .. }"#);
    }
}
