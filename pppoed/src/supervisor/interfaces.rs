//! What the supervisor does when an access interface goes, comes or changes.

use std::time::Instant;

use ppp_ipc::reason::EndReason;
use ppp_linux::interface::Interface;
use ppp_wire::if_name::IfName;
use pppoed_config::config::Config;
use tracing::{error, info, warn};

use super::Supervisor;
use super::line::{Line, Listening};
use super::links::{LinkNews, LinkOrder};
use super::session::{AccessIndex, Token};
use super::setup::MAX_INTERFACES;
use crate::message::{INTERFACE_BACK, INTERFACE_DOWN, INTERFACE_GONE, INTERFACE_UP};

/// Whether the peers on an interface can still be told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Farewell {
    Padt,
    Impossible,
}

impl Supervisor {
    pub(super) fn handle_link(&mut self, index: AccessIndex, news: LinkNews, now: Instant) {
        match news {
            LinkNews::Appeared(listening) => self.interface_appeared(index, *listening),
            LinkNews::Changed(interface) => self.interface_changed(index, interface, now),
            LinkNews::Gone => self.interface_gone(index, now),
        }
    }

    /// There is an interface that a pattern matches, or matched when it was looked at.
    pub(super) fn handle_found(&mut self, name: IfName, now: Instant) {
        let current = self.reloads.current.clone();
        if current.config.serves(name.as_str()) {
            self.serve_interface(name, &current.config, now);
        }
    }

    /// Serves an interface that has not been served yet, as soon as it is there.
    fn serve_interface(&mut self, name: IfName, config: &Config, now: Instant) {
        if let Some(access) = self.accesses.iter_mut().find(|access| access.name() == name.as_str()) {
            return access.serve(true);
        }
        if self.accesses.len() >= MAX_INTERFACES {
            return warn!(interface = %name, "not served; the maximum of {MAX_INTERFACES} access interfaces is \
                 reached");
        }
        match super::setup::access(name.clone(), config, self.terms.of(config, name.as_str()), now) {
            Ok(access) => {
                self.accesses.push(access);
                // Fails only when the watch is gone, which said so.
                let _ = self.link_orders.send(LinkOrder::Watch(self.accesses.len() - 1, name));
            }
            Err(error) => warn!(interface = %name, %error, "not served"),
        }
    }

    /// Takes a new configuration over: what holds on the interfaces, and which they are.
    pub(super) fn apply_to_interfaces(&mut self, config: &Config, now: Instant) {
        for access in &mut self.accesses {
            let is_served = config.serves(access.name());
            if access.is_served() && !is_served {
                info!(
                    interface = access.name(),
                    "reload: no new sessions on this interface; existing ones continue"
                );
            }
            access.serve(is_served);
            let terms = self.terms.of(config, access.name());
            if let Err(error) = access.reconfigure(terms, now) {
                warn!(interface = access.name(), "reload: discovery settings unchanged: {error}");
            }
        }
        for name in &config.interfaces {
            match name.parse() {
                Ok(name) => self.serve_interface(name, config, now),
                Err(error) => warn!(interface = name, %error, "not served"),
            }
        }
        let _ = self.link_orders.send(LinkOrder::Find(config.patterns.clone()));
    }

    fn interface_appeared(&mut self, index: AccessIndex, listening: Listening) {
        let Some(access) = self.accesses.get_mut(index) else { return };
        let (name, mac, mtu) = (access.name().to_owned(), listening.mac, listening.interface.mtu);
        let up = listening.interface.up;
        match Line::new(listening, index, self.frames.clone()) {
            Ok(line) => {
                access.open(line);
                info!(name: INTERFACE_BACK.name, interface = name, %mac, mtu, up, "{}", INTERFACE_BACK.words);
                self.events.interface(&name, &format!("is there, with the MAC address {mac}"));
            }
            Err(error) => error!(interface = name, %error, "cannot listen on the access interface"),
        }
    }

    fn interface_gone(&mut self, index: AccessIndex, now: Instant) {
        let Some(access) = self.accesses.get_mut(index) else { return };
        access.close();
        let name = access.name().to_owned();
        let sessions = self.end_sessions_on(index, &format!("{name} is gone"), Farewell::Impossible, now);
        warn!(name: INTERFACE_GONE.name, interface = name, sessions, "{}", INTERFACE_GONE.words);
        self.events.interface(&name, "is gone");
    }

    fn interface_changed(&mut self, index: AccessIndex, new: Interface, now: Instant) {
        let Some(access) = self.accesses.get(index) else { return };
        let name = access.name().to_owned();
        let Some((old, old_mac)) = access.interface().cloned().zip(access.line().map(|(_, mac)| mac)) else {
            return;
        };
        let mac = new.mac.unwrap_or(old_mac);
        if mac != old_mac {
            let detail = format!("the MAC address of {name} changed from {old_mac} to {mac}");
            let sessions = self.end_sessions_on(index, &detail, Farewell::Padt, now);
            warn!(
                interface = name, %old_mac, %mac, sessions,
                "MAC address of the access interface changed; ending its sessions, discovery uses the new address"
            );
            self.events.interface(&name, &format!("has the MAC address {mac} and no longer {old_mac}"));
        }
        if new.mtu != old.mtu {
            info!(
                interface = name,
                old_mtu = old.mtu,
                mtu = new.mtu,
                "MTU of the access interface changed, for new sessions"
            );
            self.events
                .interface(&name, &format!("has an MTU of {} bytes and no longer {}", new.mtu, old.mtu));
        }
        match (old.up, new.up) {
            (true, false) => {
                warn!(name: INTERFACE_DOWN.name, interface = name, "{}", INTERFACE_DOWN.words);
                self.events.interface(&name, "is down");
            }
            (false, true) => {
                info!(name: INTERFACE_UP.name, interface = name, "{}", INTERFACE_UP.words);
                self.events.interface(&name, "is up");
            }
            _ => {}
        }
        // An interface that is down has no carrier either: that is one event.
        if new.running != old.running && new.up == old.up {
            let what = if new.running { "has a carrier" } else { "has no carrier" };
            self.events.interface(&name, what);
        }
        if new.id.name != old.id.name {
            self.events.interface(&name, &format!("is called {} now", new.id.name));
            warn!(interface = name, new_name = %new.id.name, "access interface renamed; still in use");
        }
        if let Some(access) = self.accesses.get_mut(index) {
            access.update(new, mac);
        }
    }

    /// Ends all sessions on an access interface at once: no Terminate-Request of theirs would be answered. If there is
    /// to be a PADT, it is from the address that the peer knows. Returns how many there were.
    fn end_sessions_on(
        &mut self,
        index: AccessIndex,
        detail: &str,
        farewell: Farewell,
        now: Instant,
    ) -> usize {
        // Who waits for the slot of a session here has waited for nothing.
        drop(self.waiting.take(|dial| dial.access == index));
        let tokens: Vec<Token> = self
            .table
            .iter()
            .filter(|session| session.access == index)
            .map(|session| session.token)
            .collect();
        for token in &tokens {
            let Some(session) = self.table.get_mut(*token) else { continue };
            // Of a PADR that came to another interface or address the discovery server will know nothing.
            let had_pads = session.pending.take().is_none();
            session.peer_knows = farewell == Farewell::Impossible || !had_pads;
            session.note(detail, now);
            self.kill(*token, EndReason::InterfaceGone, detail);
        }
        tokens.len()
    }
}
