use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::client::{Client, Config as ClientConfig};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::{AC, Bench, HOST, OTHER, frame, padi, padr};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");

fn changed(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    bytes[at] = byte;
    bytes
}

#[test]
fn every_kind_of_bad_frame_has_its_counter() {
    let mut bench = Bench::new(|_| {});
    let good = padi(&[ANY]);
    for (bytes, cause) in [
        (Vec::new(), DropCause::Truncated),
        (good[..13].to_vec(), DropCause::Truncated),
        (good[..19].to_vec(), DropCause::Truncated),
        (good[..23].to_vec(), DropCause::Truncated),
        (changed(good.clone(), 18, 1), DropCause::Truncated),
        ([&good[..], &[0; 1455]].concat(), DropCause::OverLong),
        (changed(good.clone(), 13, 0x64), DropCause::EtherType),
        (changed(good.clone(), 14, 0x12), DropCause::VersionType),
        (changed(good.clone(), 14, 0x21), DropCause::VersionType),
        (frame(AC, MacAddr::BROADCAST, Code::Padi, 0, &[ANY]), DropCause::OwnFrame),
        (frame(MacAddr::BROADCAST, AC, Code::Padi, 0, &[ANY]), DropCause::SourceNotUnicast),
        (frame(MacAddr([3, 0, 0, 0, 0, 1]), AC, Code::Padi, 0, &[ANY]), DropCause::SourceNotUnicast),
        (frame(MacAddr::ZERO, AC, Code::Padi, 0, &[ANY]), DropCause::SourceNotUnicast),
        (frame(HOST, OTHER, Code::Padi, 0, &[ANY]), DropCause::Destination),
        (frame(HOST, MacAddr([1, 0, 0x5e, 0, 0, 1]), Code::Padi, 0, &[ANY]), DropCause::Destination),
        (frame(HOST, MacAddr::BROADCAST, Code::Padr, 0, &[ANY]), DropCause::Destination),
        (frame(HOST, AC, Code::Pado, 0, &[ANY]), DropCause::Code),
        (frame(HOST, AC, Code::Pads, 1, &[ANY]), DropCause::Code),
        (frame(HOST, AC, Code::Padm, 1, &[ANY]), DropCause::Code),
        (frame(HOST, AC, Code::SessionData, 1, &[ANY]), DropCause::Code),
        (frame(HOST, AC, Code::Unknown(0x42), 0, &[ANY]), DropCause::Code),
        (frame(HOST, MacAddr::BROADCAST, Code::Padi, 1, &[ANY]), DropCause::SessionId),
        (frame(HOST, AC, Code::Padr, 1, &[ANY]), DropCause::SessionId),
        (changed(good.clone(), 19, 6), DropCause::BadTag),
        (changed(good.clone(), 23, 1), DropCause::BadTag),
        (padi(&[]), DropCause::ServiceNameMissing),
        (padi(&[(TagType::EndOfList, b""), ANY]), DropCause::ServiceNameMissing),
        (padi(&[ANY, ANY]), DropCause::ServiceNameRepeated),
        (padr(&[ANY]), DropCause::CookieMissing),
    ] {
        bench.assert_dropped(&bytes, cause);
    }
    assert_eq!(bench.feed(&good).len(), 1, "the frame that the others were made from is good");
    assert_eq!(bench.feed(&frame(HOST, AC, Code::Padi, 0, &[ANY])).len(), 1, "a PADI to our own address");
}

#[test]
fn discovery_packets_over_1500_bytes_are_dropped_on_jumbo_interfaces_too() {
    let mut bench = Bench::new(|config| config.mtu = 9000);
    let mut jumbo = padi(&[ANY]);
    jumbo.resize(14 + 6 + 1495, 0);
    jumbo[18..20].copy_from_slice(&1495u16.to_be_bytes());
    bench.assert_dropped(&jumbo, DropCause::OverLong);
    jumbo[18..20].copy_from_slice(&1494u16.to_be_bytes());
    assert_eq!(bench.feed(&jumbo).len(), 1);
}

#[test]
fn tiny_interfaces_still_take_padded_frames() {
    let mut bench = Bench::new(|config| config.mtu = 39);
    assert_eq!(bench.feed(&padi(&[ANY])), []);
    assert_eq!(bench.server.drops().get(DropCause::AnswerTooLong), 1);
}

/// Frames that get far: right addresses, plausible codes and tags, with a bit of rubbish.
fn near_frames() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![Just(0x09u8), Just(0x19), Just(0xa7), Just(0x07), Just(0x65), any::<u8>()];
    let kind =
        prop_oneof![Just(0x0101u16), Just(0x0103), Just(0x0104), Just(0x0110), Just(0x0120), any::<u16>()];
    let tag = (kind, prop_oneof![9 => Just(0u16), 1 => any::<u16>()], vec(any::<u8>(), 0..30));
    (any::<bool>(), code, 0u16..3, vec(tag, 0..8), vec((0usize..200, any::<u8>()), 0..3)).prop_map(
        |(broadcast, code, session_id, tags, rubbish)| {
            let destination = if broadcast { MacAddr::BROADCAST } else { AC };
            let mut bytes = frame(HOST, destination, Code::from(code), session_id, &[]);
            bytes.truncate(20);
            for (kind, error, value) in tags {
                bytes.extend(kind.to_be_bytes());
                let len = u16::try_from(value.len()).unwrap();
                bytes.extend(len.wrapping_add(error).to_be_bytes());
                bytes.extend(value);
            }
            let len = u16::try_from(bytes.len() - 20).unwrap();
            bytes[18..20].copy_from_slice(&len.to_be_bytes());
            for (at, byte) in rubbish {
                if let Some(found) = bytes.get_mut(at) {
                    *found = byte;
                }
            }
            bytes
        },
    )
}

proptest! {
    /// Without a cookie there is no state: each frame gets one answer or one count, and no event.
    #[test]
    fn no_frame_panics_the_server_or_makes_state(frames in vec(prop_oneof![near_frames(), vec(any::<u8>(), 0..100)], 0..20)) {
        let mut bench = Bench::new(|config| config.services = vec![b"gold".to_vec()]);
        for (n, bytes) in (1..).zip(&frames) {
            let sent = bench.feed(bytes);
            prop_assert!(sent.iter().all(|frame| frame.code == Code::Pado));
            prop_assert!(sent.len() <= 1);
            prop_assert_eq!(bench.events(), []);
            prop_assert!(bench.server.drops().total() + 1 >= sent.len() as u64);
            prop_assert!(bench.server.drops().total() <= n);
            prop_assert_eq!(bench.server.poll_timeout(), None);
        }
    }

    #[test]
    fn no_frame_panics_the_client(frames in vec(prop_oneof![near_frames(), vec(any::<u8>(), 0..100)], 0..20)) {
        let now = std::time::Instant::now();
        let mut client = Client::new(ClientConfig::new(AC), now).unwrap();
        for bytes in &frames {
            client.handle_frame(bytes, now);
            client.handle_timeout(now);
        }
        client.terminate("done");
        prop_assert_eq!(client.poll_timeout(), None);
    }
}
