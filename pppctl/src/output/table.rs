//! Tables for people.

use std::{
    fmt::Display,
    io::{self, Write},
};

use ppp_ipc::control::{
    AuthMethod, ControlTraffic, InterfaceStats, NamedCount, NegotiatedOption, ServerStats, ServiceState,
    SessionDetail, SessionHook, SessionRates, SessionTimers, TurnStats,
};
use ppp_wire::escape::harmless;

use super::{
    NONE, Output, event,
    grid::{self, Align, Column},
    info, name, or_none, text, trace, units,
};
use crate::{
    answer::{Answer, Piece},
    terminal::Screen,
};

/// Width of the names in front of values.
const LABEL_WIDTH: usize = 12;

/// Aligned columns with human units.
pub(super) struct Table {
    screen: Screen,
}

impl Table {
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen }
    }
}

impl Output for Table {
    fn write(&self, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
        match answer {
            Answer::Session(detail) => write_session(detail, out),
            Answer::Stats(stats) => self.write_stats(stats, out),
            Answer::Terminated(1) => writeln!(out, "terminating 1 session"),
            Answer::Terminated(count) => writeln!(out, "terminating {count} sessions"),
            Answer::Info(info) => info::write_table(info, self.screen, out),
            Answer::Policy(outcome) => super::policy::write_outcome(outcome, out),
            Answer::Reload(reload) => super::reload::write(reload, out),
            Answer::Service { state, sessions } => writeln!(out, "{}", service(*state, *sessions)),
        }
    }

    fn write_piece(&self, piece: &Piece, out: &mut dyn Write) -> io::Result<()> {
        match piece {
            Piece::Event(event) => writeln!(out, "{}", event::line(event, self.screen)),
            Piece::Packet { frame, is_repeated } => {
                writeln!(out, "{}", trace::line(frame, *is_repeated, self.screen))
            }
            Piece::LostPackets(1) => writeln!(out, "-- 1 packet came too fast and is lost"),
            Piece::LostPackets(count) => writeln!(out, "-- {count} packets came too fast and are lost"),
            Piece::Connection(false) => writeln!(out, "-- pppoed is gone; waiting until it is there again"),
            Piece::Connection(true) => {
                writeln!(out, "-- connected again; what happened meanwhile is not shown")
            }
            Piece::TraceEnd(end) => writeln!(out, "{}", trace::end(end)),
            Piece::Lost(1) => writeln!(out, "-- 1 event came too fast and is lost"),
            Piece::Lost(count) => writeln!(out, "-- {count} events came too fast and are lost"),
        }
    }
}

const fn column(heading: &'static str, align: Align, sacrifice: u8) -> Column {
    Column::new(heading, align, sacrifice)
}

fn write_session(detail: &SessionDetail, out: &mut dyn Write) -> io::Result<()> {
    let summary = &detail.summary;
    let traffic = &summary.traffic;
    let lines = [
        ("session", summary.id.to_string()),
        ("state", summary.state.as_str().to_owned()),
        ("age", units::duration(summary.uptime_s)),
        ("user", name(summary.username.as_ref())),
        ("auth", proof(detail)),
        ("peer", format!("{} on {}", text(&summary.mac), text(&summary.interface))),
        ("service", name(Some(&summary.service))),
        ("host-uniq", text(detail.host_uniq.as_deref().unwrap_or_default())),
        ("interface", format!("{}, mtu {}", text(&summary.ifname), or_none(detail.mtu))),
        ("mru", both(detail.mru, detail.peer_mru)),
        ("addresses", both(detail.local_ip, summary.ip)),
        ("link-local", both(detail.local_link_local, detail.peer_link_local)),
        ("dns", list(&detail.dns)),
        ("nbns", list(&detail.nbns)),
        ("received", format!("{} in {} packets", units::bytes(traffic.rx_bytes), traffic.rx_packets)),
        ("sent", format!("{} in {} packets", units::bytes(traffic.tx_bytes), traffic.tx_packets)),
        ("rates", detail.rates.map_or_else(|| NONE.to_owned(), rates)),
        ("timers", timers(&detail.timers)),
        ("control", control(&detail.control)),
        (
            "dropped",
            format!(
                "{} wrong source, {} malformed, {} not open, {} queue or system, {} over the limit",
                detail.dropped_source,
                detail.dropped_malformed,
                detail.dropped_not_open,
                detail.dropped_errors,
                detail.dropped_rate
            ),
        ),
        ("limit", format!("down {}, up {}", detail.rate_down, detail.rate_up)),
        ("idle", detail.idle_s.map_or_else(|| NONE.to_owned(), units::duration)),
        ("worker", format!("pid {}", detail.worker_pid)),
        ("sandbox", list(&detail.sandbox)),
    ];
    for (label, value) in lines {
        writeln!(out, "{label:LABEL_WIDTH$}{value}")?;
    }
    if !detail.options.is_empty() {
        writeln!(out, "options")?;
    }
    let width = |it: &NegotiatedOption| it.protocol.len() + 1 + it.option.len();
    let width = detail.options.iter().map(width).max().unwrap_or(0);
    for NegotiatedOption { protocol, option, ours, peers } in &detail.options {
        let name = format!("{protocol} {option}");
        writeln!(
            out,
            "    {:width$}  {}",
            harmless(&name),
            harmless(&both(ours.as_deref(), peers.as_deref()))
        )?;
    }
    if !detail.hooks.is_empty() {
        writeln!(out, "hooks")?;
    }
    for SessionHook { file, function, took_us, outcome } in &detail.hooks {
        let took = format!("{}.{:03} ms", took_us / 1000, took_us % 1000);
        writeln!(out, "{took:>14}  {} {}: {}", harmless(file), harmless(function), harmless(outcome))?;
    }
    if !detail.history.is_empty() {
        writeln!(out, "history")?;
    }
    for entry in &detail.history {
        writeln!(out, "{:>10}  {}", units::milliseconds(entry.at_ms), harmless(&entry.event))?;
    }
    Ok(())
}

fn rates(rates: SessionRates) -> String {
    let SessionRates { rx_bits_per_s, tx_bits_per_s, window_ms } = rates;
    let bytes = |bits: u64| units::bytes(bits / 8);
    format!(
        "{}/s received, {}/s sent, over {}s",
        bytes(rx_bits_per_s),
        bytes(tx_bits_per_s),
        window_ms / 1000
    )
}

fn timers(timers: &SessionTimers) -> String {
    let SessionTimers { deadline_left_s, idle_left_s, session_left_s } = timers;
    let left = |what: &str, seconds: &Option<u64>| {
        seconds.map(|seconds| format!("{what} in {}", units::duration(seconds)))
    };
    let all = [
        left("must be done", deadline_left_s),
        left("idle", idle_left_s),
        left("time is up", session_left_s),
    ];
    list(&all.into_iter().flatten().collect::<Vec<_>>())
}

fn control(control: &ControlTraffic) -> String {
    let ControlTraffic {
        rx_packets,
        tx_packets,
        rx_echo_requests,
        rx_echo_replies,
        tx_echo_requests,
        tx_echo_replies,
    } = control;
    format!(
        "{rx_packets} received, {tx_packets} sent; echo {tx_echo_requests} sent, {rx_echo_replies} answered; \
         {rx_echo_requests} received, {tx_echo_replies} answered"
    )
}

impl Table {
    fn write_stats(&self, stats: &ServerStats, out: &mut dyn Write) -> io::Result<()> {
        for problem in &stats.problems {
            writeln!(out, "{:LABEL_WIDTH$}{}", "PROBLEM", harmless(problem))?;
        }
        let lines = [
            ("uptime", units::duration(stats.uptime_s)),
            ("service", service(stats.state, stats.sessions)),
            ("sessions", format!("{} of {}, {} open", stats.sessions, stats.max_sessions, stats.open)),
            ("started", stats.started.to_string()),
        ];
        let queue = format!("{} dials wait, a new one would for {} ms", stats.waiting, stats.setup_wait_ms);
        let queue = (stats.waiting > 0 || stats.setup_wait_ms > 0).then_some(("queue", queue));
        let stalls = event_loop(stats).map(|value| ("event loop", value));
        for (label, value) in lines.into_iter().chain(queue).chain(stalls) {
            writeln!(out, "{label:LABEL_WIDTH$}{value}")?;
        }
        if stats.ended.iter().any(|it| it.count > 0) {
            writeln!(out)?;
            self.write_counts("ENDED BY", &stats.ended, out)?;
        }
        if stats.repaired.iter().any(|it| it.count > 0) {
            writeln!(out)?;
            self.write_counts("REPAIRED", &stats.repaired, out)?;
        }
        for interface in &stats.interfaces {
            writeln!(out, "\n{}", heading(interface))?;
            self.write_counts("PACKETS", &interface.packets, out)?;
            self.write_counts("DROPPED", &interface.dropped, out)?;
        }
        Ok(())
    }

    /// The counters that have counted anything; with none, nothing.
    fn write_counts(
        &self,
        heading: &'static str,
        counts: &[NamedCount],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let columns = [column(heading, Align::Left, 0), column("COUNT", Align::Right, 0)];
        let counted = counts.iter().filter(|it| it.count > 0);
        let rows: Vec<_> = counted.map(|it| vec![text(&it.name), it.count.to_string()]).collect();
        if rows.is_empty() {
            return Ok(());
        }
        grid::write(&columns, &rows, self.screen, out)
    }
}

/// What the server does for clients, in words.
fn service(state: ServiceState, sessions: u32) -> String {
    let sessions = match sessions {
        1 => "1 session".to_owned(),
        count => format!("{count} sessions"),
    };
    match state {
        ServiceState::Serving => "accepts new sessions".to_owned(),
        ServiceState::Draining => format!("draining: no new sessions, {sessions} left"),
        ServiceState::ShutdownSoft => format!("shutting down after the last session, {sessions} left"),
        ServiceState::Stopping => format!("stopping, {sessions} left"),
        ServiceState::Leaving => format!("ending; {sessions} left to the next pppoed"),
    }
}

/// How busy the event loop has been, and the longest turn.
fn event_loop(stats: &ServerStats) -> Option<String> {
    let longest = stats.turns.iter().max_by_key(|turn| turn.longest_us)?;
    let sum = |value: fn(&TurnStats) -> u64| stats.turns.iter().map(value).fold(0, u64::saturating_add);
    let share = sum(|turn| turn.busy_us) / stats.uptime_s.max(1) / 10_000;
    let stalls = match sum(|turn| turn.stalls) {
        1 => "1 stall".to_owned(),
        count => format!("{count} stalls"),
    };
    let milliseconds = longest.longest_us.div_ceil(1000);
    Some(format!("{share} % busy, {stalls}, longest turn {milliseconds} ms ({})", text(&longest.event)))
}

fn heading(interface: &InterfaceStats) -> String {
    let name = text(&interface.interface);
    let state = interface.state.as_str();
    match (&interface.mac, interface.mtu) {
        (Some(mac), Some(mtu)) => format!("interface {name}, {state}, {}, mtu {mtu}", text(mac)),
        _ => format!("interface {name}, {state}"),
    }
}

/// Method and origin of the secret that let the peer in.
fn proof(detail: &SessionDetail) -> String {
    let method = match detail.auth {
        None => return NONE.to_owned(),
        Some(AuthMethod::Pap) => "PAP",
        Some(AuthMethod::ChapMd5) => "CHAP-MD5",
    };
    match &detail.secret_origin {
        None => method.to_owned(),
        Some(origin) => format!("{method}, {}", harmless(origin)),
    }
}

/// The values of the two ends.
fn both<T: Display>(ours: Option<T>, peers: Option<T>) -> String {
    match (ours, peers) {
        (None, None) => NONE.to_owned(),
        (ours, peers) => format!("{} ours, {} the peer's", or_none(ours), or_none(peers)),
    }
}

fn list<T: Display>(values: &[T]) -> String {
    if values.is_empty() {
        return NONE.to_owned();
    }
    let words: Vec<String> = values.iter().map(|value| harmless(&value.to_string()).into_owned()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ppp_ipc::control::InterfaceState;

    use crate::output::samples;

    fn render(answer: &Answer, width: Option<usize>) -> String {
        let mut out = Vec::new();
        Table::new(Screen { width, ..Screen::default() }).write(answer, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_session() {
        assert_eq!(
            render(&Answer::Session(Box::new(samples::detail())), None),
            "\
session     1
state       open
age         1h02m
user        alice
auth        CHAP-MD5, /etc/ppp/chap-secrets:3
peer        02:00:5e:10:00:01 on eth1
service     internet
host-uniq   0a0b
interface   ppp0, mtu 1480
mru         1492 ours, 1480 the peer's
addresses   10.0.0.1 ours, 10.0.0.2 the peer's
link-local  fe80::1 ours, fe80::2 the peer's
dns         192.0.2.53, 198.51.100.53
nbns        -
received    1.5 KiB in 12 packets
sent        4.7 MiB in 9 packets
rates       1000 B/s received, 1.9 MiB/s sent, over 12s
timers      idle in 1m00s, time is up in 1h00m
control     9 received, 8 sent; echo 2 sent, 3 answered; 4 received, 1 answered
dropped     1 wrong source, 2 malformed, 3 not open, 4 queue or system, 5 over the limit
limit       down 10M, up none
idle        7s
worker      pid 4711
sandbox     uid, seccomp
options
    lcp mru           1492 ours, 1480 the peer's
    ipcp primary-dns  - ours, 192.0.2.53 the peer's
hooks
     12.345 ms  10-nat.lua ip_up: ok
history
    0.000s  PADR
    1.042s  IPCP opened
"
        );
    }

    #[test]
    fn stats() {
        assert_eq!(
            render(&Answer::Stats(Box::new(samples::stats())), None),
            "\
PROBLEM     worker program: cannot open program /usr/libexec/ppp-worker
uptime      2d07h
service     draining: no new sessions, 2 sessions left
sessions    2 of 64, 1 open
started     12
queue       5 dials wait, a new one would for 1234 ms
event loop  0 % busy, 2 stalls, longest turn 133 ms (worker message)

ENDED BY         COUNT
peer-terminated      9
echo-lost            1

REPAIRED  COUNT
worker        2

interface eth1, up, 02:50:50:00:00:01, mtu 1500
PACKETS  COUNT
padi-rx   1200
pado-tx     12
DROPPED    COUNT
truncated      1
"
        );
    }

    #[test]
    fn terminated() {
        assert_eq!(render(&Answer::Terminated(1), None), "terminating 1 session\n");
        assert_eq!(render(&Answer::Terminated(0), None), "terminating 0 sessions\n");
    }

    #[test]
    fn an_absent_interface_has_no_facts() {
        let mut stats = samples::stats();
        for interface in &mut stats.interfaces {
            (interface.state, interface.mac, interface.mtu) = (InterfaceState::Absent, None, None);
        }
        let shown = render(&Answer::Stats(Box::new(stats)), None);
        assert!(shown.lines().any(|line| line == "interface eth1, absent"), "{shown}");
    }

    #[test]
    fn the_service() {
        for (state, sessions, expected) in [
            (ServiceState::Serving, 5, "accepts new sessions\n"),
            (ServiceState::Draining, 0, "draining: no new sessions, 0 sessions left\n"),
            (ServiceState::ShutdownSoft, 1, "shutting down after the last session, 1 session left\n"),
            (ServiceState::Stopping, 2, "stopping, 2 sessions left\n"),
        ] {
            assert_eq!(render(&Answer::Service { state, sessions }, None), expected);
        }
    }
}
