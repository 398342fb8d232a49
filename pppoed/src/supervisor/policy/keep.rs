//! `show policy` and `write`.

use std::path::{Path, PathBuf};

use ppp_ipc::codec::pieces;
use ppp_ipc::control::{Failure, Response};
use ppp_ipc::policy::{PolicyEntry, PolicyWritten};
use pppoed_config::files;
use pppoed_config::policy::{self, By, Key, Policy};
use tokio::sync::oneshot;
use tracing::{info, warn};

use super::super::Supervisor;
use super::super::show_config::cut_off;
use super::fail;
use crate::control::{Answer, Caller};
use crate::text::{clean, lines};
use crate::turns;

impl Supervisor {
    /// `show policy`. The console file is read beside the event loop, to tell what a restart would lose.
    pub(in super::super) fn show_policy(&self, answer: oneshot::Sender<Answer>) {
        let (policy, path) = (self.policy.current.clone(), self.policy.file.clone());
        let consoles = self.console_work.clone();
        turns::spawn("console file", async move {
            let responses = match consoles.list(move || entries(&policy, &path)).await {
                Some(all) => pieces(all).into_iter().map(Response::Policy).collect(),
                None => vec![Response::Failed(cut_off())],
            };
            // Fails, here and below, only when the client has hung up.
            let _ = answer.send(Answer::Whole(responses));
        });
    }

    /// What can be set. That asks for the settings of a server without files, and so is made beside the event loop.
    pub(in super::super) fn show_settable(&self, answer: oneshot::Sender<Answer>) {
        let consoles = self.console_work.clone();
        turns::spawn("what can be set", async move {
            let responses = match consoles.list(policy::settable).await {
                Some(all) => pieces(all).into_iter().map(Response::Settable).collect(),
                None => vec![Response::Failed(cut_off())],
            };
            let _ = answer.send(Answer::Whole(responses));
        });
    }

    /// `write`: keeps what consoles have set.
    pub(in super::super) fn write_policy(
        &self,
        check: bool,
        caller: Caller,
        answer: oneshot::Sender<Answer>,
    ) {
        let Ok(permit) = self.policy.writing.clone().try_acquire_owned() else {
            let busy = "the file is being written for another console".to_owned();
            return fail(answer, Failure::Busy(busy));
        };
        let (policy, path) = (self.policy.current.clone(), self.policy.file.clone());
        turns::spawn("console file", async move {
            let writing = tokio::task::spawn_blocking(move || {
                let written = write(&policy, path, caller.uid, check);
                drop(permit);
                written
            });
            let response = match writing.await {
                Ok(Ok(written)) => {
                    if written.applied {
                        let PolicyWritten { path, entries, .. } = &written;
                        info!(uid = caller.uid, pid = caller.pid, path, entries, "console: written");
                    }
                    Response::PolicyWritten(Box::new(written))
                }
                Ok(Err(failure)) => Response::Failed(failure),
                Err(error) => Response::Failed(Failure::Busy(error.to_string())),
            };
            let _ = answer.send(response.into());
        });
    }
}

fn entries(policy: &Policy, path: &Path) -> Vec<PolicyEntry> {
    // What cannot be read keeps nothing.
    let file = policy::read(path).unwrap_or_default();
    let entry = |(key, entry): (&policy::Key, &policy::Entry)| PolicyEntry {
        kind: key.kind(entry).to_owned(),
        // A name's text is clean, and of no use if it is cut.
        name: match key {
            Key::Listed(_) | Key::User { .. } => key.name(),
            _ => clean(&key.name()),
        },
        value: clean(&key.value(entry)),
        uid: entry.by.uid,
        time_ms: entry.by.time_ms,
        is_written: file.get(key).is_some_and(|written| written.values == entry.values),
    };
    policy.entries().map(entry).collect()
}

/// Runs where it may block.
fn write(policy: &Policy, path: PathBuf, uid: u32, check: bool) -> Result<PolicyWritten, Failure> {
    let differs = policy::read(&path).map_or(true, |file| !file.says_the_same(policy));
    if !check {
        let text = policy::text(policy, By::now(uid));
        files::replace(&path, text.as_bytes()).map_err(|error| {
            warn!(path = %path.display(), %error, "cannot write the console file");
            Failure::BadFiles(lines(&[format!("{}: {error} (--console-file)", path.display())]))
        })?;
    }
    let entries = u32::try_from(policy.len()).unwrap_or(u32::MAX);
    Ok(PolicyWritten { path: clean(&path.display().to_string()), entries, differs, applied: !check })
}
