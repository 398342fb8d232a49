use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ppp_proto::discovery::cookie::CookieKey;
use ppp_proto::discovery::server::{Admission, Asks, Config, Event, Server, SessionRequest, Sessions};
use ppp_proto::discovery::{DropCause, DropCounters};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, TagType};

pub(crate) const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x11]);
pub(crate) const OTHER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x22]);
pub(crate) const AC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xac]);

pub(crate) type OwnedTags = Vec<(TagType, Vec<u8>)>;

/// A discovery frame, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) destination: MacAddr,
    pub(crate) source: MacAddr,
    pub(crate) code: Code,
    pub(crate) session_id: u16,
    pub(crate) tags: OwnedTags,
}

impl Frame {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        assert!((60..=1514).contains(&bytes.len()), "{} bytes", bytes.len());
        let ethernet = EthernetFrame::new_checked(bytes).unwrap();
        assert_eq!(ethernet.ether_type(), EtherType::PppoeDiscovery);
        let packet = PppoePacket::new_checked(ethernet.payload()).unwrap();
        let tags = packet.tags().map(|tag| tag.map(|tag| (tag.kind, tag.value.to_vec())).unwrap()).collect();
        Self {
            destination: ethernet.destination(),
            source: ethernet.source(),
            code: packet.code(),
            session_id: packet.session_id(),
            tags,
        }
    }

    pub(crate) fn tag(&self, kind: TagType) -> Option<&[u8]> {
        self.tags.iter().find(|(found, _)| *found == kind).map(|(_, value)| value.as_slice())
    }
}

pub(crate) fn frame(
    source: MacAddr,
    destination: MacAddr,
    code: Code,
    session_id: u16,
    tags: &[(TagType, &[u8])],
) -> Vec<u8> {
    let header = EthernetHeader { destination, source, ether_type: EtherType::PppoeDiscovery };
    let mut builder = DiscoveryBuilder::new(&header, code, session_id);
    for (kind, value) in tags {
        builder.tag(*kind, value).unwrap();
    }
    builder.finish()
}

pub(crate) fn padi(tags: &[(TagType, &[u8])]) -> Vec<u8> {
    frame(HOST, MacAddr::BROADCAST, Code::Padi, 0, tags)
}

pub(crate) fn padr(tags: &[(TagType, &[u8])]) -> Vec<u8> {
    frame(HOST, AC, Code::Padr, 0, tags)
}

/// What a supervisor would know.
pub(crate) struct Table {
    pub(crate) admission: Cell<Admission>,
    pub(crate) asks: Cell<Asks>,
    pub(crate) owners: BTreeMap<u16, MacAddr>,
    pub(crate) count: usize,
    pub(crate) is_congested: Cell<bool>,
}

impl Sessions for Table {
    fn admission(&self, _: MacAddr) -> Admission {
        self.admission.get()
    }

    fn asks(&self, _: MacAddr) -> Asks {
        self.asks.get()
    }

    fn is_congested(&self, _: MacAddr) -> bool {
        self.is_congested.get()
    }

    fn count(&self) -> usize {
        self.count
    }

    fn owner(&self, session_id: u16) -> Option<MacAddr> {
        self.owners.get(&session_id).copied()
    }
}

/// A server and the little around it.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) table: Table,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(AC, 7, 1500, "ac");
        change(&mut config);
        let now = Instant::now();
        let server = Server::new(config, CookieKey::new(&[1; 32]), now).unwrap();
        let table = Table {
            asks: Cell::new(Asks::No),
            admission: Cell::new(Admission::Welcome),
            owners: BTreeMap::new(),
            count: 0,
            is_congested: Cell::new(false),
        };
        Self { server, table, now }
    }

    pub(crate) fn sleep(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// Feeds a frame, and returns all that is sent.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Frame> {
        self.server.handle_frame(bytes, &self.table, self.now);
        self.sent()
    }

    pub(crate) fn sent(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.server.poll_transmit()).map(|bytes| Frame::parse(&bytes)).collect()
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    /// Feeds a frame that must be dropped, silently, for exactly this cause.
    pub(crate) fn assert_dropped(&mut self, bytes: &[u8], cause: DropCause) {
        let before: DropCounters = *self.server.drops();
        assert_eq!(self.feed(bytes), [], "{cause:?}");
        let events = self.events();
        // That its sender still waits is worth knowing, and nothing else.
        let told = events.iter().filter(|event| !matches!(event, Event::StillWanted(_))).count();
        assert_eq!((told, events.len()), (0, usize::from(cause == DropCause::StillStarting)), "{events:?}");
        for (found, count) in self.server.drops().iter() {
            assert_eq!(count - before.get(found), u64::from(found == cause), "{found:?} for {cause:?}");
        }
    }

    /// The cookie for a PADI with these tags.
    pub(crate) fn cookie(&mut self, tags: &[(TagType, &[u8])]) -> Vec<u8> {
        let sent = self.feed(&padi(tags));
        assert_eq!(sent.len(), 1);
        sent[0].tag(TagType::AcCookie).unwrap().to_vec()
    }

    /// PADI, then PADR with the same tags and the cookie, up to the request.
    pub(crate) fn request(&mut self, tags: &[(TagType, &[u8])]) -> (Vec<u8>, SessionRequest) {
        let cookie = self.cookie(tags);
        let mut tags = tags.to_vec();
        tags.push((TagType::AcCookie, &cookie));
        let padr = padr(&tags);
        assert_eq!(self.feed(&padr), []);
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        match events.remove(0) {
            Event::SessionRequest(request) => (padr, request),
            other => panic!("{other:?}"),
        }
    }
}
