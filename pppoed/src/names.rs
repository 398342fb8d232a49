//! Names of hosts and networks that the secrets files have in place of addresses, looked up beside everything else.
//!
//! A resolver that is slow or not there may take half a minute for a name. So nobody who asks waits for it here: what is known is
//! known, and what is not is looked up meanwhile. Only who asks for a name for the first time may wait, for a while
//! ([`HostNames::settled`]).

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pppoed_config::inet::{Resolve, SystemNames};
use tokio::sync::Notify;
use tokio::time::timeout_at;

use crate::threads::{Priority, Threads};

/// Names that are looked up at once.
const LOOKUPS: usize = 2;
/// Age at which what is known of a name is looked up again, when somebody asks. Until there is an answer, it counts.
const MAX_AGE: Duration = Duration::from_secs(60);

/// What is known of names. Clones share it.
#[derive(Clone, Debug)]
pub struct HostNames {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

#[derive(Debug)]
struct Shared {
    system: Box<dyn System>,
    known: Mutex<Known>,
    /// A name was answered.
    answered: Notify,
}

/// Who is asked. Takes as long as it takes.
pub(crate) trait System: Resolve + Send + Sync + std::fmt::Debug {}
impl<T: Resolve + Send + Sync + std::fmt::Debug> System for T {}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<String, Name>,
    /// Counted up whenever a name means something else than before.
    generation: u64,
    /// Names that were never answered, and when the last of them was asked for first.
    unanswered: usize,
}

#[derive(Clone, Copy, Debug)]
struct Name {
    host: Option<Ipv4Addr>,
    network: Option<Ipv4Addr>,
    /// When it was asked for last.
    asked: Instant,
    is_being_looked_up: bool,
    was_answered: bool,
}

impl HostNames {
    /// The system's names.
    ///
    /// # Errors
    /// Those of the system.
    pub fn new() -> io::Result<Self> {
        Self::of(SystemNames)
    }

    /// Names of this system, which may take as long as it takes.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn of(system: impl System + 'static) -> io::Result<Self> {
        let shared = Shared { system: Box::new(system), known: Mutex::default(), answered: Notify::new() };
        let threads = Threads::new("names", LOOKUPS, Priority::Normal)?;
        Ok(Self { shared: Arc::new(shared), threads: Arc::new(threads) })
    }

    /// Whether there are names that were asked for and never answered.
    pub fn has_unanswered(&self) -> bool {
        self.shared.known().unanswered > 0
    }

    /// Waits until every name that was asked for has been answered once, but for none longer than `patience` after it was
    /// asked for: a name that was not answered by then means nothing until it is.
    pub async fn settled(&self, patience: Duration) {
        loop {
            let answered = self.shared.answered.notified();
            let deadline = {
                let known = self.shared.known();
                if known.unanswered == 0 {
                    return;
                }
                let unanswered = known.names.values().filter(|name| !name.was_answered);
                unanswered.filter_map(|name| name.asked.checked_add(patience)).max()
            };
            let Some(deadline) = deadline.filter(|deadline| *deadline > Instant::now()) else { return };
            let _ = timeout_at(deadline.into(), answered).await;
        }
    }

    /// Forgets everything: names are looked up anew.
    pub fn forget(&self) {
        let mut known = self.shared.known();
        let generation = known.generation + 1;
        *known = Known { generation, ..Known::default() };
    }

    fn look(&self, name: &str) -> (Option<Ipv4Addr>, Option<Ipv4Addr>) {
        let now = Instant::now();
        let mut known = self.shared.known();
        if !known.names.contains_key(name) {
            known.unanswered += 1;
        }
        let entry = known.names.entry(name.to_owned()).or_insert(Name {
            host: None,
            network: None,
            asked: now,
            is_being_looked_up: false,
            was_answered: false,
        });
        let is_old = entry.was_answered && now.saturating_duration_since(entry.asked) >= MAX_AGE;
        let is_to_be_looked_up = !entry.is_being_looked_up && (is_old || !entry.was_answered);
        if is_to_be_looked_up {
            entry.is_being_looked_up = true;
            entry.asked = now;
        }
        let answer = (entry.host, entry.network);
        drop(known);
        if is_to_be_looked_up {
            let (shared, name) = (self.shared.clone(), name.to_owned());
            drop(self.threads.begin(move || shared.look_up(&name)));
        }
        answer
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes as long as the system takes.
    fn look_up(&self, name: &str) {
        let (host, network) = (self.system.host(name), self.system.network(name));
        let mut known = self.known();
        let known = &mut *known;
        // Forgotten meanwhile, if it is not there.
        if let Some(entry) = known.names.get_mut(name) {
            // What was known before is better than nothing, which may be the resolver's fault.
            let is_news = host.or(network).is_some() && (entry.host, entry.network) != (host, network);
            if is_news {
                (entry.host, entry.network) = (host, network);
                known.generation += 1;
            }
            if !std::mem::replace(&mut entry.was_answered, true) {
                known.unanswered = known.unanswered.saturating_sub(1);
            }
            entry.is_being_looked_up = false;
        }
        self.answered.notify_waiters();
    }
}

/// What is known now.
impl Resolve for HostNames {
    fn host(&self, name: &str) -> Option<Ipv4Addr> {
        self.look(name).0
    }

    fn network(&self, name: &str) -> Option<Ipv4Addr> {
        self.look(name).1
    }

    fn generation(&self) -> u64 {
        self.shared.known().generation
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// Has the address 10.0.0.N for `host`, and an answer for `slow` when it is told to.
    #[derive(Debug)]
    struct Fake {
        last: Arc<AtomicU8>,
        answer: Mutex<Receiver<()>>,
    }

    impl Resolve for Fake {
        fn host(&self, name: &str) -> Option<Ipv4Addr> {
            match name {
                "host" => match self.last.load(Ordering::SeqCst) {
                    0 => None,
                    last => Some([10, 0, 0, last].into()),
                },
                "slow" => {
                    let _ = self.answer.lock().unwrap().recv();
                    Some([10, 9, 9, 9].into())
                }
                _ => None,
            }
        }

        fn network(&self, name: &str) -> Option<Ipv4Addr> {
            (name == "net").then_some([10, 1, 0, 0].into())
        }
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_name_is_known_once_it_was_looked_up_and_stays_known_while_the_resolver_is_gone() {
        let last = Arc::new(AtomicU8::new(1));
        let (_tell, answer) = channel();
        let names = HostNames::of(Fake { last: last.clone(), answer: Mutex::new(answer) }).unwrap();
        run(async {
            assert_eq!((names.host("host"), names.network("net"), names.host("nobody")), (None, None, None));
            assert!(names.has_unanswered());
            names.settled(PATIENCE).await;
            let address = |last| Some(Ipv4Addr::new(10, 0, 0, last));
            assert_eq!(names.host("host"), address(1));
            assert_eq!((names.host("net"), names.network("net")), (None, Some([10, 1, 0, 0].into())));
            assert_eq!((names.host("nobody"), names.has_unanswered()), (None, false));
            let before = names.generation();

            // As after a minute: what is known counts until there is an answer, and a failure changes nothing.
            let age = || names.shared.known().names.get_mut("host").unwrap().asked -= MAX_AGE;
            let looked_up = || !names.shared.known().names["host"].is_being_looked_up;
            for (now, then) in [(0, 1), (2, 2)] {
                last.store(now, Ordering::SeqCst);
                age();
                names.host("host");
                while !looked_up() {
                    tokio::task::yield_now().await;
                }
                assert_eq!(names.host("host"), address(then));
            }
            assert_eq!(names.generation(), before + 1);
            names.forget();
            assert_eq!(names.host("host"), None);
        });
    }

    #[test]
    fn nobody_waits_for_a_resolver_that_does_not_answer_for_longer_than_told() {
        let (tell, answer) = channel();
        let names = HostNames::of(Fake { last: Arc::default(), answer: Mutex::new(answer) }).unwrap();
        run(async {
            let patience = Duration::from_millis(50);
            let begun = Instant::now();
            assert_eq!(names.host("slow"), None);
            names.settled(patience).await;
            assert!(begun.elapsed() >= patience && begun.elapsed() < PATIENCE);
            // From then on, nobody waits at all; and what comes late counts.
            let again = Instant::now();
            names.settled(patience).await;
            assert!(again.elapsed() < patience);
            tell.send(()).unwrap();
            names.settled(PATIENCE).await;
            assert_eq!(names.host("slow"), Some([10, 9, 9, 9].into()));
        });
    }
}
