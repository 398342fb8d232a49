//! Rates, floods and the delay of PADOs.

use std::time::Duration;

use ppp_proto::discovery::DropCause;
use ppp_proto::discovery::cookie::CookieKey;
use ppp_proto::discovery::server::{
    Admission, Config, ConfigError, Event, Limits, PadoDelay, PadoTiming, Server,
};
use ppp_proto::token_bucket::Rate;
use ppp_wire::MacAddr;
use ppp_wire::pppoe::{Code, TagType};

use crate::support::{AC, Bench, HOST, OTHER, frame, padi, padr};

const ANY: (TagType, &[u8]) = (TagType::ServiceName, b"");

fn rate(per_second: u32) -> Option<Rate> {
    Some(Rate::per_second(per_second.try_into().unwrap()))
}

/// A different station for every number.
fn station(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr([2, 0x77, a, b, c, d])
}

fn padi_of(mac: MacAddr) -> Vec<u8> {
    frame(mac, MacAddr::BROADCAST, Code::Padi, 0, &[ANY])
}

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

impl Bench {
    fn offers(&mut self, mac: MacAddr) -> bool {
        !self.feed(&padi_of(mac)).is_empty()
    }

    fn dropped(&self, cause: DropCause) -> u64 {
        self.server.drops().get(cause)
    }

    /// A PADR of `mac` that a server would grant.
    fn good_padr(&mut self, mac: MacAddr) -> Vec<u8> {
        let offer = self.feed(&padi_of(mac)).remove(0);
        let cookie = offer.tag(TagType::AcCookie).unwrap();
        frame(mac, AC, Code::Padr, 0, &[ANY, (TagType::AcCookie, cookie)])
    }
}

#[test]
fn the_defaults_are_those_that_the_documents_name() {
    let expected = Limits { padi: rate(2000), padr: rate(500), padt: rate(100), per_mac: rate(10) };
    assert_eq!(Config::new(AC, 1, 1500, "ac").limits, expected);
}

#[test]
fn one_peer_gets_ten_offers_a_second_and_others_do_not_notice() {
    let mut bench = Bench::new(|_| {});
    for _ in 0..10 {
        assert!(bench.offers(HOST));
    }
    bench.assert_dropped(&padi(&[ANY]), DropCause::MacRate);
    assert!(bench.offers(OTHER));
    bench.now += millis(100);
    assert!(bench.offers(HOST));
    bench.assert_dropped(&padi(&[ANY]), DropCause::MacRate);
}

#[test]
fn a_noisy_peer_does_not_use_up_what_is_for_all() {
    let mut bench = Bench::new(|config| config.limits.padi = rate(40));
    for _ in 0..100_000 {
        bench.offers(HOST);
    }
    assert_eq!(bench.dropped(DropCause::MacRate), 99_990);
    // A quarter of 40 is for those who were turned away before.
    for number in 0..20 {
        assert!(bench.offers(station(number)), "{number}");
    }
    bench.assert_dropped(&padi_of(station(20)), DropCause::PadiRate);
}

#[test]
fn the_interface_has_a_rate_and_a_reserve_for_those_who_come_again() {
    let mut bench = Bench::new(|config| config.limits.padi = rate(100));
    for number in 0..75 {
        assert!(bench.offers(station(number)), "{number}");
    }
    for number in 75..90 {
        bench.assert_dropped(&padi_of(station(number)), DropCause::PadiRate);
    }
    for number in 75..90 {
        assert!(bench.offers(station(number)), "{number} was turned away before");
    }
    for number in 90..110 {
        bench.assert_dropped(&padi_of(station(number)), DropCause::PadiRate);
    }
    for number in 90..100 {
        assert!(bench.offers(station(number)));
    }
    bench.assert_dropped(&padi_of(station(100)), DropCause::PadiRate);
    bench.now += millis(10);
    bench.assert_dropped(&padi_of(station(200)), DropCause::PadiRate);
    assert!(bench.offers(station(100)), "one more has come in, and is for those who come again");
    bench.sleep(1);
    assert!((300..375).all(|number| bench.offers(station(number))), "and after a second it is full again");
}

/// What a real client sees during the storm: at worst its first PADI is lost, and the next one is answered.
#[test]
fn a_client_that_tries_again_gets_through_a_flood_of_forged_addresses() {
    for per_second in [20_000_u32, 60_000] {
        let mut bench = Bench::new(|_| {});
        let mut flood = 0;
        let mut storm = |bench: &mut Bench, ticks: u64| {
            for _ in 0..ticks {
                for _ in 0..per_second / 1000 {
                    flood += 1;
                    bench.offers(station(flood));
                }
                bench.now += millis(1);
            }
        };
        storm(&mut bench, 2000);
        let clients: Vec<MacAddr> = (0..50).map(|number| MacAddr([2, 0x88, 0, 0, 0, number])).collect();
        let first = clients.iter().filter(|mac| bench.offers(**mac)).count();
        storm(&mut bench, 3000);
        let second = clients.iter().filter(|mac| bench.offers(**mac)).count();
        storm(&mut bench, 1);
        assert!(first < 25, "the flood was none: {first} of 50 were answered at once");
        assert_eq!(second, 50, "at {per_second} per second");
        let most = 2000 * 6 + 2000;
        let answered = u64::from(flood) + 100 - bench.dropped(DropCause::PadiRate);
        assert!(answered <= most, "{answered} offers in 5 s");
        assert_eq!(bench.dropped(DropCause::MacRate), 0, "a flood emptied the bucket of a single address");
    }
}

#[test]
fn forged_padrs_cost_honest_ones_nothing() {
    let mut bench = Bench::new(|config| config.limits.padr = rate(1));
    let good = bench.good_padr(HOST);
    for number in 0..5000 {
        let padr = frame(station(number), AC, Code::Padr, 0, &[ANY, (TagType::AcCookie, &[7; 20])]);
        bench.server.handle_frame(&padr, &bench.table, bench.now);
    }
    // Neither do those in the name of an honest peer, nor those with a cookie that has expired.
    let wrong = padr(&[ANY, (TagType::AcCookie, &[7; 20])]);
    for _ in 0..100 {
        bench.assert_dropped(&wrong, DropCause::CookieWrong);
    }
    bench.feed(&good);
    assert_eq!(bench.events().len(), 1);
    assert_eq!(bench.dropped(DropCause::CookieWrong), 5100);
    assert_eq!(bench.dropped(DropCause::PadrRate), 0);
}

#[test]
fn expired_cookies_and_dials_under_way_spend_nothing() {
    let mut bench = Bench::new(|config| config.limits.padr = rate(1));
    let old = bench.good_padr(OTHER);
    bench.sleep(10);
    for _ in 0..100 {
        bench.assert_dropped(&old, DropCause::CookieExpired);
    }
    let good = bench.good_padr(HOST);
    bench.feed(&good);
    assert_eq!(bench.events().len(), 1);
    bench.sleep(1);
    for _ in 0..100 {
        bench.assert_dropped(&good, DropCause::StillStarting);
    }
    let other = bench.good_padr(OTHER);
    bench.feed(&other);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn good_padrs_have_a_rate_on_the_interface() {
    let mut bench = Bench::new(|config| config.limits.padr = rate(5));
    let padrs: Vec<Vec<u8>> = (0..7).map(|number| bench.good_padr(station(number))).collect();
    for padr in &padrs[..5] {
        bench.feed(padr);
    }
    assert_eq!(bench.events().len(), 5);
    bench.assert_dropped(&padrs[5], DropCause::PadrRate);
    bench.now += millis(200);
    bench.feed(&padrs[5]);
    assert_eq!(bench.events().len(), 1);
    bench.assert_dropped(&padrs[6], DropCause::PadrRate);
}

#[test]
fn repeated_padrs_of_one_peer_have_a_rate() {
    let mut bench = Bench::new(|_| {});
    let good = bench.good_padr(HOST);
    bench.feed(&good);
    let Some(ppp_proto::discovery::server::Event::SessionRequest(request)) = bench.events().pop() else {
        panic!("no request")
    };
    bench.server.accept(request.id, 7).unwrap();
    assert_eq!(bench.sent().len(), 1);
    for _ in 0..9 {
        assert_eq!(bench.feed(&good).len(), 1);
    }
    bench.assert_dropped(&good, DropCause::MacRate);
    assert!(
        bench.offers(HOST),
        "PADI are counted apart: whoever takes our name can only keep us from asking"
    );
}

#[test]
fn no_limits_are_none() {
    let mut bench =
        Bench::new(|config| config.limits = Limits { padi: None, padr: None, padt: None, per_mac: None });
    for _ in 0..5000 {
        assert!(bench.offers(HOST));
    }
    assert_eq!(bench.server.drops().total(), 0);
}

#[test]
fn peers_that_are_not_served_spend_nothing_and_are_counted() {
    for (admission, cause) in [
        (Admission::Forbidden, DropCause::MacNotAllowed),
        (Admission::Busy, DropCause::TooManyStarting),
        (Admission::Silence, DropCause::NotAdmitted),
    ] {
        let mut bench = Bench::new(|config| config.limits.padi = rate(2));
        let padr = bench.good_padr(HOST);
        bench.table.admission.set(admission);
        for _ in 0..10 {
            bench.assert_dropped(&padi(&[ANY]), cause);
        }
        bench.assert_dropped(&padr, cause);
        bench.table.admission.set(Admission::Welcome);
        assert!(bench.offers(OTHER));
    }
}

#[test]
fn whoever_has_an_offer_gets_its_session_when_there_are_no_more_offers() {
    let mut bench = Bench::new(|config| config.limits.padi = rate(2));
    let padr = bench.good_padr(HOST);
    bench.table.is_congested.set(true);
    for _ in 0..10 {
        bench.assert_dropped(&padi(&[ANY]), DropCause::Congested);
    }
    bench.feed(&padr);
    assert_eq!(bench.events().len(), 1);
    bench.table.is_congested.set(false);
    assert!(bench.offers(OTHER), "what got no offer has spent nothing");
}

#[test]
fn a_dial_that_was_given_up_is_forgotten() {
    let mut bench = Bench::new(|_| {});
    let padr = bench.good_padr(HOST);
    bench.feed(&padr);
    let events = bench.events();
    let [Event::SessionRequest(request)] = events.as_slice() else { panic!("{events:?}") };
    bench.feed(&padr);
    assert_eq!(bench.events(), [Event::StillWanted(request.id)]);
    bench.server.ignore(request.id, DropCause::GaveUp);
    bench.server.ignore(request.id, DropCause::GaveUp);
    assert_eq!((bench.sent().len(), bench.dropped(DropCause::GaveUp)), (0, 1));
    bench.server.accept(request.id, 7).unwrap_err();
    // A client that was only slow begins anew.
    bench.feed(&padr);
    let events = bench.events();
    let [Event::SessionRequest(again)] = events.as_slice() else { panic!("{events:?}") };
    assert_ne!(again.id, request.id);
}

#[test]
fn offers_wait_by_load() {
    let after = |count| PadoTiming::After(millis(count));
    let mut bench = Bench::new(|config| {
        config.pado_delay =
            PadoDelay::new(after(0), &[(50, after(100)), (60, after(30)), (500, PadoTiming::Never)]).unwrap();
    });
    bench.table.count = 49;
    assert!(bench.offers(HOST));
    assert_eq!(bench.server.poll_timeout(), None);

    let start = bench.now;
    bench.table.count = 50;
    assert!(!bench.offers(HOST));
    bench.table.count = 60;
    assert!(!bench.offers(OTHER));
    assert_eq!(bench.server.poll_timeout(), Some(start + millis(30)), "the nearest first");
    bench.server.handle_timeout(start + millis(29));
    assert_eq!(bench.sent(), []);
    bench.server.handle_timeout(start + millis(30));
    assert_eq!(bench.sent().iter().map(|pado| pado.destination).collect::<Vec<_>>(), [OTHER]);
    assert_eq!(bench.server.poll_timeout(), Some(start + millis(100)));
    bench.server.handle_timeout(start + millis(100));
    let [pado] = bench.sent().try_into().unwrap();
    assert_eq!((pado.destination, pado.code), (HOST, Code::Pado));
    assert_eq!(bench.server.poll_timeout(), None);

    // Its cookie is good.
    bench.now += millis(100);
    let cookie = pado.tag(TagType::AcCookie).unwrap().to_vec();
    bench.feed(&padr(&[ANY, (TagType::AcCookie, &cookie)]));
    assert_eq!(bench.events().len(), 1);

    bench.table.count = 500;
    bench.assert_dropped(&padi(&[ANY]), DropCause::Overload);
}

#[test]
fn waiting_offers_are_bounded() {
    let mut bench = Bench::new(|config| {
        config.limits = Limits { padi: None, padr: None, padt: None, per_mac: None };
        config.pado_delay = PadoDelay::new(PadoTiming::After(millis(1)), &[]).unwrap();
    });
    for number in 0..4096 {
        bench.offers(station(number));
    }
    bench.assert_dropped(&padi(&[ANY]), DropCause::PadoQueueFull);
    bench.server.handle_timeout(bench.now + millis(1));
    assert_eq!(bench.sent().len(), 4096);
    bench.offers(HOST);
    assert_eq!(bench.dropped(DropCause::PadoQueueFull), 1);
}

#[test]
fn waiting_offers_of_an_interface_that_is_no_more_are_forgotten() {
    let mut bench = Bench::new(|config| {
        config.pado_delay = PadoDelay::new(PadoTiming::After(millis(1)), &[]).unwrap();
    });
    bench.offers(HOST);
    bench.server.set_interface(OTHER, 7, 1500);
    assert_eq!(bench.server.poll_timeout(), None);
    bench.server.handle_timeout(bench.now + millis(1));
    assert_eq!(bench.sent(), []);
}

#[test]
fn an_offer_must_not_outlive_its_cookie() {
    let with_delay = |count| {
        let bench = Bench::new(|_| {});
        let mut config = Config::new(AC, 1, 1500, "ac");
        config.pado_delay = PadoDelay::new(PadoTiming::After(millis(count)), &[]).unwrap();
        Server::new(config, CookieKey::new(&[1; 32]), bench.now).err()
    };
    assert_eq!(with_delay(2500), None);
    let (delay, longest) = (millis(2501), millis(2500));
    assert_eq!(with_delay(2501), Some(ConfigError::PadoTooLate { delay, longest }));
}

/// Who forges a peer's address and guesses the id of its session.
#[test]
fn a_flood_of_guessed_padts_is_not_heard() {
    let padt = |mac, id: u16| frame(mac, AC, Code::Padt, id, &[]);
    let mut bench = Bench::new(|_| {});
    bench.table.owners.extend([(700, HOST), (701, OTHER)]);
    for id in 1..1000 {
        bench.feed(&padt(HOST, id));
    }
    assert_eq!(bench.events(), [], "the guesses were used up before the right one");
    assert_eq!((bench.dropped(DropCause::NoSuchSession), bench.dropped(DropCause::MacRate)), (10, 989));
    // Nobody else is held back by that, and the peer itself not for long.
    bench.feed(&padt(OTHER, 701));
    bench.now += millis(100);
    bench.feed(&padt(HOST, 700));
    assert_eq!(bench.events().len(), 2);
}
