//! Other PPPoE servers: programs on this machine that take discovery frames as we do, of which the wire tells nothing (what
//! we send does not reach their sockets), and servers that answer on the wire. Both are looked for at the start, and again
//! every `--rival-interval`, as a forgotten `pppoe-server` may be started at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use ppp_linux::interface::IfIndex;
use ppp_wire::escape::Escaped;
use ppp_wire::ethernet::EtherType;
use pppoed_config::config::Config;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::access::Access;
use super::{Supervisor, Work};
use crate::message::RIVAL_PROGRAM;

/// The packet sockets of the network namespace (packet(7)).
const SOCKETS: &str = "/proc/thread-self/net/packet";
/// Bytes of a program's name at most, as the kernel has it.
const MAX_NAME: usize = 64;

/// A program of another process that gets discovery frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listener {
    /// The kernel's number of its socket.
    socket: u64,
    /// The interface; none for all of them.
    interface: Option<IfIndex>,
    /// Process id, and the program's name; none if it is not to be seen from here (another container).
    process: Option<(u32, String)>,
}

/// What was told of.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    told: BTreeSet<u64>,
}

/// Looks for rivals for ever, beside the event loop; none if the configuration does not want that.
pub(super) async fn keep_looking(config: RivalSearch, work: mpsc::Sender<Work>) {
    let RivalSearch { ether_type, rhythm } = config;
    // Of an interval of 0 there is the first tick alone.
    let mut ticks = interval(rhythm.unwrap_or(Duration::MAX / 2).max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(listeners) = tokio::task::spawn_blocking(move || listeners(ether_type)).await else {
            continue;
        };
        if work.send(Work::Rivals(listeners)).await.is_err() {
            return;
        }
    }
}

/// How rivals are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct RivalSearch {
    ether_type: EtherType,
    rhythm: Option<Duration>,
}

impl RivalSearch {
    /// `None` if nobody is to be asked (`--no-probe`).
    pub(super) fn new(config: &Config) -> Option<Self> {
        let (ether_type, rhythm) = (config.discovery_ether_type, config.rival_interval);
        config.probe.then_some(Self { ether_type, rhythm })
    }
}

impl Supervisor {
    pub(super) fn handle_rivals(&mut self, listeners: Vec<Listener>) {
        let told = std::mem::take(&mut self.rivals.told);
        for Listener { socket, interface, process } in listeners {
            let is_there = |access: &&Access| {
                access.is_served()
                    && access.line().is_some_and(|(id, _)| interface.is_none_or(|it| it == id.index))
            };
            let Some(access) = self.accesses.iter().find(is_there) else { continue };
            self.rivals.told.insert(socket);
            if told.contains(&socket) {
                continue;
            }
            let interface = if interface.is_some() { access.name() } else { "all" };
            let (pid, program) = process.unzip();
            let program =
                program.unwrap_or_else(|| "unknown: it is in another container, perhaps".to_owned());
            warn!(name: RIVAL_PROGRAM.name, interface, pid, program, "{}", RIVAL_PROGRAM.words);
        }
        for access in &mut self.accesses {
            access.look_for_rivals();
        }
    }
}

/// The processes that get frames of discovery on one of these interfaces, in words, but for any `pppoed`: for
/// `pppoed check`. May block.
pub(super) fn others_on(ether_type: EtherType, interfaces: &BTreeMap<IfIndex, String>) -> Vec<String> {
    let mut found = Vec::new();
    for Listener { interface, process, .. } in listeners(ether_type) {
        let name = match interface {
            Some(interface) => interfaces.get(&interface).map(String::as_str),
            None => Some("all interfaces"),
        };
        match (name, process) {
            (Some(name), Some((pid, program))) if program != "pppoed" => found.push(format!(
                "{program} (pid {pid}) takes PPPoE discovery frames on {name}, too: clients get answers of both, and sessions \
                 of neither"
            )),
            _ => {}
        }
    }
    found
}

/// The sockets of other processes that get frames of discovery. May block.
fn listeners(ether_type: EtherType) -> Vec<Listener> {
    // Without /proc nobody is found, and nothing else is possible either.
    let mut sockets = parse(&fs::read_to_string(SOCKETS).unwrap_or_default(), ether_type);
    for own in sockets_of("self") {
        sockets.remove(&own);
    }
    if sockets.is_empty() {
        return Vec::new();
    }
    let owners = owners(&sockets);
    let listener = |(socket, interface): (u64, u32)| Listener {
        socket,
        interface: IfIndex::new(interface),
        process: owners.get(&socket).cloned(),
    };
    sockets.into_iter().map(listener).collect()
}

/// The numbers of the sockets in the table that get this protocol, with those of their interfaces; 0 is all.
fn parse(table: &str, ether_type: EtherType) -> BTreeMap<u64, u32> {
    let socket = |line: &str| {
        // sk RefCnt Type Proto Iface R Rmem User Inode
        let mut fields = line.split_ascii_whitespace().skip(3);
        let protocol = u16::from_str_radix(fields.next()?, 16).ok()?;
        let interface = fields.next()?.parse().ok()?;
        let socket = fields.nth(3)?.parse().ok()?;
        (protocol == u16::from(ether_type)).then_some((socket, interface))
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// The processes that have these sockets, and the names of their programs.
fn owners(wanted: &BTreeMap<u64, u32>) -> BTreeMap<u64, (u32, String)> {
    let mut owners = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((text, pid)) = name.to_str().and_then(|text| Some((text, text.parse::<u32>().ok()?))) else {
            continue;
        };
        for socket in sockets_of(text) {
            if wanted.contains_key(&socket) {
                let program = fs::read(entry.path().join("comm")).unwrap_or_default();
                let program = program.trim_ascii_end();
                let program = Escaped(program.get(..MAX_NAME).unwrap_or(program)).to_string();
                owners.entry(socket).or_insert((pid, program));
            }
        }
        if owners.len() == wanted.len() {
            break;
        }
    }
    owners
}

/// The numbers of a process's sockets. Empty if it is gone.
fn sockets_of(process: &str) -> impl Iterator<Item = u64> {
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|descriptor| {
        let target = fs::read_link(descriptor.path()).ok()?;
        let number = target.as_os_str().as_bytes().strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
        std::str::from_utf8(number).ok()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n\
                         ffff888004a5b000 3      3    8863   2     1 0      0      17001\n\
                         ffff888004a5b800 3      3    8864   2     1 0      0      17002\n\
                         ffff888004a5c000 3      3    0003   2     1 0      0      17003\n\
                         ffff888004a5c800 3      3    8863   0     1 0      0      17004\n\
                         ffff888004a5d000 3      3    8863\n\nx\n";

    #[test]
    fn sockets_for_discovery_are_found_in_the_table() {
        let found = parse(TABLE, EtherType::PppoeDiscovery);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [(17001, 2), (17004, 0)]);
        assert!(parse("", EtherType::PppoeDiscovery).is_empty());
    }

    #[test]
    fn the_owner_of_a_socket_is_found() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let link =
            fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket))).unwrap();
        let number: u64 = link.to_str().unwrap().trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap();
        assert!(sockets_of("self").any(|own| own == number));
        let owners = owners(&BTreeMap::from([(number, 0)]));
        assert_eq!(owners[&number].0, std::process::id());
        assert_eq!(sockets_of("no-such-process").count(), 0);
    }
}
