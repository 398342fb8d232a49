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
    command::{Command, Set, name, name_pattern, values},
    console::Console,
    error::Error,
    output,
    parse::parse_mac,
    question,
    run::Display,
    terminal,
};

const CONFIG_EXAMPLES: &str = "\
Examples:
  set config pado-delay 0,100:50            keys are the long flags of pppoed
  set config ppp.ms-dns 1.1.1.1 9.9.9.9     and, behind ppp., the options of pppd
  set config sessions 128 --dry-run         only tells what it would change
  unset config pado-delay                   back to files and command line";

const USER_EXAMPLES: &str = "\
Examples:
  set user alice rate-down=10M rate-up=2M   at once for her sessions, and for the next ones
  set user alice address=10.0.0.9 maxconnect=3600
  unset user alice rate-down";

/// How to apply a change.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caution {
    /// Show the changes and the affected sessions, without applying them
    #[arg(long, global = true)]
    dry_run: bool,
    /// Do not ask for confirmation
    #[arg(short, long, global = true)]
    yes: bool,
}

/// Settings of the server that runs; `write` keeps them over a restart.
#[derive(Debug, Subcommand)]
pub(crate) enum SetPolicy {
    /// Change a setting
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        /// Long flag of pppoed, or ppp.OPTION
        #[arg(value_name = values::SETTING)]
        key: String,
        /// Value; several for a list. true or false for a switch
        #[arg(value_name = "VALUE", required = true)]
        values: Vec<String>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Block a user or MAC address
    Deny {
        /// Terminate existing sessions
        #[arg(long, global = true)]
        end: bool,
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Allow a user or MAC address, overriding deny lists; credentials are still checked
    Allow {
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Set rates, limits or the address of a user
    #[command(after_help = USER_EXAMPLES)]
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
        /// Option as in the secrets file, or address
        #[arg(value_name = "OPTION=VALUE", required = true, value_parser = option)]
        options: Vec<(String, String)>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Enable or disable hook scripts
    Hooks {
        #[arg(value_enum)]
        switch: HookSwitch,
        /// Script name, such as 20-nat.lua; all scripts without it
        #[arg(value_name = "SCRIPT")]
        file: Option<String>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Add or remove a service
    Service {
        #[arg(value_enum)]
        action: ServiceAction,
        /// Service name
        #[arg(value_name = "NAME", value_parser = name())]
        name: Name,
        #[command(flatten)]
        caution: Caution,
    },
    /// Add or remove an access interface
    Interface {
        #[arg(value_enum)]
        action: ServiceAction,
        /// Interface name, or a pattern ('eth1.*')
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        caution: Caution,
    },
    /// Set the PADO delay by session count
    PadoDelay {
        /// Delay in milliseconds (-1: no PADO), then DELAY:SESSIONS for higher session counts: 0,100:50,-1:500
        #[arg(value_name = "DELAY", allow_hyphen_values = true)]
        delay: String,
        #[command(flatten)]
        caution: Caution,
    },
}

/// What was set at a console, and is taken back: what files and command line say holds again.
#[derive(Debug, Subcommand)]
pub(crate) enum Unset {
    /// Restore a setting
    Config {
        /// Long flag of pppoed, or ppp.OPTION
        #[arg(value_name = values::SETTING)]
        key: String,
        #[command(flatten)]
        caution: Caution,
    },
    /// Remove a user or MAC address from the deny list
    Deny {
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Remove a user or MAC address from the allow list
    Allow {
        #[command(flatten)]
        caution: Caution,
        #[command(subcommand)]
        who: Who,
    },
    /// Remove options of a user
    User {
        /// Exact user name
        #[arg(value_name = values::USER, value_parser = name())]
        name: Name,
        /// Options to remove; all without them
        #[arg(value_name = "OPTION")]
        options: Vec<String>,
        #[command(flatten)]
        caution: Caution,
    },
    /// Remove all runtime settings
    All {
        #[command(flatten)]
        caution: Caution,
    },
}

/// Whom a list is about.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Who {
    /// A client by MAC address
    Mac {
        /// MAC address, such as 02:00:5e:10:00:01
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

/// Enabled or disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HookSwitch {
    /// Enable
    Enable,
    /// Disable
    Disable,
}

/// Addition or removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceAction {
    /// Add
    Add,
    /// Remove
    Remove,
}

fn option(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected OPTION=VALUE, such as rate-down=10M")?;
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
                "this would stop serving {}; without a terminal, confirm with --yes, or use set interface add",
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
