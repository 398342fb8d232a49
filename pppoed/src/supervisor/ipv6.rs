//! Interface-Identifiers: ours, and what a worker may say about the peer's.

use std::time::Instant;

use ppp_ipc::worker::{InterfaceIdentifier, Ipv6Parameters, Ipv6Report};
use ppp_linux::netlink::Ipv6Ends;
use ppp_wire::MacAddr;
use ppp_wire::ipv6cp::link_local;

use super::Supervisor;
use super::session::Token;

/// Our Interface-Identifier in one session, unless the option `ipv6` gives one: the MAC address of the access
/// interface, in the shape of a modified EUI-64 (RFC 4291 appendix A) with the session id where that has `ff fe`.
///
/// So it is never zero, the same whenever that slot is used again, and another one in each session. As it is not
/// unique in the whole world, its "u" bit must be 0 (RFC 5072 §4.1); its "g" bit is that of a single interface.
pub(super) fn interface_identifier(own_mac: MacAddr, session_id: u16) -> InterfaceIdentifier {
    let MacAddr([first, second, third, fourth, fifth, sixth]) = own_mac;
    let [high, low] = session_id.to_be_bytes();
    [first & !0b11, second, third, high, low, fourth, fifth, sixth]
}

/// The addresses that belong to the identifiers.
pub(super) fn ends(report: Ipv6Report) -> Ipv6Ends {
    Ipv6Ends { local: link_local(report.local), peer: link_local(report.remote) }
}

/// Compares what a worker says with what it was told. `Err` says which rule it broke.
pub(super) fn check(told: Option<Ipv6Parameters>, report: Ipv6Report) -> Result<(), &'static str> {
    let told = told.ok_or("its IPV6CP opened though IPv6 is off")?;
    if report.local != told.local || told.remote.is_some_and(|remote| remote != report.remote) {
        return Err("its IPV6CP opened with another identifier than it was given");
    }
    if report.remote == [0; 8] || report.remote == report.local {
        return Err("its IPV6CP opened with an identifier that the peer cannot have");
    }
    Ok(())
}

impl Supervisor {
    pub(super) fn handle_ipv6_up(
        &mut self,
        token: Token,
        report: Ipv6Report,
        now: Instant,
    ) -> Result<(), &'static str> {
        let Some(session) = self.table.get_mut(token) else { return Ok(()) };
        let may_open = session.machine.is_admitted() && session.ipv6_open.is_none();
        if !may_open {
            return Err("its IPV6CP opened without leave");
        }
        check(session.ipv6, report)?;
        session.ipv6_open = Some(report);
        let Ipv6Ends { local, peer } = ends(report);
        session.note(format!("IPV6CP opened, {local} and {peer}"), now);
        self.configure(token, now);
        Ok(())
    }

    pub(super) fn handle_ipv6_down(&mut self, token: Token, now: Instant) {
        if let Some(session) = self.table.get_mut(token)
            && session.ipv6_open.take().is_some()
        {
            session.note("IPV6CP closed", now);
            self.network_protocol_closed(token, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: InterfaceIdentifier = [0, 0, 0, 0, 0, 0, 0, 1];
    const PEERS: InterfaceIdentifier = [0, 0, 0, 0, 0, 0, 0, 2];

    #[test]
    fn identifiers_are_local_and_differ_from_session_to_session() {
        let mac = MacAddr([0x02, 0x11, 0x22, 0x33, 0x44, 0x55]);
        assert_eq!(interface_identifier(mac, 0x1234), [0x00, 0x11, 0x22, 0x12, 0x34, 0x33, 0x44, 0x55]);
        assert_ne!(interface_identifier(mac, 1), interface_identifier(mac, 2));
        assert_ne!(interface_identifier(MacAddr([0; 6]), 1), [0; 8]);
        assert_eq!(interface_identifier(MacAddr([0xff; 6]), 1).first(), Some(&0xfc));
    }

    #[test]
    fn a_worker_cannot_choose_identifiers() {
        let told = Ipv6Parameters { local: OURS, remote: None };
        let report = Ipv6Report { local: OURS, remote: PEERS };
        assert_eq!(check(Some(told), report), Ok(()));
        assert_eq!(check(Some(Ipv6Parameters { remote: Some(PEERS), ..told }), report), Ok(()));
        for (told, report) in [
            (None, report),
            (Some(told), Ipv6Report { local: [9; 8], ..report }),
            (Some(told), Ipv6Report { remote: [0; 8], ..report }),
            (Some(told), Ipv6Report { remote: OURS, ..report }),
            (Some(Ipv6Parameters { remote: Some([9; 8]), ..told }), report),
        ] {
            assert!(check(told, report).is_err(), "{told:?} {report:?}");
        }
    }
}
