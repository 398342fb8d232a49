//! Commands that change the configuration of the server that runs, and keep it.
//!
//! Each is asked about first with nothing changed: where sessions feel it, the user sees what it touches before.

use std::io::{self, Write};

use clap::{Args, Subcommand, ValueEnum};
use ppp_ipc::control::Request;
use ppp_ipc::name::{Name, NamePattern};
use ppp_ipc::policy::{ListName, PolicyChange, PolicyRequest, Subject};
use ppp_ipc::reload::Setting;
use ppp_wire::escape::harmless;

use crate::{
    answer::{Answer, PolicyOutcome},
    command::{Command, Set, name, name_pattern, parse_mac, values},
    console::Console,
    error::Error,
    output, question,
    run::Display,
    terminal,
};

const CONFIG_EXAMPLES: &str = "\
Examples:
  set config pado-delay 0,100:50            keys are the long flags of pppoed
  set config ppp.ms-dns 1.1.1.1 9.9.9.9     and, behind ppp., the options of pppd
  set config sessions 128 --dry-run         only tells what it would change
  unset config pado-delay                   as files and command line say";

const USER_EXAMPLES: &str = "\
Examples:
  set user alice rate-down=10M rate-up=2M   at once for her sessions, and for the next ones
  set user alice address=10.0.0.9 maxconnect=3600
  unset user alice rate-down";

/// What to do beside the change itself.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caution {
    /// Only tell what it would change, and which sessions it touches
    #[arg(long, global = true)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long, global = true)]
    yes: bool,
}

/// Settings of the server that runs; `write` keeps them over a restart.
#[derive(Debug, Subcommand)]
pub(crate) enum SetPolicy {
    /// Change a setting of the server that runs
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        /// Long flag of pppoed, or ppp.OPTION
        #[arg(value_name = values::SETTING)]
        key: String,
        /// Value; several for a list. A switch is true or false
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Let somebody in no more
    Deny {
        /// End the sessions that they have
        #[arg(long, global = true)]
        end: bool,
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Let somebody in although a list says no (with the right password)
    Allow {
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Give one user other rates, limits or another address
    #[command(after_help = USER_EXAMPLES)]
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
        /// Option of the secrets file, or address
        #[arg(value_name = "OPTION=VALUE", required = true, value_parser = option)]
        options: Vec<(String, String)>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Call the hook scripts, or one of them, or call them no more
    Hooks {
        #[arg(value_enum)]
        switch: HookSwitch,
        /// Name of the script, such as 20-nat.lua; all of them without it
        #[arg(value_name = "SCRIPT")]
        file: Option<String>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Offer one service more or less
    Service {
        #[arg(value_enum)]
        action: ServiceAction,
        /// Service-Name
        #[arg(value_name = "NAME", value_parser = name())]
        name: Name,
        #[command(flatten)]
        caution: Caution,
    },
    /// Serve one access interface more or less
    Interface {
        #[arg(value_enum)]
        action: ServiceAction,
        /// Name of the interface, or a pattern ('eth1.*')
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        caution: Caution,
    },
    /// Wait before offers, or make none, by the number of sessions
    PadoDelay {
        /// Milliseconds, -1 for no offer, then DELAY:SESSIONS for more sessions, such as 0,100:50,-1:500
        #[arg(value_name = "DELAY", allow_hyphen_values = true)]
        delay: String,
        #[command(flatten)]
        caution: Caution,
    },
}

/// What was set at a console, and is taken back: what files and command line say holds again.
#[derive(Debug, Subcommand)]
pub(crate) enum Unset {
    /// A setting of the server
    Config {
        /// Long flag of pppoed, or ppp.OPTION
        #[arg(value_name = values::SETTING)]
        key: String,
        #[command(flatten)]
        caution: Caution,
    },
    /// Somebody who was denied
    Deny {
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Somebody who was allowed
    Allow {
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Options of one user
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
        /// Options to take back; all without them
        #[arg(value_name = "OPTION")]
        options: Vec<String>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Everything that was set at consoles
    All {
        #[command(flatten)]
        caution: Caution,
    },
}

/// Whom a list is about.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Who {
    /// The station with this Ethernet address
    Mac {
        /// Such as 02:00:5e:10:00:01
        #[arg(value_name = values::MAC, value_parser = parse_mac)]
        address: [u8; 6],
    },
    /// A user, or users by a pattern with * and ?
    User {
        /// User name, such as alice or 'guest*'
        #[arg(value_name = values::USER, value_parser = name_pattern())]
        name: NamePattern,
    },
}

/// Called or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HookSwitch {
    /// Call them
    Enable,
    /// Call them no more
    Disable,
}

/// More or less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceAction {
    /// One more
    Add,
    /// One less
    Remove,
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write OPTION=VALUE, such as rate-down=10M")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl From<&Who> for Subject {
    fn from(who: &Who) -> Self {
        match who {
            Who::Mac { address } => Self::Mac(*address),
            Who::User { name } => Self::User(name.clone()),
        }
    }
}

/// A change that a command asks for.
pub(crate) struct Wanted {
    request: PolicyRequest,
    yes: bool,
}

impl Wanted {
    /// The change of a command, if it is one.
    pub(crate) fn by(command: &Command) -> Option<Self> {
        let (change, caution, end) = match command {
            Command::Set(Set::Policy(set)) => set.change(),
            Command::Unset(unset) => {
                let (change, caution) = unset.change();
                (change, caution, false)
            }
            _ => return None,
        };
        let Caution { dry_run, yes } = caution;
        Some(Self { request: PolicyRequest { change, dry_run, end }, yes })
    }

    /// The message that asks for it.
    pub(crate) fn request(&self) -> Request {
        Request::Policy(Box::new(self.request.clone()))
    }
}

impl SetPolicy {
    fn change(&self) -> (PolicyChange, Caution, bool) {
        match self {
            Self::Config { key, values, caution } => {
                (PolicyChange::Set { key: key.clone(), values: values.clone() }, *caution, false)
            }
            Self::Deny { end, caution, who } => {
                (PolicyChange::List { list: ListName::Deny, who: who.into() }, *caution, *end)
            }
            Self::Allow { caution, who } => {
                (PolicyChange::List { list: ListName::Allow, who: who.into() }, *caution, false)
            }
            Self::User { name, options, caution } => {
                (PolicyChange::SetUser { name: name.clone(), options: options.clone() }, *caution, false)
            }
            Self::Hooks { switch, file, caution } => {
                let enabled = *switch == HookSwitch::Enable;
                (PolicyChange::Hooks { enabled, file: file.clone() }, *caution, false)
            }
            Self::Service { action: ServiceAction::Add, name, caution } => {
                (PolicyChange::AddService(name.clone()), *caution, false)
            }
            Self::Service { action: ServiceAction::Remove, name, caution } => {
                (PolicyChange::RemoveService(name.clone()), *caution, false)
            }
            Self::Interface { action: ServiceAction::Add, name, caution } => {
                (PolicyChange::AddInterface(name.clone()), *caution, false)
            }
            Self::Interface { action: ServiceAction::Remove, name, caution } => {
                (PolicyChange::RemoveInterface(name.clone()), *caution, false)
            }
            Self::PadoDelay { delay, caution } => {
                let (key, values) = ("pado-delay".to_owned(), vec![delay.clone()]);
                (PolicyChange::Set { key, values }, *caution, false)
            }
        }
    }
}

impl Unset {
    fn change(&self) -> (PolicyChange, Caution) {
        match self {
            Self::Config { key, caution } => (PolicyChange::Unset { key: key.clone() }, *caution),
            Self::Deny { caution, who } => {
                (PolicyChange::Unlist { list: ListName::Deny, who: who.into() }, *caution)
            }
            Self::Allow { caution, who } => {
                (PolicyChange::Unlist { list: ListName::Allow, who: who.into() }, *caution)
            }
            Self::User { name, options, caution } => {
                (PolicyChange::UnsetUser { name: name.clone(), options: options.clone() }, *caution)
            }
            Self::All { caution } => (PolicyChange::UnsetAll, *caution),
        }
    }
}

/// Makes a change, after a look at what it touches, and a question where sessions feel it.
pub(crate) fn run(
    wanted: &Wanted,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Wanted { request, yes } = wanted;
    if !request.dry_run && !yes {
        let look = PolicyRequest { dry_run: true, ..request.clone() };
        if let Answer::Policy(outcome) = console.call(Request::Policy(Box::new(look)))? {
            ask(&outcome, request, console)?;
        }
    }
    let answer = console.call(wanted.request())?;
    output::new(display.format, display.screen).write(&answer, out).map_err(Error::Output)
}

/// Asks before sessions end, and, where there is somebody to ask, before they feel anything.
fn ask(outcome: &PolicyOutcome, request: &PolicyRequest, console: &mut Console) -> Result<(), Error> {
    let ending = outcome.summary.ending.count;
    let lost = lost_interfaces(outcome);
    if !question::has_somebody() {
        // As `terminate` has it: one session that is named needs no question.
        let is_one = ending <= 1 && !is_pattern(&request.change);
        // Whoever names the interface knows.
        if !lost.is_empty() && !matches!(request.change, PolicyChange::RemoveInterface(_)) {
            return Err(Error::Line(format!(
                "this would no longer serve {}, and there is no terminal to ask on: add --yes, or use set interface add",
                harmless(&lost.join(" "))
            )));
        }
        return if ending == 0 || is_one {
            Ok(())
        } else {
            Err(Error::NeedsYes(output::count(ending.into(), "session")))
        };
    }
    if !outcome.touches_sessions() && lost.is_empty() {
        return Ok(());
    }
    let host = harmless(&console.server()?.host).into_owned();
    let mut told = Vec::new();
    // A Vec takes everything.
    let _ = output::policy::write_outcome(outcome, &mut told);
    io::stderr().write_all(&told).map_err(Error::Ask)?;
    match terminal::ask(&format!("{} on {host}?", harmless(&request.to_string()))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Declined),
        Err(error) => Err(Error::Ask(error)),
    }
}

/// The interfaces that are served now, and would not be.
fn lost_interfaces(outcome: &PolicyOutcome) -> Vec<String> {
    let names = |setting: Option<&Setting>| -> Vec<String> {
        setting.map(|setting| setting.value.split(' ').map(str::to_owned).collect()).unwrap_or_default()
    };
    let changes = outcome.changes.iter().filter(|change| change.key == "interface");
    let lost = changes.flat_map(|change| {
        let new = names(change.new.as_ref());
        names(change.old.as_ref()).into_iter().filter(move |name| !new.contains(name))
    });
    lost.collect()
}

fn is_pattern(change: &PolicyChange) -> bool {
    matches!(change, PolicyChange::List { who: Subject::User(name), .. } if name.exact().is_none())
}
