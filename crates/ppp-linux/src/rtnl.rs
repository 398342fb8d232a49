//! Turns at the kernel's lock of everything about interfaces (`rtnl`).
//!
//! The kernel makes all changes of interfaces one after the other, in whatever thread they are asked for. Who finds the lock taken
//! wastes time there: a request spins on it, and a write to `/proc/sys/net/ipv6/conf/*/disable_ipv6` is begun again and again until
//! it is free (`addrconf_disable_ipv6` in net/ipv6/addrconf.c). With a few threads that set up sessions, that took 40 % of their
//! processor time. So the threads of this process wait for each other here, asleep.

use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// To be held across one system call that takes the kernel's lock, and not across anything that waits for something else.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
