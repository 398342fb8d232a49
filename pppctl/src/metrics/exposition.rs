//! The OpenMetrics text format, version 1.0.0. `docs/metrics.md` lists the metrics.

use std::fmt::{self, Display as _, Write as _};

use ppp_ipc::control::{
    AccessInterface, InterfaceState, NamedCount, PoolStats, ServerStats, ServerVersion, ServiceState,
    TurnStats,
};
use ppp_wire::escape::harmless;

/// What the server said.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) version: Option<ServerVersion>,
    pub(super) stats: Option<ServerStats>,
    pub(super) interfaces: Vec<AccessInterface>,
    pub(super) pool: Option<PoolStats>,
}

/// Kinds of metrics, as the format calls them.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Info,
    StateSet,
}

/// One metric with all of its samples.
struct Family<'a> {
    name: &'a str,
    kind: Kind,
    unit: Option<&'a str>,
    help: &'a str,
    /// Digits of the samples that stand behind the point.
    decimals: u32,
    samples: Vec<(Vec<(&'a str, &'a str)>, u64)>,
}

const STATES: [ServiceState; 4] =
    [ServiceState::Serving, ServiceState::Draining, ServiceState::ShutdownSoft, ServiceState::Stopping];

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server(f)?;
        self.pool(f)?;
        self.interfaces(f)?;
        f.write_str("# EOF\n")
    }
}

impl Facts {
    fn server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(version) = &self.version {
            let protocol = version.protocol.to_string();
            let labels = vec![("version", version.software.as_str()), ("protocol", protocol.as_str())];
            let help = "Versions of pppoed and of its control protocol.";
            family("pppoed", Kind::Info, help, vec![(labels, 1)]).fmt(f)?;
        }
        let Some(stats) = &self.stats else { return Ok(()) };
        let one = |count: u64| vec![(Vec::new(), count)];
        Family {
            unit: Some("seconds"),
            ..family("pppoed_uptime_seconds", Kind::Gauge, "Time since the start.", one(stats.uptime_s))
        }
        .fmt(f)?;
        let states =
            STATES.map(|state| (vec![("pppoed_service", state.as_str())], u64::from(state == stats.state)));
        family("pppoed_service", Kind::StateSet, "What the server does for clients.", states.into())
            .fmt(f)?;
        let gauges = [
            ("pppoed_sessions", "Sessions, in any phase.", stats.sessions),
            ("pppoed_open_sessions", "Sessions with packets flowing.", stats.open),
            ("pppoed_max_sessions", "Most sessions that there can be.", stats.max_sessions),
        ];
        for (name, help, count) in gauges {
            family(name, Kind::Gauge, help, one(count.into())).fmt(f)?;
        }
        let help = "Dials that wait for their turn to be set up.";
        family("pppoed_waiting_dials", Kind::Gauge, help, one(stats.waiting.into())).fmt(f)?;
        let help = "Time that a new dial would have to wait for its session.";
        let wait = family("pppoed_setup_wait_seconds", Kind::Gauge, help, one(stats.setup_wait_ms));
        Family { unit: Some("seconds"), decimals: 3, ..wait }.fmt(f)?;
        let help = "Sessions that were started.";
        family("pppoed_sessions_started", Kind::Counter, help, one(stats.started)).fmt(f)?;
        let ended = stats.ended.iter().map(|end| (vec![("reason", end.name.as_str())], end.count));
        let help = "Sessions that ended, by reason.";
        family("pppoed_sessions_ended", Kind::Counter, help, ended.collect()).fmt(f)?;
        let help = "What does not work although the server runs (pppctl show stats).";
        let problems = u64::try_from(stats.problems.len()).unwrap_or(u64::MAX);
        family("pppoed_problems", Kind::Gauge, help, one(problems)).fmt(f)?;
        let repaired = stats.repaired.iter().map(|it| (vec![("kind", it.name.as_str())], it.count));
        let help = "What was otherwise than it should be, and was put right, by kind.";
        family("pppoed_repaired", Kind::Counter, help, repaired.collect()).fmt(f)?;
        Self::event_loop(&stats.turns, f)
    }

    fn event_loop(turns: &[TurnStats], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family_of = |name, kind, help, value: fn(&TurnStats) -> u64| {
            let samples = turns.iter().map(|turn| (vec![("event", turn.event.as_str())], value(turn)));
            family(name, kind, help, samples.collect())
        };
        let help = "Turns of the event loop, by kind of event.";
        family_of("pppoed_event_loop_turns", Kind::Counter, help, |turn| turn.turns).fmt(f)?;
        let seconds = |family| Family { unit: Some("seconds"), decimals: 6, ..family };
        let help = "Time that they took.";
        let busy = family_of("pppoed_event_loop_busy_seconds", Kind::Counter, help, |turn| turn.busy_us);
        seconds(busy).fmt(f)?;
        let help = "Time that the longest took.";
        let longest =
            family_of("pppoed_event_loop_longest_turn_seconds", Kind::Gauge, help, |turn| turn.longest_us);
        seconds(longest).fmt(f)?;
        let help = "Turns that took longer than --stall-limit.";
        family_of("pppoed_event_loop_stalls", Kind::Counter, help, |turn| turn.stalls).fmt(f)
    }

    fn pool(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pool) = &self.pool else { return Ok(()) };
        let states = [("in_use", pool.in_use), ("reserved", pool.reserved), ("free", pool.free)];
        let samples = states.map(|(state, count)| (vec![("state", state)], u64::from(count)));
        let help = "Addresses of the pool, by what they are: had by sessions, kept for single users, free.";
        family("pppoed_pool_addresses", Kind::Gauge, help, samples.into()).fmt(f)
    }

    fn interfaces(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gauge = |name, help, value: fn(&AccessInterface) -> u64| {
            let samples = self
                .interfaces
                .iter()
                .map(|interface| (vec![("interface", interface.stats.interface.as_str())], value(interface)));
            family(name, Kind::Gauge, help, samples.collect())
        };
        gauge("pppoed_interface_up", "Whether the access interface can carry frames.", |interface| {
            u64::from(interface.stats.state == InterfaceState::Up)
        })
        .fmt(f)?;
        gauge("pppoed_interface_sessions", "Sessions on the access interface.", |it| it.sessions.into())
            .fmt(f)?;
        gauge("pppoed_interface_open_sessions", "Those with packets flowing.", |it| it.open.into()).fmt(f)?;

        let packets = self.interfaces.iter().flat_map(|interface| {
            let name = interface.stats.interface.as_str();
            interface.stats.packets.iter().filter_map(move |NamedCount { name: what, count }| {
                let (direction, code) = what.split_once('_')?;
                // Beside packets there is what was done for them.
                matches!(direction, "received" | "sent").then_some(())?;
                Some((vec![("interface", name), ("direction", direction), ("code", code)], *count))
            })
        });
        let help = "Discovery packets, by direction and code.";
        family("pppoed_discovery_packets", Kind::Counter, help, packets.collect()).fmt(f)?;
        let dropped = self.interfaces.iter().flat_map(|interface| {
            let name = interface.stats.interface.as_str();
            let causes = interface.stats.dropped.iter();
            causes.map(move |cause| (vec![("interface", name), ("cause", cause.name.as_str())], cause.count))
        });
        let help = "Discovery packets that were dropped, by cause.";
        family("pppoed_discovery_dropped_packets", Kind::Counter, help, dropped.collect()).fmt(f)
    }
}

fn family<'a>(
    name: &'a str,
    kind: Kind,
    help: &'a str,
    samples: Vec<(Vec<(&'a str, &'a str)>, u64)>,
) -> Family<'a> {
    Family { name, kind, unit: None, help, decimals: 0, samples }
}

impl fmt::Display for Family<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, unit, help, decimals, samples } = self;
        let one = 10_u64.saturating_pow(*decimals);
        let (kind, suffix) = match kind {
            Kind::Counter => ("counter", "_total"),
            Kind::Gauge => ("gauge", ""),
            Kind::Info => ("info", "_info"),
            Kind::StateSet => ("stateset", ""),
        };
        writeln!(f, "# TYPE {name} {kind}")?;
        if let Some(unit) = unit {
            writeln!(f, "# UNIT {name} {unit}")?;
        }
        writeln!(f, "# HELP {name} {help}")?;
        for (labels, value) in samples {
            write!(f, "{name}{suffix}")?;
            for (number, (label, value)) in labels.iter().enumerate() {
                write!(f, "{}{label}=\"", if number == 0 { "{" } else { "," })?;
                escape(value, f)?;
                f.write_char('"')?;
            }
            write!(f, "{} {}", if labels.is_empty() { "" } else { "}" }, value / one)?;
            match usize::try_from(*decimals) {
                Ok(digits @ 1..) => writeln!(f, ".{:0digits$}", value % one)?,
                _ => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// The format would take any character but a line end as it is; who looks at it on a terminal may not.
fn escape(value: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for character in harmless(value).chars() {
        match character {
            '\\' => f.write_str("\\\\")?,
            '"' => f.write_str("\\\"")?,
            other => f.write_char(other)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
