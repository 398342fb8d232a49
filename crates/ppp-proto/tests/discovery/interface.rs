//! The access interface changes under a server that goes on.

use std::num::NonZeroU32;

use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::server::{AnswerError, Config, Limits, Refusal};
use ppp_proto::token_bucket::Rate;
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use crate::support::{AC, Bench, HOST, frame, padi};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const NEW: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xad]);

#[test]
fn a_server_with_a_new_address_knows_nothing_of_the_old_one() {
    let mut bench = Bench::new(|_| {});
    let (old_padr, waiting) = bench.request(&[ANY]);
    bench.server.set_interface(NEW, 7, 1500);

    assert_eq!(bench.server.accept(waiting.id, 5), Err(AnswerError::NotWaiting(waiting.id)));
    bench.assert_dropped(&old_padr, DropCause::Destination);
    // The old cookie is void, even sent to the new address.
    let mut moved = old_padr.clone();
    moved[..6].copy_from_slice(&NEW.0);
    bench.assert_dropped(&moved, DropCause::CookieWrong);

    let sent = bench.feed(&padi(&[ANY]));
    assert_eq!((sent[0].code, sent[0].source), (Code::Pado, NEW));
    let cookie = sent[0].tag(TagType::AcCookie).unwrap();
    let padr = frame(HOST, NEW, Code::Padr, 0, &[ANY, (TagType::AcCookie, cookie)]);
    assert_eq!(bench.feed(&padr), []);
    let events = bench.events();
    let [ppp_proto::discovery::server::Event::SessionRequest(request)] = events.as_slice() else {
        panic!("{events:?}")
    };
    // Another request than the one that was forgotten, which must not be answered in its place.
    assert_ne!(request.id, waiting.id);
    assert!(bench.server.refuse(waiting.id, &Refusal::NoSlots).is_err());
    bench.server.accept(request.id, 5).unwrap();
    let pads = bench.sent();
    assert_eq!((pads[0].code, pads[0].source, pads[0].session_id), (Code::Pads, NEW, 5));
}

#[test]
fn sessions_of_the_old_address_end_by_it() {
    let mut bench = Bench::new(|_| {});
    let (_, request) = bench.request(&[ANY]);
    bench.server.accept(request.id, 5).unwrap();
    bench.sent();
    bench.server.set_interface(NEW, 7, 1500);
    bench.server.terminate_from(AC, 5, HOST, "interface-gone");
    let [padt] = bench.sent().try_into().unwrap();
    assert_eq!((padt.source, padt.destination), (AC, HOST));
    assert_eq!((padt.code, padt.session_id), (Code::Padt, 5));
    bench.server.terminate(6, HOST, "");
    assert_eq!(bench.sent()[0].source, NEW);
}

#[test]
fn an_interface_of_the_same_address_and_another_number_is_another_one() {
    let mut bench = Bench::new(|_| {});
    let (padr, _) = bench.request(&[ANY]);
    bench.server.set_interface(AC, 8, 1500);
    bench.assert_dropped(&padr, DropCause::CookieWrong);
}

#[test]
fn another_mtu_holds_for_what_is_agreed_on_from_now_on() {
    let mut bench = Bench::new(|_| {});
    let wish: (TagType, &[u8]) = (TagType::PppMaxPayload, &1500_u16.to_be_bytes());
    let (_, request) = bench.request(&[ANY, wish]);
    assert_eq!(request.max_payload, None);
    bench.server.set_interface(AC, 7, 1508);
    // What waits is still answered.
    bench.server.accept(request.id, 5).unwrap();
    assert_eq!(bench.sent()[0].session_id, 5);

    bench.sleep(60);
    let (_, request) = bench.request(&[ANY, wish]);
    assert_eq!(request.max_payload, Some(1500));
}

#[test]
fn a_server_presents_itself_anew_and_keeps_its_promises() {
    let mut bench = Bench::new(|config| config.services = vec![b"old".to_vec()]);
    let old = (TagType::ServiceName, b"old".as_slice());
    let new = (TagType::ServiceName, b"new".as_slice());
    let (_, request) = bench.request(&[old]);
    let mut config = Config::new(NEW, 99, 576, "renamed");
    config.services = vec![b"new".to_vec()];
    let now = bench.now;
    bench.server.reconfigure(config.clone(), now).unwrap();

    // What was asked for before is still granted, and the interface is what it was.
    bench.server.accept(request.id, 5).unwrap();
    let pads = bench.sent();
    assert_eq!(
        (pads[0].code, pads[0].source, pads[0].tag(TagType::ServiceName)),
        (Code::Pads, AC, Some(old.1))
    );
    bench.assert_dropped(&padi(&[old]), DropCause::ServiceUnknown);
    let pado = bench.feed(&padi(&[new]));
    assert_eq!((pado[0].source, pado[0].tag(TagType::AcName)), (AC, Some(&b"renamed"[..])));

    // What cannot work changes nothing.
    bench.server.reconfigure(Config { ac_name: Vec::new(), ..config.clone() }, now).unwrap_err();
    assert_eq!(bench.feed(&padi(&[new]))[0].tag(TagType::AcName), Some(&b"renamed"[..]));

    let one = Some(Rate::per_second(NonZeroU32::MIN));
    let limits = Limits { padi: None, padr: None, padt: None, per_mac: one };
    bench.server.reconfigure(Config { limits, ..config.clone() }, now).unwrap();
    assert_eq!(bench.feed(&padi(&[new])).len(), 1);
    bench.assert_dropped(&padi(&[new]), DropCause::MacRate);
    // The same limits are no full bucket.
    bench.server.reconfigure(Config { limits, motm: Some(b"hello".to_vec()), ..config }, now).unwrap();
    bench.assert_dropped(&padi(&[new]), DropCause::MacRate);
}
