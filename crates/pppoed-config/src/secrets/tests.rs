use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::inet::Resolve;

mod passwords;
mod survey;

/// A few names, as a resolver and networks(5) would know them.
struct Names;

impl Resolve for Names {
    fn host(&self, name: &str) -> Option<Ipv4Addr> {
        (name == "alice-host.example").then_some(Ipv4Addr::new(10, 9, 8, 7))
    }

    fn network(&self, name: &str) -> Option<Ipv4Addr> {
        match name {
            "lan-a" => Some(Ipv4Addr::new(10, 0, 0, 0)),
            "lan-b" => Some(Ipv4Addr::new(172, 16, 0, 0)),
            "lan-c" => Some(Ipv4Addr::new(192, 168, 7, 0)),
            _ => None,
        }
    }
}

/// Knows no name.
struct Deaf;

impl Resolve for Deaf {
    fn host(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }

    fn network(&self, _: &str) -> Option<Ipv4Addr> {
        None
    }
}

fn parse(text: &str, protocol: Protocol) -> (SecretsFile, Vec<String>) {
    let name = match protocol {
        Protocol::Chap => "/etc/ppp/chap-secrets",
        Protocol::Pap => "/etc/ppp/pap-secrets",
    };
    let (file, notices) = SecretsFile::parse(Path::new(name), text.as_bytes(), protocol);
    (file, notices.iter().map(ToString::to_string).collect())
}

fn chap(text: &str) -> SecretsFile {
    parse(text, Protocol::Chap).0
}

/// The line and the secret that a peer meets.
fn found(file: &SecretsFile, client: &str, server: &str) -> Result<(u32, String), String> {
    let found = file.lookup(client.as_bytes(), server.as_bytes()).map_err(|refusal| refusal.to_string())?;
    let mut seen = String::new();
    let look = |secret: &[u8]| {
        seen = String::from_utf8_lossy(secret).into_owned();
        true
    };
    found.candidate(false).verify_chap(look).map_err(|refusal| refusal.to_string())?;
    Ok((found.entry.place.line, seen))
}

#[test]
fn the_best_line_wins() {
    let file = chap(
        "* * any\n* gw server\nbob * client\nbob gw both\nbob gw late\n\"*\" gw quoted-star\ncarl gw carl\n\\* gw star\n",
    );
    for (client, server, line, secret) in [
        ("bob", "gw", 4, "both"),
        ("bob", "other", 3, "client"),
        ("eve", "gw", 2, "server"),
        ("eve", "other", 1, "any"),
        ("*", "gw", 2, "server"),
        ("carl", "gw", 7, "carl"),
        ("carl", "other", 1, "any"),
        ("BOB", "gw", 2, "server"),
    ] {
        assert_eq!(found(&file, client, server), Ok((line, secret.into())), "{client} {server}");
    }
    // one wildcard each: the line that names the client wins, in whichever order they stand
    for text in ["bob * client\n* gw server\n", "* gw server\nbob * client\n"] {
        assert_eq!(found(&chap(text), "bob", "gw").unwrap().1, "client");
    }
    // a quoted star is a wildcard as well
    assert_eq!(found(&chap("\"*\" '*' x\n"), "anyone", "anywhere").unwrap().1, "x");
}

#[test]
fn words_of_a_line() {
    let file = chap(
        "# comment\n\nal\\s1 gw sec#ret\n\n'bob b' \"g\\x77\" \"two words\" # tail\ncarl gw mid\"dle of\"it\n\
         dora gw \"raw\nline\"\nerik \\\n gw \\\n continued\nfay gw \\101\\102\\#\n",
    );
    for (client, line, secret) in [
        ("al 1", 3, "sec"),
        ("bob b", 5, "two words"),
        ("carl", 6, "middle ofit"),
        ("dora", 7, "raw\nline"),
        ("erik", 9, "continued"),
        ("fay", 12, "AB#"),
    ] {
        assert_eq!(found(&file, client, "gw"), Ok((line, secret.into())), "{client}");
    }
}

#[test]
fn refusals_name_file_line_and_reason() {
    let file = chap("Bob gw x\nann isp x\nann other x\nempty gw \"\"\ngone gw @/nonexistent/secret\n");
    for (client, expected) in [
        (
            "bob",
            "/etc/ppp/chap-secrets:1: this line is for user \"Bob\", not \"bob\": upper and lower case differ",
        ),
        (
            "ann",
            "/etc/ppp/chap-secrets:2: this line for user \"ann\" is for server \"isp\", but our name is \"gw\" (set it \
             with the option name)",
        ),
        (
            "eve\u{1b}[2J",
            "\"/etc/ppp/chap-secrets\" has no line for user \"eve\\x1b[2J\" (server \"gw\" or *)",
        ),
        (
            "empty",
            "/etc/ppp/chap-secrets:4: user \"empty\" cannot log in: the secret is empty, and an empty secret never matches",
        ),
        (
            "gone",
            "/etc/ppp/chap-secrets:5: user \"gone\" cannot log in: the secret cannot be read from \
             \"/nonexistent/secret\": No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(found(&file, client, "gw").unwrap_err(), expected);
    }
    let wrong = file.lookup(b"Bob", b"gw").unwrap().candidate(false).verify_chap(|_| false).unwrap_err();
    assert_eq!(wrong.to_string(), "/etc/ppp/chap-secrets:1: user \"Bob\" gave a wrong password");
    let long = file.lookup(&[b'x'; 257], b"gw").unwrap_err();
    assert_eq!(long.to_string(), "the user name is 257 bytes long, and no line can have more than 256");
}

#[test]
fn notices_name_file_line_and_reason() {
    let long = "x".repeat(257);
    let text = format!(
        "only two\nbob gw x\nbob gw y\nempty gw \"\"\n{long} gw x\nsecret gw {long}\n\
         opts gw x * -- idle 600 mru 1400 require-mppe idel 5\nspeed gw x 10.0.0.1-9 256.1.1.1 1.2.3.4/33 1.2 - 5.6.7.8\n\
         nul gw a\\0b\nopen gw \"x\n"
    );
    assert_eq!(
        parse(&text, Protocol::Chap).1,
        [
            "/etc/ppp/chap-secrets:1: the line is skipped: it needs a client, a server and a secret, but has 2 of them",
            "/etc/ppp/chap-secrets:4: the secret is empty, so the line never matches",
            "/etc/ppp/chap-secrets:5: the client or server name is longer than 256 bytes, so the line never matches",
            "/etc/ppp/chap-secrets:6: the secret is longer than 256 bytes; only the first 256 count",
            "/etc/ppp/chap-secrets:7: mru cannot be set for one user; move it to the server's options file (the \
             option is ignored)",
            "/etc/ppp/chap-secrets:7: require-mppe is not supported: no MPPE encryption (CCP is rejected); remove it \
             (the option is ignored)",
            "/etc/ppp/chap-secrets:7: \"idel\" is not an option (did you mean \"idle\"?); correct or remove it (the \
             option is ignored)",
            "/etc/ppp/chap-secrets:8: word 1 of the addresses: ranges are not supported; use a network such as \
             10.0.0.0/28, or single addresses",
            "/etc/ppp/chap-secrets:8: word 2 of the addresses: not an IPv4 address, and no host or network of that name is known",
            "/etc/ppp/chap-secrets:8: word 3 of the addresses: the number of network bits must be from 1 to 32, and only \"+\" \
         may follow",
            "/etc/ppp/chap-secrets:8: word 4 of the addresses: it is read as 1.0.0.2",
            "/etc/ppp/chap-secrets:8: word 6 of the addresses: words after \"-\" or \"*\" have no effect",
            "/etc/ppp/chap-secrets:9: the word ends at a NUL byte (write \\\\ for a backslash)",
            "/etc/ppp/chap-secrets:10: unterminated quotes: the word extends to the end of the file",
            "/etc/ppp/chap-secrets:3: the line never matches, because line 2 is for the same client and server",
        ]
    );
    assert_eq!(
        parse("bob gw @login\nann gw \"\"\n", Protocol::Pap).1,
        [
            "/etc/ppp/pap-secrets:1: \"@login\" (system passwords) is not supported: the line never matches",
            "/etc/ppp/pap-secrets:2: the secret is empty, so the line never matches",
        ]
    );
}

#[test]
fn options_of_a_user() {
    let (file, notices) = parse(
        "bob gw x 10.0.0.5 -- idle 600 maxconnect 0x10 mtu 1400 ms-dns 9.9.9.9 ipparam \"a b\" set A=1 unset B nodeflate\n",
        Protocol::Chap,
    );
    let found = file.lookup(b"bob", b"gw").unwrap();
    let options = &found.entry.options;
    let values = |option: &Option<crate::origin::Sourced<u32>>| option.as_ref().map(|option| option.value);
    assert_eq!((values(&options.idle), values(&options.maxconnect)), (Some(600), Some(16)));
    assert_eq!(options.mtu.as_ref().map(|mtu| mtu.value), Some(1400));
    assert_eq!(options.ms_dns[0].value, Ipv4Addr::new(9, 9, 9, 9));
    assert_eq!(options.ipparam.as_ref().unwrap().value, b"a b");
    assert_eq!(options.ipparam.as_ref().unwrap().origin.to_string(), "/etc/ppp/chap-secrets:1");
    assert_eq!(options.environment[&b"A"[..]].as_ref().unwrap().value, b"1");
    assert_eq!(options.environment[&b"B"[..]], None);
    assert_eq!(
        notices,
        ["/etc/ppp/chap-secrets:1: nodeflate has no effect: no compression (CCP is rejected)",]
    );
    let (addresses, _) = found.entry.addresses.resolve(b"bob", 0, &Names);
    assert_eq!(addresses.suggested(), Some(Ipv4Addr::new(10, 0, 0, 5)));
}

#[test]
fn address_lists() {
    // words; unit; (address, allowed) …; suggested
    type Case<'a> = (&'a str, u32, &'a [(&'a str, bool)], Option<&'a str>);
    let table: &[Case<'_>] = &[
        ("", 0, &[("10.0.0.1", false)], None),
        ("-", 0, &[("10.0.0.1", false)], None),
        (
            "*",
            0,
            &[
                ("10.0.0.1", true),
                ("127.0.0.1", false),
                ("224.0.0.5", false),
                ("250.0.0.1", false),
                ("0.0.0.0", false),
            ],
            None,
        ),
        ("10.0.0.1", 0, &[("10.0.0.1", true), ("10.0.0.2", false)], Some("10.0.0.1")),
        (
            "10.0.0.1 10.0.0.2",
            0,
            &[("10.0.0.1", true), ("10.0.0.2", true), ("10.0.0.3", false)],
            Some("10.0.0.1"),
        ),
        ("10.0.0.1 -", 0, &[("10.0.0.1", true), ("10.0.0.2", false)], Some("10.0.0.1")),
        ("- 10.0.0.1", 0, &[("10.0.0.1", false)], None),
        ("10.0.0.1 * !10.0.0.2", 0, &[("10.0.0.2", true)], Some("10.0.0.1")),
        ("!10.0.0.1 *", 0, &[("10.0.0.1", false), ("10.0.0.2", true)], None),
        ("!10.0.0.0/24 10.0.0.0/8", 0, &[("10.0.0.9", false), ("10.0.1.9", true), ("11.0.0.1", false)], None),
        (
            "10.0.0.5 !10.0.0.0/24 *",
            0,
            &[("10.0.0.5", true), ("10.0.0.6", false), ("11.0.0.1", true)],
            Some("10.0.0.5"),
        ),
        ("!10.0.0.0/24 10.0.0.5", 0, &[("10.0.0.5", false)], None),
        ("10.0.0.77/24", 0, &[("10.0.0.0", true), ("10.0.0.255", true), ("10.0.1.0", false)], None),
        ("10.0.0.77/32", 0, &[("10.0.0.77", true), ("10.0.0.76", false)], Some("10.0.0.77")),
        ("128.0.0.0/1", 0, &[("200.0.0.1", true), ("100.0.0.1", false)], None),
        (
            "10.0.0.64/26+",
            0,
            &[("10.0.0.65", true), ("10.0.0.64", false), ("10.0.0.66", false)],
            Some("10.0.0.65"),
        ),
        ("10.0.0.64/26+", 61, &[("10.0.0.126", true)], Some("10.0.0.126")),
        ("10.0.0.64/26+", 62, &[("10.0.0.127", false)], None),
        ("10.0.0.64/26+", u32::MAX, &[("10.0.0.64", false)], None),
        ("10.0.0.0/32+", 0, &[("10.0.0.0", false), ("10.0.0.1", false)], None),
        ("!10.0.0.64/26+ *", 3, &[("10.0.0.68", false), ("10.0.0.67", true)], None),
        ("alice-host.example", 0, &[("10.9.8.7", true), ("10.9.8.6", false)], Some("10.9.8.7")),
        ("alice-host.example/24", 0, &[("10.9.8.6", true)], None),
        ("lan-a", 0, &[("10.255.0.1", true), ("11.0.0.1", false)], None),
        ("lan-b", 0, &[("172.16.255.1", true), ("172.17.0.1", false)], None),
        ("lan-c", 0, &[("192.168.7.1", true), ("192.168.8.1", false)], None),
        ("lan-a/16", 0, &[("10.0.255.1", true), ("10.1.0.1", false)], None),
        ("!lan-c *", 0, &[("192.168.7.1", false), ("192.168.8.1", true)], None),
        // what is not understood is left out, as in pppd, even a word that would have denied something
        ("unknown.example 10.0.0.1", 0, &[("10.0.0.1", true)], Some("10.0.0.1")),
        ("!* *", 0, &[("10.0.0.1", true)], None),
        ("255.255.255.255 10.0.0.0/0 10.0.0.0/x 10.0.0.0/ 10.0.0.0/24x", 0, &[("10.0.0.1", false)], None),
        (
            "10.1 0x0a000002 012.0.0.3",
            0,
            &[("10.0.0.1", true), ("10.0.0.2", true), ("10.0.0.3", true)],
            Some("10.0.0.1"),
        ),
        ("127.0.0.1 10.0.0.1", 0, &[("127.0.0.1", false)], Some("10.0.0.1")),
        ("10.0.0.1 -- idle 5", 0, &[("10.0.0.1", true)], Some("10.0.0.1")),
    ];
    for (words, unit, decisions, suggested) in table {
        let file = chap(&format!("bob * x {words}\n"));
        let (addresses, _) = file.entries()[0].addresses.resolve(b"bob", *unit, &Names);
        for (address, allowed) in *decisions {
            let decision = addresses.authorizes(address.parse().unwrap());
            assert_eq!(decision.is_ok(), *allowed, "{words:?} unit {unit}: {address}: {decision:?}");
        }
        assert_eq!(
            addresses.suggested().map(|address| address.to_string()).as_deref(),
            *suggested,
            "{words:?}"
        );
    }
}

#[test]
fn address_refusals_name_the_word_that_decided() {
    let refusal = |words: &str, address: &str| {
        let file = chap(&format!("\nbob * x {words}\n"));
        let (addresses, notices) = file.entries()[0].addresses.resolve(b"bob", 7, &Names);
        let refusal = addresses.authorizes(address.parse().unwrap()).unwrap_err().to_string();
        (refusal, notices.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    for (words, address, why) in [
        ("", "10.0.0.7", "the address list is empty; add \"*\" or the address"),
        ("-", "10.0.0.7", "the address list says \"-\"; replace it by \"*\" or the address"),
        ("10.0.0.8", "10.0.0.7", "it is not in the address list; add it"),
        ("!10.0.0.0/24 *", "10.0.0.7", "\"!10.0.0.0/24\" in the address list forbids it"),
        ("*", "127.0.0.1", "loopback, multicast and reserved addresses are never allowed"),
    ] {
        let expected = format!("/etc/ppp/chap-secrets:2: user \"bob\" may not use {address}: {why}");
        assert_eq!(refusal(words, address), (expected, vec![]));
    }
    assert_eq!(
        refusal("unknown.example 10.0.0.0/29+", "10.0.0.7").1,
        [
            "/etc/ppp/chap-secrets:2: word 1 of the addresses: not an IPv4 address, and no host or network of that name is known",
            "/etc/ppp/chap-secrets:2: word 2 of the addresses: session unit 7 is too large for this network",
        ]
    );
}

#[test]
fn secrets_in_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, contents: &str, mode| {
        let path = directory.path().join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path.display().to_string()
    };
    let good = write("good", "# comment\n'the secret' more\n", 0o600);
    let open = write("open", "leaked", 0o622);
    let empty = write("empty", "# nothing\n", 0o600);
    let file = chap(&format!(
        "bob gw @{good}\nann gw @{open}\nann gw second\ncarl gw @{empty}\ncarl * fallback\ndora gw @{open}\n"
    ));
    assert_eq!(found(&file, "bob", "gw"), Ok((1, "the secret".into())));
    let ann = file.lookup(b"ann", b"gw").unwrap();
    assert_eq!(ann.entry.place.line, 3);
    assert_eq!(
        ann.notices[0].to_string(),
        format!(
            "/etc/ppp/chap-secrets:2: the line is skipped: its secret cannot be read from {open:?}: its mode 0622 lets \
             other users change it: chmod 600 it"
        )
    );
    assert_eq!(found(&file, "carl", "gw"), Ok((5, "fallback".into())));
    assert!(found(&file, "dora", "gw").unwrap_err().contains("its mode 0622 lets other users change it"));
    // read at each lookup: a change needs no reload
    fs::write(&good, "changed\n").unwrap();
    assert_eq!(found(&file, "bob", "gw"), Ok((1, "changed".into())));
}

#[test]
fn nothing_shows_a_secret() {
    let (file, notices) = SecretsFile::parse(Path::new("f"), b"bob gw hunter2 10.0.0.1\n", Protocol::Chap);
    let found = file.lookup(b"bob", b"gw").unwrap();
    let refusal = found.candidate(false).verify_chap(|_| false).unwrap_err();
    for text in [
        format!("{file:?}"),
        format!("{found:?} {:?}", found.candidate(false)),
        format!("{refusal:?} {refusal}"),
        format!("{notices:?}"),
    ] {
        assert!(!text.contains("hunter2") && !text.contains("104, 117, 110"), "{text}");
    }
}

#[test]
fn files_are_read_again_when_they_change() {
    let directory = tempfile::tempdir().unwrap();
    let chap_secrets = directory.path().join("chap");
    let pap_secrets = directory.path().join("pap");
    let mut secrets = Secrets::new(Settings {
        chap_secrets: chap_secrets.clone(),
        pap_secrets: pap_secrets.clone(),
        users_file: None,
        our_name: b"gw".to_vec(),
        papcrypt: false,
    });
    let (verdict, _) = secrets.chap(b"bob", |_| true);
    assert!(matches!(verdict, Err(Refusal::Unreadable { path, .. }) if path == chap_secrets));

    fs::write(
        &chap_secrets,
        "bob gw one 10.0.0.5\nann other x 10.0.0.6\n* gw y 10.0.0.7\neve gw x 10.0.0.0/24+\n",
    )
    .unwrap();
    fs::set_permissions(&chap_secrets, Permissions::from_mode(0o644)).unwrap();
    let (verdict, notices) = secrets.chap(b"bob", |secret| secret == b"one");
    assert_eq!(verdict.unwrap().place.line, 1);
    assert!(notices[0].to_string().ends_with("its mode 0644 lets other users read it: chmod 600 it"));
    // told once, not at every login
    assert!(secrets.chap(b"bob", |_| true).1.is_empty());

    // an editor's way to write a file
    let other = directory.path().join("new");
    fs::write(&other, "bob gw two 10.0.0.8\n").unwrap();
    fs::rename(&other, &chap_secrets).unwrap();
    secrets.chap(b"bob", |secret| secret == b"two").0.unwrap();

    fs::write(&pap_secrets, "ann gw three 10.0.0.9\nbob gw x 10.0.0.8\n").unwrap();
    secrets.pap(b"ann", b"three").0.unwrap();
    let fixed = secrets.fixed_addresses(&Names);
    let ip = |last| Ipv4Addr::new(10, 0, 0, last);
    assert_eq!(fixed.iter().collect::<Vec<_>>(), [ip(8), ip(9)]);
    assert!(fixed.is_reserved_from(ip(9), Some(b"bob")) && fixed.is_reserved_from(ip(9), None));
    assert!(!fixed.is_reserved_from(ip(9), Some(b"ann")) && !fixed.is_reserved_from(ip(5), None));

    // a file that was first read for its addresses tells its notices later
    fs::write(&pap_secrets, "ann gw three 10.0.0.10\ntwo words\n").unwrap();
    assert_eq!(secrets.fixed_addresses(&Names).iter().collect::<Vec<_>>(), [ip(8), ip(10)]);
    let (_, notices) = secrets.pap(b"ann", b"three");
    assert!(notices.iter().any(|notice| matches!(notice, Notice::Incomplete { words: 2, .. })));
    // and the names in it are not looked up again and again
    fs::write(&pap_secrets, "ann gw three alice-host.example\n").unwrap();
    assert_eq!(secrets.fixed_addresses(&Names).iter().count(), 2);
    assert_eq!(secrets.fixed_addresses(&Deaf).iter().count(), 2);

    fs::remove_file(&chap_secrets).unwrap();
    assert_eq!(secrets.fixed_addresses(&Names).iter().count(), 1);
    assert!(secrets.refresh(Protocol::Chap).0.is_err());
    secrets.refresh(Protocol::Pap).0.unwrap();
}

#[test]
fn fixed_addresses_are_those_of_named_users_of_this_server() {
    let file = chap(
        "bob gw one 10.0.0.5\nann other x 10.0.0.6\n* gw y 10.0.0.7\neve gw x 10.0.0.0/24+\nnet * x 10.1.0.0/16\nlist * x !10.0.0.8 10.0.0.9 10.0.0.10\n",
    );
    let mut fixed = FixedAddresses::default();
    fixed.add(&file, b"gw", &Names);
    assert_eq!(fixed.iter().map(|address| address.to_string()).collect::<Vec<_>>(), ["10.0.0.5", "10.0.0.9"]);
}

/// The rule of pppd as a loop over all lines.
fn model(lines: &[(String, String)], client: &str, server: &str) -> Option<usize> {
    let mut best = None;
    for (number, (c, s)) in lines.iter().enumerate() {
        if (c != client && c != "*") || (s != server && s != "*") {
            continue;
        }
        let score = 2 * u32::from(c != "*") + u32::from(s != "*");
        if best.is_none_or(|(_, highest)| score > highest) {
            best = Some((number, score));
        }
    }
    best.map(|(number, _)| number)
}

proptest! {
    #[test]
    fn lookups_agree_with_the_rule(
        lines in proptest::collection::vec(("[ab*]", "[gh*]"), 0..12),
        client in "[abc]",
        server in "[ghi]",
    ) {
        let text: String = lines.iter().map(|(client, server)| format!("{client} {server} x\n")).collect();
        let file = chap(&text);
        let line = file.lookup(client.as_bytes(), server.as_bytes()).ok().map(|found| found.entry.place.line as usize - 1);
        prop_assert_eq!(line, model(&lines, &client, &server));
    }

    #[test]
    fn any_bytes_are_a_secrets_file(contents in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (file, _) = SecretsFile::parse(Path::new("f"), &contents, Protocol::Pap);
        for entry in file.entries() {
            let (addresses, _) = entry.addresses.resolve(b"x", 3, &Names);
            prop_assert!(addresses.suggested().is_none_or(|address| addresses.authorizes(address).is_ok()));
        }
    }

    #[test]
    fn any_address_words_are_decided(words in "[0-9a-z.!/+* -]{0,60}", address in any::<u32>(), unit in any::<u32>()) {
        let file = chap(&format!("bob * x {words}\n"));
        if let Some(entry) = file.entries().first() {
            let (addresses, _) = entry.addresses.resolve(b"bob", unit, &Names);
            let address = Ipv4Addr::from_bits(address);
            if addresses.authorizes(address).is_ok() {
                prop_assert!(!crate::inet::is_bad_host(address));
            }
        }
    }

    #[test]
    fn any_hash_is_survived(password in proptest::collection::vec(any::<u8>(), 0..40), salt in "[$a-z0-9./=]{0,30}") {
        for kind in ["$1$", "$2b$04$"] {
            crypt::verify(&password, format!("{kind}{salt}").as_bytes());
        }
    }
}

#[test]
fn who_decides_is_explained_without_the_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("chap-secrets");
    let lines = "* * everybodys *\nalice gw first 10.0.0.7\nalice other second *\nAlice gw third *\nalice gw fourth *\n\
                 bob gw fifth *\ncarol gw \"\" *\n";
    std::fs::write(&path, lines).unwrap();
    let settings = Settings {
        chap_secrets: path.clone(),
        pap_secrets: path.clone(),
        users_file: None,
        our_name: b"gw".to_vec(),
        papcrypt: false,
    };
    let mut secrets = Secrets::new(settings);
    let place = |line| format!("{}:{line}", path.display());
    for protocol in [Protocol::Chap, Protocol::Pap] {
        let mut explain = |user: &str| secrets.explain(protocol, user.as_bytes(), 3);
        let verdict = |explained: &Explanation, password: Option<&str>| {
            explained.verdict(protocol, password.map(str::as_bytes))
        };
        let alice = explain("alice");
        assert_eq!(alice.place.as_ref().map(ToString::to_string), Some(place(2)));
        assert_eq!(alice.addresses.as_ref().unwrap().to_string(), "10.0.0.7");
        assert!(matches!(verdict(&alice, None), Ok(None)));
        let near: Vec<String> =
            alice.near.lines.iter().map(|(place, why)| format!("{} {why}", place.line)).collect();
        let better =
            format!("{} comes first: it names the client or server, or stands before this one", place(2));
        assert_eq!(
            near,
            [
                format!("1 fits too, but {better}"),
                "3 is for server \"other\", and our name is \"gw\" (option name)".to_owned(),
                "4 is for user \"Alice\": upper and lower case differ".to_owned(),
            ]
        );
        assert_eq!(alice.near.more, 3, "the fifth, which is beyond the limit, and two for others");
        assert!(matches!(verdict(&alice, Some("first")), Ok(Some(()))));
        assert!(matches!(verdict(&alice, Some("second")), Err(Refusal::WrongPassword { .. })));
        assert!(matches!(verdict(&explain("carol"), None), Err(Refusal::EmptySecret { .. })));
        let stranger = explain("dave");
        assert_eq!(stranger.place.as_ref().map(|place| place.line), Some(1));
        assert!(matches!(verdict(&stranger, Some("everybodys")), Ok(Some(()))));
        for explained in [alice, stranger] {
            let shown = format!("{explained:?}");
            for secret in ["everybodys", "first\"", "second", "third", "fourth", "fifth"] {
                assert!(!shown.contains(secret), "{shown}");
            }
        }
    }
    std::fs::remove_file(&path).unwrap();
    let missing = secrets.explain(Protocol::Chap, b"alice", 3);
    assert!(matches!(missing.verdict(Protocol::Chap, None), Err(Refusal::Unreadable { .. })));
}
