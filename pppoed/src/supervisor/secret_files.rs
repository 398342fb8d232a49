//! The secrets files, and the one thread that reads them: whoever asks them waits for nobody but others who ask them.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use pppoed_config::secrets::{Notice, Secrets, Settings};
use tracing::warn;

use crate::log_limit::RepeatedTexts;
use crate::names::HostNames;
use crate::threads::{Priority, Threads};

/// The files as they are now. Clones share them, until they are replaced.
#[derive(Clone, Debug)]
pub(super) struct SecretFiles {
    /// Held on the thread alone, so that nobody ever waits for the lock.
    secrets: Arc<Mutex<Secrets>>,
    thread: Arc<Threads>,
    pub(super) names: HostNames,
    /// What was said about lines when somebody tried to log in by them.
    told: Rc<RefCell<RepeatedTexts>>,
}

impl SecretFiles {
    /// # Errors
    /// Those of the system.
    pub(super) fn new(settings: Settings) -> io::Result<Self> {
        let files = Self::with_names(settings, HostNames::new()?)?;
        files.read_users();
        Ok(files)
    }

    /// # Errors
    /// Those of the system.
    pub(super) fn with_names(settings: Settings, names: HostNames) -> io::Result<Self> {
        let secrets = Arc::new(Mutex::new(Secrets::new(settings)));
        let thread = Arc::new(Threads::new("secrets", 1, Priority::Normal)?);
        Ok(Self { secrets, thread, names, told: Rc::default() })
    }

    /// Goes by other files from now on.
    pub(super) fn replace(&mut self, settings: Settings) {
        self.secrets = Arc::new(Mutex::new(Secrets::new(settings)));
        self.read_users();
    }

    /// Reads the users file, so that there are users to go on with if it is spoilt before anybody logs in.
    fn read_users(&self) {
        drop(self.begin(|secrets, _| secrets.read_users()));
    }

    /// Asks the files something. What takes time for other reasons than the disk is not done here.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Secrets, &HostNames) -> T + Send + 'static,
    ) -> Option<T> {
        self.begin(work).await.ok()
    }

    /// Writes into the log what there is to say about the files, once, when they were read; and about the line of somebody who logs
    /// in, once a minute: anybody may try.
    pub(super) fn tell(&self, notices: &[Notice]) {
        let (of_logins, of_files): (Vec<_>, Vec<_>) =
            notices.iter().partition(|notice| matches!(notice, Notice::UnusableSecretFile { .. }));
        of_files.into_iter().for_each(|notice| warn!("{notice}"));
        self.tell_of_login(of_logins);
    }

    /// The same of what was found out by a login.
    pub(super) fn tell_of_login<'a>(&self, notices: impl IntoIterator<Item = &'a Notice>) {
        for text in notices.into_iter().map(Notice::to_string) {
            if self.told.borrow_mut().is_news(&text, Instant::now()) {
                warn!("{text}");
            }
        }
    }

    fn begin<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Secrets, &HostNames) -> T + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        let (secrets, names) = (self.secrets.clone(), self.names.clone());
        self.thread.begin(move || work(&mut secrets.lock().unwrap_or_else(PoisonError::into_inner), &names))
    }
}
