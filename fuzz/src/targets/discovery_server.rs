//! The discovery server under a stream of frames, some of them with a good cookie.
//!
//! The input is a list of records: a control byte, a length byte, then that many bytes of tags. The control byte
//! chooses the CODE, the time that passes, what the supervisor says, and whether to add the cookie of the last PADO.

use std::time::{Duration, Instant};

use ppp_proto::discovery::cookie::CookieKey;
use ppp_proto::discovery::server::{
    Admission, Config, Event, PadoDelay, PadoTiming, Refusal, Server, Sessions,
};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, TagType, Tags};

const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const AC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

struct Supervisor(u8);

impl Sessions for Supervisor {
    fn admission(&self, _: MacAddr) -> Admission {
        match self.0 >> 5 {
            0 | 1 => Admission::NoSlots,
            2 => Admission::Silence,
            3 => Admission::Busy,
            _ => Admission::Welcome,
        }
    }

    fn count(&self) -> usize {
        usize::from(self.0 >> 6)
    }

    fn owner(&self, session_id: u16) -> Option<MacAddr> {
        (session_id < 3).then_some(HOST)
    }
}

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    let mut now = Instant::now();
    let mut config = Config::new(AC, 1, 1508, "ac");
    config.services = vec![b"gold".to_vec(), b"iron".to_vec()];
    config.motm = Some(b"hello".to_vec());
    config.max_young = 3;
    let wait = PadoTiming::After(Duration::from_millis(700));
    config.pado_delay = PadoDelay::new(PadoTiming::After(Duration::ZERO), &[(3, wait)]).expect("they ascend");
    let mut server = Server::new(config, CookieKey::new(&[5; 32]), now).expect("the configuration is good");
    let mut cookie = Vec::new();
    let mut session_id = 0u16;
    let mut rest = bytes;
    while let [control, len, tail @ ..] = rest {
        let (raw, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        now += Duration::from_millis(u64::from(*control & 0x0c) * 500);
        let supervisor = Supervisor(*control);

        // Once as it is, from the Ethernet header on, and once as the tags of a frame whose headers are good.
        server.handle_frame(raw, &supervisor, now);
        let code = [Code::Padi, Code::Padr, Code::Padt, Code::Padr][usize::from(*control & 3)];
        let header = EthernetHeader { destination: AC, source: HOST, ether_type: EtherType::PppoeDiscovery };
        let id = if code == Code::Padt { u16::from(*control >> 4) } else { 0 };
        let mut builder = DiscoveryBuilder::new(&header, code, id);
        if *control & 3 == 3 {
            builder.tag(TagType::AcCookie, &cookie).expect("a cookie fits");
        }
        for tag in Tags::new(raw).flatten() {
            let _ = builder.tag(tag.kind, tag.value);
        }
        server.handle_frame(&builder.finish(), &supervisor, now);

        while let Some(event) = server.poll_event() {
            let Event::SessionRequest(request) = event else { continue };
            if *control & 0x10 == 0 {
                session_id = session_id % 0xfffe + 1;
                let _ = server.accept(request.id, session_id);
            } else if *control & 0x20 == 0 {
                let _ = server.refuse(request.id, &Refusal::System("no".to_owned()));
            }
        }
        while let Some(frame) = server.poll_transmit() {
            let ethernet = EthernetFrame::new_checked(&frame).expect("we send whole frames");
            assert!((60..=1514).contains(&frame.len()));
            // The raw input may come from any station.
            assert!(ethernet.destination().is_unicast());
            let packet = PppoePacket::new_checked(ethernet.payload()).expect("we send good packets");
            for tag in packet.tags() {
                let tag = tag.expect("we send good tags");
                if tag.kind == TagType::AcCookie && ethernet.destination() == HOST {
                    cookie = tag.value.to_vec();
                }
            }
        }
        if let Some(deadline) = server.poll_timeout() {
            assert!(deadline > now, "what is due was done");
        }
    }
}
