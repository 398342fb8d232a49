//! The sockets of one server: one for everything, and one for those who may only look.

use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use tracing::{info, warn};

use super::{Answers, CallSenders, ControlSocket, OpenError, Rights};
use crate::config::Config;

/// User that workers become if the configured one does not exist.
const FALLBACK_USER: &str = "nobody";

/// All sockets for consoles.
#[derive(Debug)]
pub struct Sockets {
    sockets: Vec<ControlSocket>,
    paths: Vec<PathBuf>,
}

impl Sockets {
    /// Opens the control socket and, if there is a group that may look, the socket of that group.
    ///
    /// # Errors
    /// [`OpenError`], also when another `pppoed` is alive.
    pub fn open(config: &Config, answers: &Answers) -> Result<Self, OpenError> {
        let stranger = worker_user(&config.worker_user);
        let open = |path: &Path, group: Option<Gid>, rights: Rights| {
            let socket = ControlSocket::open(path, group, rights, answers.clone())?;
            Ok((socket.except(stranger), path.to_owned()))
        };
        let mut opened = vec![open(&config.control_socket, group(&config.control_group), Rights::Full)?];
        match group(&config.view_group) {
            Some(viewers) => opened.push(open(&config.view_socket(), Some(viewers), Rights::ReadOnly)?),
            None => info!(group = config.view_group, "there is no such group, and so no socket to look only"),
        }
        let (sockets, paths) = opened.into_iter().unzip();
        Ok(Self { sockets, paths })
    }

    /// Serves the clients of all sockets, in tasks of their own. Returns the paths, for [`remove`].
    pub fn serve(self, calls: &CallSenders) -> Vec<PathBuf> {
        for socket in self.sockets {
            let calls = calls.of(socket.rights);
            tokio::task::spawn_local(socket.serve(calls));
        }
        self.paths
    }
}

/// Removes the names of sockets that are no longer served.
pub fn remove(paths: &[PathBuf]) {
    for path in paths {
        if let Err(error) = std::fs::remove_file(path) {
            warn!(path = %path.display(), %error, "cannot remove the control socket");
        }
    }
}

fn group(name: &str) -> Option<Gid> {
    Group::from_name(name).ok().flatten().map(|group| group.gid)
}

fn worker_user(name: &str) -> Option<Uid> {
    [name, FALLBACK_USER].iter().find_map(|name| User::from_name(name).ok().flatten()).map(|user| user.uid)
}
