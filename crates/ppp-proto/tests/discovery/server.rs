use std::time::{Duration, Instant};

use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::cookie::CookieKey;
use ppp_proto::discovery::server::{
    Admission, AnswerError, Config, ConfigError, Event, Refusal, Server, SessionRequest,
};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use crate::support::{AC, Bench, Frame, HOST, OTHER, OwnedTags, frame, padi, padr};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const UNIQ: (TagType, &[u8]) = (TagType::HostUniq, &[0xde, 0xad]);
const RELAY: (TagType, &[u8]) = (TagType::RelaySessionId, b"relay-7");

fn owned(tags: &[(TagType, &[u8])]) -> OwnedTags {
    tags.iter().map(|(kind, value)| (*kind, value.to_vec())).collect()
}

/// Config, tags of the PADI, tags of the PADO without AC-Name and AC-Cookie; `None` for silence.
type OfferCase<'a> = (&'a [&'a str], &'a [(TagType, &'a [u8])], Option<&'a [(TagType, &'a [u8])]>);

#[test]
fn offers_name_the_service_asked_for_and_echo_tags() {
    let gold: (TagType, &[u8]) = (TagType::ServiceName, b"gold");
    let iron: (TagType, &[u8]) = (TagType::ServiceName, b"iron");
    let cases: &[OfferCase<'_>] = &[
        (&[], &[ANY], Some(&[ANY])),
        (&[], &[ANY, UNIQ], Some(&[ANY, UNIQ])),
        (&[], &[RELAY, UNIQ, ANY], Some(&[ANY, UNIQ, RELAY])),
        (&[], &[ANY, (TagType::HostUniq, b"")], Some(&[ANY, (TagType::HostUniq, b"")])),
        (&[], &[ANY, (TagType::Unknown(0x7777), b"x"), (TagType::VendorSpecific, b"y")], Some(&[ANY])),
        (&[], &[gold], None),
        (&["gold", "iron"], &[ANY], Some(&[ANY, gold, iron])),
        (&["gold", "iron"], &[gold], Some(&[gold, iron])),
        (&["gold", "iron"], &[iron, UNIQ], Some(&[iron, UNIQ, gold])),
        (&["gold"], &[(TagType::ServiceName, b"GOLD")], None),
        (&["gold"], &[(TagType::ServiceName, b"gol")], None),
        (&["gold"], &[(TagType::ServiceName, b"gold\0")], None),
    ];
    for (services, tags, offer) in cases {
        let mut bench = Bench::new(|config| {
            config.services = services.iter().map(|service| service.as_bytes().to_vec()).collect();
        });
        let padi = padi(tags);
        let Some(offer) = offer else {
            bench.assert_dropped(&padi, DropCause::ServiceUnknown);
            continue;
        };
        let sent = bench.feed(&padi);
        let [pado] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((pado.source, pado.destination), (AC, HOST));
        assert_eq!((pado.code, pado.session_id), (Code::Pado, 0));
        assert_eq!(pado.tags[0], (TagType::AcName, b"ac".to_vec()));
        assert_eq!(pado.tag(TagType::AcCookie).map(<[u8]>::len), Some(24));
        let rest: OwnedTags =
            pado.tags[1..].iter().filter(|(kind, _)| *kind != TagType::AcCookie).cloned().collect();
        assert_eq!(rest, owned(offer));
        assert_eq!(bench.events(), []);
        assert_eq!(bench.server.drops().total(), 0);
    }
}

/// The bytes of a whole exchange, written by hand from RFC 2516 and its appendix B.
#[test]
fn a_dial_byte_by_byte() {
    let mut bench = Bench::new(|_| {});
    let mut padi = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x11, 0x88, 0x63];
    padi.extend([0x11, 0x09, 0, 0, 0, 4, 1, 1, 0, 0]);
    padi.resize(60, 0);
    bench.server.handle_frame(&padi, &bench.table, bench.now);
    let pado = bench.server.poll_transmit().unwrap();
    let cookie = pado[34..58].to_vec();
    let mut expected = vec![2, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0xac, 0x88, 0x63];
    expected.extend([0x11, 0x07, 0, 0, 0, 38]);
    expected.extend([1, 2, 0, 2, b'a', b'c', 1, 1, 0, 0, 1, 4, 0, 24]);
    expected.extend(&cookie);
    expected.resize(60, 0);
    assert_eq!(pado, expected);

    let mut padr = vec![2, 0, 0, 0, 0, 0xac, 2, 0, 0, 0, 0, 0x11, 0x88, 0x63];
    padr.extend([0x11, 0x19, 0, 0, 0, 32, 1, 1, 0, 0, 1, 4, 0, 24]);
    padr.extend(&cookie);
    padr.resize(60, 0);
    bench.server.handle_frame(&padr, &bench.table, bench.now);
    let Some(Event::SessionRequest(request)) = bench.server.poll_event() else { panic!() };
    bench.server.accept(request.id, 0x1234).unwrap();
    let mut pads = vec![2, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0xac, 0x88, 0x63];
    pads.extend([0x11, 0x65, 0x12, 0x34, 0, 4, 1, 1, 0, 0]);
    pads.resize(60, 0);
    assert_eq!(bench.server.poll_transmit(), Some(pads));

    bench.server.terminate(0x1234, HOST, "bye");
    let mut padt = vec![2, 0, 0, 0, 0, 0x11, 2, 0, 0, 0, 0, 0xac, 0x88, 0x63];
    padt.extend([0x11, 0xa7, 0x12, 0x34, 0, 7, 2, 3, 0, 3, b'b', b'y', b'e']);
    padt.resize(60, 0);
    assert_eq!(bench.server.poll_transmit(), Some(padt));
}

#[test]
fn a_request_carries_what_the_supervisor_needs() {
    let mut bench = Bench::new(|config| config.services = vec![b"gold".to_vec(), b"iron".to_vec()]);
    let (_, request) = bench.request(&[(TagType::ServiceName, b"iron"), UNIQ, RELAY]);
    let expected = SessionRequest {
        id: request.id,
        peer_mac: HOST,
        host_uniq: Some(UNIQ.1.to_vec()),
        relay_session_id: Some(RELAY.1.to_vec()),
        service_name: b"iron".to_vec(),
        max_payload: None,
        circuit_id: None,
        remote_id: None,
    };
    assert_eq!(request, expected);
    bench.server.accept(request.id, 9).unwrap();
    let pads = Frame {
        destination: HOST,
        source: AC,
        code: Code::Pads,
        session_id: 9,
        tags: owned(&[(TagType::ServiceName, b"iron"), UNIQ, RELAY]),
    };
    assert_eq!(bench.sent(), [pads]);
}

#[test]
fn an_empty_request_is_confirmed_as_the_first_service() {
    let mut bench = Bench::new(|config| config.services = vec![b"gold".to_vec(), b"iron".to_vec()]);
    let (_, request) = bench.request(&[ANY]);
    assert_eq!(request.service_name, b"gold");
    bench.server.accept(request.id, 1).unwrap();
    assert_eq!(bench.sent()[0].tag(TagType::ServiceName), Some(&b"gold"[..]));
}

#[test]
fn max_payload_is_what_both_ends_can() {
    // Asked for, MTU, our own limit, agreed.
    for (asked, mtu, limit, agreed) in [
        (1500, 1508, 1500, Some(1500)),
        (1500, 9000, 1500, Some(1500)),
        (9000, 9000, 9000, Some(1500)),
        (1500, 1504, 1500, Some(1496)),
        (1494, 1508, 1500, Some(1494)),
        (1500, 1508, 1498, Some(1498)),
        (1500, 1500, 1500, None),
        (1500, 1508, 1492, None),
        (1492, 1508, 1500, None),
        (0, 1508, 1500, None),
    ] {
        let mut bench = Bench::new(|config| (config.mtu, config.max_payload) = (mtu, limit));
        let asked = u16::to_be_bytes(asked);
        let tags = [ANY, (TagType::PppMaxPayload, &asked)];
        let expected = agreed.map(|agreed: u16| agreed.to_be_bytes().to_vec());
        let pado = bench.feed(&padi(&tags)).remove(0);
        assert_eq!(pado.tag(TagType::PppMaxPayload), expected.as_deref());
        let (_, request) = bench.request(&tags);
        assert_eq!(request.max_payload, agreed);
        bench.server.accept(request.id, 1).unwrap();
        assert_eq!(bench.sent()[0].tag(TagType::PppMaxPayload), expected.as_deref());
    }
    let mut bench = Bench::new(|config| config.mtu = 1508);
    let (_, request) = bench.request(&[ANY, (TagType::PppMaxPayload, &[5, 0xdc, 0])]);
    assert_eq!(request.max_payload, None, "a tag of three bytes says nothing");
}

#[test]
fn hurl_and_motm_follow_the_confirmation() {
    let mut bench = Bench::new(|config| {
        config.hurl = Some(b"http://example.net/".to_vec());
        config.motm = Some(b"welcome".to_vec());
    });
    let (padr, request) = bench.request(&[ANY]);
    bench.server.accept(request.id, 5).unwrap();
    let sent = bench.sent();
    let codes: Vec<_> = sent.iter().map(|frame| (frame.code, frame.session_id)).collect();
    assert_eq!(codes, [(Code::Pads, 5), (Code::Padm, 5), (Code::Padm, 5)]);
    assert_eq!(sent[1].tags, owned(&[(TagType::Hurl, b"http://example.net/")]));
    assert_eq!(sent[2].tags, owned(&[(TagType::Motm, b"welcome")]));
    assert_eq!(bench.feed(&padr), sent, "repeated");
}

#[test]
fn a_repeated_padr_is_one_session() {
    let mut bench = Bench::new(|_| {});
    let (padr, request) = bench.request(&[ANY, UNIQ]);
    bench.assert_dropped(&padr, DropCause::StillStarting);
    bench.server.accept(request.id, 3).unwrap();
    let pads = bench.sent();
    assert_eq!(pads.len(), 1);
    // Its own session may have taken the last slot, and its cookie may have expired.
    for admission in [Admission::Welcome, Admission::NoSlots, Admission::Silence] {
        bench.table.admission.set(admission);
        bench.sleep(9);
        assert_eq!(bench.feed(&padr), pads);
        assert_eq!(bench.events(), []);
    }
    // 27 seconds so far; at 30 the session is no longer young.
    bench.sleep(2);
    assert_eq!(bench.feed(&padr), pads);
    bench.sleep(1);
    bench.assert_dropped(&padr, DropCause::CookieExpired);
}

/// RFC 2516 appendix A: Host-Uniq matches an answer to its request. A client may choose another one for each.
#[test]
fn a_padr_may_have_another_host_uniq_than_its_padi() {
    let with = |host_uniq: Option<&'static [u8]>, cookie: &[u8]| {
        let uniq = host_uniq.map(|value| (TagType::HostUniq, value));
        let tags = [ANY, (TagType::AcCookie, cookie)];
        (padr(&tags.into_iter().chain(uniq).collect::<Vec<_>>()), host_uniq)
    };
    for asked in [&[ANY, UNIQ][..], &[ANY]] {
        let mut bench = Bench::new(|_| {});
        let cookie = bench.cookie(asked);
        let padrs = [Some(&b"one"[..]), None, Some(b""), Some(b"two")].map(|uniq| with(uniq, &cookie));
        assert_eq!(bench.feed(&padrs[0].0), []);
        let events = bench.events();
        let [Event::SessionRequest(request)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(request.host_uniq.as_deref(), Some(&b"one"[..]));
        // While the session is made, the latest one is waiting.
        bench.assert_dropped(&padrs[1].0, DropCause::StillStarting);
        bench.server.accept(request.id, 3).unwrap();
        let first = bench.sent().remove(0);
        assert_eq!((first.session_id, first.tag(TagType::HostUniq)), (3, None));
        // And each later one gets the same answer with its own.
        bench.sleep(25);
        for (padr, uniq) in &padrs {
            let pads = bench.feed(padr).remove(0);
            assert_eq!((pads.code, pads.session_id, pads.tag(TagType::HostUniq)), (Code::Pads, 3, *uniq));
            assert_eq!(bench.events(), []);
        }
        bench.sleep(5);
        bench.assert_dropped(&padrs[3].0, DropCause::CookieExpired);
    }
}

#[test]
fn requests_that_differ_are_different_sessions() {
    let mut bench = Bench::new(|_| {});
    let (_, first) = bench.request(&[ANY, UNIQ]);
    let (_, second) = bench.request(&[ANY, (TagType::HostUniq, &[0xbe, 0xef])]);
    let (_, third) = bench.request(&[ANY]);
    let (_, fourth) = bench.request(&[ANY, RELAY]);
    bench.sleep(5);
    let (_, fifth) = bench.request(&[ANY, UNIQ]);
    let ids = [first.id, second.id, third.id, fourth.id, fifth.id];
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn an_ended_session_is_not_confirmed_again() {
    for end in [Bench::end_by_caller, Bench::end_by_terminate, Bench::end_by_padt] {
        let mut bench = Bench::new(|_| {});
        let (padr, request) = bench.request(&[ANY, UNIQ]);
        bench.server.accept(request.id, 3).unwrap();
        bench.sent();
        end(&mut bench, 3);
        assert_eq!(bench.feed(&padr), [], "a new session is made first");
        let events = bench.events();
        let [Event::SessionRequest(again)] = events.as_slice() else { panic!("{events:?}") };
        assert!(again.id > request.id);
    }
}

impl Bench {
    fn end_by_caller(&mut self, session_id: u16) {
        self.server.session_ended(session_id);
    }

    fn end_by_terminate(&mut self, session_id: u16) {
        self.server.terminate(session_id, HOST, "");
        let sent = self.sent();
        assert_eq!(sent.len(), 1);
        assert_eq!((sent[0].code, sent[0].session_id), (Code::Padt, session_id));
        assert_eq!(sent[0].tags, []);
    }

    fn end_by_padt(&mut self, session_id: u16) {
        self.table.owners.insert(session_id, HOST);
        self.feed(&frame(HOST, AC, Code::Padt, session_id, &[]));
        let message = None;
        assert_eq!(self.events(), [Event::PeerTerminated { session_id, peer_mac: HOST, message }]);
    }
}

#[test]
fn padt_counts_only_from_the_owner() {
    let mut bench = Bench::new(|_| {});
    bench.table.owners.insert(3, HOST);
    let padt = |source, destination, session_id| frame(source, destination, Code::Padt, session_id, &[]);
    bench.assert_dropped(&padt(OTHER, AC, 3), DropCause::NotOwner);
    bench.assert_dropped(&padt(HOST, AC, 4), DropCause::NoSuchSession);
    bench.assert_dropped(&padt(HOST, AC, 0), DropCause::SessionId);
    bench.assert_dropped(&padt(HOST, AC, 0xffff), DropCause::SessionId);
    bench.assert_dropped(&padt(HOST, MacAddr::BROADCAST, 3), DropCause::Destination);
    bench.assert_dropped(&padt(HOST, OTHER, 3), DropCause::Destination);

    let why = frame(HOST, AC, Code::Padt, 3, &[(TagType::GenericError, b"bye")]);
    assert_eq!(bench.feed(&why), []);
    let message = Some(b"bye".to_vec());
    assert_eq!(bench.events(), [Event::PeerTerminated { session_id: 3, peer_mac: HOST, message }]);
}

#[test]
fn services_that_are_not_there_are_refused_with_session_id_0() {
    let gold: (TagType, &[u8]) = (TagType::ServiceName, b"gold");
    for (services, names) in [
        (&[][..], &[gold][..]),
        (&[b"iron".to_vec()], &[gold]),
        (&[], &[]),
        (&[], &[ANY, ANY]),
        (&[b"gold".to_vec()], &[gold, ANY]),
    ] {
        let mut bench = Bench::new(|config| config.services = services.to_vec());
        let cookie = bench.cookie(&[ANY, UNIQ, RELAY]);
        let mut tags = names.to_vec();
        tags.extend([(TagType::AcCookie, cookie.as_slice()), UNIQ, RELAY]);
        let sent = bench.feed(&padr(&tags));
        let [pads] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((pads.code, pads.session_id, pads.destination), (Code::Pads, 0, HOST));
        assert_eq!(pads.tags[0].0, TagType::ServiceNameError);
        assert_eq!(pads.tags[1..], owned(&[UNIQ, RELAY]));
        let service_names = names.iter().map(|(_, name)| name.to_vec()).collect();
        assert_eq!(bench.events(), [Event::ServiceRefused { peer_mac: HOST, service_names }]);
    }
}

#[test]
fn refusals_have_session_id_0_and_say_why() {
    for (refusal, text) in [
        (Refusal::NoSlots, "no free session slot"),
        (Refusal::System("cannot start".to_owned()), "cannot start"),
    ] {
        let mut bench = Bench::new(|_| {});
        let (padr, request) = bench.request(&[ANY, UNIQ]);
        bench.server.refuse(request.id, &refusal).unwrap();
        let pads = Frame {
            destination: HOST,
            source: AC,
            code: Code::Pads,
            session_id: 0,
            tags: owned(&[(TagType::AcSystemError, text.as_bytes()), UNIQ]),
        };
        assert_eq!(bench.sent(), [pads]);
        let again = bench.server.refuse(request.id, &refusal);
        assert_eq!(again, Err(AnswerError::NotWaiting(request.id)));
        assert_eq!(bench.feed(&padr), [], "it may try again");
        assert!(matches!(bench.events()[..], [Event::SessionRequest(_)]));
    }
}

#[test]
fn a_request_that_is_ignored_is_counted_and_may_come_again() {
    let mut bench = Bench::new(|_| {});
    let (padr, request) = bench.request(&[ANY, UNIQ]);
    for _ in 0..2 {
        bench.server.ignore(request.id, DropCause::TooManyStarting);
        assert_eq!(bench.sent(), []);
        assert_eq!(bench.server.drops().get(DropCause::TooManyStarting), 1);
    }
    assert_eq!(bench.feed(&padr), []);
    assert!(matches!(bench.events()[..], [Event::SessionRequest(_)]));
}

#[test]
fn admission_decides() {
    let mut bench = Bench::new(|_| {});
    let cookie = bench.cookie(&[ANY]);
    let padr = padr(&[ANY, (TagType::AcCookie, &cookie)]);
    bench.table.admission.set(Admission::Silence);
    bench.assert_dropped(&padi(&[ANY]), DropCause::NotAdmitted);
    bench.assert_dropped(&padr, DropCause::NotAdmitted);
    bench.table.admission.set(Admission::NoSlots);
    assert_eq!(bench.feed(&padi(&[ANY])).len(), 1, "without ignore_when_full the offer is made");
    let pads = bench.feed(&padr).remove(0);
    assert_eq!((pads.code, pads.session_id), (Code::Pads, 0));
    assert_eq!(pads.tag(TagType::AcSystemError), Some(&b"no free session slot"[..]));
    assert_eq!(bench.events(), []);

    let mut bench = Bench::new(|config| config.ignore_when_full = true);
    bench.table.admission.set(Admission::NoSlots);
    bench.assert_dropped(&padi(&[ANY]), DropCause::NoFreeSlot);
}

#[test]
fn the_table_of_young_sessions_is_bounded() {
    let mut bench = Bench::new(|config| config.max_young = 2);
    let (_, first) = bench.request(&[ANY, (TagType::HostUniq, b"1")]);
    bench.server.accept(first.id, 1).unwrap();
    bench.sent();
    bench.request(&[ANY, (TagType::HostUniq, b"2")]);
    let cookie = bench.cookie(&[ANY]);
    let third = padr(&[ANY, (TagType::AcCookie, &cookie)]);
    assert_eq!(bench.feed(&third)[0].tag(TagType::AcSystemError), Some(&b"no free session slot"[..]));
    assert_eq!(bench.events(), []);
    bench.server.session_ended(1);
    assert_eq!(bench.feed(&third), []);
    assert!(matches!(bench.events()[..], [Event::SessionRequest(_)]));
}

#[test]
fn cookies_expire_and_are_for_one_peer() {
    let mut bench = Bench::new(|_| {});
    let cookie = bench.cookie(&[ANY, UNIQ]);
    let with = |tags: &[(TagType, &[u8])]| padr(tags);
    let good = with(&[ANY, UNIQ, (TagType::AcCookie, &cookie)]);
    bench.assert_dropped(&with(&[ANY, UNIQ]), DropCause::CookieMissing);
    bench.assert_dropped(&with(&[ANY, UNIQ, (TagType::AcCookie, b"")]), DropCause::CookieWrong);
    bench.assert_dropped(&with(&[ANY, UNIQ, (TagType::AcCookie, &[0; 24])]), DropCause::CookieWrong);
    bench.assert_dropped(&with(&[ANY, UNIQ, RELAY, (TagType::AcCookie, &cookie)]), DropCause::CookieWrong);
    let stolen = frame(OTHER, AC, Code::Padr, 0, &[ANY, UNIQ, (TagType::AcCookie, &cookie)]);
    bench.assert_dropped(&stolen, DropCause::CookieWrong);
    // Without a good cookie not even a wrong service is answered.
    bench.assert_dropped(&with(&[(TagType::ServiceName, b"x")]), DropCause::CookieMissing);
    bench.assert_dropped(&with(&[(TagType::AcCookie, &[0; 24])]), DropCause::CookieWrong);

    bench.server.rotate_key(CookieKey::new(&[2; 32]), bench.now);
    bench.now += Duration::from_millis(9_999);
    assert_eq!(bench.feed(&good), []);
    let events = bench.events();
    let [Event::SessionRequest(request)] = events.as_slice() else { panic!("{events:?}") };
    bench.server.refuse(request.id, &Refusal::NoSlots).unwrap();
    bench.sent();
    bench.now += Duration::from_millis(1);
    bench.assert_dropped(&good, DropCause::CookieExpired);
}

#[test]
fn answers_are_given_once() {
    let mut bench = Bench::new(|_| {});
    let (_, request) = bench.request(&[ANY]);
    for reserved in [0, 0xffff] {
        let error = AnswerError::ReservedSessionId(reserved);
        assert_eq!(bench.server.accept(request.id, reserved), Err(error));
    }
    bench.server.accept(request.id, 1).unwrap();
    assert_eq!(bench.server.accept(request.id, 2), Err(AnswerError::NotWaiting(request.id)));
    assert_eq!(bench.server.refuse(request.id, &Refusal::NoSlots), Err(AnswerError::NotWaiting(request.id)));
    assert_eq!(bench.sent().len(), 1);
}

#[test]
fn a_request_that_nobody_answers_is_forgotten() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.server.poll_timeout(), None);
    let (_, request) = bench.request(&[ANY]);
    let deadline = bench.now + Duration::from_secs(30);
    assert_eq!(bench.server.poll_timeout(), Some(deadline));
    bench.server.handle_timeout(deadline - Duration::from_nanos(1));
    assert_eq!(bench.server.poll_timeout(), Some(deadline), "too early");
    bench.server.handle_timeout(deadline);
    assert_eq!(bench.server.poll_timeout(), None);
    assert_eq!(bench.server.accept(request.id, 1), Err(AnswerError::NotWaiting(request.id)));
}

#[test]
fn what_does_not_fit_is_left_out_or_dropped() {
    let mut bench = Bench::new(|config| config.services = (0..9).map(|n| vec![b'a' + n; 256]).collect());
    let pado = bench.feed(&padi(&[ANY, UNIQ])).remove(0);
    let names = pado.tags.iter().filter(|(kind, _)| *kind == TagType::ServiceName).count();
    assert_eq!(names, 6, "the one asked for, and as many as fit");
    assert_eq!(pado.tag(TagType::HostUniq), Some(UNIQ.1));
    let large = vec![0; 1460];
    bench.assert_dropped(&padi(&[ANY, (TagType::HostUniq, &large)]), DropCause::AnswerTooLong);
    bench.server.terminate(1, HOST, &"x".repeat(1500));
    assert_eq!(bench.sent()[0].tags, [], "a PADT goes out whatever its text");
}

#[test]
fn a_confirmation_that_does_not_fit_is_an_error() {
    // Services are left out of the PADO, but the PADS must name the one that was accepted.
    let mut bench = Bench::new(|config| config.services = vec![vec![b'a'; 256]]);
    let (_, request) = bench.request(&[ANY, (TagType::HostUniq, &[0; 1400])]);
    assert!(matches!(bench.server.accept(request.id, 1), Err(AnswerError::Emit(_))));
    assert_eq!(bench.server.accept(request.id, 1), Err(AnswerError::NotWaiting(request.id)));
    assert_eq!(bench.sent(), []);
}

#[test]
fn impossible_configurations_are_refused() {
    let new = |change: fn(&mut Config)| {
        let mut config = Config::new(AC, 1, 1500, "ac");
        change(&mut config);
        Server::new(config, CookieKey::new(&[0; 32]), Instant::now()).map(drop)
    };
    let too_long = |what| Err(ConfigError::TooLong { what, len: 257 });
    assert_eq!(new(|config| config.ac_name = vec![b'a'; 257]), too_long("AC-Name"));
    assert_eq!(new(|config| config.services = vec![vec![b'a'; 257]]), too_long("service name"));
    assert_eq!(new(|config| config.hurl = Some(vec![b'a'; 257])), too_long("HURL"));
    assert_eq!(new(|config| config.motm = Some(vec![b'a'; 257])), too_long("MOTM"));
    assert_eq!(new(|config| config.ac_name = Vec::new()), Err(ConfigError::NoAcName));
    assert_eq!(new(|config| config.cookie_slot = Duration::ZERO), Err(ConfigError::NoCookieLifetime));
    assert_eq!(new(|config| config.ac_name = vec![b'a'; 256]), Ok(()));
}
