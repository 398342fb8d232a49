//! The users file beside the secrets files of pppd.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use pppoed_config::config::{Changes, CommandLine, Reading, Source};
use pppoed_config::inet::SystemNames;
use pppoed_config::secrets::{Grant, Protocol, Refusal, Secrets, Settings, Users};
use proptest::prelude::*;

/// A directory in place of `/etc`.
struct Etc(tempfile::TempDir);

const USERS: &str = "[alice]\npassword = \"new\"\naddress = \"10.0.0.5\"\nrate-down = \"10M\"\n\
                     [bob]\nmaxconnect = 3600\naddresses = [\"10.0.0.6\", \"10.0.1.0/24\"]\n\
                     [mallory]\npassword = \"known\"\ndeny = true\n\
                     [carol]\npassword = \"c\"\ndeny = false\n";

impl Etc {
    fn new(users: &str) -> Self {
        let etc = Self(tempfile::tempdir().unwrap());
        etc.write("users.toml", users);
        let lines = "alice * old *\nbob * two 10.0.0.9 -- idle 60 maxconnect 1\nmallory * m *\n";
        etc.write("chap", lines);
        etc.write("pap", lines);
        etc
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        // As editors do it, so that a new file is told from the old one whatever the clock says.
        fs::write(path.with_extension("new"), text).unwrap();
        fs::set_permissions(path.with_extension("new"), Permissions::from_mode(0o600)).unwrap();
        fs::rename(path.with_extension("new"), path).unwrap();
    }

    fn secrets(&self) -> Secrets {
        let path = |name: &str| self.0.path().join(name);
        Secrets::new(Settings {
            chap_secrets: path("chap"),
            pap_secrets: path("pap"),
            users_file: Some(path("users.toml")),
            our_name: b"gw".to_vec(),
            papcrypt: false,
        })
    }

    fn shown(&self, message: impl ToString) -> String {
        message.to_string().replace(&self.0.path().display().to_string(), "/etc")
    }

    /// Who is let in, by which line; or why not.
    fn tried(&self, outcome: Result<Grant, Refusal>) -> Result<String, String> {
        outcome.map(|grant| self.shown(grant.place)).map_err(|refusal| self.shown(refusal))
    }

    fn source(&self) -> Source {
        let at = self.0.path().display();
        let line = format!(
            "pppoed -c {at}/pppoed.toml -O {at}/options --common-options {at}/options --chap-secrets {at}/chap \
             --pap-secrets {at}/pap"
        );
        self.write("pppoed.toml", "users-file = \"users.toml\"\n");
        self.write("options", "");
        Source::new(CommandLine::try_parse_from(line.split_whitespace()).unwrap())
    }

    fn read(&self, source: &Source) -> Reading {
        let config = source.config().0.unwrap();
        let users = source.users(&config, None).0;
        Reading { config, users }
    }
}

fn told(text: &str) -> Vec<String> {
    let errors = Users::parse(Path::new("F"), text.as_bytes()).err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn a_user_with_a_password_is_let_in_by_it_alone() {
    let etc = Etc::new(USERS);
    let mut secrets = etc.secrets();
    let chap = |password: &'static str| move |secret: &[u8]| secret == password.as_bytes();
    assert_eq!(etc.tried(secrets.chap(b"alice", chap("new")).0), Ok("/etc/users.toml:1".into()));
    assert_eq!(etc.tried(secrets.pap(b"alice", b"new").0), Ok("/etc/users.toml:1".into()));
    let wrong = Err("/etc/users.toml:1: user \"alice\" gave a wrong password".to_owned());
    assert_eq!(etc.tried(secrets.chap(b"alice", chap("old")).0), wrong);
    assert_eq!(etc.tried(secrets.pap(b"alice", b"old").0), wrong);
    let denied = Err("/etc/users.toml:10: user \"mallory\" is denied: deny = true".to_owned());
    assert_eq!(etc.tried(secrets.chap(b"mallory", chap("known")).0), denied);
    assert_eq!(etc.tried(secrets.pap(b"mallory", b"m").0), denied);
    assert_eq!(secrets.refuse_denied(b"mallory").map_err(|refusal| etc.shown(refusal)), denied.map(|_| ()));
    assert_eq!(secrets.refuse_denied(b"alice"), Ok(()));
    let grant = secrets.pap(b"carol", b"c").0.unwrap();
    // Without addresses of its own: any of the pool.
    assert_eq!(grant.addresses.to_string(), "*");
    let grant = secrets.pap(b"alice", b"new").0.unwrap();
    assert_eq!(grant.addresses.to_string(), "10.0.0.5");
    assert_eq!(
        grant.options.rate_down.unwrap().to_string(),
        "10M (/etc/users.toml:4)".replace("/etc", &etc.0.path().display().to_string())
    );
}

#[test]
fn a_user_without_a_password_adds_to_the_line_of_the_secrets_file() {
    let etc = Etc::new(USERS);
    let mut secrets = etc.secrets();
    let grant = secrets.pap(b"bob", b"two").0.unwrap();
    assert_eq!(etc.shown(&grant.place), "/etc/pap:2");
    assert_eq!(grant.addresses.to_string(), "10.0.0.6 10.0.1.0/24");
    let value = |option: Option<pppoed_config::origin::Sourced<u32>>| option.map(|option| option.value);
    assert_eq!((value(grant.options.maxconnect), value(grant.options.idle)), (Some(3600), Some(60)));
    etc.tried(secrets.pap(b"bob", b"wrong").0).unwrap_err();
    // Without any secrets file the users file still works.
    fs::remove_file(etc.0.path().join("pap")).unwrap();
    let unknown = |name: &str| {
        Err(format!("\"/etc/users.toml\" has no entry for user \"{name}\", and there is no secrets file"))
    };
    let no_password = "/etc/users.toml:5: user \"bob\" has no password here, and there is no secrets file";
    assert_eq!(etc.tried(secrets.pap(b"bob", b"two").0), Err(no_password.to_owned()));
    assert_eq!(etc.tried(secrets.pap(b"dave", b"x").0), unknown("dave"));
    assert_eq!(etc.tried(secrets.pap(b"alice", b"new").0), Ok("/etc/users.toml:1".into()));
    let fixed = secrets.fixed_addresses(&SystemNames);
    let address = Ipv4Addr::new(10, 0, 0, 5);
    assert!(
        fixed.is_reserved_from(address, Some(b"bob")) && !fixed.is_reserved_from(address, Some(b"alice"))
    );
}

#[test]
fn the_test_of_a_user_names_the_entry_that_decides() {
    let etc = Etc::new(USERS);
    let mut secrets = etc.secrets();
    let mut explain = |name: &str, password: &str| {
        let found = secrets.explain(Protocol::Chap, name.as_bytes(), 8);
        let near: Vec<String> =
            found.near.lines.iter().map(|(place, why)| etc.shown(format!("{place}: {why}"))).collect();
        let verdict =
            found.verdict(Protocol::Chap, Some(password.as_bytes())).map_err(|refusal| etc.shown(refusal));
        (found.place.map(|place| etc.shown(place)), found.addresses, verdict, near)
    };
    let (place, addresses, verdict, near) = explain("alice", "new");
    assert_eq!(
        (place.as_deref(), addresses.map(|list| list.to_string()).as_deref()),
        (Some("/etc/users.toml:1"), Some("10.0.0.5"))
    );
    assert_eq!(verdict, Ok(Some(())));
    assert_eq!(near.len(), 1);
    assert!(near[0].starts_with("/etc/chap:1: fits too, but /etc/users.toml:1 comes first"), "{near:?}");
    let (place, _, verdict, _) = explain("mallory", "known");
    assert_eq!(place.as_deref(), Some("/etc/users.toml:10"));
    assert_eq!(verdict, Err("/etc/users.toml:10: user \"mallory\" is denied: deny = true".to_owned()));
    let (place, addresses, verdict, near) = explain("bob", "two");
    assert_eq!(
        (place.as_deref(), addresses.map(|list| list.to_string()).as_deref()),
        (Some("/etc/chap:2"), Some("10.0.0.6 10.0.1.0/24"))
    );
    assert_eq!(verdict, Ok(Some(())));
    assert_eq!(
        near,
        ["/etc/users.toml:5: has no password: it adds options and addresses to the line that decides"]
    );
    assert_eq!(explain("bob", "x").2.unwrap_err(), "/etc/chap:2: user \"bob\" gave a wrong password");
}

#[test]
fn a_broken_file_leaves_the_users_as_they_were() {
    let etc = Etc::new(USERS);
    let mut secrets = etc.secrets();
    etc.tried(secrets.pap(b"alice", b"new").0).unwrap();
    etc.write("users.toml", "[alice]\npasword = \"newer\"\n[bob]\nx = 1\n");
    let (outcome, notices) = secrets.pap(b"alice", b"new");
    etc.tried(outcome).unwrap();
    let notices: Vec<String> = notices.iter().map(|notice| etc.shown(notice)).collect();
    assert_eq!(
        notices,
        [
            "/etc/users.toml:2:1: unknown key \"pasword\" (did you mean \"password\"?) (and 1 more): the previous \
             users remain in effect"
        ]
    );
    // Told once.
    let (outcome, notices) = secrets.pap(b"mallory", b"known");
    assert!(matches!(outcome, Err(Refusal::Denied { .. })), "{outcome:?}");
    assert_eq!(notices.len(), 0);
    etc.write("users.toml", "[alice]\npassword = \"newer\"\n");
    etc.tried(secrets.pap(b"alice", b"new").0).unwrap_err();
    etc.tried(secrets.pap(b"alice", b"newer").0).unwrap();
    fs::remove_file(etc.0.path().join("users.toml")).unwrap();
    etc.tried(secrets.pap(b"alice", b"newer").0).unwrap();

    // Never read: nobody gets in by the other files either, for the entry might deny it.
    etc.write("users.toml", "[alice\n");
    let (outcome, _) = etc.secrets().pap(b"bob", b"two");
    let why = etc.tried(outcome).unwrap_err();
    assert!(
        why.starts_with(
            "logins are refused until the users file can be read: /etc/users.toml:1:7: not valid TOML: "
        ),
        "{why}"
    );
}

#[test]
fn a_file_that_is_broken_before_anybody_logs_in_leaves_the_users_of_the_start() {
    let etc = Etc::new("[alice]\npassword = \"pw\"\n");
    let (mut read, mut not_read) = (etc.secrets(), etc.secrets());
    read.read_users();
    etc.write("users.toml", "[alice]\npasword = \"pw\"\n");
    etc.tried(read.pap(b"alice", b"pw").0).unwrap();
    etc.tried(not_read.pap(b"alice", b"pw").0).unwrap_err();
}

#[test]
fn a_file_that_others_can_read_is_told() {
    let etc = Etc::new(USERS);
    let path = etc.0.path().join("users.toml");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let (_, notices) = etc.secrets().pap(b"alice", b"new");
    assert_eq!(
        etc.shown(&notices[0]),
        "secrets file \"/etc/users.toml\": its mode 0644 lets other users read it: chmod 600 it"
    );
}

#[test]
fn a_reload_tells_whose_entry_has_changed() {
    let etc = Etc::new(USERS);
    let source = etc.source();
    let old = etc.read(&source);
    assert!(Changes::between(&old, &etc.read(&source)).is_empty());
    etc.write(
        "users.toml",
        &USERS.replace("\"new\"", "\"newer\"").replace("3600", "60").replace("deny = false", "deny = true"),
    );
    let changes = Changes::between(&old, &etc.read(&source));
    let shown: Vec<String> = changes
        .list
        .iter()
        .map(|change| format!("{}: {}", change.key, change.new.as_ref().map_or("", |new| new.value.as_str())))
        .collect();
    assert_eq!(
        shown,
        [
            "user \"alice\" (users-file): another secret",
            "user \"bob\" (users-file): other options",
            "user \"carol\" (users-file): denied",
        ]
    );
    assert!(changes.users.contains(&Some(b"bob".to_vec())));
    // Unlike a line of a secrets file, a mistake stops a start and a reload.
    etc.write("users.toml", "[alice]\npassword = 5\n");
    let errors = source.config().0.unwrap_err();
    assert_eq!(etc.shown(&errors[0]), "/etc/users.toml:2:12: password: expected a string, found a number");
    fs::remove_file(etc.0.path().join("users.toml")).unwrap();
    let errors = source.config().0.unwrap_err();
    assert_eq!(
        etc.shown(&errors[0]),
        "cannot read users file \"/etc/users.toml\": No such file or directory (os error 2)"
    );
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    for (text, expected) in [
        ("[a]\npasword = \"x\"", "F:2:1: unknown key \"pasword\" (did you mean \"password\"?)"),
        ("[a]\nrate-dwon = \"1M\"", "F:2:1: unknown key \"rate-dwon\" (did you mean \"rate-down\"?)"),
        (
            "a = 5",
            "F:1:1: a: expected a user's table: [name] and below it the user's settings, found a number",
        ),
        (
            "[\"*\"]\nidle = 5",
            "F:1:2: user \"*\" cannot stand for everybody: put options for all users into [ppp] of pppoed.toml",
        ),
        ("[\"\"]", "F:1:2: user \"\" must have from 1 to 256 bytes"),
        ("[a]\npassword = \"\"", "F:2:12: password must not be empty; to keep the user out: deny = true"),
        (
            "[a]\naddress = \"10.0.0.5-9\"",
            "F:2:11: address \"10.0.0.5-9\": ranges are not supported; use a network such as 10.0.0.0/28, or single \
             addresses",
        ),
        (
            "[a]\naddress = 5",
            "F:2:11: address: expected an address as a string, or a list of strings: [\"…\", \"…\"], found a number",
        ),
        (
            "[a]\naddress = \"*\"\naddresses = []",
            "F:3:13: addresses and the other spelling of it are one too many",
        ),
        ("[a]\ndeny = \"yes\"", "F:2:8: deny: expected true or false, found a string"),
        ("[a]\nidle = \"5\"", "F:2:8: idle: expected a number without quotes, found a string"),
        ("[a]\nidle = -1", "F:2:8: idle \"-1\": not a number"),
        (
            "[a]\nrate-down = \"fast\"",
            "F:2:13: rate-down \"fast\": not a rate; expected a number in kbit/s, a number with a unit such as \
             512k, 10M or 1G, or none",
        ),
        (
            "[a]\nmru = 1400",
            "F:2:1: \"mru\" does not belong here: it is not for one user; put it below [ppp] in pppoed.toml",
        ),
        (
            "[a]\n[a.b]\nidle = 5",
            "F:2:4: [a.b] is a table in that of user \"a\", as TOML reads it; to name a user, quote it: [\"a.b\"]",
        ),
        (
            "[john.doe]\npassword = \"x\"",
            "F:1:7: [john.doe] is a table in that of user \"john\", as TOML reads it; to name a user, quote it: [\"john.doe\"]",
        ),
        (
            "[john.f.doe]\npassword = \"x\"",
            "F:1:7: [john.f.doe] is a table in that of user \"john\", as TOML reads it; to name a user, quote it: [\"john.f.doe\"]",
        ),
        (
            "[alice@isp.net]\npassword = \"x\"",
            "F:1:7: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`; quote the name: [\"alice@isp.net\"]",
        ),
        ("[a]\n[a]", "F:2:2: not valid TOML: duplicate key"),
    ] {
        assert_eq!(told(text), [expected], "{text}");
    }
    assert_eq!(
        told(&format!("[a]\npassword = \"{}\"", "x".repeat(257))),
        ["F:2:12: password of 257 bytes exceeds the maximum of 256"]
    );
    assert_eq!(told(&format!("[a]\npassword = \"{}\"", "x".repeat(256))), Vec::<String>::new());
    assert_eq!(told(&format!("[{}]", "x".repeat(256))), Vec::<String>::new());
    assert_eq!(told(&format!("[{}]", "x".repeat(257))).len(), 1);
    let (users, _) = Users::parse(Path::new("F"), USERS.as_bytes()).unwrap();
    let shown = format!("{users:?}");
    assert!(!shown.contains("new") && !shown.contains("known"), "{shown}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(
        lines in prop::collection::vec(
            prop_oneof![
                "\\[[a-z\"*]{0,3}\\]\n",
                "(password|idle|mtu|set|deny|rate-up|proxyarp|ipparam) = (true|[0-9]{1,12}|\"[ -!#-\\[\\]-~]{0,9}\"|\\[\"a=b\"\\])\n",
                "\\PC{0,20}\n",
            ],
            0..10,
        ),
    ) {
        let text = lines.concat();
        if let Err(errors) = Users::parse(Path::new("F"), text.as_bytes()) {
            prop_assert!(!errors.is_empty());
        }
    }
}
