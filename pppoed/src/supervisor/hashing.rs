//! Whose hashed password is compared next: what strangers can cause costs as much computing as it does, and no more.
//!
//! A guess at a hashed password costs its sender a packet, and us milliseconds. So there are few threads for it, which leave
//! the processors to everybody else; of each MAC address and of each user one comparison is under way; stations that have logged
//! in before go first, so that no stranger's guesses delay them by more than one comparison; among the others the users take
//! turns, so that guesses at one user's password delay the logins of that user alone; and who has waited for longer than clients
//! wait is refused.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::thread::available_parallelism;
use std::time::Duration;

use ppp_wire::MacAddr;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::session::AccessIndex;
use crate::threads::{Priority, Threads};

/// Comparisons of each kind of station that may wait. The limits of sessions in setup bound them as well; this is for servers
/// without.
const MAX_WAITING: usize = 1024;

/// A station on an access interface.
pub(super) type Station = (AccessIndex, MacAddr);

/// Whose turn it is first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its station has logged in before; or it is a console.
    Known,
    Stranger,
}

/// The threads that compare hashes, and the queue before them. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Hashing {
    threads: Rc<Threads>,
    turns: Turns,
}

/// Why a password was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Busy {
    #[error("another password from the same MAC address is still being compared")]
    SameStation,
    #[error("too many logins wait for hashed passwords to be compared")]
    QueueFull,
    #[error("hashed passwords could not be compared within {0:?} (--hash-wait)")]
    TooLong(Duration),
}

impl Hashing {
    /// As many threads as half of the processors, and at least one.
    pub(super) fn new() -> io::Result<Self> {
        let count = available_parallelism().map_or(1, NonZeroUsize::get).div_ceil(2);
        Ok(Self {
            threads: Rc::new(Threads::new("hashing", count, Priority::Low)?),
            turns: Turns::new(count),
        })
    }

    /// Has the password of `user` compared, when its turn comes. A console has no station.
    ///
    /// # Errors
    /// Why it was not.
    pub(super) async fn compare<T: Send + 'static>(
        &self,
        user: &[u8],
        station: Option<Station>,
        standing: Standing,
        patience: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let _turn = self.turns.take(user, station, standing, patience).await?;
        self.threads.run(work).await.ok_or(Busy::QueueFull)
    }
}

#[derive(Clone, Debug)]
struct Turns(Rc<RefCell<State>>);

/// Somebody who waits for a turn: its number, and how it is told.
type Waiting = (u64, oneshot::Sender<()>);

#[derive(Debug)]
struct State {
    free: usize,
    stations: HashSet<Station>,
    /// Users of whom a comparison is under way.
    busy: HashSet<Box<[u8]>>,
    known: Queue,
    strangers: Queue,
    next: u64,
}

/// Those who wait, of one standing.
#[derive(Debug, Default)]
struct Queue {
    /// By user, in the order in which they came.
    waiting: HashMap<Box<[u8]>, VecDeque<Waiting>>,
    /// The users, in the order of their turns.
    order: VecDeque<Box<[u8]>>,
    count: usize,
}

/// One's turn, which is over when this is dropped.
#[derive(Debug)]
struct Turn {
    turns: Turns,
    user: Box<[u8]>,
    _place: Place,
}

/// The place of a station: it has one.
#[derive(Debug)]
struct Place(Turns, Option<Station>);

impl Turns {
    fn new(count: usize) -> Self {
        Self(Rc::new(RefCell::new(State {
            free: count,
            stations: HashSet::new(),
            busy: HashSet::new(),
            known: Queue::default(),
            strangers: Queue::default(),
            next: 0,
        })))
    }

    async fn take(
        &self,
        user: &[u8],
        station: Option<Station>,
        standing: Standing,
        patience: Duration,
    ) -> Result<Turn, Busy> {
        let place = self.enter(station)?;
        let user: Box<[u8]> = user.into();
        let (number, turn) = self.0.borrow_mut().queue(user.clone(), standing)?;
        self.0.borrow_mut().call();
        match timeout(patience, turn).await {
            Ok(Ok(())) => Ok(Turn { turns: self.clone(), user, _place: place }),
            Ok(Err(_)) => Err(Busy::QueueFull),
            Err(_) => {
                if !self.0.borrow_mut().leave(&user, number) {
                    // It was called at this very moment.
                    drop(Turn { turns: self.clone(), user, _place: place });
                }
                Err(Busy::TooLong(patience))
            }
        }
    }

    fn enter(&self, station: Option<Station>) -> Result<Place, Busy> {
        match station.is_none_or(|station| self.0.borrow_mut().stations.insert(station)) {
            true => Ok(Place(self.clone(), station)),
            false => Err(Busy::SameStation),
        }
    }
}

impl State {
    fn queue(&mut self, user: Box<[u8]>, standing: Standing) -> Result<(u64, oneshot::Receiver<()>), Busy> {
        let queue = match standing {
            Standing::Known => &mut self.known,
            Standing::Stranger => &mut self.strangers,
        };
        let (caller, turn) = oneshot::channel();
        let number = self.next;
        queue.push(user, (number, caller))?;
        self.next += 1;
        Ok((number, turn))
    }

    /// Calls those whose turn it is.
    fn call(&mut self) {
        while self.free > 0 {
            let first = self.known.pop(&self.busy).or_else(|| self.strangers.pop(&self.busy));
            let Some((user, (_, caller))) = first else { return };
            // Who has gone meanwhile has dropped its end.
            if caller.send(()).is_ok() {
                self.free -= 1;
                self.busy.insert(user);
            }
        }
    }

    /// One has waited in vain. False if it was called already.
    fn leave(&mut self, user: &[u8], number: u64) -> bool {
        self.known.leave(user, number) || self.strangers.leave(user, number)
    }
}

impl Queue {
    fn push(&mut self, user: Box<[u8]>, waiting: Waiting) -> Result<(), Busy> {
        if self.count >= MAX_WAITING {
            return Err(Busy::QueueFull);
        }
        self.count += 1;
        let of_user = self.waiting.entry(user.clone()).or_default();
        if of_user.is_empty() {
            self.order.push_back(user);
        }
        of_user.push_back(waiting);
        Ok(())
    }

    /// Takes out the first of the user whose turn it is, and of whom no comparison is under way.
    fn pop(&mut self, busy: &HashSet<Box<[u8]>>) -> Option<(Box<[u8]>, Waiting)> {
        let index = self.order.iter().position(|user| !busy.contains(user))?;
        let user = self.order.remove(index)?;
        let of_user = self.waiting.get_mut(&user)?;
        let first = of_user.pop_front()?;
        self.count -= 1;
        match of_user.is_empty() {
            true => drop(self.waiting.remove(&user)),
            // It is the others' turn first.
            false => self.order.push_back(user.clone()),
        }
        Some((user, first))
    }

    fn leave(&mut self, user: &[u8], number: u64) -> bool {
        let Some(of_user) = self.waiting.get_mut(user) else { return false };
        let Some(index) = of_user.iter().position(|(other, _)| *other == number) else { return false };
        of_user.remove(index);
        self.count -= 1;
        if of_user.is_empty() {
            self.waiting.remove(user);
            self.order.retain(|other| **other != *user);
        }
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.turns.0.borrow_mut();
        state.free += 1;
        state.busy.remove(&self.user);
        state.call();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(station) = self.1 {
            self.0.0.borrow_mut().stations.remove(&station);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Instant;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    fn station(number: u8) -> Option<Station> {
        Some((0, MacAddr([2, 0, 0, 0, 0, number])))
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    type Waiting = std::pin::Pin<Box<dyn Future<Output = Result<Turn, Busy>>>>;

    fn ask(turns: &Turns, user: &'static [u8], number: u8) -> Waiting {
        ask_as(turns, user, number, Standing::Stranger)
    }

    fn ask_as(turns: &Turns, user: &'static [u8], number: u8, standing: Standing) -> Waiting {
        let turns = turns.clone();
        Box::pin(async move { turns.take(user, station(number), standing, PATIENCE).await })
    }

    /// What has come of it by now.
    async fn now(waiting: &mut Waiting) -> Option<Result<Turn, Busy>> {
        std::future::poll_fn(|context| match waiting.as_mut().poll(context) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    #[test]
    fn guesses_at_one_users_password_delay_nobody_else() {
        run(async {
            let turns = Turns::new(2);
            let first = now(&mut ask(&turns, b"alice", 0)).await.unwrap().unwrap();
            let mut guesses: Vec<_> = (1..30).map(|number| ask(&turns, b"alice", number)).collect();
            for guess in &mut guesses {
                assert!(now(guess).await.is_none());
            }
            // A thread is free, as one user never has two.
            let bob = now(&mut ask(&turns, b"bob", 100)).await.unwrap().unwrap();
            let mut carol = ask(&turns, b"carol", 101);
            assert!(now(&mut carol).await.is_none());
            // Alice has others who wait for her turn, but it is Carol's.
            drop(first);
            let mut next = now(&mut guesses[0]).await.unwrap().unwrap();
            assert!(now(&mut carol).await.is_none(), "alice was first in the queue, once");
            drop(next);
            let _carol = now(&mut carol).await.unwrap().unwrap();
            assert!(now(&mut guesses[1]).await.is_none());
            drop(bob);
            next = now(&mut guesses[1]).await.unwrap().unwrap();
            drop(next);
        });
    }

    #[test]
    fn guesses_at_many_users_passwords_delay_no_station_that_is_known() {
        run(async {
            let turns = Turns::new(1);
            let users: [&'static [u8]; 4] = [b"alice", b"bob", b"carol", b"dave"];
            let mut guesses: Vec<_> =
                (0..80).map(|number| ask(&turns, users[usize::from(number) % users.len()], number)).collect();
            let first = now(&mut guesses[0]).await.unwrap().unwrap();
            for guess in &mut guesses[1..] {
                assert!(now(guess).await.is_none());
            }
            // Also of the user at whose password there are most guesses.
            let mut customers: Vec<_> =
                [100, 101].iter().map(|number| ask_as(&turns, b"bob", *number, Standing::Known)).collect();
            for customer in &mut customers {
                assert!(now(customer).await.is_none());
            }
            let mut before = first;
            for customer in &mut customers {
                drop(before);
                before = now(customer).await.unwrap().unwrap();
            }
            drop(before);
            assert!(now(&mut guesses[1]).await.unwrap().is_ok());
        });
    }

    #[test]
    fn a_station_has_one_comparison_and_waits_no_longer_than_clients_do() {
        run(async {
            let turns = Turns::new(1);
            let busy = now(&mut ask(&turns, b"alice", 0)).await.unwrap().unwrap();
            assert_eq!(now(&mut ask(&turns, b"bob", 0)).await.unwrap().unwrap_err(), Busy::SameStation);
            let begun = Instant::now();
            assert_eq!(ask(&turns, b"bob", 1).await.unwrap_err(), Busy::TooLong(PATIENCE));
            assert!(begun.elapsed() >= PATIENCE);
            drop(busy);
            let state = turns.0.borrow();
            let queue = &state.strangers;
            assert_eq!((state.free, queue.count, queue.waiting.len(), queue.order.len()), (1, 0, 0, 0));
            assert!(state.stations.is_empty() && state.busy.is_empty());
        });
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind_and_the_queue_has_an_end() {
        run(async {
            let turns = Turns::new(1);
            let busy = now(&mut ask(&turns, b"alice", 0)).await.unwrap().unwrap();
            let mut gone = ask(&turns, b"bob", 1);
            assert!(now(&mut gone).await.is_none());
            drop(gone);
            turns.enter(station(1)).unwrap();
            let console = |turns: &Turns| {
                let turns = turns.clone();
                Box::pin(async move { turns.take(b"bob", None, Standing::Known, PATIENCE).await }) as Waiting
            };
            let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| console(&turns)).collect();
            for one in &mut waiting {
                assert!(now(one).await.is_none());
            }
            assert_eq!(now(&mut console(&turns)).await.unwrap().unwrap_err(), Busy::QueueFull);
            drop(busy);
            // The one that is gone has lost its turn to the next.
            let _turn = now(&mut waiting[0]).await.unwrap().unwrap();
        });
    }
}
