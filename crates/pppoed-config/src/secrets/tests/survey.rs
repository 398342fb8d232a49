//! What is told before anybody logs in.

use super::*;

/// What is told of these files, with all names looked up.
fn told(chap: &str, users: Option<&str>) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, contents: &str| {
        let path = directory.path().join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    };
    let mut secrets = Secrets::new(Settings {
        chap_secrets: write("chap", chap),
        pap_secrets: directory.path().join("pap"),
        users_file: users.map(|users| write("users", users)),
        our_name: b"gw".to_vec(),
        papcrypt: false,
    });
    let ours = [Ipv4Addr::new(10, 0, 0, 1)].into();
    let survey = Survey { protocols: &[Protocol::Chap], ours: &ours, names: Some(&Names) };
    let shown = |notice: &Notice| notice.to_string().replace(&directory.path().display().to_string(), "");
    secrets.survey(&survey).iter().map(shown).collect()
}

const NO_ADDRESS: &str = "no address is allowed, so logins are refused unless the users file, a console or a hook gives one: \
                          add \"*\" (any of the pool) or the address as the next word";

#[test]
fn lines_by_which_nobody_gets_an_address() {
    for line in ["alice * secret", "alice * secret -", "alice * secret !10.0.0.5", "alice * secret 127.0.0.1"]
    {
        assert_eq!(told(line, None), [format!("/chap:1: {NO_ADDRESS}")], "{line}");
    }
    for line in [
        "alice * secret *",
        "alice * secret 10.0.0.5",
        "alice * secret 10.0.0.0/24+",
        "alice other secret\nbob * x *",
    ] {
        assert_eq!(told(line, None), [""; 0], "{line}");
    }
    assert_eq!(told("alice * secret", Some("[alice]\naddress = \"10.0.0.5\"\n")), [""; 0]);
    assert_eq!(told("alice * secret", Some("[alice]\npassword = \"x\"\n")), [""; 0]);
    assert_eq!(told("alice * secret", Some("[alice]\ndeny = true\n")), [""; 0]);
    assert_eq!(told("alice * secret", Some("[alice]\nidle = 600\n")), [format!("/chap:1: {NO_ADDRESS}")]);
}

#[test]
fn secrets_that_cannot_be_used() {
    assert_eq!(
        told("alice * @/no/such/file *", None),
        [
            "/chap:1: the line is skipped: its secret cannot be read from \"/no/such/file\": No such file or directory (os error 2)"
        ]
    );
    let hash = format!("alice * $6$salt${} *", "x".repeat(86));
    assert!(told(&hash, None)[0].contains("CHAP needs the password itself"));
    assert_eq!(told("alice * $1$ *", None), [""; 0]);
}

#[test]
fn names_that_nobody_knows() {
    assert_eq!(told("alice * x alice-host.example", None), [""; 0]);
    assert_eq!(
        told("alice * x nowhere.example *", None),
        [
            "/chap:1: word 1 of the addresses: not an IPv4 address, and no host or network of that name is known"
        ]
    );
}

#[test]
fn addresses_that_belong_to_several_users_or_to_us() {
    assert_eq!(
        told("alice * x 10.0.0.5\nbob * x 10.0.0.5\neve * x 10.0.0.5\nalice gw x 10.0.0.5\n", None),
        [
            "/chap:1: 10.0.0.5 is the address of user \"alice\" and, at /chap:2, of user \"bob\" (and 1 more): only one of them \
          can be logged in at a time"
        ]
    );
    let with_users = told("alice * x 10.0.0.6\n", Some("[bob]\naddress = \"10.0.0.6\"\n"));
    assert!(with_users[0].contains("/users:2:11, of user \"bob\""), "{with_users:?}");
    assert_eq!(
        told("alice * x 10.0.0.1\n", None),
        ["/chap:1: 10.0.0.1 is the local address (-L), so user \"alice\" gets no address"]
    );
}

#[test]
fn a_file_of_other_servers() {
    let told = told("alice other x *\nbob another x *\n", None);
    assert!(told.len() == 1 && told[0].starts_with("/chap:1: no line of the file is for server"), "{told:?}");
}
