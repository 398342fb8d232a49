use std::time::{Duration, Instant};

use ppp_proto::discovery::client::{Client, Config, Event, Failure, Session};
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use crate::support::{AC, Frame, HOST, OTHER, frame};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");
const NAME: (TagType, &[u8]) = (TagType::AcName, b"ac");
const COOKIE: (TagType, &[u8]) = (TagType::AcCookie, b"cookie");

struct Bench {
    client: Client,
    now: Instant,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(HOST);
        change(&mut config);
        let now = Instant::now();
        Self { client: Client::new(config, now).unwrap(), now }
    }

    fn sent(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.client.poll_transmit()).map(|bytes| Frame::parse(&bytes)).collect()
    }

    fn feed(
        &mut self,
        source: MacAddr,
        code: Code,
        session_id: u16,
        tags: &[(TagType, &[u8])],
    ) -> Vec<Frame> {
        self.client.handle_frame(&frame(source, HOST, code, session_id, tags), self.now);
        self.sent()
    }

    fn offered(change: impl FnOnce(&mut Config)) -> Self {
        let mut bench = Self::new(change);
        bench.sent();
        assert_eq!(bench.feed(AC, Code::Pado, 0, &[NAME, ANY, COOKIE]).len(), 1);
        bench
    }

    /// Lets the time pass to the next deadline; returns the seconds that passed.
    fn wait(&mut self) -> f32 {
        let deadline = self.client.poll_timeout().unwrap();
        self.client.handle_timeout(deadline - Duration::from_nanos(1));
        assert_eq!(self.client.poll_timeout(), Some(deadline), "too early");
        let passed = deadline - self.now;
        self.now = deadline;
        self.client.handle_timeout(deadline);
        passed.as_secs_f32()
    }
}

#[test]
fn asks_for_what_is_configured() {
    let mut bench = Bench::new(|config| {
        config.service_name = b"gold".to_vec();
        config.host_uniq = Some(b"me".to_vec());
        config.max_payload = Some(1500);
    });
    let tags = [
        (TagType::ServiceName, b"gold".to_vec()),
        (TagType::HostUniq, b"me".to_vec()),
        (TagType::PppMaxPayload, vec![0x05, 0xdc]),
    ];
    let padi = Frame {
        destination: MacAddr::BROADCAST,
        source: HOST,
        code: Code::Padi,
        session_id: 0,
        tags: tags.to_vec(),
    };
    assert_eq!(bench.sent(), std::slice::from_ref(&padi));
    let uniq: (TagType, &[u8]) = (TagType::HostUniq, b"me");
    let relay: (TagType, &[u8]) = (TagType::RelaySessionId, b"r");
    let gold: (TagType, &[u8]) = (TagType::ServiceName, b"gold");
    let mut tags = tags.to_vec();
    tags.extend([(TagType::AcCookie, b"cookie".to_vec()), (TagType::RelaySessionId, b"r".to_vec())]);
    let padr = Frame { destination: AC, code: Code::Padr, tags, ..padi };
    assert_eq!(bench.feed(AC, Code::Pado, 0, &[NAME, gold, relay, uniq, COOKIE]), [padr]);
}

#[test]
fn takes_only_offers_that_fit() {
    let uniq: (TagType, &[u8]) = (TagType::HostUniq, b"me");
    let gold: (TagType, &[u8]) = (TagType::ServiceName, b"gold");
    let mut bench = Bench::new(|config| {
        config.service_name = b"gold".to_vec();
        config.ac_name = Some(b"ac".to_vec());
        config.host_uniq = Some(b"me".to_vec());
    });
    bench.sent();
    for (why, tags) in [
        ("other AC-Name", &[(TagType::AcName, &b"other"[..]), gold, uniq][..]),
        ("no AC-Name", &[gold, uniq]),
        ("other service", &[NAME, ANY, uniq]),
        ("no Host-Uniq", &[NAME, gold]),
        ("other Host-Uniq", &[NAME, gold, (TagType::HostUniq, b"you")]),
        ("error", &[NAME, gold, uniq, (TagType::ServiceNameError, b"")]),
    ] {
        assert_eq!(bench.feed(AC, Code::Pado, 0, tags), [], "{why}");
    }
    assert_eq!(bench.feed(AC, Code::Pads, 1, &[gold, uniq]), [], "a PADS without PADR");
    let padr = bench.feed(OTHER, Code::Pado, 0, &[ANY, gold, NAME, uniq]);
    assert_eq!((padr[0].code, padr[0].destination), (Code::Padr, OTHER));
    assert_eq!(bench.feed(AC, Code::Pado, 0, &[NAME, gold, uniq]), [], "the choice is made");
}

#[test]
fn an_offer_whose_tags_do_not_fit_a_padr_is_none() {
    let mut bench = Bench::new(|config| config.max_payload = Some(1500));
    bench.sent();
    // The PADR has a PPP-Max-Payload of six bytes where the PADO has an AC-Name of five.
    let name: (TagType, &[u8]) = (TagType::AcName, b"a");
    assert_eq!(bench.feed(AC, Code::Pado, 0, &[name, ANY, (TagType::AcCookie, &[0; 1481])]), []);
    assert_eq!(bench.feed(AC, Code::Pado, 0, &[name, ANY, (TagType::AcCookie, &[0; 1480])]).len(), 1);
}

#[test]
fn connects_once() {
    let mut bench = Bench::offered(|_| {});
    let max_payload: (TagType, &[u8]) = (TagType::PppMaxPayload, &[0x05, 0xdc]);
    bench.feed(OTHER, Code::Pads, 7, &[ANY]);
    bench.feed(AC, Code::Pads, 0xffff, &[ANY]);
    bench.feed(AC, Code::Pads, 7, &[ANY, (TagType::HostUniq, b"you")]);
    assert_eq!(bench.client.poll_event(), None);
    bench.feed(AC, Code::Pads, 7, &[(TagType::ServiceName, b"gold"), max_payload]);
    let session =
        Session { ac_mac: AC, session_id: 7, service_name: Some(b"gold".to_vec()), max_payload: Some(1500) };
    assert_eq!(bench.client.poll_event(), Some(Event::Connected(session)));
    assert_eq!(bench.client.poll_timeout(), None);
    bench.feed(AC, Code::Pads, 8, &[ANY]);
    assert_eq!(bench.client.poll_event(), None);

    bench.client.terminate("bye");
    let padt = Frame {
        destination: AC,
        source: HOST,
        code: Code::Padt,
        session_id: 7,
        tags: vec![(TagType::GenericError, b"bye".to_vec())],
    };
    assert_eq!(bench.sent(), [padt]);
}

#[test]
fn a_max_payload_that_is_no_more_than_the_default_says_nothing() {
    for (value, agreed) in [(1493u16, Some(1493)), (1492, None), (0, None)] {
        let mut bench = Bench::offered(|config| config.max_payload = Some(1500));
        bench.feed(AC, Code::Pads, 7, &[ANY, (TagType::PppMaxPayload, &value.to_be_bytes())]);
        let Some(Event::Connected(session)) = bench.client.poll_event() else { panic!("no session") };
        assert_eq!(session.max_payload, agreed);
    }
}

#[test]
fn repeats_with_doubled_waiting_then_gives_up() {
    let mut bench = Bench::new(|_| {});
    let padi = bench.sent();
    assert_eq!((bench.wait(), bench.sent()), (5.0, padi.clone()));
    assert_eq!((bench.wait(), bench.sent()), (10.0, padi));
    assert_eq!((bench.wait(), bench.sent()), (20.0, vec![]));
    assert_eq!(bench.client.poll_event(), Some(Event::Failed(Failure::NoOffer { attempts: 3 })));
    assert_eq!(bench.client.poll_timeout(), None);

    let mut bench = Bench::new(|config| {
        config.timeout = Duration::from_secs(1);
        config.attempts = 2;
    });
    bench.sent();
    assert_eq!(bench.wait(), 1.0);
    bench.sent();
    let padr = bench.feed(AC, Code::Pado, 0, &[NAME, ANY, COOKIE]);
    assert_eq!(padr[0].code, Code::Padr);
    assert_eq!((bench.wait(), bench.sent()), (1.0, padr), "counted anew");
    assert_eq!((bench.wait(), bench.sent()), (2.0, vec![]));
    let failure = Failure::NoConfirmation { ac_mac: AC, attempts: 2 };
    assert_eq!(bench.client.poll_event(), Some(Event::Failed(failure)));
}

#[test]
fn refusals_are_surfaced() {
    let error: (TagType, &[u8]) = (TagType::AcSystemError, b"no \x1b[2Jslot");
    for (session_id, tags, kind, message) in [
        (0, &[error][..], TagType::AcSystemError, &b"no \x1b[2Jslot"[..]),
        (5, &[ANY, error], TagType::AcSystemError, b"no \x1b[2Jslot"),
        (0, &[(TagType::ServiceNameError, b"")], TagType::ServiceNameError, b""),
        (0, &[ANY], TagType::GenericError, b""),
    ] {
        let mut bench = Bench::offered(|_| {});
        bench.feed(AC, Code::Pads, session_id, tags);
        let failure = Failure::Refused { ac_mac: AC, kind, message: message.to_vec() };
        assert_eq!(bench.client.poll_event(), Some(Event::Failed(failure)));
        assert_eq!(bench.client.poll_timeout(), None);
    }
    let failure = Failure::Refused { ac_mac: AC, kind: error.0, message: error.1.to_vec() };
    assert_eq!(failure.to_string(), r"02:00:00:00:00:ac refused with AcSystemError: no \u{1b}[2Jslot");
}

#[test]
fn padt_ends_the_session_only_from_its_concentrator() {
    let mut bench = Bench::offered(|_| {});
    bench.feed(AC, Code::Padt, 7, &[]);
    bench.feed(AC, Code::Pads, 7, &[ANY]);
    assert!(matches!(bench.client.poll_event(), Some(Event::Connected(_))));
    bench.feed(OTHER, Code::Padt, 7, &[]);
    bench.feed(AC, Code::Padt, 8, &[]);
    assert_eq!(bench.client.poll_event(), None);
    bench.feed(AC, Code::Padt, 7, &[(TagType::GenericError, b"shutdown")]);
    let message = Some(b"shutdown".to_vec());
    assert_eq!(bench.client.poll_event(), Some(Event::Terminated { message }));
    bench.client.terminate("");
    assert_eq!(bench.sent(), [], "there is nothing left to end");
}

#[test]
fn tags_that_do_not_fit_a_padi_are_an_error() {
    let mut config = Config::new(HOST);
    config.host_uniq = Some(vec![0; 1471]);
    assert!(Client::new(config.clone(), Instant::now()).is_err());
    config.host_uniq = Some(vec![0; 1470]);
    assert!(Client::new(config, Instant::now()).is_ok());
}
