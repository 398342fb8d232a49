//! A station on the access segment that speaks PPPoE frame by frame, and can say what no real client would.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::DiscoverySocket;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, TagType, emit_session_header};

use crate::wait;
use crate::world::{ACCESS_MAC, SECOND_ACCESS_MAC, World};

const BUFFER: usize = 2048;
/// PADIs that are sent until one is answered.
const PADI_TRIES: u32 = 3;
/// How long an answer may take.
pub(crate) const ANSWER: Duration = Duration::from_secs(3);
/// How long no answer must come to count as silence.
pub(crate) const SILENCE: Duration = Duration::from_millis(800);

/// A link in the world's `cli` namespace with a socket for each of PPPoE's EtherTypes.
#[derive(Debug)]
pub(crate) struct Station {
    mac: MacAddr,
    /// The server's end of the segment.
    server: MacAddr,
    discovery: DiscoverySocket,
    session: DiscoverySocket,
}

/// A discovery packet that was received, tags and all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Discovery {
    /// Its code.
    pub(crate) code: Code,
    /// Its SESSION_ID.
    pub(crate) session_id: u16,
    /// Its tags in order.
    pub(crate) tags: Vec<(TagType, Vec<u8>)>,
}

impl Discovery {
    /// The value of the first tag of a kind.
    pub(crate) fn tag(&self, kind: TagType) -> Option<&[u8]> {
        self.tags.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }
}

impl Station {
    /// Adds a station `name` to the first access segment. `number` is the last byte of its hardware address.
    ///
    /// # Errors
    /// When the link or a socket cannot be made.
    pub(crate) fn open(world: &World, name: &str, number: u8) -> Result<Self> {
        Self::add(world, name, number, "br1", ACCESS_MAC)
    }

    /// As [`Station::open`], on the second access segment.
    ///
    /// # Errors
    /// As [`Station::open`].
    pub(crate) fn open_on_second(world: &World, name: &str, number: u8) -> Result<Self> {
        Self::add(world, name, number, "br2", SECOND_ACCESS_MAC)
    }

    fn add(world: &World, name: &str, number: u8, bridge: &str, server: [u8; 6]) -> Result<Self> {
        let mac = MacAddr([0x02, 0, 0, 0, 0x5a, number]);
        world.add_station(name, bridge, mac.0)?;
        Self::on_link(world, name, mac.0, server)
    }

    /// A station on a link of the world's `cli` namespace that is there already.
    ///
    /// # Errors
    /// When a socket cannot be made.
    pub(crate) fn on_link(world: &World, name: &str, mac: [u8; 6], server: [u8; 6]) -> Result<Self> {
        let discovery = open(world, name, EtherType::PppoeDiscovery)?;
        let session = open(world, name, EtherType::PppoeSession)?;
        Ok(Station { mac: MacAddr(mac), server: MacAddr(server), discovery, session })
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        self.discovery.send(frame).with_context(|| format!("send {} bytes", frame.len()))
    }

    /// A discovery frame from this station.
    ///
    /// # Errors
    /// When the tags do not fit.
    pub(crate) fn frame(
        &self,
        destination: MacAddr,
        code: Code,
        session_id: u16,
        tags: &[(TagType, &[u8])],
    ) -> Result<Vec<u8>> {
        let header = EthernetHeader { destination, source: self.mac, ether_type: EtherType::PppoeDiscovery };
        let mut builder = DiscoveryBuilder::new(&header, code, session_id);
        for (kind, value) in tags {
            builder.tag(*kind, value)?;
        }
        Ok(builder.finish())
    }

    /// Sends a PADI and returns the answer.
    ///
    /// # Errors
    /// When no PADO comes.
    pub(crate) fn discover(&self, tags: &[(TagType, &[u8])]) -> Result<Discovery> {
        self.forget()?;
        // As clients do (RFC 2516 §8): a bridge whose port has just come up may have lost the first.
        for _ in 1..PADI_TRIES {
            self.send(&self.frame(MacAddr::BROADCAST, Code::Padi, 0, tags)?)?;
            if let Ok(offer) = self.expect(Code::Pado) {
                return Ok(offer);
            }
        }
        self.send(&self.frame(MacAddr::BROADCAST, Code::Padi, 0, tags)?)?;
        self.expect(Code::Pado)
    }

    /// Sends a PADR with the cookie of an offer, and returns the answer.
    ///
    /// # Errors
    /// When no PADS comes.
    pub(crate) fn request(&self, offer: &Discovery, tags: &[(TagType, &[u8])]) -> Result<Discovery> {
        self.forget()?;
        self.send(&self.padr(offer, tags)?)?;
        self.expect(Code::Pads)
    }

    /// The PADR that [`Station::request`] sends.
    ///
    /// # Errors
    /// When the tags do not fit.
    pub(crate) fn padr(&self, offer: &Discovery, tags: &[(TagType, &[u8])]) -> Result<Vec<u8>> {
        let mut tags = tags.to_vec();
        if let Some(cookie) = offer.tag(TagType::AcCookie) {
            tags.push((TagType::AcCookie, cookie));
        }
        self.frame(self.server, Code::Padr, 0, &tags)
    }

    /// Goes through discovery with an empty Service-Name and returns the session id.
    ///
    /// # Errors
    /// When the server refuses.
    pub(crate) fn connect(&self) -> Result<u16> {
        let tags: [(TagType, &[u8]); 2] = [(TagType::ServiceName, b""), (TagType::HostUniq, &self.mac.0)];
        let offer = self.discover(&tags)?;
        let confirmation = self.request(&offer, &tags)?;
        ensure!(confirmation.session_id != 0, "the server refused: {confirmation:?}");
        Ok(confirmation.session_id)
    }

    /// Waits for a discovery packet of this code from the server; others are skipped.
    ///
    /// # Errors
    /// When none comes.
    pub(crate) fn expect(&self, code: Code) -> Result<Discovery> {
        wait::until(&format!("a {code:?}"), ANSWER, || {
            while let Some(packet) = self.receive()? {
                if packet.code == code {
                    return Ok(Some(packet));
                }
            }
            Ok(None)
        })
    }

    /// Throws away what has come so far: the link may have had another user.
    ///
    /// # Errors
    /// When the socket fails.
    pub(crate) fn forget(&self) -> Result<()> {
        while self.receive()?.is_some() {}
        Ok(())
    }

    /// Expects that no discovery packet at all comes from the server for a while.
    ///
    /// # Errors
    /// When one comes.
    pub(crate) fn expect_silence(&self) -> Result<()> {
        let deadline = Instant::now() + SILENCE;
        wait::until_true("silence", SILENCE * 2, || match self.receive()? {
            Some(packet) => bail!("the server answered {packet:?}"),
            None => Ok(Instant::now() >= deadline),
        })
    }

    fn receive(&self) -> Result<Option<Discovery>> {
        let mut buffer = [0; BUFFER];
        let Some(frame) = self.receive_frame(&self.discovery, &mut buffer)? else { return Ok(None) };
        let packet = PppoePacket::new_checked(frame.payload())?;
        let mut tags = Vec::new();
        for tag in packet.tags() {
            let tag = tag?;
            tags.push((tag.kind, tag.value.to_vec()));
        }
        Ok(Some(Discovery { code: packet.code(), session_id: packet.session_id(), tags }))
    }

    /// The next frame from the server to this station; what others send, and what is for others, is skipped.
    fn receive_frame<'a>(
        &self,
        socket: &DiscoverySocket,
        buffer: &'a mut [u8],
    ) -> Result<Option<EthernetFrame<'a>>> {
        let len = loop {
            match socket.recv(buffer) {
                Ok(received) => {
                    let frame = buffer.get(..received.len).context("a frame longer than its buffer")?;
                    let frame = EthernetFrame::new_checked(frame)?;
                    if (frame.source(), frame.destination()) == (self.server, self.mac) {
                        break received.len;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).context("receive"),
            }
        };
        let frame = buffer.get(..len).context("a frame longer than its buffer")?;
        Ok(Some(EthernetFrame::new_checked(frame)?))
    }

    /// Sends a PPP packet within a session.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub(crate) fn send_ppp(&self, session_id: u16, protocol: Protocol, packet: &[u8]) -> Result<()> {
        let header = EthernetHeader {
            destination: self.server,
            source: self.mac,
            ether_type: EtherType::PppoeSession,
        };
        let length = u16::try_from(packet.len() + 2).context("a PPP packet's length")?;
        let mut frame = emit_session_header(&header, session_id, length).to_vec();
        frame.extend_from_slice(&protocol.to_be_bytes());
        frame.extend_from_slice(packet);
        frame.resize(frame.len().max(60), 0);
        self.session.send(&frame).context("send a session frame")
    }

    /// Waits for a PPP packet of a session that `wanted` accepts.
    ///
    /// # Errors
    /// When none comes.
    pub(crate) fn expect_ppp(
        &self,
        session_id: u16,
        what: &str,
        wanted: impl Fn(Protocol, &[u8]) -> bool,
    ) -> Result<Vec<u8>> {
        wait::until(what, ANSWER * 2, || {
            loop {
                let mut buffer = [0; BUFFER];
                let Some(frame) = self.receive_frame(&self.session, &mut buffer)? else { return Ok(None) };
                let packet = PppoePacket::new_checked(frame.payload())?;
                let (protocol, information) = split_protocol(packet.payload())?;
                if packet.session_id() == session_id && wanted(protocol, information) {
                    return Ok(Some(information.to_vec()));
                }
            }
        })
    }
}

/// The end of the server's line, before the bridge that would sort out what is not Ethernet. It can only send.
#[derive(Debug)]
pub(crate) struct Wire(DiscoverySocket);

impl Wire {
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(world: &World) -> Result<Self> {
        open(world, "port1", EtherType::PppoeDiscovery).map(Wire)
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        self.0.send(frame).with_context(|| format!("send {} bytes", frame.len()))
    }
}

fn open(world: &World, link: &str, ether_type: EtherType) -> Result<DiscoverySocket> {
    world.cli.run(|| {
        let interface = Netlink::open()?.interface(&link.parse()?)?;
        Ok(DiscoverySocket::open(&interface.id, ether_type, 1 << 20)?)
    })
}
