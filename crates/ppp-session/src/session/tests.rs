use super::*;

const LIMITS: Limits = Limits {
    first_packet: Duration::from_secs(5),
    setup: Duration::from_secs(30),
    farewell: Duration::from_secs(8),
    max_connect: None,
};

fn end(reason: EndReason) -> End {
    End::new(reason, "")
}

fn after(machine: &mut Machine, events: impl IntoIterator<Item = Event>, now: Instant) {
    for event in events {
        machine.handle(event, now).unwrap();
    }
}

#[test]
fn a_session_gets_from_its_start_to_its_end() {
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let mut machine = Machine::new(LIMITS, start);
    assert_eq!((machine.phase(), machine.deadline()), (Phase::Starting, Some(at(10))));
    assert_eq!(machine.handle(Event::Ready, at(1)), Ok(None));
    assert_eq!((machine.phase(), machine.deadline()), (Phase::Establish, Some(at(6))));
    // The peer has said something, but LCP is not open yet: now the whole set-up counts.
    assert_eq!(machine.handle(Event::TimeOut { heard: true }, at(6)), Ok(None));
    assert_eq!(machine.deadline(), Some(at(39)));
    after(&mut machine, [Event::LcpOpened, Event::Admitted], at(7));
    assert_eq!((machine.phase(), machine.deadline()), (Phase::Network, Some(at(39))));
    assert_eq!(machine.handle(Event::Relaying, at(8)), Ok(Some(Effect::OpenedFirst)));
    assert_eq!((machine.phase(), machine.deadline(), machine.opened()), (Phase::Open, None, Some(at(8))));
    machine.set_max_connect(Some(Duration::from_secs(100)));
    assert_eq!(machine.deadline(), Some(at(108)));
    // It begins anew, and then has the time of a set-up.
    after(&mut machine, [Event::LcpOpened, Event::Admitted], at(50));
    assert_eq!(machine.deadline(), Some(at(88)));
    assert_eq!(machine.handle(Event::Relaying, at(51)), Ok(Some(Effect::OpenedAgain)));
    assert_eq!(machine.opened(), Some(at(8)));
    let effect = Some(Effect::Terminate(EndReason::SessionTimeout));
    assert_eq!(machine.handle(Event::TimeOut { heard: true }, at(108)), Ok(effect));
    assert_eq!(machine.deadline(), Some(at(116)));
    assert_eq!(machine.handle(Event::TimeOut { heard: true }, at(116)), Ok(Some(Effect::Kill)));
    assert_eq!(machine.deadline(), Some(at(121)), "it is killed again, should that be in vain");
    let gone = Event::WorkerGone(end(EndReason::WorkerCrash));
    assert_eq!(machine.handle(gone.clone(), at(117)), Ok(Some(Effect::Finish)));
    assert_eq!(machine.end().unwrap().reason, EndReason::SessionTimeout, "the first reason counts");
    assert!(machine.handle(gone, at(117)).is_err(), "a worker goes once");
}

#[test]
fn silence_after_the_pads_ends_a_session() {
    let start = Instant::now();
    for (heard, detail) in [
        (false, "the client sent no LCP packet (--lcp-deadline)"),
        (true, "the session was not open in time"),
    ] {
        let mut machine = Machine::new(LIMITS, start);
        after(&mut machine, [Event::Ready], start);
        let mut effect = None;
        while effect.is_none() {
            let deadline = machine.deadline().unwrap();
            effect = machine.handle(Event::TimeOut { heard }, deadline).unwrap();
        }
        assert_eq!((effect, machine.end().unwrap().detail.as_str()), (Some(Effect::Kill), detail));
    }
}

#[test]
fn a_look_before_the_deadline_changes_nothing() {
    let start = Instant::now();
    let mut machine = Machine::new(LIMITS, start);
    let early = start + START_DEADLINE - Duration::from_nanos(1);
    assert_eq!(machine.handle(Event::TimeOut { heard: false }, early), Ok(None));
    assert_eq!(machine.phase(), Phase::Starting);
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let now = Instant::now();
    for event in [Event::LcpOpened, Event::Admitted, Event::Relaying, Event::Closing] {
        let mut machine = Machine::new(LIMITS, now);
        let before = machine.state().clone();
        let violation = machine.handle(event.clone(), now).unwrap_err();
        assert_eq!(violation.to_string(), format!("{} in the state starting", event.name()));
        assert_eq!(machine.state(), &before);
    }
}

#[test]
fn a_link_that_closes_itself_says_why_later() {
    let now = Instant::now();
    let mut machine = Machine::restored(LIMITS, now);
    after(&mut machine, [Event::Closing], now);
    assert_eq!((machine.phase(), machine.is_ending()), (Phase::Terminate, false));
    after(&mut machine, [Event::LcpOpened, Event::WorkerEnded(end(EndReason::PeerTerminated))], now);
    after(&mut machine, [Event::Kill(end(EndReason::Admin))], now);
    assert_eq!(machine.end().unwrap().reason, EndReason::PeerTerminated);
}
