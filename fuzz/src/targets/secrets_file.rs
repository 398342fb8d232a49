//! Secrets files: which line decides, what it lets in, and that no secret is shown.

use std::path::Path;

use pppoed_config::secrets::{Entry, FixedAddresses, Pattern, Protocol, SecretsFile};

use super::names::{MadeUp, would_ask_the_system};

const SERVER: &[u8] = b"ac";

/// A secret that is not shown.
const MARK: &str = "hunter2";

/// Lookups in a run.
const LOOKUPS: usize = 8;

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    if would_ask_the_system(bytes) {
        return;
    }
    for protocol in [Protocol::Chap, Protocol::Pap] {
        check(bytes, protocol);
    }
}

fn check(bytes: &[u8], protocol: Protocol) {
    let (file, notices) = SecretsFile::parse(Path::new("/etc/secrets"), bytes, protocol);
    for notice in &notices {
        let shown = notice.to_string();
        assert!(shown.starts_with("/etc/secrets:"), "{shown}");
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    let is_secret =
        |entry: &Entry| [&entry.client, &entry.server].iter().all(|pattern| !is_marked(name(pattern)));
    if bytes.windows(MARK.len()).filter(|piece| *piece == MARK.as_bytes()).count() == 1
        && file.entries().iter().all(is_secret)
    {
        let shown = format!("{file:?}");
        let elsewhere = |entry: &Entry| {
            entry.addresses.to_string().contains(MARK) || format!("{:?}", entry.options).contains(MARK)
        };
        assert!(file.entries().iter().any(elsewhere) || !shown.contains(MARK), "{shown}");
    }
    let names: Vec<&[u8]> = file.entries().iter().filter_map(|entry| name(&entry.client)).collect();
    let anybody: [&[u8]; 3] = [b"", b"nobody", &[0xff; 300]];
    for client in names.into_iter().take(LOOKUPS).chain(anybody) {
        look_up(&file, client, protocol);
    }
    let mut fixed = FixedAddresses::default();
    fixed.add(&file, SERVER, &MadeUp);
    assert!(fixed.iter().all(|address| fixed.is_reserved_from(address, None)));
}

fn is_marked(name: Option<&[u8]>) -> bool {
    name.is_some_and(|name| name.windows(MARK.len()).any(|piece| piece == MARK.as_bytes()))
}

fn name(pattern: &Pattern) -> Option<&[u8]> {
    match pattern {
        Pattern::Any => None,
        Pattern::Name(name) => Some(name),
    }
}

fn look_up(file: &SecretsFile, client: &[u8], protocol: Protocol) {
    let found = match file.lookup(client, SERVER) {
        Ok(found) => found,
        Err(refusal) => {
            let shown = refusal.to_string();
            assert!(!shown.chars().any(char::is_control) && shown.len() < 8192, "{shown:?}");
            assert!(best_line(file, client).is_none(), "{shown}");
            return;
        }
    };
    assert_eq!(Some(found.entry.place.line), best_line(file, client).map(|entry| entry.place.line));

    let mut secret = Vec::new();
    let no = found.candidate(false).verify_chap(|own| {
        secret = own.to_vec();
        false
    });
    assert!(no.is_err(), "the comparison said no");
    let yes = found.candidate(false).verify_chap(|own| !own.is_empty());
    assert_eq!(yes.is_ok(), !secret.is_empty(), "an empty secret never matches");
    // Whatever a hash may cost is for its tests.
    if protocol == Protocol::Pap && !secret.starts_with(b"$") {
        let is_cut = secret.len() == pppoed_config::secrets::MAX_CHAP_SECRET;
        let lets_in = !secret.is_empty() && secret != b"@login";
        assert!(is_cut || found.candidate(false).verify_pap(&secret).is_ok() == lets_in);
        assert!(found.candidate(true).verify_pap(&secret).is_err(), "papcrypt takes no secret as it is");
        assert!(found.candidate(false).verify_pap(b"").is_err(), "an empty password never matches");
        assert!(found.candidate(false).verify_pap(&[&secret[..], b"x"].concat()).is_err() || is_cut);
    }

    let (addresses, notices) = found.entry.addresses.resolve(client, 3, &MadeUp);
    assert!(notices.iter().all(|notice| !notice.to_string().chars().any(char::is_control)));
    if let Some(suggested) = addresses.suggested() {
        assert!(addresses.authorizes(suggested).is_ok(), "{suggested}");
    }
    let list = found.entry.addresses.to_string();
    assert!(!list.chars().any(char::is_control), "{list:?}");
}

/// The line as the manual has it: fewest wildcards, those of the client counting more; then the first one.
fn best_line<'a>(file: &'a SecretsFile, client: &[u8]) -> Option<&'a Entry> {
    if client.len() > pppoed_config::secrets::MAX_NAME {
        return None;
    }
    let fits = |pattern: &Pattern, own: &[u8]| name(pattern).is_none_or(|name| name == own);
    let wildcards = |entry: &&Entry| {
        2 * u8::from(name(&entry.client).is_none()) + u8::from(name(&entry.server).is_none())
    };
    let candidates =
        file.entries().iter().filter(|entry| fits(&entry.client, client) && fits(&entry.server, SERVER));
    candidates.min_by_key(wildcards)
}
