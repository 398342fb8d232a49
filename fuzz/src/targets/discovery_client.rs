//! The discovery client under a stream of answers: records of a CODE, a length byte, and that many bytes of tags.

use std::time::{Duration, Instant};

use ppp_proto::discovery::client::{Client, Config};
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader};
use ppp_wire::pppoe::{Code, DiscoveryBuilder, Tags};

const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const AC: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);

/// See the top of this file.
pub fn run(bytes: &[u8]) {
    let mut now = Instant::now();
    let mut client = Client::new(Config::new(HOST), now).expect("the configuration is good");
    let mut rest = bytes;
    while let [code, len, tail @ ..] = rest {
        let (raw, tail) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = tail;
        now += Duration::from_millis(500);
        client.handle_frame(raw, now);
        let header = EthernetHeader { destination: HOST, source: AC, ether_type: EtherType::PppoeDiscovery };
        let session_id = u16::from(*len & 3);
        let mut builder = DiscoveryBuilder::new(&header, Code::from(*code), session_id);
        for tag in Tags::new(raw).flatten() {
            let _ = builder.tag(tag.kind, tag.value);
        }
        client.handle_frame(&builder.finish(), now);
        client.handle_timeout(now);
        assert!(client.poll_timeout().is_none_or(|deadline| deadline > now));
        while client.poll_event().is_some() {}
        while client.poll_transmit().is_some() {}
    }
}
