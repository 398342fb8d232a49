//! The question whether another Access Concentrator serves the same hosts: a PADI of our own, and who offers.
//!
//! Two servers on one segment are sometimes meant and often a mistake: each host dials the one that answers first.

use ppp_wire::ethernet::{EtherType, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, TagType};
use ppp_wire::{Error, MacAddr};

use super::message::{Message, Received};

/// Other servers that are told of; a peer could make up any number.
const MAX_RIVALS: usize = 8;

/// Another Access Concentrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rival {
    /// Its Ethernet address.
    pub mac: MacAddr,
    /// Its AC-Name: bytes that somebody else chose. Empty if it has none, against RFC 2516 §5.2.
    pub ac_name: Vec<u8>,
}

/// One question on one interface.
#[derive(Debug, Clone)]
pub struct Probe {
    mac: MacAddr,
    mtu: u16,
    ether_type: EtherType,
    nonce: [u8; 8],
    /// Those that answered this question.
    answered: Vec<MacAddr>,
    /// Those that answered the last one, which were told of.
    known: Vec<MacAddr>,
}

impl Probe {
    /// A probe from the interface with this address and MTU (in bytes). `nonce` is random, and goes into Host-Uniq, so
    /// that nobody else's offers count.
    pub fn new(mac: MacAddr, mtu: u16, ether_type: EtherType, nonce: [u8; 8]) -> Self {
        Self { mac, mtu, ether_type, nonce, answered: Vec::new(), known: Vec::new() }
    }

    /// The same as a question after another one: who answered that is known.
    #[must_use]
    pub fn after(self, last: Option<Self>) -> Self {
        Self { known: last.map_or_else(Vec::new, |last| last.answered), ..self }
    }

    /// The PADI, to be sent once: for any service (RFC 2516 §5.1).
    ///
    /// # Errors
    /// When the interface's MTU does not carry it.
    pub fn padi(&self) -> Result<Vec<u8>, Error> {
        let header =
            EthernetHeader { destination: MacAddr::BROADCAST, source: self.mac, ether_type: self.ether_type };
        let mut builder = DiscoveryBuilder::new(&header, Code::Padi, 0).mtu(self.mtu);
        builder.tag(TagType::ServiceName, b"")?.tag(TagType::HostUniq, &self.nonce)?;
        Ok(builder.finish())
    }

    /// Looks at a discovery frame. A server that was not known yet is returned once; after eight, no more are.
    pub fn handle_frame(&mut self, frame: &[u8]) -> Option<Rival> {
        let received = Received::parse(frame, self.ether_type, self.mac, self.mtu).ok()?;
        if received.code() != Code::Pado || received.destination != self.mac {
            return None;
        }
        let message = Message::parse(&received.packet).ok()?;
        let is_answer = message.host_uniq == Some(&self.nonce[..]);
        if !is_answer || self.answered.contains(&received.source) || self.answered.len() >= MAX_RIVALS {
            return None;
        }
        self.answered.push(received.source);
        if self.known.contains(&received.source) {
            return None;
        }
        Some(Rival { mac: received.source, ac_name: message.ac_name.unwrap_or_default().to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const NONCE: [u8; 8] = *b"12345678";

    fn probe() -> Probe {
        Probe::new(OWN, 1500, EtherType::PppoeDiscovery, NONCE)
    }

    fn pado(source: MacAddr, destination: MacAddr, nonce: &[u8]) -> Vec<u8> {
        let header = EthernetHeader { destination, source, ether_type: EtherType::PppoeDiscovery };
        let mut builder = DiscoveryBuilder::new(&header, Code::Pado, 0);
        builder.tag(TagType::AcName, b"other").unwrap().tag(TagType::HostUniq, nonce).unwrap();
        builder.finish()
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 1, last])
    }

    #[test]
    fn the_padi_asks_for_any_service() {
        let expected = [
            &[0xff; 6][..],
            &[2, 0, 0, 0, 0, 1, 0x88, 0x63, 0x11, 0x09, 0, 0, 0, 16],
            &[0x01, 0x01, 0, 0, 0x01, 0x03, 0, 8],
            &NONCE,
        ]
        .concat();
        assert_eq!(probe().padi().unwrap().get(..expected.len()), Some(&expected[..]));
    }

    #[test]
    fn each_server_is_told_of_once() {
        let mut probe = probe();
        let rival = probe.handle_frame(&pado(mac(1), OWN, &NONCE));
        assert_eq!(rival, Some(Rival { mac: mac(1), ac_name: b"other".to_vec() }));
        assert_eq!(probe.handle_frame(&pado(mac(1), OWN, &NONCE)), None);
        let told = (2..=20).filter(|last| probe.handle_frame(&pado(mac(*last), OWN, &NONCE)).is_some());
        assert_eq!(told.count(), MAX_RIVALS - 1);
    }

    #[test]
    fn a_server_that_goes_on_answering_is_told_of_once_and_one_that_comes_back_again() {
        let mut first = probe();
        assert!(first.handle_frame(&pado(mac(1), OWN, &NONCE)).is_some());
        let mut second = probe().after(Some(first));
        assert_eq!(second.handle_frame(&pado(mac(1), OWN, &NONCE)), None);
        assert!(second.handle_frame(&pado(mac(2), OWN, &NONCE)).is_some());
        let third = probe().after(Some(second));
        let mut fourth = probe().after(Some(third));
        assert!(fourth.handle_frame(&pado(mac(1), OWN, &NONCE)).is_some(), "it did not answer the third");
    }

    #[test]
    fn only_answers_to_this_question_count() {
        let mut probe = probe();
        let padi = probe.padi().unwrap();
        assert_eq!(probe.handle_frame(&padi), None, "our own question");
        assert_eq!(probe.handle_frame(&pado(mac(1), OWN, b"87654321")), None, "another question");
        assert_eq!(probe.handle_frame(&pado(mac(1), mac(2), &NONCE)), None, "for another host");
        assert_eq!(probe.handle_frame(&pado(OWN, OWN, &NONCE)), None, "our own answer");
        let whole = pado(mac(1), OWN, &NONCE);
        for length in 0..41 {
            assert_eq!(probe.handle_frame(whole.get(..length).unwrap()), None, "cut to {length}");
        }
        assert!(probe.handle_frame(&whole).is_some());
    }
}
