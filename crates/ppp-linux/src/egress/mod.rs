//! What workers may send: each the frames of its own session, and nothing else.
//!
//! Whoever holds a packet socket can write any frame into it. So the sockets of sessions carry a mark (`SO_MARK`), which
//! takes privileges to change, and on each access interface a program looks at every frame that leaves. One whose mark is
//! ours must be what the session of that mark may send: EtherType and code of session data or of a PADT, the session's id,
//! the access interface's address, the peer's address. Anything else is dropped and counted. Frames without such a mark
//! (all that is not a worker's) pass untouched, and so do those of another `pppoed`: each has a tag of its own in the
//! upper half of its marks.
//!
//! The program is a filter of the clsact queueing discipline (tc-bpf(8)), before the queue and after the packet socket.
//! Nothing that a worker can do leads around it: `PACKET_QDISC_BYPASS` takes setsockopt(2), and an address that leads to
//! another interface takes an argument of sendto(2) that its list of system calls forbids.
//!
//! # Who keeps it
//! The kernel, with the interface: program and map stay when `pppoed` is gone, and go on judging. The next one finds the
//! filter by its handle and name, takes the map over, and replaces the program in one step.

mod program;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::AsFd;

use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use ppp_wire::ethernet::EtherType;
use thiserror::Error;

use self::program::{Rule, TOTALS, WORDS, program};
use crate::bpf::{ClassifierProgram, HashMap, map_of_program};
use crate::interface::{IfIndex, InterfaceId};
use crate::netlink::{Netlink, NetlinkError};
use crate::packet::SessionKey;

/// Name of the map, which is also the version of what is in it.
const MAP_NAME: &str = "pppoe_egress_1";

/// There are no more session ids.
const MAX_SESSIONS: u32 = 1 << 16;

/// Upper half of the filters' handles.
const HANDLES: u32 = 0x5050_0000;

/// Behind the name of a filter that came with its queueing discipline.
const WITH_CLSACT: &str = " +clsact";

/// The kernel cuts names of filters, or refuses them, beyond.
const MAX_NAME: usize = 200;

/// The filter of one `pppoed` for the frames of its workers, for all its access interfaces.
#[derive(Debug)]
pub struct EgressFilter {
    rules: HashMap<WORDS>,
    program: ClassifierProgram,
    discovery: EtherType,
    tag: u16,
    name: String,
    origin: RulesOrigin,
}

/// Where the rules of an [`EgressFilter`] are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RulesOrigin {
    /// There was no filter of ours.
    New,
    /// They are those of the filter that is in force: the sessions that were there have theirs.
    Inherited,
    /// There is a filter of ours, whose rules cannot be had. It stays in force where it is until
    /// [`EgressFilter::attach`] replaces it, so every session should have its rule before.
    Lost,
}

/// Frames that the filter dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Not what their session may send.
    pub forged: u64,
    /// Of sessions that have no rule.
    pub unknown: u64,
}

/// Why the frames of workers cannot be filtered.
#[derive(Debug, Error)]
pub enum EgressError {
    /// There is no eBPF, or not for us.
    #[error("cannot {action} for what workers send")]
    Bpf {
        /// What was attempted.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The filter cannot be attached.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Another program has a filter with the handle that ours would have.
    #[error("{interface} has another filter with our handle, called {name:?}: choose another --run-dir")]
    Taken {
        /// The interface.
        interface: String,
        /// Its name.
        name: String,
    },
}

impl EgressFilter {
    /// Makes the filter of the `pppoed` that is called `owner`, which is in force nowhere yet. If the last one of this name
    /// left one on any interface of the namespace, its rules are taken over.
    ///
    /// # Errors
    /// [`EgressError::Bpf`] where there is no eBPF for us.
    pub fn open(owner: &str, discovery: EtherType) -> Result<Self, EgressError> {
        let failed = |action| move |source| EgressError::Bpf { action, source };
        let tag = tag_of(owner);
        let name: String = owner.chars().filter(|c| !c.is_control()).take(MAX_NAME / 4).collect();
        let (rules, origin) = match find_rules(tag, &name)? {
            Some(Some(rules)) => (rules, RulesOrigin::Inherited),
            Some(None) => (new_rules().map_err(failed("make an eBPF map"))?, RulesOrigin::Lost),
            None => (new_rules().map_err(failed("make an eBPF map"))?, RulesOrigin::New),
        };
        if rules.look_up(TOTALS).map_err(failed("read an eBPF map"))?.is_none() {
            rules.set(TOTALS, &[0; WORDS]).map_err(failed("write an eBPF map"))?;
        }
        let program = ClassifierProgram::load("pppoe_egress", &program(tag, &rules))
            .map_err(failed("load an eBPF program"))?;
        Ok(Self { rules, program, discovery, tag, name, origin })
    }

    /// Where the rules are from.
    #[must_use]
    pub fn origin(&self) -> RulesOrigin {
        self.origin
    }

    /// The mark (`SO_MARK`) of a session's socket.
    #[must_use]
    pub fn mark(&self, session_id: u16) -> u32 {
        u32::from(self.tag) << 16 | u32::from(session_id)
    }

    /// Puts the filter in force on an interface, in the place of the last one of ours, if there is one.
    ///
    /// # Errors
    /// When the kernel refuses or has no such filters, or somebody else has the place.
    pub fn attach(&self, interface: &InterfaceId) -> Result<(), EgressError> {
        let mut netlink = Netlink::open()?;
        let made = netlink.make_clsact(interface)?;
        let (preference, came_with_clsact) = match netlink.egress_filter(interface, self.handle())? {
            None => (None, made),
            Some(found) if !self.is_ours(&found.name) => {
                return Err(EgressError::Taken { interface: interface.to_string(), name: found.name });
            }
            Some(found) => (Some(found.preference), made || found.name.ends_with(WITH_CLSACT)),
        };
        let name = match came_with_clsact {
            true => format!("{}{WITH_CLSACT}", self.name),
            false => self.name.clone(),
        };
        let program = self.program.as_fd();
        netlink.set_egress_filter(interface, self.handle(), preference, &name, program)?;
        Ok(())
    }

    /// Whether a filter of this name is in force on an interface, by the kernel's account.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn is_attached(&self, interface: &InterfaceId) -> Result<bool, EgressError> {
        let found = Netlink::open()?.egress_filter(interface, self.handle())?;
        Ok(found.is_some_and(|found| self.is_ours(&found.name)))
    }

    /// Takes the filter off all interfaces of the namespace, and with it the queueing discipline if that came with it and
    /// nobody else has filters there.
    ///
    /// # Errors
    /// The first that the kernel refused.
    pub fn detach_all(&self) -> Result<(), EgressError> {
        let mut netlink = Netlink::open()?;
        for interface in netlink.interfaces()?.into_iter().filter(|interface| interface.mac.is_some()) {
            let id = &interface.id;
            let Some(found) = netlink.egress_filter(id, self.handle())? else { continue };
            if !self.is_ours(&found.name) {
                continue;
            }
            netlink.remove_egress_filter(id, self.handle(), found.preference)?;
            if found.name.ends_with(WITH_CLSACT) && !netlink.has_filters(id) {
                netlink.remove_clsact(id)?;
            }
        }
        Ok(())
    }

    /// From now on the session may send its frames, on this interface, and whoever had its id before may not.
    ///
    /// # Errors
    /// When the kernel has no memory for it.
    pub fn permit(&self, interface: IfIndex, key: &SessionKey) -> io::Result<()> {
        self.rules.set(key.session_id.into(), &Rule::new(interface, key, self.discovery).to_words(0))
    }

    /// As [`EgressFilter::permit`], unless the session has a rule that an earlier `pppoed` gave it.
    ///
    /// # Errors
    /// As [`EgressFilter::permit`].
    pub fn permit_anew(&self, interface: IfIndex, key: &SessionKey) -> io::Result<()> {
        match self.rules.look_up(key.session_id.into())? {
            Some(_) if self.origin == RulesOrigin::Inherited => Ok(()),
            _ => self.permit(interface, key),
        }
    }

    /// The session may send nothing any more.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn forbid(&self, session_id: u16) -> io::Result<()> {
        match u32::from(session_id) {
            TOTALS => Ok(()),
            id => self.rules.remove(id),
        }
    }

    /// How many frames were dropped of a session that may send; `None` for others.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn dropped_of(&self, session_id: u16) -> io::Result<Option<u64>> {
        if u32::from(session_id) == TOTALS {
            return Ok(None);
        }
        Ok(self.rules.look_up(session_id.into())?.map(|[.., dropped]| dropped))
    }

    /// How many frames were dropped in all.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn dropped(&self) -> io::Result<Dropped> {
        let [forged, .., unknown] = self.rules.look_up(TOTALS)?.unwrap_or_default();
        Ok(Dropped { forged, unknown })
    }

    fn handle(&self) -> u32 {
        handle_of(self.tag)
    }

    fn is_ours(&self, name: &str) -> bool {
        is_called(name, &self.name)
    }
}

fn handle_of(tag: u16) -> u32 {
    HANDLES | u32::from(tag)
}

fn is_called(found: &str, name: &str) -> bool {
    found.strip_suffix(WITH_CLSACT).unwrap_or(found) == name
}

/// The same for the same `pppoed` at each start, since the sockets that carry it outlive it (FNV-1a). Never 0.
fn tag_of(owner: &str) -> u16 {
    let hash =
        owner.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_ne_bytes();
    u16::from_ne_bytes([a ^ c, b ^ d]) | 0x8000
}

fn new_rules() -> io::Result<HashMap<WORDS>> {
    let make = || HashMap::new(MAP_NAME, MAX_SESSIONS);
    match make() {
        // Before Linux 5.11 maps are locked memory.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)?;
            make()
        }
        outcome => outcome,
    }
}

/// The rules of our filter, if there is one on any interface; `Some(None)` if there is one whose rules cannot be had.
fn find_rules(tag: u16, name: &str) -> Result<Option<Option<HashMap<WORDS>>>, EgressError> {
    let mut netlink = Netlink::open()?;
    let mut found_any = false;
    for interface in netlink.interfaces()?.into_iter().filter(|interface| interface.mac.is_some()) {
        // Where it cannot even be asked, there is none.
        let Ok(Some(found)) = netlink.egress_filter(&interface.id, handle_of(tag)) else { continue };
        if !is_called(&found.name, name) {
            continue;
        }
        found_any = true;
        if let Ok(Some(rules)) = map_of_program(found.program_id, MAP_NAME) {
            return Ok(Some(Some(rules)));
        }
    }
    Ok(found_any.then_some(None))
}
