use proptest::prelude::*;

use super::*;
use crate::origin::Origin;

const PATH: &str = "/etc/pppoed/pppoed.toml";

fn read(text: &str) -> (Layer, Vec<String>) {
    let (layer, errors) = layer(Path::new(PATH), text.as_bytes());
    (layer, errors.iter().map(|error| error.to_string().replace(PATH, "F")).collect())
}

fn told(text: &str) -> Vec<String> {
    read(text).1
}

#[test]
fn keys_become_assignments_in_the_order_of_the_file() {
    let text = "sessions = 20\ninterface = [\"eth1\", \"eth2\"] # two\nno-probe = true\nlocal = \"10.0.0.1\"\n\
                service = 'isp'\nper-mac = -1\nsessions-per-user = 1_0\n\
                pool-file = \"pool\"\nmac-deny = \"/etc/deny\"\n\
                [ppp]\nrequire-chap = true\nlcp-echo-interval = 0x14\nms-dns = [\"1.1.1.1\", \"9.9.9.9\"]\n\
                proxyarp = false\nipv6 = true\nlogfile = \"log\"\nrate-down = \"10M\"\n";
    let (layer, errors) = read(text);
    assert_eq!(errors, Vec::<String>::new());
    let shown = |assignments: &[crate::origin::Assignment]| -> Vec<String> {
        let one = |assignment: &crate::origin::Assignment| {
            let origin = assignment.origin.to_string().replace(PATH, "F");
            format!("{} {:?} {origin}", assignment.key, assignment.values)
        };
        assignments.iter().map(one).collect()
    };
    assert_eq!(
        shown(&layer.server),
        [
            "sessions [\"20\"] F:1",
            "interface [\"eth1\", \"eth2\"] F:2",
            "no-probe [\"true\"] F:3",
            "local [\"10.0.0.1\"] F:4",
            "service [\"isp\"] F:5",
            "per-mac [\"-1\"] F:6",
            "sessions-per-user [\"10\"] F:7",
            "pool-file [\"/etc/pppoed/pool\"] F:8",
            "mac-deny [\"/etc/deny\"] F:9",
        ]
    );
    assert_eq!(
        shown(&layer.ppp),
        [
            "require-chap [\"true\"] F:11",
            "lcp-echo-interval [\"20\"] F:12",
            "ms-dns [\"1.1.1.1\", \"9.9.9.9\"] F:13",
            "proxyarp [\"false\"] F:14",
            "ipv6 [\"true\"] F:15",
            "logfile [\"/etc/pppoed/log\"] F:16",
            "rate-down [\"10M\"] F:17",
        ]
    );
}

#[test]
fn tables_for_interfaces_and_pools_are_kept_with_their_places() {
    let text = "[[interface]]\nname = \"eth1\"\n[[interface]]\nname = \"eth2\"\n[pool.guests]\nfirst = \"10.0.0.2\"\n";
    let (layer, errors) = read(text);
    assert_eq!(errors, Vec::<String>::new());
    assert_eq!(layer.interfaces.len(), 2);
    let (name, pool) = &layer.pools[0];
    assert_eq!((name.as_str(), pool.place.line), ("guests", 5));
    let item = &pool.items[0];
    assert_eq!((item.key.as_str(), item.place.to_string()), ("first", format!("{PATH}:6:1")));
    assert_eq!(item.value.place.column, Some(9));
    assert!(!layer.is_empty());
    assert!(read("# nothing\n").0.is_empty());
}

#[test]
fn mistakes_are_told_with_line_and_column() {
    for (text, expected) in [
        ("sesions = 5", "F:1:1: unknown key \"sesions\" (did you mean \"sessions\"?)"),
        ("\n  xyzzy = 5", "F:2:3: unknown key \"xyzzy\""),
        ("control = \"/x\"", "F:1:1: unknown key \"control\""),
        (
            "ms-dns = \"1.1.1.1\"",
            "F:1:1: unknown key \"ms-dns\"; it is an option of pppd: put it below [ppp]",
        ),
        (
            "[ppp]\nsessions = 5",
            "F:2:1: \"sessions\" does not belong here: it is no option of pppd; put it above the first line in [brackets]",
        ),
        (
            "[ppp]\nlcp-echo-intervall = 5",
            "F:2:1: unknown key \"lcp-echo-intervall\" (did you mean \"lcp-echo-interval\"?)",
        ),
        ("sessions = \"5\"", "F:1:12: sessions: expected a number without quotes, found a string"),
        (
            "sessions = 5.5",
            "F:1:12: sessions: expected a number without quotes, found a number with a decimal point",
        ),
        ("local = 10", "F:1:9: local: expected a string, found a number"),
        ("no-probe = 1", "F:1:12: no-probe: expected true or false, found a number"),
        ("run-dir = true", "F:1:11: run-dir: expected a path as a string, found true or false"),
        (
            "service = [\"a\", 2]",
            "F:1:17: service: expected a string, or a list of strings: [\"…\", \"…\"], found a number",
        ),
        (
            "sessions = 99999999999999999999",
            "F:1:12: sessions: expected a number without quotes, found a number that is too large",
        ),
        ("motm = 2026-01-01", "F:1:8: motm: expected a string, found a date or time"),
        ("[sessions]\na = 1", "F:1:1: sessions: expected a number without quotes, found a table"),
        (
            "[interfaces]\na = 1",
            "F:1:2: unknown key \"interfaces\" (did you mean \"interface\"?); the tables are [ppp], [[interface]] and [pool.NAME]",
        ),
        ("ppp = 5", "F:1:1: ppp: expected a table: [ppp], found a number"),
        ("[pool]\nfirst = 1", "F:2:1: pool: expected tables: [pool.NAME], found a number"),
        (
            "interface = [{name = \"a\"}, \"b\"]",
            "F:1:28: interface: expected only tables or only strings, found a string",
        ),
        (
            "check = true",
            "F:1:1: check cannot be set in a file: it is not a setting of the server; command line only",
        ),
        (
            "foreground = true",
            "F:1:1: foreground cannot be set in a file: it depends on how pppoed is started; command line only",
        ),
        (
            "kernel-mode = true",
            "F:1:1: kernel-mode cannot be set in a file: it has no effect, and exists only for compatibility with \
             pppoe-server; remove it",
        ),
        ("[ppp]\nmtu = \"1492\"", "F:2:7: mtu: expected a number without quotes, found a string"),
        ("[ppp]\nrequire-chap = \"yes\"", "F:2:16: require-chap: expected true or false, found a string"),
        ("# é\né = 1", "F:2:1: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"),
        ("\"\\u0007\" = 1", "F:1:1: unknown key \"\\u{7}\""),
        ("local = ", "F:1:9: not valid TOML: string values must be quoted, expected literal string"),
        (
            "interface = \"eth1\"\n[[interface]]\nname = \"eth2\"",
            "F:2:3: not valid TOML: duplicate key; a name is a setting or tables, not both: write [[interface]] with name = \
             \"…\" below it in place of the line interface = …",
        ),
        (
            "[interface.eth1]",
            "F:1:2: interface: expected a string, a list of strings, or tables: [[interface]] with name = \"…\" below it, found a \
             table",
        ),
        ("[my pool]", "F:1:4: not valid TOML: unclosed table, expected `]`; quote the name: [\"my pool\"]"),
        (
            "[my\u{1b}pool]",
            "F:1:4: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`",
        ),
        ("sessions = 1\nsessions = 2", "F:2:1: not valid TOML: duplicate key"),
    ] {
        assert_eq!(told(text), [expected], "{text}");
    }
    let (_, errors) = layer(Path::new("F"), b"motm = \"a\"\nhurl = \"\xff\"");
    assert_eq!(errors[0].to_string(), "F:2:9: invalid UTF-8");
    assert_eq!(told("a = 1\n[ppp]\nb = 2\n").len(), 2, "all mistakes at once");
}

#[test]
fn columns_are_characters_and_far_out_bytes() {
    let (_, errors) = read("motm = \"é\"; x");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].starts_with("F:1:11: "), "{errors:?}");
    let far = format!("service = [{}5]", "\"é\",".repeat(1000));
    assert!(told(&far)[0].starts_with("F:1:5012: "), "{}", told(&far)[0]);
}

#[test]
fn texts_do_not_show_in_debug_output() {
    let table = parse(Path::new("u"), b"[alice]\npassword = \"hunter1\"\n").unwrap();
    let shown = format!("{table:?}");
    assert!(shown.contains("password") && !shown.contains("hunter1"), "{shown}");
}

fn line() -> impl Strategy<Value = String> {
    let names: Vec<String> = crate::flags::keys::server_keys()
        .iter()
        .map(|key| key.name.clone())
        .chain(["ms-dns", "mtu", "set", "ipv6", "\"+ipv6\"", "file", "require-chap"].map(str::to_owned))
        .collect();
    let value = prop_oneof![
        Just("true".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\"[ -!#-\\[\\]-~]{0,12}\"",
        "\\[(\"[a-z0-9.]{0,9}\",?){0,3}\\]",
        "\\PC{0,12}",
    ];
    prop_oneof![
        (prop::sample::select(names), value).prop_map(|(key, value)| format!("{key} = {value}\n")),
        Just("[ppp]\n".to_owned()),
        "\\[\\[?[a-z.]{0,9}\\]?\\]\n",
        "\\PC{0,20}\n",
    ]
}

proptest! {
    /// Whatever a file holds, it is read or refused; and what was read can be merged or is refused.
    #[test]
    fn no_text_makes_it_panic(lines in prop::collection::vec(line(), 0..12), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let text = lines.concat();
        let (found, errors) = layer(Path::new(PATH), text.as_bytes());
        for error in &errors {
            prop_assert!(error.place.line >= 1 && error.place.column >= Some(1), "{error}");
        }
        for assignment in found.server.iter().chain(&found.ppp) {
            prop_assert!(matches!(&assignment.origin, Origin::File(_)));
        }
        let command_line = crate::config::CommandLine::try_parse_from(["pppoed"]).unwrap();
        let _ = crate::config::layer::Merged::new(&command_line, &found, &Layer::default());
        let mut reader = crate::options::Reader::new().overridden_by(&found.ppp);
        for option in found.ppp.iter().filter(|option| !option.key.contains("dns") && !option.key.contains("wins")) {
            reader.assign(option);
        }
        let _ = layer(Path::new(PATH), &bytes);
    }
}
