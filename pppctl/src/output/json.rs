//! JSON for programs, as `docs/json-schema.md` describes it.

use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_ipc::control::{
    AuthMethod, ControlTraffic, Event, HistoryEntry, InterfaceState, InterfaceStats, NamedCount,
    NegotiatedOption, ServerStats, ServiceState, SessionDetail, SessionHook, SessionRates, SessionSummary,
    SessionTimers, TurnStats,
};
use ppp_ipc::reload::Change;
use ppp_wire::escape::is_harmless;
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use serde_json::ser::Formatter;

use super::{Output, info, policy, trace};
use crate::answer::{Answer, Piece};
use crate::clock::Zone;

/// Version of the documents. Raised when a field goes or changes its meaning, not when one is added.
pub(crate) const SCHEMA: u32 = 1;

/// One JSON document with raw numbers.
pub(crate) struct Json {
    /// Whose time is written.
    pub(crate) zone: Zone,
}

impl Output for Json {
    fn write(&self, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
        let body = match answer {
            Answer::Session(detail) => Body::Session(Box::new(Session::from(&**detail))),
            Answer::Stats(stats) => Body::Stats(Stats::from(&**stats)),
            Answer::Info(info) => return write_document(info::body(info, self.zone), out),
            Answer::Policy(outcome) => Body::PolicyChange(outcome.into()),
            Answer::Terminated(count) => Body::Terminated(*count),
            Answer::Reload(reload) => Body::Reload(Reload {
                changes: &reload.changes,
                change_count: reload.summary.changes,
                applied: reload.summary.applied,
                sessions_keeping_old_values: Keeping {
                    count: reload.summary.keeping,
                    ids: &reload.summary.keeping_ids,
                },
                remarks: &reload.summary.remarks,
            }),
            Answer::Service { state, sessions } => {
                Body::Service(Service { state: *state, sessions: *sessions })
            }
        };
        write_document(body, out)
    }

    fn write_piece(&self, piece: &Piece, out: &mut dyn Write) -> io::Result<()> {
        write_document(
            match piece {
                Piece::Event(event) => Body::Event(Timed { time: self.zone.iso_8601(event.time_ms), event }),
                Piece::Packet { frame, is_repeated } => {
                    Body::Packet(Box::new(trace::Packet::new(frame, *is_repeated, self.zone)))
                }
                Piece::Connection(is_there) => Body::Connected(*is_there),
                Piece::TraceEnd(end) => Body::TraceEnd(end.into()),
                Piece::Lost(count) | Piece::LostPackets(count) => Body::Lost(*count),
            },
            out,
        )
    }
}

fn write_document(body: impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    write_value(&Document { schema: SCHEMA, body }, out)?;
    writeln!(out)
}

/// Writes a value, without an end of the line.
pub(crate) fn write_value(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut *out, Harmless))?;
    Ok(())
}

/// A session in a list.
#[derive(Serialize)]
pub(crate) struct ListedSession<'a> {
    #[serde(flatten)]
    summary: &'a SessionSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<ListedRate>,
}

#[derive(Serialize)]
struct ListedRate {
    rx_bit_per_s: u64,
    tx_bit_per_s: u64,
}

impl<'a> ListedSession<'a> {
    /// With its traffic from and to the peer in bits per second, where that was measured.
    pub(crate) fn new(summary: &'a SessionSummary, rate: Option<(u64, u64)>) -> Self {
        let rate = rate.map(|(rx, tx)| ListedRate { rx_bit_per_s: rx, tx_bit_per_s: tx });
        Self { summary, rate }
    }
}

/// As compact as can be, and escaped where a terminal would act on the text: JSON itself escapes but C0 characters.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if is_harmless(character) {
                writer.write_all(character.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Document<T> {
    schema: u32,
    #[serde(flatten)]
    body: T,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Body<'a> {
    Session(Box<Session<'a>>),
    Stats(Stats<'a>),
    Terminated(u32),
    Service(Service),
    Reload(Reload<'a>),
    #[serde(rename = "policy_change")]
    PolicyChange(policy::Outcome<'a>),
    Event(Timed<'a>),
    Packet(Box<trace::Packet<'a>>),
    #[serde(rename = "trace_end")]
    TraceEnd(trace::End<'a>),
    Lost(u64),
    Connected(bool),
}

#[derive(Serialize)]
struct Reload<'a> {
    applied: bool,
    changes: &'a [Change],
    change_count: u32,
    sessions_keeping_old_values: Keeping<'a>,
    remarks: &'a [String],
}

#[derive(Serialize)]
pub(super) struct Keeping<'a> {
    pub(super) count: u32,
    pub(super) ids: &'a [u16],
}

#[derive(Serialize)]
struct Service {
    state: ServiceState,
    sessions: u32,
}

#[derive(Serialize)]
struct Session<'a> {
    #[serde(flatten)]
    summary: &'a SessionSummary,
    worker_pid: u32,
    local_ip: Option<Ipv4Addr>,
    local_link_local: Option<Ipv6Addr>,
    peer_link_local: Option<Ipv6Addr>,
    dns: &'a [Ipv4Addr],
    nbns: &'a [Ipv4Addr],
    mru: Option<u16>,
    peer_mru: Option<u16>,
    mtu: Option<u16>,
    auth: Option<AuthMethod>,
    secret_origin: Option<&'a str>,
    host_uniq: Option<&'a str>,
    dropped: Dropped,
    limit: Limit,
    idle_s: Option<u64>,
    sandbox: &'a [String],
    options: &'a [NegotiatedOption],
    timers: SessionTimers,
    rates: Option<SessionRates>,
    control: ControlTraffic,
    history: &'a [HistoryEntry],
    hooks: &'a [SessionHook],
}

/// An event, with its time as people write it.
#[derive(Serialize)]
struct Timed<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

#[derive(Serialize)]
struct Dropped {
    source: u64,
    malformed: u64,
    not_open: u64,
    errors: u64,
    rate: u64,
}

/// In kbit/s.
#[derive(Serialize)]
struct Limit {
    down_kbit_per_s: Option<u32>,
    up_kbit_per_s: Option<u32>,
}

impl<'a> From<&'a SessionDetail> for Session<'a> {
    fn from(detail: &'a SessionDetail) -> Self {
        Self {
            summary: &detail.summary,
            worker_pid: detail.worker_pid,
            local_ip: detail.local_ip,
            local_link_local: detail.local_link_local,
            peer_link_local: detail.peer_link_local,
            dns: &detail.dns,
            nbns: &detail.nbns,
            mru: detail.mru,
            peer_mru: detail.peer_mru,
            mtu: detail.mtu,
            auth: detail.auth,
            secret_origin: detail.secret_origin.as_deref(),
            host_uniq: detail.host_uniq.as_deref(),
            dropped: Dropped {
                source: detail.dropped_source,
                malformed: detail.dropped_malformed,
                not_open: detail.dropped_not_open,
                errors: detail.dropped_errors,
                rate: detail.dropped_rate,
            },
            limit: Limit {
                down_kbit_per_s: Some(detail.rate_down.0).filter(|rate| *rate > 0),
                up_kbit_per_s: Some(detail.rate_up.0).filter(|rate| *rate > 0),
            },
            idle_s: detail.idle_s,
            sandbox: &detail.sandbox,
            options: &detail.options,
            timers: detail.timers,
            rates: detail.rates,
            control: detail.control,
            history: &detail.history,
            hooks: &detail.hooks,
        }
    }
}

#[derive(Serialize)]
struct Stats<'a> {
    uptime_s: u64,
    state: ServiceState,
    sessions: u32,
    open: u32,
    max_sessions: u32,
    started: u64,
    ended: Counts<'a>,
    problems: &'a [String],
    repaired: Counts<'a>,
    interfaces: Interfaces<'a>,
    turns: &'a [TurnStats],
    waiting: u32,
    setup_wait_ms: u64,
}

impl<'a> From<&'a ServerStats> for Stats<'a> {
    fn from(stats: &'a ServerStats) -> Self {
        Self {
            uptime_s: stats.uptime_s,
            state: stats.state,
            sessions: stats.sessions,
            open: stats.open,
            max_sessions: stats.max_sessions,
            started: stats.started,
            ended: Counts(&stats.ended),
            problems: &stats.problems,
            repaired: Counts(&stats.repaired),
            interfaces: Interfaces(&stats.interfaces),
            turns: &stats.turns,
            waiting: stats.waiting,
            setup_wait_ms: stats.setup_wait_ms,
        }
    }
}

struct Interfaces<'a>(&'a [InterfaceStats]);

impl Serialize for Interfaces<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for interface in self.0 {
            list.serialize_element(&Interface::from(interface))?;
        }
        list.end()
    }
}

#[derive(Serialize)]
pub(super) struct Interface<'a> {
    interface: &'a str,
    state: InterfaceState,
    mac: Option<&'a str>,
    mtu: Option<u32>,
    packets: Counts<'a>,
    dropped: Counts<'a>,
}

impl<'a> From<&'a InterfaceStats> for Interface<'a> {
    fn from(stats: &'a InterfaceStats) -> Self {
        let InterfaceStats { interface, state, mac, mtu, packets, dropped } = stats;
        Self {
            interface,
            state: *state,
            mac: mac.as_deref(),
            mtu: *mtu,
            packets: Counts(packets),
            dropped: Counts(dropped),
        }
    }
}

/// Named counters as an object.
struct Counts<'a>(&'a [NamedCount]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for NamedCount { name, count } in self.0 {
            object.serialize_entry(name, count)?;
        }
        object.end()
    }
}

/// Names of all fields; the names of counters are data.
#[cfg(test)]
pub(super) fn fields(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Object(object) => object
            .iter()
            .flat_map(|(name, value)| {
                let counters = matches!(name.as_str(), "ended" | "packets" | "repaired")
                    || (name == "dropped" && value.get("source").is_none());
                let inner = if counters { Vec::new() } else { fields(value) };
                std::iter::once(name.clone()).chain(inner)
            })
            .collect(),
        serde_json::Value::Array(list) => list.iter().flat_map(fields).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::EventName;
    use ppp_ipc::name::Name;

    use super::*;
    use crate::output::samples;

    fn render(answer: &Answer) -> String {
        let mut out = Vec::new();
        Json { zone: Zone::Utc }.write(answer, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const SUMMARY: &str = r#""id":1,"ifname":"ppp0","username":"alice","ip":"10.0.0.2","mac":"02:00:5e:10:00:01","interface":"eth1","service":"","state":"open","uptime_s":3725,"traffic":{"rx_packets":12,"rx_bytes":1536,"tx_packets":9,"tx_bytes":5000000}"#;

    #[test]
    fn one_session() {
        let summary = SUMMARY.replace(r#""service":"""#, r#""service":"internet""#);
        let rest = r#""worker_pid":4711,"local_ip":"10.0.0.1","local_link_local":"fe80::1","peer_link_local":"fe80::2","dns":["192.0.2.53","198.51.100.53"],"nbns":[],"mru":1492,"peer_mru":1480,"mtu":1480,"auth":"chap-md5","secret_origin":"/etc/ppp/chap-secrets:3","host_uniq":"0a0b","dropped":{"source":1,"malformed":2,"not_open":3,"errors":4,"rate":5},"limit":{"down_kbit_per_s":10000,"up_kbit_per_s":null},"idle_s":7,"sandbox":["uid","seccomp"],"options":[{"protocol":"lcp","option":"mru","ours":"1492","peers":"1480"},{"protocol":"ipcp","option":"primary-dns","ours":null,"peers":"192.0.2.53"}],"timers":{"deadline_left_s":null,"idle_left_s":60,"session_left_s":3600},"rates":{"rx_bits_per_s":8000,"tx_bits_per_s":16000000,"window_ms":12000},"control":{"rx_packets":9,"tx_packets":8,"rx_echo_requests":4,"rx_echo_replies":3,"tx_echo_requests":2,"tx_echo_replies":1},"history":[{"at_ms":0,"event":"PADR"},{"at_ms":1042,"event":"IPCP opened"}],"hooks":[{"file":"10-nat.lua","function":"ip_up","took_us":12345,"outcome":"ok"}]"#;
        assert_eq!(
            render(&Answer::Session(Box::new(samples::detail()))),
            format!("{{\"schema\":1,\"session\":{{{summary},{rest}}}}}\n")
        );
    }

    #[test]
    fn stats() {
        assert_eq!(
            render(&Answer::Stats(Box::new(samples::stats()))),
            concat!(
                r#"{"schema":1,"stats":{"uptime_s":200000,"state":"draining","sessions":2,"open":1,"max_sessions":64,"started":12,"#,
                r#""ended":{"peer-terminated":9,"echo-lost":1,"idle":0},"#,
                r#""problems":["worker program: cannot open program /usr/libexec/ppp-worker"],"repaired":{"worker":2,"interface":0},"#,
                r#""interfaces":[{"interface":"eth1","#,
                r#""state":"up","mac":"02:50:50:00:00:01","mtu":1500,"#,
                r#""packets":{"padi-rx":1200,"pado-tx":12},"dropped":{"truncated":1}}],"#,
                r#""turns":[{"event":"discovery frame","turns":1212,"busy_us":31000,"longest_us":1900,"stalls":0},"#,
                r#"{"event":"worker message","turns":108,"busy_us":150000,"longest_us":132400,"stalls":2}],"waiting":5,"setup_wait_ms":1234}}"#,
                "\n"
            )
        );
    }

    #[test]
    fn terminated() {
        assert_eq!(render(&Answer::Terminated(3)), "{\"schema\":1,\"terminated\":3}\n");
    }

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_act_on() {
        let text = "a\u{9b}b\u{202e}\u{e0041}\x1b\n\"\\é日";
        let name = Name::new(text);
        let mut detail = samples::detail();
        detail.summary.username = Some(name.clone());
        detail.secret_origin = Some(text.into());
        let document = render(&Answer::Session(Box::new(detail)));
        assert!(document.trim_end().chars().all(is_harmless), "{document}");
        let value: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(value["session"]["secret_origin"], text);
        assert_eq!(value["session"]["username"], name.to_string(), "its text, by which it is found");
    }

    #[test]
    fn service() {
        let answer = Answer::Service { state: ServiceState::ShutdownSoft, sessions: 3 };
        assert_eq!(
            render(&answer),
            "{\"schema\":1,\"service\":{\"state\":\"shutdown-soft\",\"sessions\":3}}\n"
        );
    }

    #[test]
    fn events() {
        let render = |piece: &Piece| {
            let mut out = Vec::new();
            Json { zone: Zone::Utc }.write_piece(piece, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(
            render(&Piece::Event(Box::new(samples::ended()))),
            concat!(
                r#"{"schema":1,"event":{"time":"2026-11-21T10:31:02.123+00:00","seq":12,"time_ms":1795257062123,"#,
                r#""event":"session-ended","session":"#,
                r#"{"id":7,"ifname":"ppp0","username":"alice","ip":"10.0.0.2","mac":"02:00:5e:10:00:01","#,
                r#""interface":"eth1"},"interface":null,"reason":"admin","detail":"by uid 0 with pppctl","#,
                r#""duration_s":3725,"traffic":{"rx_packets":12,"rx_bytes":1536,"tx_packets":9,"tx_bytes":5000000},"#,
                r#""caller":null}}"#,
                "\n"
            )
        );
        assert_eq!(render(&Piece::Lost(3)), "{\"schema\":1,\"lost\":3}\n");
        let documentation = include_str!("../../../docs/json-schema.md");
        let value: serde_json::Value =
            serde_json::from_str(&render(&Piece::Event(Box::new(samples::ended())))).unwrap();
        for field in fields(&value) {
            assert!(documentation.contains(&format!("`{field}`")), "{field} is not in docs/json-schema.md");
        }
        for name in EventName::ALL {
            assert!(documentation.contains(&format!("`{}`", name.as_str())), "{name:?}");
        }
    }

    /// The words of the document that users read.
    #[test]
    fn every_field_is_documented() {
        let documentation = include_str!("../../../docs/json-schema.md");
        for answer in [
            Answer::Session(Box::new(samples::detail())),
            Answer::Stats(Box::new(samples::stats())),
            Answer::Terminated(1),
            Answer::Service { state: ServiceState::Serving, sessions: 0 },
        ] {
            let value: serde_json::Value = serde_json::from_str(&render(&answer)).unwrap();
            for field in fields(&value) {
                assert!(
                    documentation.contains(&format!("`{field}`")),
                    "{field} is not in docs/json-schema.md"
                );
            }
        }
    }
}
