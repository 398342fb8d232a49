//! What consoles set: what is taken can be written to the console file, and is found there at the next start.

use std::path::Path;

use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, MAX_ENTRIES, PolicyChange, Subject};
use ppp_wire::MacAddr;
use pppoed_config::inet;
use pppoed_config::options::Reader;
use pppoed_config::policy::{By, Lists, Policy, parse, text};

/// Changes in a run.
const CHANGES: usize = 16;

/// The bytes are lines of words, each a change.
pub fn run(bytes: &[u8]) {
    let Ok(lines) = std::str::from_utf8(bytes) else { return };
    let by = By { uid: 1000, time_ms: 1 };
    let mut policy = Policy::default();
    let lists = Lists { services: vec![Name::new("isp")], interfaces: vec!["eth1".to_owned()] };
    for change in lines.split('\n').take(CHANGES).filter_map(change) {
        match policy.changed(&change, &lists, by) {
            // The rest of what the server asks for: its files' parsers.
            Ok(new) if are_good(&new) => policy = new,
            Ok(_) | Err(_) => {}
        }
    }
    assert!(policy.len() <= MAX_ENTRIES);
    let text = text(&policy, by);
    let read = parse(Path::new("/etc/console.toml"), text.as_bytes());
    let read = read.unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    assert!(read.says_the_same(&policy), "{read:?}\n{policy:?}\n{text}");
}

fn are_good(policy: &Policy) -> bool {
    let mut options = Reader::new();
    policy.layer().ppp.iter().for_each(|option| options.assign(option));
    options.finish().1.is_empty()
}

/// `set KEY VALUE…`, `unset KEY`, `service NAME`, `deny USER`, `allow MAC`, `user NAME OPTION VALUE…`, `hooks FILE`.
fn change(line: &str) -> Option<PolicyChange> {
    let words: Vec<&str> = line.split(' ').collect();
    let takes_address = |word: &&str| word.ends_with("ms-dns") || word.ends_with("ms-wins");
    if words.iter().any(takes_address) && words.iter().skip(2).any(|word| inet::is_name(word)) {
        // It would be asked for.
        return None;
    }
    let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let who = |word: &str| match word.parse::<MacAddr>() {
        Ok(mac) => Subject::Mac(mac.0),
        Err(_) => Subject::User(NamePattern::from_text(word)),
    };
    Some(match words.as_slice() {
        ["set", key, values @ ..] => PolicyChange::Set { key: (*key).to_owned(), values: owned(values) },
        ["unset", key] => PolicyChange::Unset { key: (*key).to_owned() },
        ["service", name] => PolicyChange::AddService(Name::from_text(name)),
        ["deny", word] => PolicyChange::List { list: ListName::Deny, who: who(word) },
        ["allow", word] => PolicyChange::List { list: ListName::Allow, who: who(word) },
        ["user", name, options @ ..] => {
            let pairs = options.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned()));
            PolicyChange::SetUser { name: Name::from_text(name), options: pairs.collect() }
        }
        ["hooks", file] => PolicyChange::Hooks { enabled: false, file: Some((*file).to_owned()) },
        ["hooks"] => PolicyChange::Hooks { enabled: false, file: None },
        _ => return None,
    })
}
