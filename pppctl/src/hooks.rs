//! Commands about hook scripts.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::Command;

use clap::builder::{OsStringValueParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use ppp_ipc::control::HookTrial;
use ppp_ipc::name::Name;

use crate::command::{OneSession, one_session, values};
use crate::error::Error;

/// Where the scripts are unless configured.
const DIRECTORY: &str = "/etc/pppoed/hooks.d";

/// Commands for hook scripts.
#[derive(Debug, Subcommand)]
pub(crate) enum Hooks {
    /// Show calls, failures and durations of each function
    Stats,
    /// Check scripts by loading them in a separate process; works without a running pppoed
    Check {
        /// Directories or scripts
        #[arg(value_name = values::FILE, default_value = DIRECTORY)]
        paths: Vec<PathBuf>,
    },
    /// Run a hook and show its result and log lines; side effects of the script are real, its verdict is ignored
    Run(Run),
}

/// A hook to call.
#[derive(Args, Debug)]
pub(crate) struct Run {
    /// Function name, such as ip_up
    #[arg(value_name = "HOOK")]
    function: String,
    /// Session to run it with (id, user, interface, MAC or IP address), instead of sample data
    #[arg(long, value_name = values::SESSION, value_parser = one_session())]
    pub(crate) session: Option<OneSession>,
    /// Session field to override; may be repeated
    #[arg(long = "set", value_name = "FIELD=VALUE", value_parser = OsStringValueParser::new().try_map(field))]
    fields: Vec<(String, Name)>,
    /// Run it in this script only
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
}

impl Run {
    /// What to ask for.
    pub(crate) fn trial(&self) -> HookTrial {
        HookTrial {
            function: self.function.clone(),
            session: self.session.as_ref().map(OneSession::id),
            fields: self.fields.clone(),
            file: self.file.clone(),
        }
    }
}

fn field(word: OsString) -> Result<(String, Name), &'static str> {
    let split = word
        .as_bytes()
        .iter()
        .position(|byte| *byte == b'=')
        .and_then(|at| word.as_bytes().split_at_checked(at));
    let (name, value) = split.ok_or("write FIELD=VALUE, such as username=alice")?;
    let value = value.strip_prefix(b"=").unwrap_or(value);
    Ok((String::from_utf8_lossy(name).into_owned(), Name::from_text(value)))
}

/// Has `pppoed` load the scripts, which says what is in them, or what is wrong.
pub(crate) fn check(paths: &[PathBuf]) -> Result<(), Error> {
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name("pppoed"));
    let found = ["/usr/sbin/pppoed", "/usr/local/sbin/pppoed"].map(PathBuf::from);
    let program = beside.into_iter().chain(found).find(|program| program.is_file());
    let program = program.unwrap_or_else(|| PathBuf::from("pppoed"));
    let flags = paths.iter().flat_map(|path| ["--check-hooks".as_ref(), path.as_os_str()]);
    match Command::new(&program).args(flags).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Error::Line("the hook scripts have mistakes".to_owned())),
        Err(error) => Err(Error::Line(format!("cannot run {}: {error}", program.display()))),
    }
}
