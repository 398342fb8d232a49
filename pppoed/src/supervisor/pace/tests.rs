use super::*;

const MILLI: Duration = Duration::from_millis(1);
const LIMITS: Limits = Limits { at_once: 2, wait: Some(Duration::from_secs(3)) };

fn ms(count: u32) -> Duration {
    MILLI * count
}

/// Begins as many set-ups as there is room for, from a number on; returns how many.
fn begin_all(pace: &mut Pace<u32>, from: u32, now: Instant) -> u32 {
    (from..)
        .take_while(|number| {
            let has_room = pace.has_room(now);
            if has_room {
                pace.begin(Work::Start, *number, now);
            }
            has_room
        })
        .count()
        .try_into()
        .unwrap()
}

#[test]
fn so_many_are_set_up_at_once() {
    let start = Instant::now();
    let mut pace = Pace::new(LIMITS, start);
    assert_eq!(begin_all(&mut pace, 1, start), 2);
    pace.end(Work::Start, 1, start + MILLI);
    pace.end(Work::Start, 1, start + MILLI);
    assert_eq!(begin_all(&mut pace, 3, start + MILLI), 1);
    // More at once, and other work, are no matter.
    pace.set_limits(Limits { at_once: 3, ..LIMITS });
    pace.begin(Work::Configure, 5, start + MILLI);
    assert_eq!(begin_all(&mut pace, 4, start + MILLI), 1);
    // A session that is over takes no room.
    pace.forget(2, start + MILLI);
    assert_eq!(pace.stage(Work::Start).running, [3, 4].into());
    assert!(pace.has_room(start + MILLI));
}

#[test]
fn offers_end_when_the_wait_is_too_long_and_begin_again() {
    let start = Instant::now();
    let mut pace = Pace::new(LIMITS, start);
    assert!(!pace.is_congested(0, start));
    // Two at once, of which one ends each 100 ms.
    let mut now = start;
    let mut next = begin_all(&mut pace, 0, now);
    for number in 0..20 {
        now += ms(100);
        pace.end(Work::Start, number, now);
        next += begin_all(&mut pace, next, now);
    }
    assert_eq!((next, pace.wait(18, now)), (22, ms(2000)));
    assert!(!pace.is_congested(28, now), "{:?}", pace.wait(28, now));
    assert!(pace.is_congested(29, now));
    pace.set_limits(Limits { wait: None, ..LIMITS });
    assert!(!pace.is_congested(29, now));
}

#[test]
fn a_slow_machine_starts_as_many_as_get_done_in_time() {
    let start = Instant::now();
    let mut pace = Pace::new(Limits { at_once: 64, ..LIMITS }, start);
    // One is done each second, and it is all that is being done.
    for number in 0..100 {
        let now = start + ms(1000 * number);
        pace.begin(Work::Start, 1000, now);
        pace.end(Work::Start, 1000, now + ms(1000));
    }
    let mut now = start + ms(100_000);
    // That was with one at a time, so more are tried.
    let mut next = begin_all(&mut pace, 0, now);
    assert!(next > 3, "{next}");
    // But still one is done each second.
    for _ in 0..100 {
        now += ms(1000);
        let first = *pace.stage(Work::Start).running.first().unwrap();
        pace.end(Work::Start, first, now);
        next += begin_all(&mut pace, next, now);
    }
    let running = pace.stage(Work::Start).running.len();
    assert!((1..=3).contains(&running), "{running}");
}

#[test]
fn a_stage_in_which_nothing_gets_done_is_slow_whatever_it_was() {
    let start = Instant::now();
    let mut pace = Pace::<u32>::new(LIMITS, start);
    pace.begin(Work::Configure, 0, start);
    pace.end(Work::Configure, 0, start + MILLI);
    pace.begin(Work::Configure, 1, start + MILLI);
    pace.begin(Work::Configure, 2, start + MILLI);
    assert_eq!(pace.wait(0, start + ms(100)), ms(2));
    assert_eq!(pace.wait(0, start + ms(1501)), ms(3000));
    assert!(pace.is_congested(0, start + ms(1502)));
    // It was slow. But when there is nothing to do, it is tried.
    pace.end(Work::Configure, 1, start + ms(60_000));
    pace.end(Work::Configure, 2, start + ms(60_000));
    assert_eq!(pace.wait(0, start + ms(60_000)), Duration::ZERO);
}

#[test]
fn offers_count_as_dials_for_a_while_and_as_far_as_they_are_taken() {
    let start = Instant::now();
    let mut promises = Promises::new(start);
    promises.made(100, start);
    assert_eq!(promises.outstanding(start), 100);
    (0..30).for_each(|_| promises.kept(start + MILLI));
    assert_eq!(promises.outstanding(start + ms(999)), 70);
    // A second is over: 3 of 10 were taken, which is remembered.
    assert_eq!(promises.outstanding(start + ms(1000)), 0);
    promises.made(100, start + ms(1000));
    assert_eq!(promises.outstanding(start + ms(1000)), 65);
    assert_eq!(promises.outstanding(start + ms(3_600_000)), 0);
}

#[test]
fn a_flood_that_takes_no_offer_does_not_count_for_long() {
    let start = Instant::now();
    let mut pace = Pace::<u32>::new(LIMITS, start);
    // A machine that can set up 100 a second, and does so with a few.
    for number in 0..20 {
        let now = start + ms(10 * number);
        pace.begin(Work::Start, number, now);
        pace.end(Work::Start, number, now + ms(10));
    }
    let mut congested = 0;
    for number in 0..10_000 {
        let now = start + ms(1000) + MILLI * number;
        match pace.is_congested(0, now) {
            true => congested += 1,
            false => pace.offered(2, now),
        }
    }
    assert!(congested < 2000, "{congested} ms of 10 s");
}

/// A machine that works on all that it has in turn, and clients that give up.
mod overload {
    use std::collections::{BTreeMap, VecDeque};

    use super::*;

    /// Processor time of a set-up, in ms: until the PADS, and from there until the session is open.
    const START: u32 = 20;
    const REST: u32 = 10;
    /// Sessions that could be set up in a second.
    const CAPACITY: f64 = 1000.0 / (START + REST) as f64;
    /// A client asks again after 5 s, as most do.
    const AGAIN: u32 = 5000;
    /// It is forgotten so long after its last PADR, in ms.
    const PATIENCE: u32 = 10_000;
    /// How often.
    const TRIES: u32 = 2;
    /// A client gives up when its session is not open so long after the PADS.
    const NEGOTIATION: u32 = 10_000;
    const SECONDS: u32 = 120;

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Phase {
        /// For a PADO.
        Wants {
            tries: u32,
        },
        /// For a PADS; its PADR was sent so often.
        Waits {
            tries: u32,
        },
        /// For an open session.
        Negotiates {
            until: u32,
        },
        Open,
        GaveUp,
    }

    /// Offers `load` times the capacity, and returns how many sessions a second came of it in the second half.
    fn goodput(limits: Limits, patience: u32, load: f64) -> f64 {
        let start = Instant::now();
        let mut pace = Pace::new(limits, start);
        // Who waits for a turn, and when it was last heard.
        let mut queue: VecDeque<(usize, u32)> = VecDeque::new();
        let mut clients: Vec<Phase> = Vec::new();
        // What the processor works on: the client, how much is left, and whether that is the start.
        let mut work: VecDeque<(usize, u32, bool)> = VecDeque::new();
        // When which client does something.
        let mut timers: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        let (mut arrived, mut open) = (0.0, 0);
        for at in 0..SECONDS * 1000 {
            let now = start + MILLI * at;
            arrived += load * CAPACITY / 1000.0;
            while (clients.len() as f64) < arrived {
                timers.entry(at).or_default().push(clients.len());
                clients.push(Phase::Wants { tries: 0 });
            }
            for client in timers.remove(&at).unwrap_or_default() {
                let (phase, again) = match clients[client] {
                    Phase::Wants { .. } if !pace.is_congested(queue.len(), now) => {
                        pace.offered(1, now);
                        pace.asked(now);
                        queue.push_back((client, at));
                        (Phase::Waits { tries: 0 }, true)
                    }
                    Phase::Wants { tries: TRIES } | Phase::Waits { tries: TRIES } => (Phase::GaveUp, false),
                    Phase::Wants { tries } => (Phase::Wants { tries: tries + 1 }, true),
                    Phase::Waits { tries } => {
                        queue
                            .iter_mut()
                            .filter(|(dial, _)| *dial == client)
                            .for_each(|(_, heard)| *heard = at);
                        (Phase::Waits { tries: tries + 1 }, true)
                    }
                    Phase::Negotiates { until } if until == at => (Phase::GaveUp, false),
                    other => (other, false),
                };
                clients[client] = phase;
                if again {
                    timers.entry(at + AGAIN).or_default().push(client);
                }
            }
            queue.retain(|(_, heard)| at - heard <= patience);
            while pace.has_room(now)
                && let Some((client, _)) = queue.pop_front()
            {
                pace.begin(Work::Start, client, now);
                work.push_back((client, START, true));
            }
            let Some((client, left, is_start)) = work.pop_front() else { continue };
            if left > 1 {
                work.push_back((client, left - 1, is_start));
                continue;
            }
            if is_start {
                pace.end(Work::Start, client, now);
            }
            match (is_start, clients[client]) {
                (true, Phase::Waits { .. }) => {
                    clients[client] = Phase::Negotiates { until: at + NEGOTIATION };
                    timers.entry(at + NEGOTIATION).or_default().push(client);
                    work.push_back((client, REST, false));
                }
                (false, Phase::Negotiates { .. }) => {
                    clients[client] = Phase::Open;
                    open += u32::from(at >= SECONDS * 500);
                }
                _ => {}
            }
        }
        f64::from(open) / (f64::from(SECONDS) / 2.0)
    }

    #[test]
    fn what_is_done_under_overload_is_as_much_as_without() {
        let limits = Limits { at_once: 64, ..LIMITS };
        for load in [0.5, 0.9] {
            assert!(goodput(limits, PATIENCE, load) > 0.97 * load * CAPACITY);
        }
        for load in [1.2, 2.0, 5.0] {
            let goodput = goodput(limits, PATIENCE, load);
            assert!(goodput > 0.9 * CAPACITY, "load {load}: {goodput} of {CAPACITY} a second");
        }
    }

    /// What it is for: the same machine without it.
    #[test]
    fn without_a_queue_overload_is_nothing_but_time_outs() {
        let none = Limits { at_once: 1_000_000, wait: None };
        assert!(goodput(none, u32::MAX, 0.9) > 0.8 * CAPACITY);
        assert!(goodput(none, u32::MAX, 5.0) < 0.2 * CAPACITY);
    }
}
