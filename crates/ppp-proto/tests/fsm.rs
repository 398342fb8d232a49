//! Compares [`ppp_proto::fsm::transition`] with the table of RFC 1661 §4.1, kept as text beside this file.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use ppp_proto::fsm::{Action, Event, State, transition};

const TABLE: &str = include_str!("rfc1661_table.txt");

fn event(name: &str) -> Event {
    match name {
        "Up" => Event::Up,
        "Down" => Event::Down,
        "Open" => Event::Open,
        "Close" => Event::Close,
        "TO+" => Event::TimeoutRetry,
        "TO-" => Event::TimeoutGiveUp,
        "RCR+" => Event::RcrGood,
        "RCR-" => Event::RcrBad,
        "RCA" => Event::Rca,
        "RCN" => Event::Rcn,
        "RTR" => Event::Rtr,
        "RTA" => Event::Rta,
        "RUC" => Event::Ruc,
        "RXJ+" => Event::RxjPermitted,
        "RXJ-" => Event::RxjCatastrophic,
        "RXR" => Event::Rxr,
        other => panic!("no event {other:?}"),
    }
}

fn action(name: &str) -> Action {
    match name {
        "irc" => Action::Irc,
        "zrc" => Action::Zrc,
        "scr" => Action::Scr,
        "sca" => Action::Sca,
        "scn" => Action::Scn,
        "str" => Action::Str,
        "sta" => Action::Sta,
        "scj" => Action::Scj,
        "ser" => Action::Ser,
        "tlu" => Action::Tlu,
        "tld" => Action::Tld,
        "tls" => Action::Tls,
        "tlf" => Action::Tlf,
        other => panic!("no action {other:?}"),
    }
}

/// `None` for the dash, else the actions and the next state.
type Cell = Option<(Vec<Action>, State)>;

fn cell(text: &str) -> Cell {
    if text == "-" {
        return None;
    }
    let (actions, state) = text.rsplit_once('/').unwrap_or(("", text));
    let number: usize = state.parse().unwrap();
    Some((actions.split_terminator(',').map(action).collect(), State::ALL[number]))
}

fn rows() -> Vec<(Event, Vec<Cell>)> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            (event(words.next().unwrap()), words.map(cell).collect())
        })
        .collect()
}

#[test]
fn every_cell_is_as_the_rfc_has_it() {
    let mut compared = 0;
    for (event, cells) in rows() {
        assert_eq!(cells.len(), State::ALL.len(), "row {event:?}");
        for (state, expected) in State::ALL.into_iter().zip(cells) {
            let got = transition(state, event).map(|t| (t.actions.to_vec(), t.state));
            assert_eq!(got, expected, "{event:?} in {state:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 160);
}

#[test]
fn the_table_names_every_event_once_and_in_order() {
    let named: Vec<Event> = rows().into_iter().map(|(event, _)| event).collect();
    assert_eq!(named, Event::ALL);
}

/// RFC 1661 §4.1: "The states in which the Restart timer is running are identifiable by the presence of TO
/// events."
#[test]
fn restart_timer_runs_where_the_table_has_timeouts() {
    let rows = rows();
    for name in [Event::TimeoutRetry, Event::TimeoutGiveUp] {
        let (_, cells) = rows.iter().find(|(event, _)| *event == name).unwrap();
        for (state, cell) in State::ALL.into_iter().zip(cells) {
            assert_eq!(state.restart_timer_runs(), cell.is_some(), "{name:?} in {state:?}");
        }
    }
}

/// The owner of the automaton relies on it: one transition tells the layers above and below one thing at most.
#[test]
fn a_transition_has_at_most_one_layer_action() {
    for state in State::ALL {
        for event in Event::ALL {
            let Some(t) = transition(state, event) else { continue };
            let layer = [Action::Tlu, Action::Tld, Action::Tls, Action::Tlf];
            assert!(t.actions.iter().filter(|action| layer.contains(action)).count() <= 1);
        }
    }
}
