//! The frames that a server sends.

use ppp_wire::ethernet::EthernetHeader;
use ppp_wire::pppoe::{Code, DiscoveryBuilder, TagType};
use ppp_wire::{Error, MacAddr};

use super::config::Config;
use super::cookie::Cookie;
use super::dials::Dial;

/// To whom an answer goes, and the tags of the question that it gives back unchanged (RFC 2516 appendix A).
#[derive(Debug, Clone, Copy)]
pub(super) struct Echo<'a> {
    pub(super) peer_mac: MacAddr,
    pub(super) host_uniq: Option<&'a [u8]>,
    pub(super) relay_session_id: Option<&'a [u8]>,
}

impl Echo<'_> {
    fn emit(&self, builder: &mut DiscoveryBuilder) -> Result<(), Error> {
        let tags = [(TagType::HostUniq, self.host_uniq), (TagType::RelaySessionId, self.relay_session_id)];
        for (kind, value) in tags {
            if let Some(value) = value {
                builder.tag(kind, value)?;
            }
        }
        Ok(())
    }
}

impl Config {
    /// The offer. It names the service that was asked for first, then all others that fit (RFC 2516 §5.2).
    pub(super) fn pado(
        &self,
        echo: &Echo<'_>,
        service_name: &[u8],
        cookie: &Cookie,
        max_payload: Option<u16>,
    ) -> Result<Vec<u8>, Error> {
        let mut pado = self.begin(Code::Pado, echo.peer_mac, 0);
        pado.tag(TagType::AcName, &self.ac_name)?.tag(TagType::ServiceName, service_name)?;
        pado.tag(TagType::AcCookie, cookie)?;
        echo.emit(&mut pado)?;
        self.emit_max_payload(&mut pado, self.agree(max_payload))?;
        for service in self.services.iter().filter(|service| *service != service_name) {
            if pado.tag(TagType::ServiceName, service).is_err() {
                break;
            }
        }
        Ok(pado.finish())
    }

    /// The PADS, and what follows it.
    pub(super) fn confirmation(&self, session_id: u16, dial: &Dial) -> Result<Vec<Vec<u8>>, Error> {
        let padms = self.padms(session_id, dial.key.peer_mac);
        std::iter::once_with(|| self.pads(session_id, dial)).chain(padms).collect()
    }

    /// The confirmation of a session (RFC 2516 §5.4).
    fn pads(&self, session_id: u16, dial: &Dial) -> Result<Vec<u8>, Error> {
        let mut pads = self.begin(Code::Pads, dial.key.peer_mac, session_id);
        pads.tag(TagType::ServiceName, &dial.service_name)?;
        dial.echo().emit(&mut pads)?;
        self.emit_max_payload(&mut pads, dial.max_payload)?;
        Ok(pads.finish())
    }

    /// A PADS with session id 0: there is no session, and the tag says why (RFC 2516 §5.4).
    pub(super) fn refusal(&self, echo: &Echo<'_>, kind: TagType, text: &str) -> Result<Vec<u8>, Error> {
        let mut pads = self.begin(Code::Pads, echo.peer_mac, 0);
        pads.tag(kind, text.as_bytes())?;
        echo.emit(&mut pads)?;
        Ok(pads.finish())
    }

    /// What the client is to show: one PADM for the URL and one for the message.
    fn padms(&self, session_id: u16, peer_mac: MacAddr) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
        let texts = [(TagType::Hurl, self.hurl.as_ref()), (TagType::Motm, self.motm.as_ref())];
        texts.into_iter().filter_map(|(kind, text)| Some((kind, text?))).map(move |(kind, text)| {
            let mut padm = self.begin(Code::Padm, peer_mac, session_id);
            padm.tag(kind, text)?;
            Ok(padm.finish())
        })
    }

    /// `own_mac`: the address that the peer knows the session with.
    pub(super) fn padt(
        &self,
        own_mac: MacAddr,
        session_id: u16,
        peer_mac: MacAddr,
        message: &str,
    ) -> Vec<u8> {
        let header = EthernetHeader { source: own_mac, ..self.header(peer_mac) };
        padt(&header, session_id, self.mtu, message)
    }

    fn emit_max_payload(&self, builder: &mut DiscoveryBuilder, agreed: Option<u16>) -> Result<(), Error> {
        if let Some(agreed) = agreed {
            builder.tag(TagType::PppMaxPayload, &agreed.to_be_bytes())?;
        }
        Ok(())
    }

    fn begin(&self, code: Code, peer_mac: MacAddr, session_id: u16) -> DiscoveryBuilder {
        DiscoveryBuilder::new(&self.header(peer_mac), code, session_id).mtu(self.mtu)
    }

    fn header(&self, peer_mac: MacAddr) -> EthernetHeader {
        EthernetHeader { destination: peer_mac, source: self.mac, ether_type: self.ether_type }
    }
}

/// The end of a session, from either end (RFC 2516 §5.5). `message` goes into a Generic-Error tag, unless it is empty
/// or does not fit: no tag is needed.
pub(super) fn padt(header: &EthernetHeader, session_id: u16, mtu: u16, message: &str) -> Vec<u8> {
    let mut padt = DiscoveryBuilder::new(header, Code::Padt, session_id).mtu(mtu);
    if !message.is_empty() {
        let _does_not_fit = padt.tag(TagType::GenericError, message.as_bytes());
    }
    padt.finish()
}
