//! What there is only once and a session holds for its life: its slot with the session id, the unit of its interface, its
//! addresses.
//!
//! Each kind has one owner ([`Slots`], [`Units`], [`AddressBook`]), which alone makes leases and takes them back. A
//! [`Lease`] cannot be copied and is given back by value, so to give it back twice cannot be written.
//!
//! A lease that is dropped does **not** come back by itself. A number that is lost is one session less until the next start; one
//! that came back too early, because some assignment dropped it, would give two subscribers one address. So giving back is
//! always written out, and debug builds panic where a lease is dropped while its owner lives: every test that runs a session
//! to its end looks for that.

mod address_book;
mod numbering;
mod random_ids;
mod slots;
mod units;

use std::fmt;
use std::ops::Deref;
use std::rc::{Rc, Weak};

pub use address_book::{AddressBook, AddressPair};
pub use numbering::{MAX_SESSIONS, Numbering, SlotError};
pub use slots::{Slot, Slots};
pub use units::{RETRY_INTERVAL, Unit, Units};

/// Something in the hands of one holder, until that gives it back to its owner.
#[must_use = "what is leased has to be given back"]
pub struct Lease<T> {
    what: T,
    owner: Weak<()>,
    is_given_back: bool,
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.what
    }
}

impl<T: fmt::Debug> fmt::Debug for Lease<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(formatter)
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        // An owner that is gone lends to nobody any more; a panic that unwinds is the first fault, and enough.
        debug_assert!(
            self.is_given_back || self.owner.strong_count() == 0 || std::thread::panicking(),
            "a lease was dropped and not given back"
        );
    }
}

/// What an owner knows its leases by.
#[derive(Debug, Default)]
struct Desk(Rc<()>);

impl Desk {
    fn lend<T>(&self, what: T) -> Lease<T> {
        Lease { what, owner: Rc::downgrade(&self.0), is_given_back: false }
    }

    /// What was lent.
    fn take_back<T: Copy>(&self, mut lease: Lease<T>) -> T {
        debug_assert!(
            std::ptr::eq(lease.owner.as_ptr(), Rc::as_ptr(&self.0)),
            "a lease went to another owner"
        );
        lease.is_given_back = true;
        lease.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "dropped and not given back")]
    fn a_lease_that_is_lost_is_found() {
        let desk = Desk::default();
        drop(desk.lend(7));
    }

    #[test]
    #[should_panic(expected = "went to another owner")]
    fn a_lease_goes_back_to_its_owner() {
        let (one, other) = (Desk::default(), Desk::default());
        other.take_back(one.lend(7));
    }

    #[test]
    fn what_is_given_back_or_outlives_its_owner_is_not_lost() {
        let desk = Desk::default();
        let (back, left) = (desk.lend(1), desk.lend(2));
        assert_eq!((*left, desk.take_back(back)), (2, 1));
        drop(desk);
        drop(left);
    }
}
