use std::fmt::Debug;
use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::origin::Place;

const FILE: &str = "/etc/ppp/options";

fn read(text: &str) -> (Result<PppOptions, Vec<String>>, Vec<String>) {
    let mut reader = Reader::new();
    reader.read_bytes(Path::new(FILE), text.as_bytes());
    shown(reader)
}

fn shown(reader: Reader) -> (Result<PppOptions, Vec<String>>, Vec<String>) {
    let (options, errors, notices) = reader.finish();
    let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let result = if errors.is_empty() { Ok(options) } else { Err(errors) };
    (result, notices.iter().map(ToString::to_string).collect())
}

/// The options of a text that has nothing wrong in it.
fn options(text: &str) -> PppOptions {
    let (options, notices) = read(text);
    assert_eq!(notices, Vec::<String>::new());
    options.unwrap()
}

fn values<T: Clone>(list: &[Sourced<T>]) -> Vec<T> {
    list.iter().map(|sourced| sourced.value.clone()).collect()
}

fn value<T: Clone + Debug>(option: &Option<Sourced<T>>) -> T {
    option.as_ref().unwrap().value.clone()
}

#[test]
fn every_implemented_option_sets_its_value() {
    let (all, notices) = read(
        "auth require-pap require-chap papcrypt name gw usehostname domain isp.example\n\
         chap-secrets /a/chap pap-secrets /a/pap mru 1400 mtu 1300\n\
         lcp-restart 1 lcp-max-configure 2 lcp-max-terminate 3 lcp-max-failure 4\n\
         ipcp-restart 5 ipcp-max-configure 6 ipcp-max-terminate 7 ipcp-max-failure 8\n\
         ipv6cp-restart 9 ipv6cp-max-configure 10 ipv6cp-max-terminate 11 ipv6cp-max-failure 12\n\
         lcp-echo-interval 13 lcp-echo-failure 14 lcp-echo-adaptive\n\
         chap-restart 15 chap-max-challenge 16 chap-interval 17 pap-timeout 18\n\
         10.0.0.1:10.0.0.2 ipv6 ::1,::2 ms-dns 9.9.9.9 ms-dns 8.8.8.8 ms-wins 7.7.7.7\n\
         idle 19 maxconnect 20 maxoctets 21 mo-direction in mo-timeout 22 proxyarp ipparam 'a b'\n\
         set A=1 set B=x=y unset C logfile /var/log/pppoe.log debug debug\n\
         ip-up-script /s/1 ip-down-script /s/2 ip-pre-up-script /s/3 ipv6-up-script /s/4 ipv6-down-script /s/5\n\
         auth-up-script /s/6 auth-down-script /s/7 nosourcecheck\n",
    );
    let all = all.unwrap();
    // That there are no IPv6 prefixes.
    assert_eq!(notices.len(), 1, "{notices:?}");
    let fsm = |fsm: &FsmOptions| {
        [&fsm.restart, &fsm.max_configure, &fsm.max_terminate, &fsm.max_failure].map(value)
    };
    assert!(value(&all.auth));
    assert!(
        [&all.require_pap, &all.require_chap, &all.papcrypt, &all.usehostname, &all.lcp_echo_adaptive]
            .into_iter()
            .all(Option::is_some)
    );
    assert_eq!((value(&all.name), value(&all.domain)), (b"gw".to_vec(), b"isp.example".to_vec()));
    assert_eq!(all.name.as_ref().unwrap().origin.to_string(), "/etc/ppp/options:1");
    assert_eq!([value(&all.chap_secrets), value(&all.pap_secrets)], ["/a/chap", "/a/pap"].map(PathBuf::from));
    assert_eq!((value(&all.mru), value(&all.session.mtu)), (1400, 1300));
    assert_eq!([&all.lcp, &all.ipcp, &all.ipv6cp].map(fsm), [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]);
    let timers = [&all.lcp_echo_interval, &all.lcp_echo_failure, &all.chap_restart, &all.chap_max_challenge];
    assert_eq!(timers.map(value), [13, 14, 15, 16]);
    assert_eq!([&all.chap_interval, &all.pap_timeout].map(value), [17, 18]);
    assert_eq!(
        [value(&all.local_address), value(&all.remote_address)],
        [[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from)
    );
    assert!(value(&all.ipv6));
    assert_eq!([value(&all.ipv6_local_id), value(&all.ipv6_remote_id)], [1, 2]);
    let session = &all.session;
    assert_eq!(values(&session.ms_dns), [[9, 9, 9, 9], [8, 8, 8, 8]].map(Ipv4Addr::from));
    assert_eq!(values(&session.ms_wins), [Ipv4Addr::new(7, 7, 7, 7)]);
    let limits = [&session.idle, &session.maxconnect, &session.mo_timeout];
    assert_eq!((limits.map(value), value(&session.maxoctets)), ([19, 20, 22], 21));
    assert_eq!(value(&session.mo_direction), OctetDirection::In);
    assert!(value(&session.proxyarp) && !value(&session.source_check));
    assert_eq!(value(&session.ipparam), b"a b");
    let variables: Vec<_> = session
        .environment
        .iter()
        .map(|(name, value)| (name.as_slice(), value.as_ref().map(|value| value.value.as_slice())))
        .collect();
    assert_eq!(variables, [(&b"A"[..], Some(&b"1"[..])), (b"B", Some(b"x=y")), (b"C", None)]);
    assert_eq!(value(&all.logfile), PathBuf::from("/var/log/pppoe.log"));
    assert_eq!(value(&all.debug), 2);
    let scripts: Vec<_> =
        all.scripts.iter().map(|(script, path)| (*script, path.value.to_str().unwrap())).collect();
    assert_eq!(
        scripts,
        [
            (Script::AuthDown, "/s/7"),
            (Script::AuthUp, "/s/6"),
            (Script::IpDown, "/s/2"),
            (Script::IpPreUp, "/s/3"),
            (Script::IpUp, "/s/1"),
            (Script::Ipv6Down, "/s/5"),
            (Script::Ipv6Up, "/s/4"),
        ]
    );
}

#[test]
fn later_lines_win_and_aliases_are_the_same() {
    let (all, _) = read(
        "+chap +pap auth noauth mtu 1400\nmtu 1300 -proxyarp +ipv6 noipv6 -d mo 5 mo-direction nonsense\n",
    );
    let all = all.unwrap();
    assert!(all.require_chap.is_some() && all.require_pap.is_some() && !value(&all.auth));
    assert_eq!(
        all.session.mtu.as_ref().map(ToString::to_string).as_deref(),
        Some("1300 (/etc/ppp/options:2)")
    );
    assert!(!value(&all.session.proxyarp) && !value(&all.ipv6));
    assert_eq!((value(&all.debug), value(&all.session.maxoctets)), (1, 5));
    assert_eq!(value(&all.session.mo_direction), OctetDirection::Sum);
}

#[test]
fn authentication_methods() {
    for (text, methods, origin) in [
        ("", AuthMethods::ChapThenPap, "default"),
        ("auth", AuthMethods::ChapThenPap, "/etc/ppp/options:1"),
        ("noauth", AuthMethods::None, "/etc/ppp/options:1"),
        ("require-chap", AuthMethods::Chap, "/etc/ppp/options:1"),
        ("require-pap", AuthMethods::Pap, "/etc/ppp/options:1"),
        ("require-pap\nrequire-chap", AuthMethods::ChapThenPap, "/etc/ppp/options:2"),
        ("noauth require-pap", AuthMethods::Pap, "/etc/ppp/options:1"),
        ("noauth\nauth", AuthMethods::ChapThenPap, "/etc/ppp/options:2"),
    ] {
        let found = options(text).auth_methods();
        assert_eq!((found.value, found.origin.to_string().as_str()), (methods, origin), "{text}");
    }
}

#[test]
fn what_has_no_effect_is_told_once() {
    let (result, notices) = read(
        "lock\nlock local\nnetmask 255.255.255.255\ndefaultroute\nnobsdcomp\nnodeflate\ndebug 1\n115200\nlogin\nlogin\n\
         noccp asyncmap 0 nodetach ktune refuse-eap refuse-mschap-v2\n",
    );
    assert!(result.is_ok());
    assert_eq!(
        notices,
        [
            "/etc/ppp/options:1: lock has no effect: it applies to serial lines only",
            "/etc/ppp/options:2: local has no effect: it applies to serial lines only",
            "/etc/ppp/options:3: netmask has no effect: a point-to-point link has no netmask",
            "/etc/ppp/options:4: defaultroute has no effect: the server never sets a default route to a client",
            "/etc/ppp/options:5: nobsdcomp has no effect: no compression (CCP is rejected)",
            "/etc/ppp/options:6: nodeflate has no effect: no compression (CCP is rejected)",
            "/etc/ppp/options:7: \"1\" is read as the speed of a serial line, which has no effect; remove it",
            "/etc/ppp/options:9: login: system passwords are not used: CHAP works as without it, PAP uses \
             pap-secrets only, and a line with an empty secret never matches",
            "/etc/ppp/options:11: noccp has no effect: no compression (CCP is rejected)",
            "/etc/ppp/options:11: asyncmap has no effect: PPPoE has no HDLC framing (RFC 2516 section 7)",
            "/etc/ppp/options:11: nodetach has no effect: use the flag -F to run in the foreground",
            "/etc/ppp/options:11: ktune has no effect: set net.ipv4.ip_forward with sysctl",
        ]
    );
}

/// What this version does only in part, or keeps for a later one.
#[test]
fn what_is_not_done_yet_is_told_once() {
    for (option, argument, why) in
        [("+ipv6", "", "clients get no IPv6 prefixes"), ("ipv6", "::1,::2", "clients get no IPv6 prefixes")]
    {
        let (result, notices) = read(&format!("{option} {argument}\n{option} {argument}\n"));
        assert!(result.is_ok(), "{option}: {result:?}");
        let [notice] = notices.as_slice() else { panic!("{option}: {notices:?}") };
        assert!(notice.starts_with(&format!("{FILE}:1: {option}: ")) && notice.contains(why), "{notice}");
    }
    for quiet in [
        "proxyarp",
        "noproxyarp",
        "nosourcecheck",
        "ip-up-script /s",
        "ipparam x",
        "set A=1",
        "unset A",
        "noipv6",
        "ipv6cp-restart 1",
        "maxoctets 5",
        "mo-direction in",
        "mo-timeout 5",
    ] {
        assert_eq!(read(quiet).1, Vec::<String>::new());
    }
    // In a user's line as well.
    let place = Place::new(Path::new("/etc/ppp/chap-secrets").into(), 7);
    let word = |bytes| UserWord { bytes, place: place.clone() };
    let words = [b"ipparam".as_slice(), b"5", b"proxyarp"].map(word);
    let (options, errors, notices) = parse_user_options(&words);
    assert!(errors.is_empty() && notices.is_empty() && value(&options.proxyarp));
    assert_eq!(value(&options.ipparam), b"5");
}

/// The lists of the contract with pppd's users: what is accepted without effect, and what is refused.
#[test]
fn the_lists_of_the_contract() {
    for ignored in "netmask defaultroute nodefaultroute noipdefault usepeerdns lock local modem crtscts nocrtscts nobsdcomp \
                    nodeflate novj novjccomp noccp noipx asyncmap default-asyncmap ktune noktune nodetach noaccomp \
                    show-password ipv6cp-use-ipaddr net-init-script net-pre-up-script net-down-script"
        .split_whitespace()
    {
        let has_argument = ["netmask", "asyncmap"].contains(&ignored) || ignored.ends_with("-script");
        let argument = if has_argument { "0" } else { "" };
        let (result, notices) = read(&format!("{ignored} {argument}\n"));
        assert!(result.is_ok(), "{ignored}: {result:?}");
        assert!(notices.len() == 1 && notices[0].contains("has no effect"), "{ignored}: {notices:?}");
    }
    for refused in [
        "plugin radius.so",
        "pty 'a b'",
        "connect x",
        "multilink",
        "require-mppe",
        "require-mschap-v2",
        "require-eap",
    ] {
        let errors = read(refused).0.unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains("is not supported"), "{refused}: {errors:?}");
    }
}

/// What each plug-in is, and what to do in its place; its options are no mistakes of their own.
#[test]
fn plug_ins_are_known() {
    let (result, notices) = read(
        "plugin rp-pppoe.so eth1\nrp_pppoe_service isp\nplugin /usr/lib/pppd/2.4.9/pppoe.so\nnic-eth1\npppoe-verbose 1\n",
    );
    assert!(result.is_ok(), "{result:?}");
    let [plugin, interface, rest @ ..] = notices.as_slice() else { panic!("{notices:?}") };
    assert_eq!(plugin, "/etc/ppp/options:1: plugin has no effect: the server implements PPPoE itself");
    assert_eq!(
        interface,
        "/etc/ppp/options:1: an interface has no effect: those that are served are given by -I"
    );
    assert_eq!(rest.len(), 2, "the options of the plug-in: {rest:?}");

    let (result, notices) =
        read("plugin radius.so\nplugin radattr.so\nradius-config-file /etc/radiusclient.conf\n");
    let errors = result.unwrap_err();
    assert_eq!(errors.len(), 2);
    assert!(
        errors.iter().all(|error| error.contains("RADIUS") && error.contains("users file")),
        "{errors:?}"
    );
    assert_eq!(notices.len(), 1, "{notices:?}");
    for (plugin, why) in [("pptp.so", "something else than PPPoE"), ("x/mine.so", "a hook script")] {
        let errors = read(&format!("plugin {plugin}\n")).0.unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(why), "{plugin}: {errors:?}");
    }
    assert!(read("eth1\n").0.is_err(), "without the plug-in the word means nothing");
}

#[test]
fn other_forms_are_known() {
    for (text, written) in [
        ("lcp-echo-interval=10", "write lcp-echo-interval 10"),
        ("mtu:1492", "write mtu 1492"),
        ("require-chap=yes", "write require-chap"),
        ("ms-dns 8.8.8.8 8.8.4.4", "write the name of an option before each address, such as ms-dns"),
    ] {
        let errors = read(text).0.unwrap_err();
        assert!(errors.len() == 1 && errors[0].ends_with(written), "{text}: {errors:?}");
    }
    assert!(read("10.0.0.1:10.0.0.2\n").0.is_ok());
    assert!(!read("require-mppe=1").0.unwrap_err()[0].contains("write"), "it would be refused");
}

/// What stands behind a refused option is its argument, and no mistake of its own.
#[test]
fn refused_options_are_one_error_each() {
    for refused in [
        "mppe required,stateless,no40",
        "mppe",
        "+chapms-v2",
        "mppe-128",
        "require-mppe",
        "connect 'chat -v'",
        "plugin",
    ] {
        let errors = read(&format!("{refused}\nrequire-chap\n")).0.unwrap_err();
        let [error] = errors.as_slice() else { panic!("{refused}: {errors:?}") };
        assert!(!error.contains("did you mean"), "{error}");
    }
}

/// A suggestion that would be refused, or that says the opposite, helps nobody.
#[test]
fn suggestions_would_be_taken() {
    for name in slips() {
        let errors = read(&name).0.err().unwrap_or_default();
        for error in errors.iter().filter(|error| error.contains("did you mean")) {
            let suggestion = error.split('"').nth(3).unwrap();
            assert!(is_accepted(suggestion) || suggestion == "file", "{name}: {error}");
            assert_eq!(suggestion.starts_with('n'), name.starts_with('n'), "{name}: {error}");
        }
        let place = Place::new(Path::new("/etc/ppp/chap-secrets").into(), 7);
        let words = [UserWord { bytes: name.as_bytes(), place: place.clone() }];
        for error in parse_user_options(&words).1 {
            let OptionError::Unknown { suggestion: Some(suggestion), .. } = error else { continue };
            let words = [suggestion.as_bytes(), b"1"].map(|bytes| UserWord { bytes, place: place.clone() });
            let (_, errors, _) = parse_user_options(&words);
            let is_known = |error: &OptionError| {
                !matches!(error, OptionError::NotForUsers { .. } | OptionError::Refused { .. })
            };
            assert!(errors.iter().all(is_known), "{name}: {suggestion}: {errors:?}");
        }
    }
    let unknown = |text: &str| read(text).0.unwrap_err().remove(0);
    assert!(unknown("requre-chap\n").contains("did you mean \"require-chap\"?"));
    for word in ["require-mschapv2", "requiremppe", "mppee", "onect", "pluggin"] {
        assert!(!unknown(word).contains("did you mean"), "{}", unknown(word));
    }
}

/// Every option with a letter left out, at some places.
fn slips() -> impl Iterator<Item = String> {
    all_options().flat_map(|option| {
        (0..option.name.len()).step_by(5).map(move |at| {
            let (before, after) = option.name.split_at(at);
            format!("{before}{}", after.get(1..).unwrap_or_default())
        })
    })
}

#[test]
fn all_errors_of_a_file_are_told() {
    let (result, notices) = read(
        "lcp-echo-failure 2.4.4\nlcp-echo-interval\nrequire-chap\nmtu 1600\nlcp-ech-interval 30 45\nms-dns 8.8.8\nms-dns \
         no_such..host\nset novalue\nset =x\nunset a=b\n127.0.0.1:\nipv6 fe80::1\n/dev/ttyS0 9600\nrequire-mschap-v2\nname \
         \"\"\nchap-restart 0\nidle",
    );
    assert_eq!(
        result.unwrap_err(),
        [
            "/etc/ppp/options:1: lcp-echo-failure \"2.4.4\": not a number (pppd reads it as 2; write 2 if that is what you mean)",
            "/etc/ppp/options:2: lcp-echo-interval requires a number of seconds as argument",
            "/etc/ppp/options:4: mtu \"1600\": must be between 128 and 1500",
            "/etc/ppp/options:5: \"lcp-ech-interval\" is not an option (did you mean \"lcp-echo-interval\"?); correct or remove it",
            "/etc/ppp/options:6: ms-dns \"8.8.8\": not a full IPv4 address (pppd reads it as 8.8.0.8; write 8.8.0.8 if that is \
         what you mean)",
            "/etc/ppp/options:7: ms-dns \"no_such..host\": not an IPv4 address, and no host of that name is known",
            "/etc/ppp/options:8: set \"novalue\": expected NAME=value",
            "/etc/ppp/options:9: set \"=x\": the variable's name is missing; write NAME=value",
            "/etc/ppp/options:10: unset \"a=b\": unset takes a name without \"=\"",
            "/etc/ppp/options:11: local:remote \"127.0.0.1:\": not a host address",
            "/etc/ppp/options:12: ipv6 \"fe80::1\": not an interface identifier; write one like ::1 (the low 64 bits of an IPv6 \
         address, not zero)",
            "/etc/ppp/options:13: a serial device is not supported: sessions run over the Ethernet interfaces given by -I; \
         remove the word",
            "/etc/ppp/options:14: require-mschap-v2 is not supported: no MS-CHAP in this version; use require-chap, \
             which Windows clients support as well",
            "/etc/ppp/options:15: name \"\": must not be empty",
            "/etc/ppp/options:16: chap-restart \"0\": must be between 1 and 2147483647",
            "/etc/ppp/options:17: idle requires a number of seconds as argument",
        ]
    );
    assert_eq!(notices, Vec::<String>::new());
}

#[test]
fn the_last_two_servers_count() {
    let (result, notices) = read("ms-dns 1.1.1.1\nms-dns 2.2.2.2\nms-dns 3.3.3.3\nms-wins 4.4.4.4\n");
    let session = result.unwrap().session;
    assert_eq!(values(&session.ms_dns), [[2, 2, 2, 2], [3, 3, 3, 3]].map(Ipv4Addr::from));
    assert_eq!(notices, ["/etc/ppp/options:3: at most two ms-dns are allowed; using the last two"]);
    let servers = session.name_servers();
    assert_eq!(servers.dns, [Some(Ipv4Addr::new(2, 2, 2, 2)), Some(Ipv4Addr::new(3, 3, 3, 3))]);
    // as in pppd, a single server is the secondary one as well
    assert_eq!(servers.nbns, [Some(Ipv4Addr::new(4, 4, 4, 4)); 2]);
    assert_eq!(options("").session.name_servers().dns, [None; 2]);
}

#[test]
fn options_of_a_user_go_over_those_of_the_server() {
    let session = |text| read(text).0.unwrap().session;
    let general = session("idle 60 mtu 1400 ms-dns 1.1.1.1 ms-dns 2.2.2.2 set A=1 set B=2 proxyarp");
    let own = session("idle 0 ms-dns 3.3.3.3 unset A maxconnect 5");
    let both = own.clone().over(&general);
    assert_eq!((value(&both.idle), value(&both.maxconnect), value(&both.mtu)), (0, 5, 1400));
    assert_eq!(values(&both.ms_dns), [Ipv4Addr::new(3, 3, 3, 3)]);
    assert_eq!(both.environment[&b"A"[..]], None);
    assert_eq!(both.environment[&b"B"[..]].as_ref().unwrap().value, b"2");
    assert!(value(&both.proxyarp));
    assert!(!value(&session("nosourcecheck").over(&general).source_check));
    assert!(!value(&own.over(&session("nosourcecheck")).source_check));
}

#[test]
fn files_include_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("outer"), format!("idle 1\nfile {}\nmtu 1400\n", path("inner").display())).unwrap();
    fs::write(path("inner"), "idle 2\nmtu 1300\n").unwrap();
    fs::write(path("loop"), format!("idle 1\nfile {0}\nfile {0}\n", path("loop").display())).unwrap();
    fs::write(path("lost"), "\nfile /nonexistent/options\n").unwrap();

    let read = |name: &str, presence| {
        let mut reader = Reader::new();
        reader.read_file(&path(name), presence);
        shown(reader)
    };
    let (both, _) = read("outer", Presence::Required);
    let both = both.unwrap();
    assert_eq!((value(&both.session.idle), value(&both.session.mtu)), (2, 1400));
    assert_eq!(both.session.idle.unwrap().origin.to_string(), format!("{}:1", path("inner").display()));
    let errors = read("loop", Presence::Required).0.unwrap_err();
    assert!(
        errors.iter().all(|error| error.contains("would be more than 32 files: does one include itself?"))
    );
    assert!((1..=64).contains(&errors.len()));
    assert_eq!(
        read("lost", Presence::Required).0.unwrap_err(),
        [format!(
            "cannot read options file \"/nonexistent/options\" (named at {}:2): No such file or directory (os error 2)",
            path("lost").display()
        )]
    );
    assert_eq!(read("absent", Presence::Optional), (Ok(PppOptions::default()), vec![]));
    let (result, notices) = read("absent", Presence::Expected);
    assert_eq!(result, Ok(PppOptions::default()));
    assert_eq!(notices, [format!("options file {:?} does not exist; continuing without it", path("absent"))]);
    assert_eq!(
        read("absent", Presence::Required).0.unwrap_err(),
        [format!("cannot read options file {:?}: No such file or directory (os error 2)", path("absent"))]
    );
    assert!(read(".", Presence::Optional).0.unwrap_err()[0].ends_with("not a regular file"));
}

#[test]
fn words_may_span_lines_and_be_quoted() {
    let all = options("idle # seconds\n  60\n\"mtu\" 14\\\n00 name \"my \\\"gw\\\"\"\n");
    assert_eq!((value(&all.session.idle), value(&all.session.mtu)), (60, 1400));
    assert_eq!(value(&all.name), b"my \"gw\"");
    let (_, notices) = read("name 'open\n");
    assert_eq!(notices, ["/etc/ppp/options:1: unterminated quotes: the word extends to the end of the file"]);
}

proptest! {
    #[test]
    fn any_bytes_are_an_options_file(contents in proptest::collection::vec(any::<u8>(), 0..1000)) {
        // no host name is looked up for arbitrary words, and no file opened
        let mut reader = Reader::new();
        reader.read_bytes(Path::new(FILE), &contents);
        let _ = reader.finish();
    }

    #[test]
    fn any_numbers_are_decided(option in "(lcp|ipcp|chap|pap)-(echo-interval|restart|timeout)|mtu|mru|idle", word in "[0-9a-fx.-]{0,12}") {
        let (result, notices) = read(&format!("{option} {word}\n"));
        if let Ok(options) = result {
            for size in [options.mru, options.session.mtu].into_iter().flatten() {
                prop_assert!((128..=1500).contains(&size.value));
            }
        } else {
            prop_assert!(notices.len() <= 1);
        }
    }
}
