//! Filters of the frames that pass an interface (tc(8)): the clsact queueing discipline and eBPF programs there.

use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpfOption, TcHandle, TcHeader, TcMessage, TcOption,
};
use nix::libc;

use super::{Netlink, NetlinkError};
use crate::interface::InterfaceId;

// Of linux/pkt_sched.h.
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
const CLSACT_INGRESS: u32 = 0xffff_fff2;
const CLSACT_EGRESS: u32 = 0xffff_fff3;

/// `ETH_P_ALL` in network byte order: frames of all EtherTypes.
const ALL_PROTOCOLS: u16 = 3_u16.to_be();

/// Places in the order of filters that are tried: the first has precedence, others may have it for filters of another
/// kind.
const PREFERENCES: std::ops::RangeInclusive<u16> = 1..=16;

/// Which frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Those that come in.
    Ingress,
    /// Those that leave.
    Egress,
}

impl Direction {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Ingress, Self::Egress];

    fn parent(self) -> u32 {
        match self {
            Self::Ingress => CLSACT_INGRESS,
            Self::Egress => CLSACT_EGRESS,
        }
    }
}

/// An eBPF program as a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BpfFilter {
    pub(crate) preference: u16,
    /// The name that it was given.
    pub(crate) name: String,
    /// The kernel's number of the program.
    pub(crate) program_id: u32,
}

impl Netlink {
    /// Makes the queueing discipline that filters of leaving frames need, which queues nothing. False if it was there.
    ///
    /// # Errors
    /// When the kernel refuses, or knows no such thing; [`NetlinkError::NotInForce`] when another queueing discipline has
    /// its place.
    pub(crate) fn make_clsact(&mut self, interface: &InterfaceId) -> Result<bool, NetlinkError> {
        let operation = || format!("add the clsact queueing discipline to {interface}");
        let message = RouteNetlinkMessage::NewQueueDiscipline(clsact(interface));
        match self.change(message, NLM_F_CREATE | NLM_F_EXCL, operation) {
            Ok(()) => Ok(true),
            Err(NetlinkError::AlreadyExists { .. }) if self.has_clsact(interface)? => Ok(false),
            Err(NetlinkError::AlreadyExists { .. }) => Err(NetlinkError::NotInForce {
                interface: interface.to_string(),
                problem: format!(
                    "it has an ingress queueing discipline in the place of clsact, which can do the same and more: \
                     tc qdisc del dev {interface} ingress; tc qdisc add dev {interface} clsact"
                ),
            }),
            Err(error) => Err(error),
        }
    }

    fn has_clsact(&mut self, interface: &InterfaceId) -> Result<bool, NetlinkError> {
        let message = RouteNetlinkMessage::GetQueueDiscipline(clsact(interface));
        let operation = || format!("look for the clsact queueing discipline of {interface}");
        // The answer itself goes to those who listen to changes; that there is one says what is to be known.
        absent_is_none(self.change(message, 0, operation)).map(|found| found.is_some())
    }

    /// Takes the queueing discipline away, and every filter of it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn remove_clsact(&mut self, interface: &InterfaceId) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelQueueDiscipline(clsact(interface));
        self.change(message, 0, || format!("remove the clsact queueing discipline of {interface}"))
    }

    /// Whether any filter, of whomever, is left in either direction. If that cannot be told, then yes.
    pub(crate) fn has_filters(&mut self, interface: &InterfaceId) -> bool {
        Direction::ALL.into_iter().any(|direction| {
            let message = RouteNetlinkMessage::GetTrafficFilter(message(interface, direction.parent(), 0, 0));
            let found = self.dump(message, || format!("list the filters of {interface}"));
            found.map_or(true, |found| !found.is_empty())
        })
    }

    /// The filter with this handle, if there is one.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub(crate) fn filter(
        &mut self,
        interface: &InterfaceId,
        direction: Direction,
        handle: u32,
    ) -> Result<Option<BpfFilter>, NetlinkError> {
        for preference in PREFERENCES {
            let request = filter(interface, direction, preference, handle);
            let operation = || format!("look for a filter of {interface}");
            let found = self.query(RouteNetlinkMessage::GetTrafficFilter(request), operation);
            let Some(RouteNetlinkMessage::NewTrafficFilter(found)) = absent_is_none(found)? else { continue };
            return Ok(Some(facts(&found, preference)));
        }
        Ok(None)
    }

    /// Puts a program in force for all frames of a direction, at `preference` or else at the first place that takes it. It
    /// replaces the one with this handle and preference, and no frame goes unseen meanwhile.
    ///
    /// # Errors
    /// When the kernel refuses, or knows no such thing.
    pub(crate) fn set_filter(
        &mut self,
        interface: &InterfaceId,
        direction: Direction,
        handle: u32,
        preference: Option<u16>,
        name: &str,
        program: BorrowedFd<'_>,
    ) -> Result<(), NetlinkError> {
        let mut outcome = Ok(());
        for preference in preference.map_or(PREFERENCES, |preference| preference..=preference) {
            let mut request = filter(interface, direction, preference, handle);
            request.attributes.push(TcAttribute::Options(vec![
                TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_raw_fd().cast_unsigned())),
                TcOption::Bpf(TcFilterBpfOption::ProgName(name.to_owned())),
                TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
            ]));
            let message = RouteNetlinkMessage::NewTrafficFilter(request);
            outcome = self.change(message, NLM_F_CREATE, || format!("attach an eBPF filter to {interface}"));
            // So says the kernel if the filters there are of another kind or for one protocol.
            if !matches!(&outcome, Err(error) if errno(error) == Some(libc::EINVAL)) {
                return outcome;
            }
        }
        outcome
    }

    /// Takes one filter away, and no other.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn remove_filter(
        &mut self,
        interface: &InterfaceId,
        direction: Direction,
        handle: u32,
        preference: u16,
    ) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::DelTrafficFilter(filter(interface, direction, preference, handle));
        self.change(message, 0, || format!("remove a filter of {interface}"))
    }
}

fn message(interface: &InterfaceId, parent: u32, handle: u32, info: u32) -> TcMessage {
    let header = TcHeader {
        index: interface.index.as_i32(),
        parent: TcHandle::from(parent),
        handle: TcHandle::from(handle),
        info,
        ..TcHeader::default()
    };
    TcMessage::from_parts(header, Vec::new())
}

fn clsact(interface: &InterfaceId) -> TcMessage {
    let mut message = message(interface, CLSACT, CLSACT_HANDLE, 0);
    message.attributes.push(TcAttribute::Kind("clsact".to_owned()));
    message
}

fn filter(interface: &InterfaceId, direction: Direction, preference: u16, handle: u32) -> TcMessage {
    let info = u32::from(preference) << 16 | u32::from(ALL_PROTOCOLS);
    let mut message = message(interface, direction.parent(), handle, info);
    message.attributes.push(TcAttribute::Kind("bpf".to_owned()));
    message
}

fn facts(found: &TcMessage, preference: u16) -> BpfFilter {
    let mut facts = BpfFilter { preference, name: String::new(), program_id: 0 };
    for attribute in &found.attributes {
        let TcAttribute::Options(options) = attribute else { continue };
        for option in options {
            match option {
                TcOption::Bpf(TcFilterBpfOption::ProgName(name)) => facts.name.clone_from(name),
                TcOption::Bpf(TcFilterBpfOption::ProgId(id)) => facts.program_id = *id,
                _ => {}
            }
        }
    }
    facts
}

/// The kernel says `EINVAL` as well if the queueing discipline is missing, or the place has filters of another kind.
fn absent_is_none<T>(outcome: Result<T, NetlinkError>) -> Result<Option<T>, NetlinkError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(errno(&error), Some(libc::ENOENT | libc::EINVAL)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn errno(error: &NetlinkError) -> Option<i32> {
    match error {
        NetlinkError::Refused { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;
    use crate::device::tests::pass;
    use crate::netns;
    use crate::tun::create_tap;

    fn with_interface(test: impl FnOnce(&mut Netlink, &InterfaceId) + Send) {
        netns::for_test(|| {
            let name = "access0".parse().unwrap();
            let _tap = create_tap(&name).unwrap();
            let mut netlink = Netlink::open().unwrap();
            let id = netlink.interface(&name).unwrap().id;
            test(&mut netlink, &id);
        });
    }

    /// `tc filter add dev X egress pref 1 protocol ip bpf …`
    fn add_for_ip(netlink: &mut Netlink, id: &InterfaceId) {
        let program = pass();
        let mut request = filter(id, Direction::Egress, 1, 1);
        request.header.info = 1 << 16 | u32::from(0x0800_u16.to_be());
        request.attributes.push(TcAttribute::Options(vec![
            TcOption::Bpf(TcFilterBpfOption::ProgFd(program.as_fd().as_raw_fd().cast_unsigned())),
            TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)),
        ]));
        let request = RouteNetlinkMessage::NewTrafficFilter(request);
        netlink.change(request, NLM_F_CREATE | NLM_F_EXCL, String::new).unwrap();
    }

    #[test]
    fn filters_of_others_keep_their_place() {
        with_interface(|netlink, id| {
            assert!(netlink.make_clsact(id).unwrap());
            assert!(!netlink.make_clsact(id).unwrap());
            assert!(!netlink.has_filters(id));
            add_for_ip(netlink, id);
            assert!(netlink.has_filters(id));

            let program = pass();
            netlink.set_filter(id, Direction::Egress, 7, None, "a name", program.as_fd()).unwrap();
            let found = netlink.filter(id, Direction::Egress, 7).unwrap().unwrap();
            assert_eq!((found.preference, found.name.as_str()), (2, "a name"));
            assert_eq!(netlink.filter(id, Direction::Egress, 8).unwrap(), None);
            // Replaced where it is.
            netlink.set_filter(id, Direction::Egress, 7, Some(2), "another", pass().as_fd()).unwrap();
            let replaced = netlink.filter(id, Direction::Egress, 7).unwrap().unwrap();
            assert_eq!((replaced.preference, replaced.name.as_str()), (2, "another"));
            assert_ne!(replaced.program_id, found.program_id);

            netlink.remove_filter(id, Direction::Egress, 7, 2).unwrap();
            assert_eq!(netlink.filter(id, Direction::Egress, 7).unwrap(), None);
            assert!(netlink.has_filters(id), "somebody else's");
            netlink.remove_clsact(id).unwrap();
            assert_eq!(netlink.filter(id, Direction::Egress, 7).unwrap(), None);
        });
    }

    #[test]
    fn an_ingress_queueing_discipline_is_no_clsact() {
        with_interface(|netlink, id| {
            let mut ingress = clsact(id);
            ingress.attributes = vec![TcAttribute::Kind("ingress".to_owned())];
            let request = RouteNetlinkMessage::NewQueueDiscipline(ingress);
            netlink.change(request, NLM_F_CREATE | NLM_F_EXCL, String::new).unwrap();
            let error = netlink.make_clsact(id).unwrap_err().to_string();
            assert!(error.contains("tc qdisc add dev access0 clsact"), "{error}");
        });
    }

    #[test]
    fn an_interface_that_is_gone_is_named() {
        with_interface(|netlink, id| {
            let gone = InterfaceId { index: crate::interface::IfIndex::new(4711).unwrap(), ..id.clone() };
            assert!(matches!(netlink.make_clsact(&gone), Err(NetlinkError::NoSuchInterface { .. })));
        });
    }
}
