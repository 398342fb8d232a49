use ppp_ipc::control::{AddressSource, InterfaceState, SessionLogLevel};
use ppp_ipc::name::Name;

use super::*;
use crate::answer::Answer;
use crate::output::{self, samples};

use crate::format::Format;

fn render(format: Format, info: Info) -> String {
    let mut out = Vec::new();
    output::new(format, Screen::default()).write(&Answer::Info(info), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn pool() -> Info {
    let ip = |last| Ipv4Addr::new(10, 0, 0, last);
    let stats = PoolStats {
        size: 9,
        in_use: 1,
        reserved: 1,
        free: 7,
        outside: 1,
        ranges: vec![
            PoolRange { first: ip(2), last: ip(9), local: ip(1), in_use: 1, pool: 0 },
            PoolRange { first: ip(20), last: ip(20), local: ip(1), in_use: 0, pool: 0 },
        ],
        more_ranges: 3,
        pools: vec![NamedPoolStats {
            name: "default".into(),
            size: 9,
            in_use: 1,
            reserved: 1,
            free: 7,
            sessions: 2,
        }],
    };
    let lease = PoolLease {
        ip: ip(2),
        local_ip: ip(1),
        id: 7,
        ifname: "ppp0".into(),
        username: Some(Name::new("alice")),
        mac: "02:00:5e:10:00:01".into(),
        source: AddressSource::Pool,
        pool: "default".into(),
    };
    let own = PoolLease {
        ip: ip(200),
        id: 8,
        ifname: "ppp1".into(),
        username: None,
        source: AddressSource::User,
        ..lease.clone()
    };
    Info::Pool(Box::new(stats), vec![lease, own])
}

/// The same, and a second pool.
fn pools() -> Info {
    let Info::Pool(mut stats, mut leases) = pool() else { unreachable!("it is a pool") };
    stats.more_ranges = 0;
    stats.ranges[1].pool = 1;
    let office = NamedPoolStats { name: "office".into(), size: 1, free: 1, ..NamedPoolStats::default() };
    stats.pools.push(office);
    leases[1].pool = "office".into();
    Info::Pool(stats, leases)
}

/// The same, with what a section of the configuration says for one, and another that is no longer in it.
fn own_interfaces() -> Info {
    let Info::Interfaces(mut interfaces) = interfaces() else { unreachable!("they are interfaces") };
    interfaces[0].profile = Some("eth*".into());
    interfaces[0].services = vec![Name::new("isp"), Name::new("backup")];
    interfaces[0].pool = "office".into();
    interfaces[0].max_sessions = Some(40);
    interfaces[1].is_served = false;
    Info::Interfaces(interfaces)
}

fn interfaces() -> Info {
    let mut stats = samples::stats().interfaces.remove(0);
    let up = AccessInterface {
        stats: stats.clone(),
        index: Some(3),
        sessions: 2,
        open: 1,
        is_served: true,
        profile: None,
        ac_name: Name::new("ac"),
        services: Vec::new(),
        pool: "default".into(),
        max_sessions: None,
        free_slots: 62,
    };
    (stats.interface, stats.state, stats.mac, stats.mtu) =
        ("eth2".into(), InterfaceState::Absent, None, None);
    let absent = AccessInterface { stats, index: None, sessions: 0, open: 0, ..up.clone() };
    Info::Interfaces(vec![up, absent])
}

fn log() -> Info {
    let field = |name: &str, value: &str| LogField { name: name.into(), value: value.into() };
    Info::Log(vec![LogLine {
        seq: 5,
        time_ms: 1_795_257_062_123,
        level: LogLevel::Warn,
        message: "authentication refused".into(),
        fields: vec![field("session", "1"), field("reason", "wrong secret")],
    }])
}

fn version() -> Info {
    Info::Version(ServerVersion {
        software: "0.1.0".into(),
        protocol: 2,
        host: "bras1".into(),
        pid: 4711,
        uptime_s: 3725,
    })
}

fn auth() -> Info {
    let decided = AuthVerdict {
        method: AuthMethod::ChapMd5,
        is_asked_for: true,
        decided_by: Some("/etc/ppp/chap-secrets:3".into()),
        is_right: Some(false),
        refusal: Some("/etc/ppp/chap-secrets:3: user \"alice\" gave a wrong password".into()),
        addresses: Some("10.0.0.7".into()),
        others: vec![AuthLine {
            place: "/etc/ppp/chap-secrets:9".into(),
            why: "is for user \"Alice\"".into(),
        }],
        more: 4,
        would_get: None,
    };
    let unknown = AuthVerdict {
        method: AuthMethod::Pap,
        is_asked_for: false,
        decided_by: None,
        is_right: None,
        refusal: Some("no line".into()),
        addresses: None,
        others: vec![],
        more: 0,
        would_get: None,
    };
    Info::Auth(vec![decided, unknown])
}

fn levels() -> Info {
    let sessions = vec![SessionLogLevel { id: 7, level: LogLevel::Trace }];
    Info::LogLevels(LogLevels { level: LogLevel::Info, sessions })
}

#[test]
fn tables() {
    assert_eq!(
        render(Format::Table, pool()),
        "\
9 addresses: 1 in use, 7 free, 1 kept for single users
1 sessions with an address of their own, not of the pool

ADDRESSES          LOCAL     SIZE  USED
10.0.0.2-10.0.0.9  10.0.0.1     8     1
10.0.0.20          10.0.0.1     1     0
and 3 ranges more

ADDRESS     ID  IFNAME  USER   MAC                FROM
10.0.0.2     7  ppp0    alice  02:00:5e:10:00:01  pool
10.0.0.200   8  ppp1    -      02:00:5e:10:00:01  user
"
    );
    assert_eq!(
        render(Format::Table, interfaces()),
        "\
INTERFACE  STATE   MAC                 MTU  SESSIONS  OPEN  DROPPED
eth1       up      02:50:50:00:00:01  1500         2     1        1
eth2       absent  -                     -         0     0        1
"
    );
    assert_eq!(
        render(Format::Table, log()),
        "2026-11-21 10:31:02.123+00:00  warn   authentication refused session=1 reason=\"wrong secret\"\n"
    );
    assert_eq!(
        render(Format::Table, version()),
        format!(
            "pppctl {}\npppoed 0.1.0 on bras1, pid 4711, up 1h02m, control protocol 2\n",
            env!("CARGO_PKG_VERSION")
        )
    );
    assert_eq!(
        render(Format::Table, auth()),
        "\
CHAP-MD5
  /etc/ppp/chap-secrets:3 decides
  addresses: 10.0.0.7
  the password is wrong
  a login is refused: /etc/ppp/chap-secrets:3: user \"alice\" gave a wrong password
  /etc/ppp/chap-secrets:9 is for user \"Alice\"
  4 other lines are for others, or not shown
PAP (pppoed does not ask for it)
  a login is refused: no line
"
    );
    assert_eq!(render(Format::Table, Info::Count(2)), "2 sessions match\n");
    assert_eq!(render(Format::Table, levels()), "log level info\nlog level trace for session 7\n");
}

#[test]
fn what_differs_between_interfaces_is_shown_where_it_does() {
    assert_eq!(
        render(Format::Table, pools()),
        "\
9 addresses: 1 in use, 7 free, 1 kept for single users
1 sessions with an address of their own, not of the pool

POOL     SIZE  USED  FREE  KEPT  SESSIONS
default     9     1     7     1         2
office      1     0     1     0         0

ADDRESSES          LOCAL     SIZE  USED
10.0.0.2-10.0.0.9  10.0.0.1     8     1
10.0.0.20          10.0.0.1     1     0

ADDRESS     ID  IFNAME  USER   MAC                FROM
10.0.0.2     7  ppp0    alice  02:00:5e:10:00:01  default
10.0.0.200   8  ppp1    -      02:00:5e:10:00:01  user
"
    );
    assert_eq!(
        render(Format::Table, own_interfaces()),
        "\
INTERFACE  STATE   MAC                 MTU  SESSIONS  OPEN  DROPPED
eth1       up      02:50:50:00:00:01  1500         2     1        1
eth2       absent  -                     -         0     0        1

INTERFACE  SECTION  POOL     FREE  SERVICES
eth1       eth*     office     62  isp backup
eth2       -        default    62  -
eth2 takes no new sessions: it is not in the configuration
"
    );
    let json = render(Format::Json, own_interfaces());
    let own = r#""served":true,"section":"eth*","ac_name":"ac","services":["isp","backup"],"pool":"office","max_sessions":40"#;
    assert!(json.contains(own), "{json}");
    assert!(render(Format::Json, pools()).contains(r#""in_use":0,"pool":"office"}"#));
}

#[test]
fn json() {
    assert_eq!(
        render(Format::Json, pool()),
        concat!(
            r#"{"schema":1,"pool":{"size":9,"in_use":1,"reserved":1,"free":7,"outside":1,"ranges":["#,
            r#"{"first":"10.0.0.2","last":"10.0.0.9","local":"10.0.0.1","in_use":1,"pool":"default"},"#,
            r#"{"first":"10.0.0.20","last":"10.0.0.20","local":"10.0.0.1","in_use":0,"pool":"default"}],"more_ranges":3,"#,
            r#""pools":[{"name":"default","size":9,"in_use":1,"reserved":1,"free":7,"sessions":2}],"leases":["#,
            r#"{"ip":"10.0.0.2","local_ip":"10.0.0.1","id":7,"ifname":"ppp0","username":"alice","#,
            r#""mac":"02:00:5e:10:00:01","from_pool":true,"source":"pool","pool":"default"},"#,
            r#"{"ip":"10.0.0.200","local_ip":"10.0.0.1","id":8,"ifname":"ppp1","username":null,"#,
            r#""mac":"02:00:5e:10:00:01","from_pool":false,"source":"user","pool":"default"}]}}"#,
            "\n"
        )
    );
    assert_eq!(
        render(Format::Json, interfaces()),
        concat!(
            r#"{"schema":1,"interfaces":[{"interface":"eth1","state":"up","mac":"02:50:50:00:00:01","mtu":1500,"#,
            r#""packets":{"padi-rx":1200,"pado-tx":12},"dropped":{"truncated":1},"index":3,"sessions":2,"open":1,"#,
            r#""served":true,"section":null,"ac_name":"ac","services":[],"pool":"default","max_sessions":null,"#,
            r#""free_slots":62},"#,
            r#"{"interface":"eth2","state":"absent","mac":null,"mtu":null,"#,
            r#""packets":{"padi-rx":1200,"pado-tx":12},"dropped":{"truncated":1},"index":null,"sessions":0,"open":0,"#,
            r#""served":true,"section":null,"ac_name":"ac","services":[],"pool":"default","max_sessions":null,"#,
            r#""free_slots":62}]}"#,
            "\n"
        )
    );
    assert_eq!(
        render(Format::Json, log()),
        concat!(
            r#"{"schema":1,"log":[{"seq":5,"time":"2026-11-21T10:31:02.123+00:00","time_ms":1795257062123,"level":"warn","message":"authentication refused","#,
            r#""fields":{"session":"1","reason":"wrong secret"}}]}"#,
            "\n"
        )
    );
    let ours = env!("CARGO_PKG_VERSION");
    assert_eq!(
        render(Format::Json, version()),
        format!(
            "{{\"schema\":1,\"version\":{{\"pppctl\":\"{ours}\",\"pppoed\":\"0.1.0\",\"protocol\":2,\
             \"host\":\"bras1\",\"pid\":4711,\"uptime_s\":3725}}}}\n"
        )
    );
    assert_eq!(
        render(Format::Json, auth()),
        concat!(
            r#"{"schema":1,"auth_test":[{"method":"chap-md5","asked_for":true,"decided_by":"/etc/ppp/chap-secrets:3","#,
            r#""right":false,"refusal":"/etc/ppp/chap-secrets:3: user \"alice\" gave a wrong password","#,
            r#""addresses":"10.0.0.7","others":[{"place":"/etc/ppp/chap-secrets:9","why":"is for user \"Alice\""}],"more":4,"would_get":null},"#,
            r#"{"method":"pap","asked_for":false,"decided_by":null,"right":null,"refusal":"no line","addresses":null,"#,
            r#""others":[],"more":0,"would_get":null}]}"#,
            "\n"
        )
    );
    assert_eq!(render(Format::Json, Info::Count(2)), "{\"schema\":1,\"count\":2}\n");
    assert_eq!(
        render(Format::Json, levels()),
        "{\"schema\":1,\"log_levels\":{\"level\":\"info\",\"sessions\":[{\"id\":7,\"level\":\"trace\"}]}}\n"
    );
}

#[test]
fn every_field_is_documented() {
    let documentation = include_str!("../../../../docs/json-schema.md");
    for info in [pool(), interfaces(), version(), levels(), auth(), Info::Count(1), Info::Log(Vec::new())] {
        let value = serde_json::from_str(&render(Format::Json, info)).unwrap();
        for field in output::json::fields(&value) {
            assert!(documentation.contains(&format!("`{field}`")), "{field} is not in docs/json-schema.md");
        }
    }
    for field in ["log", "level", "message", "fields"] {
        assert!(documentation.contains(&format!("`{field}`")), "{field}");
    }
}
