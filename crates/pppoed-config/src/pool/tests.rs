use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::inet::NoNames;
use crate::secrets::{Protocol, SecretsFile};

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// All addresses as one pool.
fn only(entries: Vec<PoolEntry>) -> [(PoolName, Vec<PoolEntry>); 1] {
    [(DEFAULT_POOL.into(), entries)]
}

/// A pool, and what was leased from it, by slot.
struct Leased {
    // Goes first: then nobody waits for the leases.
    pool: AddressPool,
    held: BTreeMap<u32, Lease<AddressPair>>,
}

impl Leased {
    fn new(pool: AddressPool) -> Self {
        Self { pool, held: BTreeMap::new() }
    }

    /// Keeps a lease; what it is of.
    fn keep(&mut self, lease: Lease<AddressPair>) -> AddressPair {
        let pair = *lease;
        self.held.insert(pair.slot, lease);
        pair
    }

    fn hold(&mut self, pair: AddressPair) -> Result<AddressPair, u32> {
        self.pool.hold(pair).map(|lease| self.keep(lease))
    }

    fn release(&mut self, slot: u32) -> Option<AddressPair> {
        self.held.remove(&slot).map(|lease| self.pool.release(lease))
    }
}

impl std::ops::Deref for Leased {
    type Target = AddressPool;

    fn deref(&self) -> &AddressPool {
        &self.pool
    }
}

impl std::ops::DerefMut for Leased {
    fn deref_mut(&mut self) -> &mut AddressPool {
        &mut self.pool
    }
}

fn pool(local: &str, remote: &str, count: u32) -> Leased {
    let local = ip(local);
    let remotes = range(ip(remote), count).unwrap();
    let entries = remotes.map(|remote| PoolEntry { local, remote: Some(remote) }).collect();
    Leased::new(AddressPool::new(only(entries)))
}

/// The secrets of guide C, and some more.
fn secrets() -> SecretsFile {
    let text =
        "cmz * cmz *\ncmz2 * cmz2 192.168.10.3\nnone * x\nnet * x 192.168.10.4/30\nours * x 192.168.10.109\n";
    SecretsFile::parse(Path::new("/etc/ppp/chap-secrets"), text.as_bytes(), Protocol::Chap).0
}

fn assign(pool: &mut Leased, slot: u32, user: &str) -> Result<AddressPair, AssignError> {
    assign_from(pool, DEFAULT_POOL, slot, user)
}

fn assign_from(pool: &mut Leased, from: &str, slot: u32, user: &str) -> Result<AddressPair, AssignError> {
    let secrets = secrets();
    let mut fixed = FixedAddresses::default();
    fixed.add(&secrets, b"gw", &NoNames);
    let found = secrets.lookup(user.as_bytes(), b"gw").unwrap();
    let (addresses, _) = found.entry.addresses.resolve(user.as_bytes(), slot, &NoNames);
    let user = Some(user.as_bytes());
    let claim = Claim { pool: from, user, addresses: Some(&addresses), fixed: &fixed };
    pool.assign(slot, &claim).map(|lease| pool.keep(lease))
}

/// A machine with one address.
#[derive(Debug)]
struct With(Ipv4Addr);

impl Machine for With {
    fn has(&self, address: Ipv4Addr) -> bool {
        address == self.0
    }
}

#[test]
fn no_session_gets_an_address_of_the_machine_whoever_gives_it() {
    let own = ip("192.168.10.3");
    let Leased { pool, .. } = pool("192.168.10.109", "192.168.10.2", 3);
    let mut pool = Leased::new(pool.on(With(own)));
    assert!(pool.is_ours(own) && pool.is_ours(ip("192.168.10.109")) && !pool.is_ours(ip("192.168.10.4")));
    // Slot 1 has it by the pool, and user cmz2 by the secrets file.
    assert_eq!(assign(&mut pool, 1, "cmz").unwrap().remote, ip("192.168.10.2"));
    assert_eq!(assign(&mut pool, 2, "cmz2").unwrap_err(), AssignError::Ours { address: own });
    // Hooks and consoles give ranges.
    let fixed = FixedAddresses::default();
    let claim = Claim { pool: DEFAULT_POOL, user: None, addresses: None, fixed: &fixed };
    assert_eq!(pool.assign_within(2, own, own, &claim).unwrap_err(), AssignError::Ours { address: own });
    let lease = pool.assign_within(2, own, ip("192.168.10.4"), &claim).unwrap();
    assert_eq!(pool.keep(lease).remote, ip("192.168.10.4"));
}

/// A session of an earlier server, which had another pool.
#[test]
fn an_address_is_held_whoever_gave_it() {
    let mut pool = pool("192.168.10.109", "192.168.10.2", 3);
    let lease = |slot, remote| AddressPair { slot, local: ip("10.0.0.1"), remote: ip(remote) };
    pool.hold(lease(7, "192.168.10.2")).unwrap();
    pool.hold(lease(8, "10.9.9.9")).unwrap();
    assert_eq!(pool.hold(lease(9, "10.9.9.9")), Err(8));
    assert_eq!(pool.hold(lease(7, "10.9.9.8")), Err(7));
    let usage = pool.usage(&FixedAddresses::default());
    assert_eq!((usage.in_use, usage.outside, usage.free), (1, 1, 2));
    assert_eq!(assign(&mut pool, 0, "cmz").unwrap().remote, ip("192.168.10.4"));
    assert!(assign(&mut pool, 1, "cmz").is_err());
    pool.release(7);
    assert_eq!(assign(&mut pool, 1, "cmz").unwrap().remote, ip("192.168.10.2"));
    assert_eq!(pool.release(8), Some(lease(8, "10.9.9.9")));
}

#[test]
fn guide_c() {
    let mut pool = pool("192.168.10.109", "192.168.10.2", 20);
    let remote = |lease: Result<AddressPair, AssignError>| lease.map(|lease| lease.remote.to_string());
    assert_eq!(remote(assign(&mut pool, 0, "cmz")).unwrap(), "192.168.10.2");
    assert_eq!(remote(assign(&mut pool, 4, "cmz2")).unwrap(), "192.168.10.3");
    // slot 1 would have 192.168.10.3, which belongs to cmz2 even when cmz2 is gone
    pool.release(4);
    assert_eq!(remote(assign(&mut pool, 1, "cmz")).unwrap(), "192.168.10.4");
    // and so slot 2 has lost its own address to slot 1, slot 3 has it still
    assert_eq!(remote(assign(&mut pool, 3, "cmz")).unwrap(), "192.168.10.5");
    assert_eq!(remote(assign(&mut pool, 2, "cmz")).unwrap(), "192.168.10.6");
    let leases: Vec<_> = pool.leases().map(|lease| lease.slot).collect();
    assert_eq!(leases, [0, 1, 2, 3]);
}

#[test]
fn refusals_tell_the_reason() {
    let mut pool = pool("192.168.10.109", "192.168.10.2", 4);
    let text = |result: Result<AddressPair, AssignError>| result.unwrap_err().to_string();
    assert_eq!(
        text(assign(&mut pool, 0, "none")),
        "/etc/ppp/chap-secrets:3: user \"none\" may not use 192.168.10.2: the address list is empty; add \"*\" or the \
         address"
    );
    assert_eq!(text(assign(&mut pool, 0, "ours")), "address 192.168.10.109 is one of the server's own");
    assert_eq!(text(assign(&mut pool, 4, "cmz")), "there is no slot 4: the pool has 4");
    assign(&mut pool, 2, "cmz2").unwrap();
    assert_eq!(text(assign(&mut pool, 2, "cmz2")), "slot 2 already has address 192.168.10.3");
    assert_eq!(text(assign(&mut pool, 3, "cmz2")), "address 192.168.10.3 is in use by the session in slot 2");
    assign(&mut pool, 0, "net").unwrap();
    assign(&mut pool, 1, "net").unwrap();
    assert_eq!(
        text(assign(&mut pool, 3, "net")),
        "the address pool is exhausted: none of its 4 addresses is free for this user"
    );
    let nothing = PoolEntry { local: ip("10.0.0.1"), remote: None };
    let mut no_pool = Leased::new(AddressPool::new(only(vec![nothing; 2])));
    assert_eq!(assign(&mut no_pool, 0, "cmz"), Err(AssignError::NoPool));
    assert_eq!(assign(&mut no_pool, 0, "cmz2").unwrap().remote, ip("192.168.10.3"));
}

#[test]
fn usage_counts_every_address_once() {
    let mut pool = pool("192.168.10.109", "192.168.10.2", 4);
    let secrets = secrets();
    let mut fixed = FixedAddresses::default();
    fixed.add(&secrets, b"gw", &NoNames);
    assert_eq!(pool.usage(&fixed), PoolUsage { size: 4, in_use: 0, reserved: 1, free: 3, outside: 0 });
    assign(&mut pool, 0, "cmz").unwrap();
    assign(&mut pool, 1, "cmz2").unwrap();
    assert_eq!(pool.usage(&fixed), PoolUsage { size: 4, in_use: 2, reserved: 0, free: 2, outside: 0 });
    pool.release(1);
    assert_eq!(pool.usage(&fixed), PoolUsage { size: 4, in_use: 1, reserved: 1, free: 2, outside: 0 });
}

#[test]
fn a_pair_keeps_its_own_local_address() {
    let entry = |local, remote| PoolEntry { local: ip(local), remote: Some(ip(remote)) };
    let mut pool = Leased::new(AddressPool::new(only(vec![
        entry("10.1.0.1", "192.168.10.3"),
        entry("10.2.0.1", "192.168.10.7"),
    ])));
    assert_eq!(assign(&mut pool, 0, "cmz").unwrap().local, ip("10.2.0.1"));
    assert_eq!(assign(&mut pool, 1, "cmz2").unwrap().local, ip("10.1.0.1"));
}

#[test]
fn pools_do_not_disturb_each_other() {
    let entries = |local, remote, count| -> Vec<PoolEntry> {
        let remotes = range(ip(remote), count).unwrap();
        remotes.map(|remote| PoolEntry { local: ip(local), remote: Some(remote) }).collect()
    };
    let mut pool = Leased::new(AddressPool::new([
        (DEFAULT_POOL.into(), entries("10.0.0.1", "10.0.0.2", 2)),
        ("a".into(), entries("10.1.0.1", "10.1.0.2", 2)),
        ("b".into(), entries("10.2.0.1", "192.168.10.2", 3)),
    ]));
    let slots: Vec<_> = pool.parts().iter().map(Part::slots).collect();
    assert_eq!(slots, [0..2, 2..4, 4..7]);
    let show = |lease: AddressPair| format!("{} {}", lease.local, lease.remote);
    // A slot has an address in its own pool only; in another one, the lowest that is free is good enough.
    assert_eq!(assign_from(&mut pool, "a", 3, "cmz").map(show).unwrap(), "10.1.0.1 10.1.0.3");
    assert_eq!(assign_from(&mut pool, "a", 0, "cmz").map(show).unwrap(), "10.1.0.1 10.1.0.2");
    let full = assign_from(&mut pool, "a", 1, "cmz").unwrap_err();
    assert_eq!(full, AssignError::Exhausted { size: 2 });
    assert_eq!(assign(&mut pool, 1, "cmz").map(show).unwrap(), "10.0.0.1 10.0.0.3");
    // A user's own address is the user's on every interface, and nobody else's on any.
    assert_eq!(assign_from(&mut pool, "a", 2, "cmz2").map(show).unwrap(), "10.1.0.1 192.168.10.3");
    assert_eq!(assign_from(&mut pool, "b", 5, "cmz").map(show).unwrap(), "10.2.0.1 192.168.10.2");
    assert_eq!(assign_from(&mut pool, "b", 6, "cmz").map(show).unwrap(), "10.2.0.1 192.168.10.4");
    let none = FixedAddresses::default();
    let usage = |pool: &AddressPool| -> Vec<_> {
        let usages = pool.parts().iter().map(|part| pool.usage_of(part, &none));
        usages.map(|usage| (usage.size, usage.in_use, usage.free)).collect()
    };
    assert_eq!(usage(&pool), [(2, 1, 1), (2, 2, 0), (3, 3, 0)]);
    assert_eq!(pool.usage(&none), PoolUsage { size: 7, in_use: 6, reserved: 0, free: 1, outside: 0 });
    pool.release(2);
    assert_eq!(usage(&pool)[2], (3, 2, 1));
    // The pool goes, its sessions stay; the slots move up.
    pool.set_pools([
        (DEFAULT_POOL.into(), entries("10.0.0.1", "10.0.0.2", 2)),
        ("b".into(), entries("10.2.0.1", "192.168.10.2", 3)),
    ]);
    assert_eq!(pool.usage(&none).outside, 2);
    let gone = assign_from(&mut pool, "a", 4, "cmz").unwrap_err();
    assert_eq!(gone.to_string(), "address pool \"a\" no longer exists");
    assert_eq!(assign_from(&mut pool, "b", 4, "cmz2").map(show).unwrap(), "10.2.0.1 192.168.10.3");
}

#[test]
fn leases_outlive_the_entries_that_they_came_from() {
    let entry = |local, remote| PoolEntry { local: ip(local), remote: Some(ip(remote)) };
    let mut pool = pool("192.168.10.110", "192.168.10.5", 2);
    assert_eq!(assign(&mut pool, 0, "cmz").unwrap().remote, ip("192.168.10.5"));
    assert_eq!(assign(&mut pool, 1, "cmz").unwrap().remote, ip("192.168.10.6"));
    // What a peer has cannot become our own, and what is our own still is not given to a peer.
    let bad = [entry("192.168.10.6", "192.168.10.20")];
    assert_eq!(pool.conflict(&bad).map(|lease| lease.slot), Some(1));
    let new = vec![
        entry("192.168.10.1", "192.168.10.6"),
        entry("192.168.10.1", "192.168.10.110"),
        entry("192.168.10.1", "192.168.10.7"),
        entry("192.168.10.1", "192.168.10.8"),
    ];
    assert_eq!(pool.conflict(&new), None);
    pool.set_pools(only(new));
    let none = FixedAddresses::default();
    assert_eq!(pool.usage(&none), PoolUsage { size: 4, in_use: 1, reserved: 1, free: 2, outside: 1 });
    assert_eq!(assign(&mut pool, 2, "cmz").unwrap().remote, ip("192.168.10.7"));
    assert_eq!(assign(&mut pool, 3, "cmz").unwrap().remote, ip("192.168.10.8"));
    // Gone with their sessions, or free again.
    pool.release(0);
    pool.release(1);
    assert_eq!(pool.usage(&none), PoolUsage { size: 4, in_use: 2, reserved: 0, free: 2, outside: 0 });
    assert_eq!(assign(&mut pool, 0, "cmz").unwrap().remote, ip("192.168.10.6"));
    assert_eq!(assign(&mut pool, 1, "cmz").unwrap().remote, ip("192.168.10.110"));
}

#[test]
fn ranges_cross_bytes_and_end_in_time() {
    let list =
        |first, count| range(ip(first), count).map(|range| range.map(|a| a.to_string()).collect::<Vec<_>>());
    assert_eq!(list("10.0.0.254", 4).unwrap(), ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]);
    assert_eq!(list("10.0.0.1", 1).unwrap(), ["10.0.0.1"]);
    assert!(list("10.0.0.1", 0).unwrap().is_empty());
    assert_eq!(list("223.255.255.254", 2).unwrap().len(), 2);
    for (first, count, bad) in [
        ("223.255.255.254", 3, "224.0.0.0"),
        ("126.255.255.255", 2, "127.0.0.0"),
        ("127.1.2.3", 1, "127.1.2.3"),
        ("240.0.0.1", 5, "240.0.0.1"),
    ] {
        let expected = RangeError::BadAddress { first: ip(first), count, address: ip(bad) };
        assert_eq!(list(first, count).unwrap_err(), expected);
    }
    let overflow = RangeError::Overflow { first: ip("255.255.255.255"), count: 2 };
    assert_eq!(list("255.255.255.255", 2).unwrap_err(), overflow);
}

#[test]
fn pool_file_lines() {
    let text = "# comment\n\n10.0.0.1\n 10.0.0.4-6\n10.0.1.6-4 # reversed\n1.1.1.1:10.0.2.1\n10.0.3.1x\n\
                host.example\n10.0.3.256\n10.0.4.1-300\n10.0.0.5\n127.0.0.1\n1.2.3.4-1.2.3.9\n010.0.5.08\n";
    let (file, notices) = PoolFile::parse(Path::new("pool"), text.as_bytes()).unwrap();
    let sessions: Vec<_> = file
        .sessions
        .iter()
        .map(|(local, remote)| match local {
            Some(local) => format!("{local}:{remote}"),
            None => remote.to_string(),
        })
        .collect();
    assert_eq!(
        sessions.join(" "),
        "10.0.0.1 10.0.0.4 10.0.0.5 10.0.0.6 10.0.1.4 10.0.1.5 10.0.1.6 1.1.1.1:10.0.2.1 \
         10.0.3.1 10.0.4.1 10.0.0.5 127.0.0.1 1.2.3.1 1.2.3.2 1.2.3.3 1.2.3.4 10.0.5.8"
    );
    let notices: Vec<_> = notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        notices,
        [
            "pool:7: \"x\" is ignored: the line is read as 10.0.3.1",
            "pool:8: the line is skipped: \"host.example\" is not a.b.c.d, a.b.c.d-e or local:remote",
            "pool:9: the line is skipped: \"10.0.3.256\" is not a.b.c.d, a.b.c.d-e or local:remote",
            "pool:10: \"-300\" is ignored: the line is read as 10.0.4.1",
            "pool:11: 10.0.0.5 is in the file already; it is assigned to one session at a time",
            "pool:12: 127.0.0.1 is not usable by a client",
            "pool:13: \".2.3.9\" is ignored: the line is read as 1.2.3.1-4",
        ]
    );
    let error = PoolFile::parse(Path::new("pool"), b"# nothing\n").unwrap_err().to_string();
    assert_eq!(error, "pool file \"pool\" has no address; each line is a.b.c.d, a.b.c.d-e or local:remote");
}

proptest! {
    #[test]
    fn an_address_is_never_given_twice(
        steps in proptest::collection::vec((0u32..12, 0usize..5), 0..200),
        duplicates in any::<bool>(),
    ) {
        let mut entries = pool("192.168.10.109", "192.168.10.2", 10).parts()[0].entries().to_vec();
        if duplicates {
            entries[7] = entries[1];
        }
        let mut pool = Leased::new(AddressPool::new(only(entries)));
        for (slot, action) in steps {
            if action == 4 {
                // Shrinks, grows, and moves by one.
                let first = Ipv4Addr::new(192, 168, 10, 2 + u8::try_from(slot % 2).unwrap());
                let entries = range(first, slot + 1).unwrap();
                let entry = |remote| PoolEntry { local: ip("192.168.10.109"), remote: Some(remote) };
                pool.set_pools(only(entries.map(entry).collect()));
            }
            match ["cmz", "cmz2", "net"].get(action) {
                Some(user) => {
                    let before = pool.leases().count();
                    let given = assign(&mut pool, slot, user).is_ok();
                    prop_assert_eq!(pool.leases().count(), before + usize::from(given));
                }
                None if action == 4 => {}
                None => {
                    pool.release(slot);
                    prop_assert_eq!(pool.release(slot), None);
                }
            }
            let addresses: BTreeSet<_> = pool.leases().map(|lease| lease.remote).collect();
            prop_assert_eq!(addresses.len(), pool.leases().count());
        }
        for slot in 0..12 {
            pool.release(slot);
        }
        let usage = pool.usage(&FixedAddresses::default());
        prop_assert_eq!((usage.free, usage.in_use, usage.outside), (usage.size, 0, 0));
    }

    #[test]
    fn pool_files_never_panic(text in "[0-9.:# \n-]{0,300}") {
        if let Ok((file, _)) = PoolFile::parse(Path::new("pool"), text.as_bytes()) {
            prop_assert!(!file.sessions.is_empty());
        }
    }
}
