//! The sockets of one server: one for everything, and one for those who may only look.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use pppoed_config::config::Config;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::{Answers, CallSenders, ControlSocket, OpenError, Rights};
use crate::turns;

/// User that workers become if the configured one does not exist.
const FALLBACK_USER: &str = "nobody";

/// The sockets for consoles, and the tasks that serve them.
#[derive(Debug)]
pub struct Consoles {
    answers: Answers,
    calls: CallSenders,
    serving: Vec<JoinHandle<()>>,
    paths: Vec<PathBuf>,
}

impl Consoles {
    /// None yet; what clients ask goes to `calls`.
    pub fn new(answers: Answers, calls: CallSenders) -> Self {
        Self { answers, calls, serving: Vec::new(), paths: Vec::new() }
    }

    /// Opens the control socket and, if there is a group that may look, the socket of that group, in place of those before,
    /// and serves their clients in tasks of their own. Clients of those before are served on.
    ///
    /// # Errors
    /// [`OpenError`], also when another `pppoed` is alive.
    pub fn open(&mut self, config: &Config) -> Result<(), OpenError> {
        // Nobody reaches them any more, and a socket that answers would count as another pppoed's.
        self.serving.drain(..).for_each(|serving| serving.abort());
        let answers = &self.answers;
        let stranger = worker_user(&config.worker_user);
        let open = |path: &Path, group: Option<Gid>, rights: Rights| {
            let socket = ControlSocket::open(path, group, rights, answers.clone())?;
            Ok((socket.except(stranger), path.to_owned()))
        };
        let mut opened = vec![open(&config.control_socket, group(&config.control_group), Rights::Full)?];
        match group(&config.view_group) {
            Some(viewers) => opened.push(open(&config.view_socket(), Some(viewers), Rights::ReadOnly)?),
            None => info!(group = config.view_group, "read-only socket disabled: group does not exist"),
        }
        let (sockets, paths): (Vec<ControlSocket>, Vec<PathBuf>) = opened.into_iter().unzip();
        self.paths = paths;
        let serve = |socket: ControlSocket| {
            let calls = self.calls.of(socket.rights);
            turns::spawn("console", socket.serve(calls))
        };
        self.serving = sockets.into_iter().map(serve).collect();
        Ok(())
    }

    /// Whether there is a socket.
    pub fn is_open(&self) -> bool {
        !self.serving.is_empty()
    }

    /// Where the sockets are; the first one is for everything.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.paths.clone()
    }
}

/// Removes the names of the sockets, which are no longer served.
pub fn remove(config: &Config) {
    for path in [config.control_socket.clone(), config.view_socket()] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                warn!(path = %path.display(), %error, "cannot remove the control socket");
            }
            _ => {}
        }
    }
}

fn group(name: &str) -> Option<Gid> {
    Group::from_name(name).ok().flatten().map(|group| group.gid)
}

fn worker_user(name: &str) -> Option<Uid> {
    [name, FALLBACK_USER].iter().find_map(|name| User::from_name(name).ok().flatten()).map(|user| user.uid)
}
