use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ppp_ipc::hooks::Secret;
use ppp_proto::auth::chap::md5_response;
use ppp_wire::MacAddr;
use pppoed_config::inet::Resolve;
use pppoed_config::secrets::{MAX_NAME, Settings};
use tokio::task::LocalSet;

use super::super::comparison::Waits;
use super::super::hashing::{Hashing, Standing};
use super::super::hook_auth::Decider;
use super::super::secret_files::SecretFiles;
use super::*;
use crate::names::HostNames;

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

const NOWHERE: &str = "/nonexistent/secrets";
const WAIT: Duration = Duration::from_millis(100);

/// Compares with these secrets, for both protocols.
fn comparison(secrets: &Path, names: HostNames, hashing: &Hashing) -> Comparison {
    let settings = Settings {
        chap_secrets: secrets.to_owned(),
        pap_secrets: secrets.to_owned(),
        users_file: None,
        our_name: b"gw".to_vec(),
        papcrypt: false,
    };
    Comparison {
        files: SecretFiles::with_names(settings, names).unwrap(),
        hashing: hashing.clone(),
        waits: Waits { hash: WAIT, name: WAIT },
        unit: 0,
        station: (0, MacAddr([2, 0, 0, 0, 0, 1])),
        standing: Standing::Stranger,
    }
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    LocalSet::new().block_on(&runtime, test)
}

/// Compares with files that are not there.
fn compare(attempt: Attempt, ruling: Ruling) -> Result<Accepted, String> {
    let (names, hashing) = (HostNames::new().unwrap(), Hashing::new().unwrap());
    run(comparison(Path::new(NOWHERE), names, &hashing).run(attempt, ruling))
}

/// A resolver that answers when it is told to.
#[derive(Debug)]
struct Stuck(Mutex<Receiver<()>>);

impl Resolve for Stuck {
    fn host(&self, _: &str) -> Option<Ipv4Addr> {
        self.0.lock().unwrap().recv().is_ok().then_some([10, 0, 0, 7].into())
    }

    fn network(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }
}

/// What 30 hosts without an account could do: they all guess at the password of one user, which is a hash.
#[test]
fn guesses_at_a_hashed_password_hold_up_nobody_with_another() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hash = "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e";
    fs::write(file.path(), format!("hashed gw \"{hash}\" *\nplain gw sesame *\n")).unwrap();
    let hashing = Hashing::new().unwrap();
    run(async {
        let try_it = |name: &'static [u8], password: &'static [u8]| {
            comparison(file.path(), HostNames::new().unwrap(), &hashing)
                .run(pap(name, password), Ruling::default())
        };
        try_it(b"hashed", b"correct horse").await.unwrap();
        // Computing without end, for the user who is guessed at.
        let (release, released) = channel::<()>();
        let own = hashing.clone();
        let guess = tokio::task::spawn_local(async move {
            own.compare(b"hashed", None, Standing::Stranger, WAIT, move || released.recv().is_err()).await
        });
        tokio::task::yield_now().await;
        for _ in 0..20 {
            assert!(try_it(b"plain", b"sesame").await.is_ok());
        }
        let why = try_it(b"hashed", b"correct horse").await.unwrap_err();
        assert_eq!(why, "hashed passwords could not be compared within 100ms (--hash-wait)");
        drop(release);
        assert_eq!(guess.await.unwrap(), Ok(true));
        try_it(b"hashed", b"correct horse").await.unwrap();
    });
}

#[test]
fn a_resolver_that_does_not_answer_holds_up_nobody_for_long() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "named gw sesame host.example\nplain gw sesame *\n").unwrap();
    let (answer, answered) = channel();
    let (names, hashing) = (HostNames::of(Stuck(Mutex::new(answered))).unwrap(), Hashing::new().unwrap());
    run(async {
        let try_it = |name: &'static [u8]| {
            comparison(file.path(), names.clone(), &hashing).run(pap(name, b"sesame"), Ruling::default())
        };
        // The first waits for the name: its address may be that of another.
        let begun = Instant::now();
        assert!(try_it(b"plain").await.is_ok());
        assert!(begun.elapsed() >= WAIT);
        let begun = Instant::now();
        for _ in 0..20 {
            assert!(try_it(b"plain").await.is_ok());
        }
        assert_eq!(try_it(b"named").await.unwrap().addresses.unwrap().suggested(), None);
        assert!(begun.elapsed() < 20 * WAIT, "each waited");
        answer.send(()).unwrap();
        names.settled(Duration::from_secs(20)).await;
        let accepted = try_it(b"named").await.unwrap();
        assert_eq!(accepted.addresses.unwrap().suggested(), Some([10, 0, 0, 7].into()));
        assert!(accepted.fixed.is_reserved_from([10, 0, 0, 7].into(), Some(b"plain")));
    });
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
        assert!(compare(attempt, ruling).is_err());
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
        let result = compare(chap(&vec![b'x'; len], b"x"), ruling());
        assert_eq!(result.is_ok(), accepted, "{len}: {result:?}");
    }
}

#[test]
fn attempts_show_no_secret() {
    for attempt in [chap(b"alice", b"hunter2"), pap(b"alice", b"hunter2")] {
        assert_eq!(format!("{attempt:?}"), r#"Attempt { name: "alice", .. }"#);
    }
}
