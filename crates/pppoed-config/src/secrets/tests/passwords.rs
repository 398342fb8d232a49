//! Which passwords match, and which never do.

use super::*;

const HASHES: &[(&str, &str)] = &[
    ("correct horse", "$1$saltsalt$NuzA7WTAelpl95xgBGWN60"),
    ("pppppppppppppppppppppppppppppppppppppppp", "$1$x$4rhfQ.1UaS20nmafVL3JN0"),
    ("longer than sixteen bytes password", "$1$12345678$FqyimZS4wRCdSZG.aZyJO0"),
    ("correct horse", "$5$saltsalt$myjXcpMpE2Ofk7fj9hqyNYSn6lmWG4Mqnjx.KIRRr4/"),
    (
        "correct horse",
        "$6$saltsalt$hRM5XZ86KXEw9UOmjigeVqFgULtFB2sgpC9lXQDfMib3Zgw7mEiUvBJI2EplzfAqxL5Vvwp2scFtv/uamSo5z0",
    ),
    (
        "correct horse",
        "$6$rounds=1000$abcdefgh$DbXqPck5ABZumVXwcH5eMVHsPZwvQ3jylSxpJmKkZVxcoCiC3N0rPerjHmAqL7r6PK6CIeYnO9.vxpbsevscg/",
    ),
    ("correct horse", "$2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"),
    ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
];

#[test]
fn pap_takes_the_secret_or_its_hash() {
    for (password, hash) in HASHES {
        let (file, notices) = parse(&format!("bob gw '{hash}' *\n"), Protocol::Pap);
        for papcrypt in [false, true] {
            let found = file.lookup(b"bob", b"gw").unwrap().candidate(papcrypt);
            assert_eq!(found.verify_pap(password.as_bytes()), Ok(()), "{hash}");
            found.verify_pap(b"wrong").unwrap_err();
            // the hash itself is no password
            found.verify_pap(hash.as_bytes()).unwrap_err();
        }
        assert_eq!(notices, Vec::<String>::new());
    }
}

/// Hashes of the empty password, by crypt(3).
const HASHES_OF_NOTHING: [&str; 4] = [
    "$1$ab$rn6aQS/o7141mj179E/zA.",
    "$2b$04$abcdefghijklmnopqrstuubyCG3zY1GIXMyxfivm.ClDiInHzxjiq",
    "$5$rounds=1000$ab$Yd3BaIOVbovC2OGzlWXH53yhcyaWZscnPjMwuHC/2t3",
    "$6$rounds=1000$ab$ibFMAI/Igw53aVaJxJu4wwQmU0jF8lxiKV6mtjRJmbxKnzQU8fIizULiJeSfGn7H54dbRhqwIBpklchs8nlWi.",
];

#[test]
fn an_empty_password_never_matches() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("empty"), "\"\"\n").unwrap();
    fs::set_permissions(path("empty"), Permissions::from_mode(0o600)).unwrap();
    let in_file = format!("@{}", path("empty").display());
    let hashes = HASHES_OF_NOTHING.map(|hash| format!("'{hash}'"));
    let words = ["\"\"", "''", "\\0", "\"\\x00rest\"", "@login", "plain", in_file.as_str()];
    for word in words.into_iter().chain(hashes.iter().map(String::as_str)) {
        for client in ["bob", "*"] {
            fs::write(path("secrets"), format!("{client} * {word} *\n")).unwrap();
            // Options for bob, and no password: the line decides.
            fs::write(path("users"), "[bob]\nidle = 60\n").unwrap();
            for (papcrypt, users) in [(false, false), (true, false), (false, true)] {
                let mut secrets = Secrets::new(Settings {
                    chap_secrets: path("secrets"),
                    pap_secrets: path("secrets"),
                    users_file: users.then(|| path("users")),
                    our_name: b"gw".to_vec(),
                    papcrypt,
                });
                for password in [&b""[..], b"\0", b"\0\0", &[0; 255]] {
                    let verdict = secrets.pap(b"bob", password).0;
                    assert!(verdict.is_err(), "{client} {word} {papcrypt}: {verdict:?} for {password:?}");
                    let explained = secrets.explain(Protocol::Pap, b"bob", 3);
                    let explained = explained.verdict(Protocol::Pap, Some(password));
                    assert!(!matches!(explained, Ok(Some(()))), "{client} {word}: {explained:?}");
                }
                // Whoever has no password makes a response with the empty secret.
                let verdict = secrets.chap(b"bob", |secret| secret.is_empty()).0;
                assert!(verdict.is_err(), "{client} {word}: {verdict:?}");
                let explained = secrets.explain(Protocol::Chap, b"bob", 3);
                let explained = explained.verdict(Protocol::Chap, Some(b""));
                assert!(!matches!(explained, Ok(Some(()))), "{client} {word}: {explained:?}");
            }
        }
    }
    // They are hashes of the empty password, so that it is not them that do not fit.
    for hash in HASHES_OF_NOTHING {
        assert_eq!(crypt::verify(b"", hash.as_bytes()), Some(true), "{hash}");
        assert_eq!(crypt::verify(b"\0", hash.as_bytes()), Some(false), "{hash}");
    }
}

#[test]
fn names_and_passwords_match_whole_or_not_at_all() {
    let name = |len: usize| "n".repeat(len);
    let text = format!(
        "{} gw a\n{} gw b\nlong gw {}\nlonger gw {}\nlongest gw {}\n",
        name(MAX_NAME),
        name(MAX_NAME + 1),
        "p".repeat(255),
        "p".repeat(256),
        "p".repeat(1024),
    );
    let (file, notices) = parse(&text, Protocol::Pap);
    assert_eq!(
        notices,
        [
            "/etc/ppp/pap-secrets:2: the client or server name is longer than 256 bytes, so the line never matches",
            "/etc/ppp/pap-secrets:5: the word is longer than 1023 bytes and was cut there",
        ]
    );
    assert_eq!(found(&file, &name(MAX_NAME), "gw").map(|(line, _)| line), Ok(1));
    for len in [MAX_NAME - 1, MAX_NAME + 1, 1023, 1024, 65_535] {
        let why = found(&file, &name(len), "gw").unwrap_err();
        assert!(!why.contains(":1: this line") && !why.contains(":2:"), "{why}");
    }
    // Nor does a line for everybody take a name that no line can have.
    let everybody = chap("* * secret *\n");
    found(&everybody, &name(MAX_NAME), "gw").unwrap();
    let why = found(&everybody, &name(MAX_NAME + 1), "gw").unwrap_err();
    assert_eq!(why, "the user name is 257 bytes long, and no line can have more than 256");

    // PAP has room for 255 bytes: a secret that is longer is not to be met by its beginning.
    let fits = |client: &str, len: usize| {
        let password = "p".repeat(len);
        file.lookup(client.as_bytes(), b"gw")
            .unwrap()
            .candidate(false)
            .verify_pap(password.as_bytes())
            .is_ok()
    };
    for (client, length) in [("long", 255), ("longer", 256)] {
        let fitting: Vec<usize> = (0..300).filter(|&len| fits(client, len)).collect();
        assert_eq!(fitting, [length]);
    }
    assert!((0..=256).all(|len| !fits("longest", len)));
}

#[test]
fn seventy_two_bytes_of_a_password_count_with_bcrypt() {
    let hash = b"$2b$04$abcdefghijklmnopqrstuuNt.0ah97gHY3F7JC1Z6EXmQc0bQBhIO";
    let fits = |len: usize| crypt::verify("p".repeat(len).as_bytes(), hash);
    assert_eq!((fits(71), fits(72), fits(73)), (Some(false), Some(true), Some(true)));
}

#[test]
fn pap_refusals() {
    let long = "p".repeat(255);
    let text = format!(
        "bob gw secret\nempty gw \"\"\nlogin gw @login\nlong gw {long}\ndes gw ab8PlEY4T1pXQ\nodd gw $6$x\n"
    );
    let file = parse(&text, Protocol::Pap).0;
    let verify = |client: &str, password: &str, papcrypt| {
        let found = file.lookup(client.as_bytes(), b"gw").unwrap().candidate(papcrypt);
        found.verify_pap(password.as_bytes()).map_err(|refusal| refusal.to_string())
    };
    assert_eq!(verify("bob", "secret", false), Ok(()));
    assert_eq!(verify("long", &long, false), Ok(()));
    // neither is a hash that is supported, so both are plain text
    assert_eq!(verify("des", "ab8PlEY4T1pXQ", false), Ok(()));
    assert_eq!(verify("odd", "$6$x", false), Ok(()));
    for (client, password, papcrypt, why) in [
        ("bob", "secre", false, "1: user \"bob\" gave a wrong password"),
        ("bob", "secret2", false, "1: user \"bob\" gave a wrong password"),
        ("bob", "", false, "1: user \"bob\" gave a wrong password"),
        (
            "empty",
            "",
            false,
            "2: user \"empty\" cannot log in: the secret is empty, and an empty secret never matches",
        ),
        (
            "login",
            "@login",
            false,
            "3: user \"login\" cannot log in: \"@login\" is not supported; write a secret",
        ),
        (
            "bob",
            "secret",
            true,
            "1: user \"bob\" cannot log in: papcrypt is set, but the secret is not a hash that is supported ($1$, \
             $2a$, $2b$, $2y$, $5$, $6$); make one with: mkpasswd -m sha-512",
        ),
    ] {
        assert_eq!(verify(client, password, papcrypt), Err(format!("/etc/ppp/pap-secrets:{why}")));
    }
}

#[test]
fn a_long_chap_secret_counts_up_to_256_bytes() {
    let file = chap(&format!("bob gw {}\n", "x".repeat(300)));
    assert_eq!(found(&file, "bob", "gw").unwrap().1, "x".repeat(256));
}

#[test]
fn nothing_shows_a_secret_that_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("users"), "[bob]\npassword = \"hunter2\"\n").unwrap();
    fs::write(path("secrets"), "alice * hunter2 *\n").unwrap();
    let (users, notices) = Users::load(&path("users")).unwrap();
    let mut secrets = Secrets::new(Settings {
        chap_secrets: path("secrets"),
        pap_secrets: path("secrets"),
        users_file: Some(path("users")),
        our_name: b"gw".to_vec(),
        papcrypt: false,
    });
    let mut shown = format!("{users:?} {notices:?}");
    for name in [b"alice".as_slice(), b"bob"] {
        let right = secrets.pap(name, b"hunter2");
        right.0.as_ref().unwrap();
        let wrong = secrets.pap(name, b"hunter2 or not");
        let explained = secrets.explain(Protocol::Pap, name, 3);
        shown += &format!(
            "{right:?} {wrong:?} {} {explained:?} {:?}",
            wrong.0.as_ref().unwrap_err(),
            explained.found
        );
    }
    shown += &format!("{secrets:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"), "{shown}");
}
