//! Answers that the tests of several modules show.

use std::net::{Ipv4Addr, Ipv6Addr};

use ppp_ipc::control::{
    AuthMethod, BitRate, ControlTraffic, Event, EventName, EventSession, HistoryEntry, InterfaceState,
    InterfaceStats, NamedCount, NegotiatedOption, Phase, ServerStats, ServiceState, SessionDetail,
    SessionHook, SessionRates, SessionSummary, SessionTimers, Traffic, TurnStats,
};
use ppp_ipc::name::Name;

use crate::{clock::Zone, terminal::Screen};

/// Output for no terminal, with the times of no particular place.
pub(crate) const UTC: Screen =
    Screen { width: None, height: None, colour: false, mark_headings: false, zone: Zone::Utc };

pub(crate) fn summary(id: u16) -> SessionSummary {
    SessionSummary {
        id,
        ifname: format!("ppp{}", id - 1),
        username: Some(Name::new("alice")),
        ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
        mac: "02:00:5e:10:00:01".into(),
        interface: "eth1".into(),
        service: Name::default(),
        state: Phase::Open,
        uptime_s: 3725,
        traffic: Traffic { rx_packets: 12, rx_bytes: 1536, tx_packets: 9, tx_bytes: 5_000_000 },
    }
}

/// A session that has got no further than its PADS.
pub(crate) fn young(id: u16) -> SessionSummary {
    SessionSummary {
        username: None,
        ip: None,
        state: Phase::Establish,
        uptime_s: 2,
        traffic: Traffic::default(),
        ..summary(id)
    }
}

pub(crate) fn detail() -> SessionDetail {
    SessionDetail {
        summary: SessionSummary { service: Name::new("internet"), ..summary(1) },
        worker_pid: 4711,
        local_ip: Some(Ipv4Addr::new(10, 0, 0, 1)),
        local_link_local: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        peer_link_local: Some(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2)),
        dns: vec![Ipv4Addr::new(192, 0, 2, 53), Ipv4Addr::new(198, 51, 100, 53)],
        nbns: vec![],
        mru: Some(1492),
        peer_mru: Some(1480),
        mtu: Some(1480),
        auth: Some(AuthMethod::ChapMd5),
        secret_origin: Some("/etc/ppp/chap-secrets:3".into()),
        host_uniq: Some("0a0b".into()),
        dropped_source: 1,
        dropped_malformed: 2,
        dropped_not_open: 3,
        dropped_errors: 4,
        dropped_rate: 5,
        rate_down: BitRate(10_000),
        rate_up: BitRate(0),
        idle_s: Some(7),
        sandbox: vec!["uid".into(), "seccomp".into()],
        options: vec![
            NegotiatedOption {
                protocol: "lcp".into(),
                option: "mru".into(),
                ours: Some("1492".into()),
                peers: Some("1480".into()),
            },
            NegotiatedOption {
                protocol: "ipcp".into(),
                option: "primary-dns".into(),
                ours: None,
                peers: Some("192.0.2.53".into()),
            },
        ],
        timers: SessionTimers { deadline_left_s: None, idle_left_s: Some(60), session_left_s: Some(3600) },
        rates: Some(SessionRates { rx_bits_per_s: 8000, tx_bits_per_s: 16_000_000, window_ms: 12_000 }),
        control: ControlTraffic {
            rx_packets: 9,
            tx_packets: 8,
            rx_echo_requests: 4,
            rx_echo_replies: 3,
            tx_echo_requests: 2,
            tx_echo_replies: 1,
        },
        history: vec![
            HistoryEntry { at_ms: 0, event: "PADR".into() },
            HistoryEntry { at_ms: 1042, event: "IPCP opened".into() },
        ],
        hooks: vec![SessionHook {
            file: "10-nat.lua".into(),
            function: "ip_up".into(),
            took_us: 12_345,
            outcome: "ok".into(),
        }],
    }
}

pub(crate) fn ended() -> Event {
    Event {
        seq: 12,
        time_ms: 1_795_257_062_123,
        event: EventName::SessionEnded,
        session: Some(EventSession {
            id: 7,
            ifname: "ppp0".into(),
            username: Some(Name::new("alice")),
            ip: Some(Ipv4Addr::new(10, 0, 0, 2)),
            mac: "02:00:5e:10:00:01".into(),
            interface: "eth1".into(),
        }),
        interface: None,
        reason: Some("admin".into()),
        detail: Some("by uid 0 with pppctl".into()),
        duration_s: Some(3725),
        traffic: Some(summary(1).traffic),
        caller: None,
    }
}

pub(crate) fn stats() -> ServerStats {
    let named = |name: &str, count| NamedCount { name: name.into(), count };
    ServerStats {
        uptime_s: 200_000,
        state: ServiceState::Draining,
        sessions: 2,
        open: 1,
        max_sessions: 64,
        started: 12,
        ended: vec![named("peer-terminated", 9), named("echo-lost", 1), named("idle", 0)],
        interfaces: vec![InterfaceStats {
            interface: "eth1".into(),
            state: InterfaceState::Up,
            mac: Some("02:50:50:00:00:01".into()),
            mtu: Some(1500),
            packets: vec![named("padi-rx", 1200), named("pado-tx", 12)],
            dropped: vec![named("truncated", 1)],
        }],
        problems: vec!["worker program: cannot open program /usr/libexec/ppp-worker".into()],
        repaired: vec![named("worker", 2), named("interface", 0)],
        turns: vec![
            TurnStats {
                event: "discovery frame".into(),
                turns: 1212,
                busy_us: 31_000,
                longest_us: 1900,
                stalls: 0,
            },
            TurnStats {
                event: "worker message".into(),
                turns: 108,
                busy_us: 150_000,
                longest_us: 132_400,
                stalls: 2,
            },
        ],
        waiting: 5,
        setup_wait_ms: 1234,
    }
}
