//! From a parsed command to the message that asks `pppoed` for it.

use ppp_ipc::control::{self, AuthTest, EventFilter, Request, Selector};

use crate::command::{Auth, Command, OneSession, Set, Show, Shutdown, Switch, Terminate};
use crate::hooks::Hooks;
use crate::policy::Wanted;

impl From<&Command> for Request {
    fn from(command: &Command) -> Self {
        match command {
            Command::Show(Show::Sessions { session: None, .. }) => Self::ShowSessions,
            Command::Show(Show::Sessions { session: Some(session), .. }) => {
                Self::ShowSession { id: session.id() }
            }
            Command::Show(Show::Stats) => Self::ShowStats,
            Command::Show(Show::Pool) => Self::ShowPool,
            Command::Show(Show::Interfaces) => Self::ShowInterfaces,
            Command::Show(Show::Policy) => Self::ShowPolicy,
            Command::Write { check } => Self::WritePolicy { check: *check },
            // These have a message each; without one nothing would be asked for.
            Command::Set(Set::Policy(_)) | Command::Unset(_) => {
                Wanted::by(command).map_or(Self::ShowPolicy, |wanted| wanted.request())
            }
            Command::Show(Show::Config { diff: false, .. }) => Self::ShowConfig,
            Command::Show(Show::Config { diff: true, .. }) => Self::ShowConfigDiff,
            Command::Show(Show::Log(log)) => Self::ShowLog(log.query()),
            // Made of several answers.
            Command::Show(Show::Metrics) => Self::ShowStats,
            Command::Auth(Auth::Test { user, .. }) => {
                Self::AuthTest(AuthTest { user: user.clone(), password: None })
            }
            Command::Capture(capture) => Self::Capture(capture.request()),
            Command::Trace(trace) => Self::Trace(trace.request()),
            Command::Version => Self::ShowVersion,
            Command::Set(Set::LogLevel { level, session }) => {
                Self::SetLogLevel { level: level.known(), session: session.as_ref().map(OneSession::id) }
            }
            Command::Set(Set::Debug(debug)) => {
                let (which, on) = debug.which();
                Self::SetDebug { which, on }
            }
            Command::Set(Set::Rate { session, down, up }) => {
                Self::SetRate { id: session.id(), down: *down, up: *up }
            }
            Command::Set(Set::Drain { switch }) => Self::Drain { on: *switch == Switch::On },
            // `top` asks for this again and again.
            Command::Top(_) => Self::ShowSessions,
            Command::Terminate { which, .. } => Self::Terminate(which.into()),
            Command::Drain { switch } => Self::Drain { on: *switch == Switch::On },
            Command::Monitor(monitor) => {
                Self::Monitor(EventFilter { names: monitor.events.clone(), sessions: monitor.sessions() })
            }
            Command::Reload { check } => Self::Reload { check: *check },
            Command::Hooks(Hooks::Run(run)) => Self::RunHook(Box::new(run.trial())),
            // A check asks no server.
            Command::Hooks(Hooks::Stats | Hooks::Check { .. }) => Self::ShowHooks,
            Command::Shutdown(Shutdown::Soft) => Self::Shutdown(control::Shutdown::Soft),
            Command::Shutdown(Shutdown::Hard { yes: _ }) => Self::Shutdown(control::Shutdown::Hard),
            Command::Shutdown(Shutdown::Keep) => Self::Shutdown(control::Shutdown::Keep),
        }
    }
}

impl From<&Terminate> for Selector {
    fn from(which: &Terminate) -> Self {
        match which {
            Terminate::Session { session } => Self::Id(session.id()),
            Terminate::User { name } => Self::User(name.clone()),
            Terminate::Mac { address } => Self::Mac(*address),
            Terminate::Ip { address } => Self::Ip(*address),
            Terminate::Interface { name } => Self::Interface(name.clone()),
            Terminate::Pattern { pattern } => Self::Pattern(pattern.clone()),
            Terminate::All => Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use clap::Parser;
    use ppp_ipc::control::{
        BitRate, CaptureRequest, EventName, HookTrial, LogLevel, LogQuery, TraceRequest, TraceTarget,
    };

    use ppp_ipc::policy::{ListName, PolicyChange, PolicyRequest, Subject};

    use ppp_ipc::name::{Name, NamePattern};

    use super::*;
    use crate::format::Format;
    use crate::program::{Cli, CliCommand};

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(["pppctl"].into_iter().chain(line.split(' ')))
    }

    fn traced(target: TraceTarget) -> Request {
        Request::Trace(TraceRequest { target, data: true, packets: 5, seconds: 6 })
    }

    fn policy(change: PolicyChange) -> Request {
        Request::Policy(Box::new(PolicyRequest { change, dry_run: false, end: false }))
    }

    fn command(cli: &Cli) -> &Command {
        match &cli.command {
            Some(CliCommand::Command(command)) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_command_has_its_request() {
        let cases = [
            ("show sessions", Request::ShowSessions),
            ("show session", Request::ShowSessions),
            ("sh sess", Request::ShowSessions),
            ("sho se", Request::ShowSessions),
            ("show session 7", Request::ShowSession { id: 7 }),
            ("sh ses 65534", Request::ShowSession { id: 65534 }),
            ("show stats", Request::ShowStats),
            ("terminate session 1", Request::Terminate(Selector::Id(1))),
            ("terminate user alice", Request::Terminate(Selector::User(Name::new("alice")))),
            ("ter u alice@example.org", Request::Terminate(Selector::User(Name::new("alice@example.org")))),
            ("term mac 02:00:00:00:00:0a", Request::Terminate(Selector::Mac([2, 0, 0, 0, 0, 10]))),
            ("terminate ip 10.0.0.2", Request::Terminate(Selector::Ip(Ipv4Addr::new(10, 0, 0, 2)))),
            ("terminate interface ppp0", Request::Terminate(Selector::Interface("ppp0".into()))),
            ("terminate all", Request::Terminate(Selector::All)),
            ("terminate user alice --yes", Request::Terminate(Selector::User(Name::new("alice")))),
            ("terminate all --yes", Request::Terminate(Selector::All)),
            (
                "terminate pattern al* --yes",
                Request::Terminate(Selector::Pattern(NamePattern::from_text("al*"))),
            ),
            ("show pool", Request::ShowPool),
            ("show interfaces", Request::ShowInterfaces),
            ("show log", Request::ShowLog(LogQuery::latest(100))),
            (
                "sh log warn -n 5 --session 7",
                Request::ShowLog(LogQuery { level: LogLevel::Warn, session: Some(7), ..LogQuery::latest(5) }),
            ),
            ("show policy", Request::ShowPolicy),
            ("write", Request::WritePolicy { check: false }),
            ("wr --check", Request::WritePolicy { check: true }),
            (
                "set config ppp.ms-dns 1.1.1.1 9.9.9.9 --yes",
                policy(PolicyChange::Set {
                    key: "ppp.ms-dns".into(),
                    values: vec!["1.1.1.1".into(), "9.9.9.9".into()],
                }),
            ),
            (
                "set pado-delay -1,5:7",
                policy(PolicyChange::Set { key: "pado-delay".into(), values: vec!["-1,5:7".into()] }),
            ),
            ("unset config mtu", policy(PolicyChange::Unset { key: "mtu".into() })),
            (
                "set deny mac 02:00:00:00:00:0a",
                policy(PolicyChange::List { list: ListName::Deny, who: Subject::Mac([2, 0, 0, 0, 0, 10]) }),
            ),
            (
                "set deny user al* --end --dry-run",
                Request::Policy(Box::new(PolicyRequest {
                    change: PolicyChange::List {
                        list: ListName::Deny,
                        who: Subject::User(NamePattern::from_text("al*")),
                    },
                    dry_run: true,
                    end: true,
                })),
            ),
            (
                "set allow user al",
                policy(PolicyChange::List {
                    list: ListName::Allow,
                    who: Subject::User(NamePattern::from_text("al")),
                }),
            ),
            (
                "unset deny user al",
                policy(PolicyChange::Unlist {
                    list: ListName::Deny,
                    who: Subject::User(NamePattern::from_text("al")),
                }),
            ),
            (
                "unset allow user al",
                policy(PolicyChange::Unlist {
                    list: ListName::Allow,
                    who: Subject::User(NamePattern::from_text("al")),
                }),
            ),
            (
                "set user al rate-down=10M ipparam=a=b",
                policy(PolicyChange::SetUser {
                    name: Name::new("al"),
                    options: vec![("rate-down".into(), "10M".into()), ("ipparam".into(), "a=b".into())],
                }),
            ),
            ("unset user al", policy(PolicyChange::UnsetUser { name: Name::new("al"), options: vec![] })),
            (
                "unset user al rate-down",
                policy(PolicyChange::UnsetUser { name: Name::new("al"), options: vec!["rate-down".into()] }),
            ),
            ("set hooks disable", policy(PolicyChange::Hooks { enabled: false, file: None })),
            (
                "set hooks enable a.lua",
                policy(PolicyChange::Hooks { enabled: true, file: Some("a.lua".into()) }),
            ),
            ("set service add vpn", policy(PolicyChange::AddService(Name::new("vpn")))),
            ("set interface add eth3", policy(PolicyChange::AddInterface("eth3".into()))),
            ("set interface remove eth3", policy(PolicyChange::RemoveInterface("eth3".into()))),
            ("set service remove vpn", policy(PolicyChange::RemoveService(Name::new("vpn")))),
            ("unset all", policy(PolicyChange::UnsetAll)),
            ("show config", Request::ShowConfig),
            ("sh c echo", Request::ShowConfig),
            ("show config mac --diff", Request::ShowConfigDiff),
            ("version", Request::ShowVersion),
            (
                "capture 7 -w /tmp/x --packets 5 --bytes 6 --seconds 8 --snaplen 96 --secrets",
                Request::Capture(CaptureRequest {
                    session: 7,
                    packets: 5,
                    bytes: 6,
                    seconds: 8,
                    snaplen: 96,
                    secrets: true,
                }),
            ),
            (
                "trace 7",
                Request::Trace(TraceRequest {
                    target: TraceTarget::Session(7),
                    data: false,
                    packets: 1_000_000,
                    seconds: 3600,
                }),
            ),
            (
                "tr mac 02:00:00:00:00:0a --data --packets 5 --seconds 6",
                Request::Trace(TraceRequest {
                    target: TraceTarget::Mac([2, 0, 0, 0, 0, 10]),
                    data: true,
                    packets: 5,
                    seconds: 6,
                }),
            ),
            ("trace user al --data --packets 5 --seconds 6", traced(TraceTarget::User(Name::new("al")))),
            (
                "trace interface eth1 --data --packets 5 --seconds 6",
                traced(TraceTarget::Interface("eth1".into())),
            ),
            ("trace new --data --packets 5 --seconds 6", traced(TraceTarget::New)),
            ("auth test al", Request::AuthTest(AuthTest { user: Name::new("al"), password: None })),
            ("set log-level debug", Request::SetLogLevel { level: Some(LogLevel::Debug), session: None }),
            ("set rate 7 10M", Request::SetRate { id: 7, down: BitRate(10_000), up: None }),
            ("set rate 7 none 512k", Request::SetRate { id: 7, down: BitRate(0), up: Some(BitRate(512)) }),
            ("set log default --session 7", Request::SetLogLevel { level: None, session: Some(7) }),
            ("set debug 7 on", Request::SetDebug { which: Selector::Id(7), on: true }),
            ("set deb user al off", Request::SetDebug { which: Selector::User(Name::new("al")), on: false }),
            ("set drain on", Request::Drain { on: true }),
            ("monitor", Request::Monitor(EventFilter::default())),
            (
                "mon session-open refused --user alice",
                Request::Monitor(EventFilter {
                    names: vec![EventName::SessionOpen, EventName::Refused],
                    sessions: Some(Selector::User(Name::new("alice"))),
                }),
            ),
            ("hooks stats", Request::ShowHooks),
            (
                "hook run ip_up --session 7 --set username=al=ice --set mtu=1400 --file a.lua",
                Request::RunHook(Box::new(HookTrial {
                    function: "ip_up".into(),
                    session: Some(7),
                    fields: vec![("username".into(), Name::new("al=ice")), ("mtu".into(), Name::new("1400"))],
                    file: Some("a.lua".into()),
                })),
            ),
            ("drain on", Request::Drain { on: true }),
            ("d off", Request::Drain { on: false }),
            ("reload", Request::Reload { check: false }),
            ("rel --check", Request::Reload { check: true }),
            ("shutdown soft", Request::Shutdown(control::Shutdown::Soft)),
            ("shutdown keep", Request::Shutdown(control::Shutdown::Keep)),
            ("shut ha", Request::Shutdown(control::Shutdown::Hard)),
            ("shutdown hard --yes", Request::Shutdown(control::Shutdown::Hard)),
        ];
        for (line, expected) in cases {
            let cli = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(Request::from(command(&cli)), expected, "{line}");
        }
    }

    #[test]
    fn a_wrong_line_is_refused() {
        for line in [
            "shout",
            "show",
            "sh s",
            "show session 7 8",
            "show session 7 --user alice",
            "show session 7 --columns id",
            "show sessions --columns size",
            "show sessions --sort size",
            "terminate",
            "terminate i ppp0",
            "terminate user",
            "terminate ip 10.0.0",
            "terminate mac 02:00",
            "monitor session-opened",
            "monitor --user alice --ip 10.0.0.2",
            "set log-level loud",
            "set debug 7",
            "set debug user al",
            "set debug 7 user al on",
            "set rate 7",
            "set rate 7 10Mbit",
            "trace",
            "trace user",
            "trace 7 new",
            "show log -n x",
            "set config mtu",
            "set deny",
            "set deny ip 10.0.0.2",
            "set allow user al --end",
            "set user al",
            "set user al rate-down",
            "set hooks maybe",
            "set service vpn",
            "unset",
            "unset hooks",
            "drain",
            "drain maybe",
            "hooks",
            "hooks run",
            "hooks run ip_up --set username",
            "shutdown",
            "sh h",
            "shutdown soft --yes",
            "show sessions -o xml",
            "show sessions --json -o table",
            "show sessions --timeout 0",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn options_stand_anywhere() {
        for line in [
            "--json --socket /s show stats",
            "show --json stats --socket /s",
            "show stats --socket=/s -o json",
        ] {
            let cli = parse(line).unwrap();
            assert_eq!(cli.display.format(), Some(Format::Json), "{line}");
            assert_eq!(cli.connection.socket.to_str(), Some("/s"), "{line}");
        }
    }
}
