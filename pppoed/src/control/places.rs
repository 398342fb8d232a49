//! The places of a socket's clients: bounded, and who asks nothing for the longest time makes room for a newcomer.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::Notify;

/// All places of one socket.
#[derive(Clone, Debug)]
pub(super) struct Places {
    room: usize,
    state: Rc<RefCell<State>>,
    /// One has left.
    left: Rc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    taken: BTreeMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    /// Since when it has asked nothing; none while it is being answered.
    idle_since: Option<Instant>,
    /// It was told to leave.
    is_leaving: bool,
    leave: Rc<Notify>,
}

/// The place of one client, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    places: Places,
    leave: Rc<Notify>,
}

impl Places {
    pub(super) fn new(room: usize) -> Self {
        Self { room, state: Rc::default(), left: Rc::default() }
    }

    /// Waits for a place. When all are taken, the client that has been idle for the longest time is told to leave.
    pub(super) async fn take(&self) -> Place {
        loop {
            if let Some(place) = self.try_take() {
                return place;
            }
            self.state.borrow_mut().evict();
            self.left.notified().await;
        }
    }

    fn try_take(&self) -> Option<Place> {
        let mut state = self.state.borrow_mut();
        if state.taken.len() >= self.room {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let leave = Rc::new(Notify::new());
        let seat = Seat { idle_since: Some(Instant::now()), is_leaving: false, leave: Rc::clone(&leave) };
        state.taken.insert(number, seat);
        Some(Place { number, places: self.clone(), leave })
    }
}

impl State {
    /// One that is told is as good as gone; while it goes, nobody else has to.
    fn evict(&mut self) {
        if self.taken.values().any(|seat| seat.is_leaving) {
            return;
        }
        let idle = self.taken.values_mut().filter(|seat| seat.idle_since.is_some());
        if let Some(seat) = idle.min_by_key(|seat| seat.idle_since) {
            seat.is_leaving = true;
            seat.leave.notify_one();
        }
    }
}

impl Place {
    /// The client has asked something.
    pub(super) fn set_busy(&self) {
        self.set_idle_since(None);
    }

    /// The client has its answer.
    pub(super) fn set_idle(&self) {
        self.set_idle_since(Some(Instant::now()));
        // Somebody may wait for just that.
        self.places.left.notify_one();
    }

    fn set_idle_since(&self, since: Option<Instant>) {
        if let Some(seat) = self.places.state.borrow_mut().taken.get_mut(&self.number) {
            seat.idle_since = since;
        }
    }

    /// Ends when somebody else needs the place. An idle client has to leave then.
    pub(super) async fn is_needed(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.state.borrow_mut().taken.remove(&self.number);
        self.places.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::task::LocalSet;
    use tokio::time::timeout;

    use super::*;
    use crate::turns;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    async fn is_told(place: &Place) -> bool {
        timeout(Duration::from_millis(20), place.is_needed()).await.is_ok()
    }

    #[test]
    fn the_longest_idle_makes_room() {
        run(async {
            let places = Places::new(3);
            let [first, second, third] = [places.take().await, places.take().await, places.take().await];
            first.set_busy();
            second.set_busy();
            second.set_idle();
            let newcomer = turns::spawn("test", async move { places.take().await });
            assert!(is_told(&third).await);
            assert!(!is_told(&first).await && !is_told(&second).await);
            assert!(!newcomer.is_finished());
            drop(third);
            newcomer.await.unwrap();
        });
    }

    #[test]
    fn nobody_is_disturbed_in_the_middle_of_an_answer() {
        run(async {
            let places = Places::new(1);
            let busy = places.take().await;
            busy.set_busy();
            let newcomer = turns::spawn("test", async move { places.take().await });
            assert!(!is_told(&busy).await);
            busy.set_idle();
            assert!(is_told(&busy).await);
            drop(busy);
            newcomer.await.unwrap();
        });
    }
}
