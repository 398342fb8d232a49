//! In virtual time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const HEADROOM: usize = 22;

fn limited(kbit_per_second: u32, burst: u32, now: Instant) -> Shaper {
    let mut shaper = Shaper::default();
    shaper.set_limit(Some(RateLimit { kbit_per_second, burst }), HEADROOM, now).unwrap();
    shaper
}

/// Packets that can go now: their first bytes.
fn popped(shaper: &mut Shaper, now: Instant) -> (Vec<u8>, u64) {
    let (mut packets, mut dropped) = (Vec::new(), 0);
    loop {
        let (packet, also) = shaper.pop(now);
        dropped += also;
        let Some((family, place)) = packet else { return (packets, dropped) };
        assert_eq!(family, Family::Ipv4);
        let first = shaper.storage()[place.start];
        assert!(shaper.storage()[place.clone()].iter().all(|byte| *byte == first), "nobody wrote over it");
        shaper.storage()[place.start - HEADROOM..place.start].fill(0xee);
        packets.push(first);
    }
}

#[test]
fn without_a_limit_everything_passes() {
    let now = Instant::now();
    let mut shaper = Shaper::default();
    for _ in 0..1000 {
        assert_eq!(shaper.offer(Family::Ipv4, &[1; 1500], now), Offer::Pass);
    }
    assert_eq!((shaper.poll_timeout(), shaper.is_busy()), (None, false));
    assert_eq!(popped(&mut shaper, now), (vec![], 0));
}

#[test]
fn a_burst_passes_and_the_rest_waits_its_turn() {
    let now = Instant::now();
    // 1500 bytes take 1.5 ms; the burst is 6 ms.
    let mut shaper = limited(8000, 6000, now);
    for _ in 0..4 {
        assert_eq!(shaper.offer(Family::Ipv4, &[1; 1500], now), Offer::Pass);
    }
    for number in 2..5 {
        assert_eq!(shaper.offer(Family::Ipv4, &[number; 1500], now), Offer::Queued);
    }
    let at = |micros| now + Duration::from_micros(micros);
    assert_eq!(shaper.poll_timeout(), Some(at(1500)));
    assert_eq!(popped(&mut shaper, at(1499)).0, []);
    assert_eq!(popped(&mut shaper, at(1500)).0, [2]);
    assert_eq!(shaper.offer(Family::Ipv4, &[5; 10], at(2999)), Offer::Queued, "it must not overtake");
    assert_eq!(popped(&mut shaper, at(4600)).0, [3, 4, 5]);
    assert_eq!(shaper.poll_timeout(), None);
    assert!(shaper.is_busy());
    shaper.rest();
    assert!(!shaper.is_busy());
}

#[test]
fn a_limit_changes_while_packets_wait() {
    let now = Instant::now();
    let mut shaper = limited(8, 0, now);
    while shaper.offer(Family::Ipv4, &[1; 1000], now) == Offer::Pass {}
    assert_eq!(shaper.offer(Family::Ipv4, &[2; 1000], now), Offer::Queued);
    assert!(shaper.poll_timeout().unwrap() > now + Duration::from_millis(900), "a second for a packet");
    shaper.rest();
    assert!(shaper.is_busy(), "what waits is not given back");

    let faster = RateLimit { kbit_per_second: 8_000_000, burst: 0 };
    shaper.set_limit(Some(faster), HEADROOM, now).unwrap();
    assert_eq!(popped(&mut shaper, now).0, [1, 2]);
    shaper = limited(8, 0, now);
    while shaper.offer(Family::Ipv4, &[1; 1000], now) == Offer::Pass {}
    shaper.set_limit(None, HEADROOM, now).unwrap();
    assert_eq!(shaper.offer(Family::Ipv4, &[2; 1000], now), Offer::Queued, "it must not overtake");
    assert!(shaper.poll_timeout().unwrap() <= now);
    assert_eq!(popped(&mut shaper, now).0, [1, 2]);
    assert_eq!(shaper.offer(Family::Ipv4, &[3; 1000], now), Offer::Pass);
    assert!(shaper.0.is_none(), "nothing is left of it");
}

#[test]
fn the_queue_is_short() {
    let now = Instant::now();
    // A fifth of a second of 10 Mbit/s is 250 kB.
    for (kbit, most) in [(10_000, 250_000), (1, 32 << 10), (u32::MAX, 1 << 20)] {
        let mut shaper = limited(kbit, 3000, now);
        let mut queued = 0;
        for _ in 0..4_000_000 {
            match shaper.offer(Family::Ipv4, &[1; 1000], now) {
                Offer::Pass => {}
                Offer::Queued => queued += 1000,
                Offer::Dropped => break,
            }
        }
        assert!(queued <= most && queued + 60_000 > most, "{kbit} kbit/s: {queued}");
    }
}

/// A sender that does not slow down: CoDel drops more and more. One that does is left alone.
#[test]
fn what_stands_in_the_queue_is_thinned_out() {
    let start = Instant::now();
    let mut shaper = limited(8000, 0, start);
    let (mut sent, mut dropped) = (0, 0);
    let mut first_drop = None;
    for millis in 0..10_000 {
        let now = start + Duration::from_millis(millis);
        // 1000 bytes take a millisecond, and 1050 come.
        for _ in 0..if millis % 20 == 0 { 2 } else { 1 } {
            match shaper.offer(Family::Ipv4, &[1; 1000], now) {
                Offer::Pass => sent += 1,
                Offer::Queued => {}
                Offer::Dropped => panic!("after {millis} ms"),
            }
        }
        let (packets, also) = popped(&mut shaper, now);
        sent += packets.len();
        dropped += also;
        if also > 0 {
            first_drop.get_or_insert(millis);
        }
    }
    let first_drop = first_drop.unwrap();
    // The burst of 20 ms is used up after 400 ms, and 5 ms wait after 500.
    assert!((550..800).contains(&first_drop), "{first_drop} ms");
    assert!((9_900..=10_021).contains(&sent), "{sent}");
    assert!((400..=480).contains(&dropped), "{dropped}");

    let mut shaper = limited(8000, 0, start);
    for millis in 0..10_000 {
        let now = start + Duration::from_millis(millis);
        // A burst that drains within 20 ms, every 40 ms.
        for _ in 0..if millis % 40 == 0 { 38 } else { 0 } {
            assert_ne!(shaper.offer(Family::Ipv4, &[1; 1000], now), Offer::Dropped);
        }
        assert_eq!(popped(&mut shaper, now).1, 0, "after {millis} ms");
    }
}

proptest! {
    /// Whatever comes and however limits change: order and content are kept, and nothing is lost but what is counted.
    #[test]
    fn packets_come_out_as_they_went_in(
        steps in prop::collection::vec((0_u64..40, 1_usize..1500, 0_u32..40, 0_u8..30), 1..600),
    ) {
        let mut now = Instant::now();
        let mut shaper = limited(4000, 0, now);
        let mut expected = VecDeque::new();
        let (mut number, mut dropped) = (0_u8, 0);
        let mut out = Vec::new();
        for (millis, len, kbit, change) in steps {
            now += Duration::from_millis(millis / 10);
            number = number.wrapping_add(1);
            match shaper.offer(Family::Ipv4, &vec![number; len], now) {
                Offer::Queued => expected.push_back(number),
                Offer::Pass => prop_assert!(out.len() + usize::try_from(dropped).unwrap() == expected.len()),
                Offer::Dropped => {}
            }
            if change == 0 {
                let limit = (kbit > 0).then_some(RateLimit { kbit_per_second: kbit * 100, burst: 0 });
                shaper.set_limit(limit, HEADROOM, now).unwrap();
            }
            if millis % 3 == 0 {
                let (packets, also) = popped(&mut shaper, now);
                out.extend(packets);
                dropped += also;
            }
        }
        shaper.set_limit(None, HEADROOM, now).unwrap();
        let (packets, also) = popped(&mut shaper, now);
        out.extend(packets);
        prop_assert_eq!(out.len() + usize::try_from(dropped + also).unwrap(), expected.len());
        // Without what was dropped, in order.
        for packet in out {
            while let Some(next) = expected.pop_front() && next != packet {}
        }
        let _ = expected;
    }
}

/// A UDP packet of a flow, with a number in its last two bytes.
fn of_flow(port: u16, number: u16, len: u16) -> Vec<u8> {
    let len = len.max(30);
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7];
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.resize(usize::from(len) - 2, 0);
    packet.extend(number.to_be_bytes());
    packet
}

/// The port and number of each packet that can go.
fn flows_popped(shaper: &mut Shaper, now: Instant) -> Vec<(u16, u16)> {
    let mut out = Vec::new();
    while let (Some((_, place)), _) = shaper.pop(now) {
        let packet = &shaper.storage()[place];
        let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        out.push((word(20), word(packet.len() - 2)));
    }
    out
}

#[test]
fn the_first_packet_of_a_flow_goes_before_a_standing_queue() {
    let start = Instant::now();
    // 1000 bytes take a millisecond.
    let mut shaper = limited(8000, 3000, start);
    for number in 0..60 {
        assert_ne!(shaper.offer(Family::Ipv4, &of_flow(1, number, 1000), start), Offer::Dropped);
    }
    let now = start + Duration::from_micros(500);
    assert_eq!(shaper.offer(Family::Ipv4, &of_flow(2, 0, 84), now), Offer::Queued);
    assert_eq!(shaper.offer(Family::Ipv4, &of_flow(2, 1, 84), now), Offer::Queued, "not the first any more");
    let soon = start + Duration::from_millis(2);
    assert_eq!(flows_popped(&mut shaper, soon), [(1, 3), (2, 0)], "each the first of its flow");
    // Its second packet waits behind the other flow's, whose next one is not its first either.
    assert_eq!(shaper.offer(Family::Ipv4, &of_flow(1, 60, 1000), soon), Offer::Queued);
    shaper.set_limit(None, HEADROOM, soon).unwrap();
    let rest = flows_popped(&mut shaper, soon);
    let expected: Vec<_> = (4..60).map(|number| (1, number)).chain([(2, 1), (1, 60)]).collect();
    assert_eq!(rest, expected);
}

#[test]
fn many_short_flows_leave_half_of_the_rate_to_others() {
    let start = Instant::now();
    let mut shaper = limited(8000, 3000, start);
    for number in 0..100 {
        assert_ne!(shaper.offer(Family::Ipv4, &of_flow(1, number, 1000), start), Offer::Dropped);
    }
    let (mut short, mut long) = (0, 0);
    // A packet takes a millisecond, and in each a new flow begins.
    for millis in 1..=100 {
        let now = start + Duration::from_millis(millis);
        let port = 100 + u16::try_from(millis).unwrap();
        assert_ne!(shaper.offer(Family::Ipv4, &of_flow(port, 0, 1000), now), Offer::Dropped);
        for (port, _) in flows_popped(&mut shaper, now) {
            if port == 1 {
                long += 1;
            } else {
                short += 1;
            }
        }
    }
    assert_eq!(short + long, 100);
    // The share has a burst of its own, of 20 ms.
    assert!((40..=60).contains(&long), "{long} and {short}");
}

proptest! {
    /// Whatever the flows, packets of one come out in their order, and none twice.
    #[test]
    fn within_a_flow_nothing_overtakes(
        steps in prop::collection::vec((0_u64..20, 0_u16..8, 30_u16..1500), 1..600),
    ) {
        let mut now = Instant::now();
        let mut shaper = limited(4000, 0, now);
        let mut last = BTreeMap::<u16, u16>::new();
        let mut check = |out: Vec<(u16, u16)>| {
            for (port, number) in out {
                let before = last.insert(port, number);
                assert!(before.is_none_or(|before| before < number), "{port}: {number} after {before:?}");
            }
        };
        for (number, (millis, port, len)) in (1_u16..).zip(steps) {
            now += Duration::from_millis(millis / 10);
            if shaper.offer(Family::Ipv4, &of_flow(port, number, len), now) == Offer::Pass {
                check(vec![(port, number)]);
            }
            if millis % 3 == 0 {
                check(flows_popped(&mut shaper, now));
            }
        }
        shaper.set_limit(None, HEADROOM, now).unwrap();
        check(flows_popped(&mut shaper, now));
        prop_assert!(shaper.0.is_none());
    }
}
