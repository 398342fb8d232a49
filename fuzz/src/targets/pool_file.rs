//! Pool files, and the pool that is made of one.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::Path;

use pppoed_config::pool::{AddressPool, Claim, MAX_SESSIONS, PoolEntry, PoolFile};
use pppoed_config::secrets::FixedAddresses;

/// Sessions that are given an address in a run.
const SESSIONS: usize = 64;

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    let path = Path::new("/etc/pool");
    let (file, notices) = match PoolFile::parse(path, bytes) {
        Ok(read) => read,
        Err(error) => return assert!(error.to_string().contains("/etc/pool")),
    };
    for notice in notices {
        let shown = notice.to_string();
        assert!(shown.starts_with("/etc/pool:") && !shown.chars().any(char::is_control), "{shown:?}");
    }
    let count = file.sessions.len();
    assert!((1..=usize::try_from(MAX_SESSIONS).expect("it fits")).contains(&count));
    assert_eq!(file.lines.len(), count);
    assert!(file.lines.is_sorted());
    let written: String = file
        .sessions
        .iter()
        .map(|(local, remote)| match local {
            Some(local) => format!("{local}:{remote}\n"),
            None => format!("{remote}\n"),
        })
        .collect();
    let (again, _) = PoolFile::parse(path, written.as_bytes()).expect("what was read can be written");
    assert_eq!(again.sessions, file.sessions);
    fill(&file.sessions);
}

/// Nobody gets an address that somebody has, or our own, and in the end all are free.
fn fill(sessions: &[(Option<Ipv4Addr>, Ipv4Addr)]) {
    let local = Ipv4Addr::new(10, 0, 0, 1);
    let entry = |&(own, remote): &(Option<Ipv4Addr>, Ipv4Addr)| PoolEntry {
        local: own.unwrap_or(local),
        remote: Some(remote),
    };
    let mut pool = AddressPool::new([("main".into(), sessions.iter().take(SESSIONS).map(entry).collect())]);
    let before = pool.usage(&FixedAddresses::default());
    let mut given = BTreeSet::new();
    let mut leases = Vec::new();
    for slot in 0..u32::try_from(SESSIONS + 1).expect("it fits") {
        let claim = Claim { user: None, addresses: None, fixed: &FixedAddresses::default(), pool: "main" };
        if let Ok(lease) = pool.assign(slot, &claim) {
            assert!(given.insert(lease.remote), "{} is given twice", lease.remote);
            assert_ne!(lease.local, lease.remote);
            leases.push(lease);
        }
    }
    assert!(given.len() <= before.size);
    for lease in leases {
        pool.release(lease);
    }
    assert_eq!(pool.usage(&FixedAddresses::default()), before);
}
