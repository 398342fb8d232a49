use std::time::Duration;

use super::*;
use crate::testing::IoBench;

/// One option of one octet, kind 1. We ask for 5 and accept 9; kind 2 must be there with any value; all else is
/// rejected.
#[derive(Debug, Default)]
struct Toy {
    wish: Option<u8>,
    restarts: u32,
}

impl OptionSet for Toy {
    const PROTOCOL: Protocol = Protocol::Ipcp;

    fn restart(&mut self) {
        self.wish = Some(5);
        self.restarts += 1;
    }

    fn write_request(&self, out: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        self.wish.map_or(Ok(()), |wish| CpOption { kind: 1, data: &[wish] }.emit(out))
    }

    fn begin_peer_request(&mut self) {}

    fn judge(&mut self, option: CpOption<'_>, nak: &mut Vec<u8>) -> Result<Judgement, ppp_wire::Error> {
        match (option.kind, option.data) {
            (1, [9]) | (2, _) => Ok(Judgement::Ack),
            (1, _) => {
                CpOption { kind: 1, data: &[9] }.emit(nak)?;
                Ok(Judgement::Nak)
            }
            _ => Ok(Judgement::Reject),
        }
    }

    fn append_missing(&self, seen: &KindSet, nak: &mut Vec<u8>) -> Result<(), ppp_wire::Error> {
        if seen.contains(2) { Ok(()) } else { CpOption { kind: 2, data: &[] }.emit(nak) }
    }

    fn naked(&mut self, option: CpOption<'_>) -> Result<(), NegotiationFailure> {
        if let (1, [value]) = (option.kind, option.data) {
            self.wish = Some(*value);
        }
        Ok(())
    }

    fn rejected(&mut self, _: CpOption<'_>) -> Result<(), NegotiationFailure> {
        self.wish = None;
        Ok(())
    }
}

const RESTART: Duration = Duration::from_secs(3);

/// An automaton with everything around it.
struct Bench {
    automaton: Automaton<Toy>,
    around: IoBench,
}

impl Bench {
    /// In ReqSent, with the first Configure-Request taken out.
    fn new() -> Self {
        let automaton = Automaton::new(Toy::default(), RestartConfig::default(), Timer::IpcpRestart);
        let mut bench = Self { automaton, around: IoBench::new(128) };
        assert_eq!(bench.act(|a, io| a.open(io)), Outcome::Started);
        assert_eq!(bench.act(|a, io| a.up(io)), Outcome::Nothing);
        assert_eq!(bench.sent(), [b"\x01\x01\x00\x07\x01\x03\x05"]);
        bench
    }

    /// In Opened. Our request had identifier 1, the peer's 7.
    fn opened() -> Self {
        let mut bench = Self::new();
        assert_eq!(bench.take(b"\x02\x01\x00\x07\x01\x03\x05"), Ok(Outcome::Nothing));
        assert_eq!(bench.take(b"\x01\x07\x00\x09\x01\x03\x09\x02\x02"), Ok(Outcome::Up));
        assert_eq!(bench.sent(), [b"\x02\x07\x00\x09\x01\x03\x09\x02\x02"]);
        bench
    }

    fn act(&mut self, act: impl FnOnce(&mut Automaton<Toy>, &mut Io<'_>) -> Outcome) -> Outcome {
        act(&mut self.automaton, &mut self.around.io())
    }

    fn take(&mut self, packet: &[u8]) -> Result<Outcome, Discard> {
        self.automaton.handle(CpPacket::new_checked(packet).unwrap(), &mut self.around.io())
    }

    /// Lets the Restart timer expire.
    fn timeout(&mut self) -> Outcome {
        self.around.now += RESTART;
        assert_eq!(self.around.timers.expire(self.around.now), Some(Timer::IpcpRestart));
        self.act(|a, io| a.timeout(io))
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        self.around.sent()
    }
}

#[test]
fn silence_is_met_with_max_configure_requests() {
    let mut bench = Bench::new();
    for _ in 1..10 {
        assert_eq!(bench.timeout(), Outcome::Nothing);
        assert_eq!(bench.sent(), [b"\x01\x01\x00\x07\x01\x03\x05"], "unchanged, same identifier");
    }
    assert_eq!(bench.timeout(), Outcome::Finished);
    assert_eq!((bench.automaton.state(), bench.sent().len()), (State::Stopped, 0));
    assert_eq!(bench.around.timers.next_timeout(), None);
}

#[test]
fn closing_takes_max_terminate_requests() {
    let mut bench = Bench::opened();
    assert_eq!(bench.act(|a, io| a.close(io)), Outcome::Down);
    assert_eq!(bench.sent(), [b"\x05\x02\x00\x04"]);
    assert_eq!(bench.timeout(), Outcome::Nothing);
    assert_eq!(bench.sent(), [b"\x05\x03\x00\x04"]);
    assert_eq!(bench.timeout(), Outcome::Finished);
    assert_eq!(bench.automaton.state(), State::Closed);
}

#[test]
fn an_ack_must_repeat_identifier_and_options() {
    let mut bench = Bench::new();
    for packet in [
        &b"\x02\x02\x00\x07\x01\x03\x05"[..],
        b"\x02\x01\x00\x07\x01\x03\x06",
        b"\x02\x01\x00\x04",
        b"\x02\x01\x00\x09\x01\x03\x05\x02\x02",
    ] {
        assert_eq!(bench.take(packet), Err(Discard::Unmatched), "{packet:02x?}");
        assert_eq!(bench.automaton.state(), State::ReqSent);
    }
    assert_eq!(bench.take(b"\x02\x01\x00\x07\x01\x03\x05"), Ok(Outcome::Nothing));
    assert_eq!(bench.automaton.state(), State::AckRcvd);
}

#[test]
fn an_answer_that_the_network_repeats_counts_once() {
    let mut bench = Bench::opened();
    for code in 2..5 {
        let again = [code, 1, 0, 7, 1, 3, 5];
        assert_eq!(bench.take(&again), Err(Discard::Unmatched));
    }
    assert_eq!((bench.automaton.state(), bench.sent().len()), (State::Opened, 0));
}

#[test]
fn naks_and_rejects_shape_the_next_request() {
    let mut bench = Bench::new();
    assert_eq!(bench.take(b"\x03\x01\x00\x07\x01\x03\x06"), Ok(Outcome::Nothing));
    assert_eq!(bench.sent(), [b"\x01\x02\x00\x07\x01\x03\x06"]);
    assert_eq!(bench.take(b"\x04\x02\x00\x07\x01\x03\x06"), Ok(Outcome::Nothing));
    assert_eq!(bench.sent(), [b"\x01\x03\x00\x04"]);
    assert_eq!(bench.take(b"\x02\x03\x00\x04"), Ok(Outcome::Nothing));
    assert_eq!(bench.automaton.state(), State::AckRcvd);
}

#[test]
fn refusals_that_refuse_nothing_of_ours_are_dropped() {
    let mut bench = Bench::new();
    for packet in [
        &b"\x03\x01\x00\x04"[..],
        b"\x04\x01\x00\x04",
        b"\x04\x01\x00\x07\x01\x03\x06",
        b"\x04\x01\x00\x06\x02\x02",
    ] {
        assert_eq!(bench.take(packet), Err(Discard::Unmatched), "{packet:02x?}");
    }
    let malformed = bench.take(b"\x03\x01\x00\x06\x01\x09");
    assert!(matches!(malformed, Err(Discard::Malformed(_))));
    assert_eq!(bench.sent().len(), 0);
}

#[test]
fn endless_naks_become_rejects_and_then_a_failure() {
    let mut bench = Bench::new();
    let mut naks = 0;
    let outcome = loop {
        naks += 1;
        let [_, identifier, ..] = bench.automaton.request_header();
        match bench.take(&[3, identifier, 0, 7, 1, 3, 100 + naks]) {
            Ok(Outcome::Nothing) => {}
            other => break other,
        }
        let expected = if naks <= 5 { Some(100 + naks) } else { None };
        assert_eq!(bench.automaton.options.wish, expected);
    };
    assert_eq!(outcome, Ok(Outcome::Failed(NegotiationFailure::NotConverging)));
    assert_eq!(naks, 21);
}

#[test]
fn naks_sent_become_rejects_and_then_a_failure() {
    let mut bench = Bench::new();
    for round in 1..=20 {
        assert_eq!(bench.take(&[1, round, 0, 7, 1, 3, 1]), Ok(Outcome::Nothing));
        let answer =
            if round <= 5 { vec![3, round, 0, 9, 1, 3, 9, 2, 2] } else { vec![4, round, 0, 7, 1, 3, 1] };
        assert_eq!(bench.sent(), [answer], "wanted options are appended to Naks only");
    }
    let outcome = bench.take(&[1, 21, 0, 7, 1, 3, 1]);
    assert_eq!(outcome, Ok(Outcome::Failed(NegotiationFailure::NotConverging)));
}

#[test]
fn an_ack_in_between_starts_the_count_again() {
    let mut bench = Bench::new();
    for round in 0..40 {
        assert_eq!(bench.take(&[1, round, 0, 9, 1, 3, 1, 2, 2]), Ok(Outcome::Nothing));
        assert_eq!(bench.sent()[0][0], 3);
        assert_eq!(bench.take(&[1, round, 0, 9, 1, 3, 9, 2, 2]), Ok(Outcome::Nothing));
        assert_eq!(bench.sent()[0][0], 2);
    }
}

#[test]
fn rejects_come_before_naks_and_keep_the_order() {
    let mut bench = Bench::new();
    let request = [1, 3, 0, 13, 1, 3, 1, 8, 2, 2, 2, 7, 2];
    assert_eq!(bench.take(&request), Ok(Outcome::Nothing));
    assert_eq!(bench.sent(), [b"\x04\x03\x00\x08\x08\x02\x07\x02"]);
}

#[test]
fn an_option_that_comes_twice_is_rejected() {
    let mut bench = Bench::new();
    let request = [1, 3, 0, 12, 1, 3, 9, 2, 2, 1, 3, 9];
    assert_eq!(bench.take(&request), Ok(Outcome::Nothing));
    assert_eq!(bench.sent(), [b"\x04\x03\x00\x07\x01\x03\x09"]);
}

#[test]
fn a_malformed_request_has_no_effect() {
    let mut bench = Bench::opened();
    for options in [&[1, 3, 9, 1][..], &[1, 3, 9, 1, 0], &[1, 3, 9, 1, 1], &[1, 3, 9, 1, 200, 0]] {
        let length = u8::try_from(4 + options.len()).unwrap();
        let packet = [&[1, 3, 0, length], options].concat();
        assert!(matches!(bench.take(&packet), Err(Discard::Malformed(_))));
    }
    assert_eq!((bench.automaton.state(), bench.sent().len()), (State::Opened, 0));
}

#[test]
fn a_request_to_an_open_automaton_negotiates_anew() {
    let mut bench = Bench::opened();
    assert_eq!(bench.take(b"\x03\x01\x00\x07\x01\x03\x06"), Err(Discard::Unmatched));
    assert_eq!(bench.take(b"\x01\x08\x00\x06\x02\x02"), Ok(Outcome::Down));
    assert_eq!(bench.automaton.options.restarts, 2);
    let sent = bench.sent();
    assert_eq!(sent[0], b"\x01\x02\x00\x07\x01\x03\x05", "a new identifier");
    assert_eq!(sent[1], b"\x02\x08\x00\x06\x02\x02");
    assert_eq!(bench.automaton.state(), State::AckSent);
}

#[test]
fn the_peers_terminate_request_is_answered_and_waits_one_period() {
    let mut bench = Bench::opened();
    assert_eq!(bench.take(b"\x05\x2a\x00\x07bye"), Ok(Outcome::Down));
    assert_eq!(bench.sent(), [b"\x06\x2a\x00\x04"]);
    assert_eq!(bench.automaton.state(), State::Stopping);
    assert_eq!(bench.timeout(), Outcome::Finished);
}

#[test]
fn unknown_codes_are_returned_as_far_as_they_fit() {
    let mut bench = Bench::opened();
    assert_eq!(bench.take(b"\x63\x05\x00\x06hi"), Ok(Outcome::Nothing));
    assert_eq!(bench.sent(), [b"\x07\x02\x00\x0a\x63\x05\x00\x06hi"]);

    let mut long = vec![0x63, 6, 0x05, 0xd4];
    long.resize(1492, 0xaa);
    assert_eq!(bench.take(&long), Ok(Outcome::Nothing));
    let sent = bench.sent();
    assert_eq!((sent[0].len(), &sent[0][..4]), (128, &[7, 3, 0, 128][..]));
    assert_eq!(sent[0][4..], long[..124]);
}

#[test]
fn code_rejects_are_catastrophic_only_for_what_negotiation_needs() {
    let mut bench = Bench::opened();
    assert_eq!(bench.take(b"\x07\x01\x00\x08\x0c\x01\x00\x04"), Ok(Outcome::Nothing));
    assert_eq!(bench.automaton.state(), State::Opened);
    assert!(matches!(bench.take(b"\x07\x01\x00\x04"), Err(Discard::Malformed(_))));
    assert_eq!(bench.take(b"\x07\x01\x00\x08\x01\x01\x00\x04"), Ok(Outcome::Down));
    assert_eq!(bench.automaton.state(), State::Stopping);
}

#[test]
fn nothing_is_taken_while_the_lower_layer_is_down() {
    let mut bench = Bench::opened();
    assert_eq!(bench.act(|a, io| a.down(io)), Outcome::Down);
    assert_eq!(bench.take(b"\x01\x07\x00\x04"), Err(Discard::Unexpected));
    assert_eq!(bench.around.timers.next_timeout(), None);
}

impl Automaton<Toy> {
    /// Code and identifier of the Configure-Request that is out.
    fn request_header(&self) -> [u8; 2] {
        [Code::ConfigureRequest.into(), self.request_identifier]
    }
}
