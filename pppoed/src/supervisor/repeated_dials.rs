//! Peers that dial again and again, such as a router with a wrong password, which does every few seconds for weeks, or somebody who
//! wants to fill the log: what that says of them is bounded.
//!
//! What counts is a dial that came to nothing, and a session that was open for less than a [`PERIOD`]. Of each MAC address [`TOLD`]
//! of each are told in full, and of each user [`TOLD_OF_USER`] sessions, because who has one account may have many MAC
//! addresses; those after are left out until a minute has passed since the first. A line says so at once, and another one how
//! many they were. A failing peer that gets in at last is told, and so is a session that lasts after all, when it has. Of dials that
//! come to nothing, or to the login of a user who is left out, [`TOLD_OF_ALL`] are told of all addresses together: anybody can
//! make up any number of addresses.
//!
//! Anybody can dial with the MAC address of somebody else. So from the login on, a session is left out for what the same user did
//! from the same address, and for nothing that others did with either. What we decide about a session is told in any case
//! ([`RepeatedDials::tells_end`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use ppp_ipc::reason::EndReason;
use ppp_wire::MacAddr;

use crate::log_limit::LogLimit;

/// Dials of one MAC address that are told in a [`PERIOD`].
const TOLD: u32 = 3;
/// Dials of one user that are told in a [`PERIOD`].
const TOLD_OF_USER: u32 = 10;
/// Dials that are told in a [`PERIOD`] and come to nothing that is, of all addresses together.
const TOLD_OF_ALL: u32 = 200;
/// Time after which dials are told again; and a session that was open for so long was none of those that count.
pub(super) const PERIOD: Duration = Duration::from_secs(60);
/// MAC addresses, and users, that are remembered. Beyond them, newcomers are left out until others are forgotten.
const MAX_REMEMBERED: usize = 1024;

/// The peers whose last dials came to little.
#[derive(Debug)]
pub(super) struct RepeatedDials {
    /// Dials that came to nothing.
    failing: Repeaters<MacAddr>,
    /// Dials that were told although what came of them is not worth it.
    told_in_vain: LogLimit,
    /// Sessions that did not last: of an address, whoever had them; of a user on an address; of a user.
    brief: Repeaters<MacAddr>,
    brief_logins: Repeaters<(MacAddr, Box<[u8]>)>,
    brief_of_users: Repeaters<Box<[u8]>>,
    /// Ends by a limit or a hook that were told although the dials are left out, of a user or address.
    by_limits: Repeaters<(Option<MacAddr>, Box<[u8]>)>,
    /// Dials that were left out although their peers do not dial again and again.
    of_others: u64,
    others: LogLimit,
    /// Failures of workers that are told although the dial is left out.
    crashes: LogLimit,
}

#[derive(Debug)]
struct Repeaters<K> {
    known: HashMap<K, Repeater>,
    next_sweep: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Repeater {
    since: Instant,
    dials: u32,
    left_out: u64,
    /// It was told that dials are left out.
    is_muted: bool,
}

/// What to do about a dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// It is told; so many before it were left out.
    Told { left_out: u64 },
    /// It is left out, the first one: that is told.
    FirstLeftOut,
    /// It is left out.
    LeftOut,
}

impl Telling {
    pub(super) fn is_quiet(self) -> bool {
        !matches!(self, Self::Told { .. })
    }
}

impl Default for RepeatedDials {
    fn default() -> Self {
        Self {
            failing: Repeaters::default(),
            told_in_vain: LogLimit::of(TOLD_OF_ALL),
            brief: Repeaters::default(),
            brief_logins: Repeaters::default(),
            brief_of_users: Repeaters::default(),
            by_limits: Repeaters::default(),
            of_others: 0,
            others: LogLimit::default(),
            crashes: LogLimit::default(),
        }
    }
}

impl<K> Default for Repeaters<K> {
    fn default() -> Self {
        Self { known: HashMap::new(), next_sweep: None }
    }
}

impl<K: Eq + Hash> Repeaters<K> {
    fn begin(&mut self, key: &K, told: u32, now: Instant) -> Telling {
        match self.known.get_mut(key) {
            Some(known) if is_over(known, now) => {
                let left_out = known.left_out;
                self.known.remove(key);
                Telling::Told { left_out }
            }
            Some(known) if known.dials >= told => match std::mem::replace(&mut known.is_muted, true) {
                false => Telling::FirstLeftOut,
                true => Telling::LeftOut,
            },
            Some(_) => Telling::Told { left_out: 0 },
            None => {
                self.sweep(now);
                match self.known.len() >= MAX_REMEMBERED {
                    true => Telling::LeftOut,
                    false => Telling::Told { left_out: 0 },
                }
            }
        }
    }

    /// Whether dials are being left out.
    fn is_quiet(&self, key: &K, told: u32, now: Instant) -> bool {
        self.known.get(key).is_some_and(|known| known.dials >= told && !is_over(known, now))
    }

    /// Begins anew; how many were left out.
    fn forget(&mut self, key: &K) -> u64 {
        self.known.remove(key).map_or(0, |known| known.left_out)
    }

    fn forget_if_over(&mut self, key: &K, now: Instant) -> u64 {
        match self.known.get(key).is_some_and(|known| is_over(known, now)) {
            true => self.forget(key),
            false => 0,
        }
    }

    /// Counts a dial. Whether it counts as one that was left out because there were many.
    fn count(&mut self, key: K, told: u32, now: Instant) -> bool {
        if !self.known.contains_key(&key) {
            self.sweep(now);
            if self.known.len() >= MAX_REMEMBERED {
                return false;
            }
        }
        let fresh = Repeater { since: now, dials: 0, left_out: 0, is_muted: false };
        let known = self.known.entry(key).or_insert(fresh);
        let is_one_of_many = known.dials >= told;
        known.left_out += u64::from(is_one_of_many);
        known.dials = known.dials.saturating_add(1);
        is_one_of_many
    }

    /// Forgets those that have not dialled for long, at most once a minute.
    fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|next| next > now) {
            return;
        }
        self.next_sweep = Some(now + PERIOD);
        self.known.retain(|_, known| !is_over(known, now));
    }
}

impl RepeatedDials {
    /// A peer dials.
    pub(super) fn begin(&mut self, peer: MacAddr, now: Instant) -> Telling {
        match self.brief.is_quiet(&peer, TOLD, now) {
            true => self.brief.begin(&peer, TOLD, now),
            false => match self.failing.begin(&peer, TOLD, now) {
                Telling::Told { left_out } if self.told_in_vain.is_used_up(now) => {
                    self.of_others += left_out;
                    Telling::LeftOut
                }
                Telling::FirstLeftOut if self.told_in_vain.is_used_up(now) => Telling::LeftOut,
                telling => telling,
            },
        }
    }

    /// A peer has proved who it is, and that counts from here on. `was_quiet`: its dial was left out of the log.
    pub(super) fn logged_in(&mut self, peer: MacAddr, user: &[u8], was_quiet: bool, now: Instant) -> Telling {
        let telling = self.tell_login(peer, user, now);
        if telling.is_quiet() && !was_quiet {
            self.told_in_vain.count(now);
        }
        telling
    }

    fn tell_login(&mut self, peer: MacAddr, user: &[u8], now: Instant) -> Telling {
        let login = (peer, user.into());
        if self.brief_logins.is_quiet(&login, TOLD, now) {
            return Telling::LeftOut;
        }
        self.brief_logins.forget_if_over(&login, now);
        let missed = self.failing.forget(&peer) + self.brief.forget_if_over(&peer, now);
        match self.brief_of_users.begin(&user.into(), TOLD_OF_USER, now) {
            Telling::Told { left_out } => Telling::Told { left_out: left_out + missed },
            quiet => quiet,
        }
    }

    /// A dial has ended, after its session was `open` for so long, if at all. `was_quiet`: it was left out of the log.
    pub(super) fn ended(
        &mut self,
        peer: MacAddr,
        user: Option<&[u8]>,
        open: Option<Duration>,
        was_quiet: bool,
        now: Instant,
    ) {
        let is_one_of_many = match open {
            Some(open) if open >= PERIOD => return,
            None if user.is_none() => {
                if !was_quiet {
                    self.told_in_vain.count(now);
                }
                self.failing.count(peer, TOLD, now)
            }
            // Also one that logged in and hung up before it was open.
            Some(_) | None => {
                let of_user = user.is_some_and(|user| {
                    let of_user = self.brief_of_users.count(user.into(), TOLD_OF_USER, now);
                    self.brief_logins.count((peer, user.into()), TOLD, now) || of_user
                });
                self.brief.count(peer, TOLD, now) || of_user
            }
        };
        self.of_others += u64::from(was_quiet && !is_one_of_many);
    }

    /// Dials that were left out although their peers do not dial again and again, once a minute if there are any.
    pub(super) fn take_of_others(&mut self, now: Instant) -> Option<u64> {
        if self.of_others == 0 {
            return None;
        }
        self.others.count(now).map(|_| std::mem::take(&mut self.of_others))
    }

    /// Whether the end of a session is told although its dial is left out. Those by an administrator are, and those by a limit or
    /// a hook, of which a user can make many: [`TOLD_OF_USER`] of each. Failures of workers are one a minute, of all of them.
    pub(super) fn tells_end(
        &mut self,
        reason: EndReason,
        peer: MacAddr,
        user: Option<&[u8]>,
        now: Instant,
    ) -> bool {
        match reason {
            EndReason::Admin | EndReason::Shutdown => true,
            // The last one may be its worker's word.
            EndReason::Quota | EndReason::SessionTimeout | EndReason::HookVeto | EndReason::InterfaceGone => {
                let whose = match user {
                    Some(user) => (None, user.into()),
                    None => (Some(peer), Box::default()),
                };
                let telling = self.by_limits.begin(&whose, TOLD_OF_USER, now);
                self.by_limits.count(whose, TOLD_OF_USER, now);
                !telling.is_quiet()
            }
            EndReason::WorkerCrash | EndReason::SystemError => self.crashes.count(now).is_some(),
            _ => false,
        }
    }
}

fn is_over(known: &Repeater, now: Instant) -> bool {
    now.saturating_duration_since(known.since) >= PERIOD
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
    const TELL: Telling = Telling::Told { left_out: 0 };

    fn mac(number: u16) -> MacAddr {
        let [high, low] = number.to_be_bytes();
        MacAddr([2, 0, 0, 1, high, low])
    }

    #[test]
    fn a_peer_that_fails_on_and_on_is_told_three_times_a_minute_and_why_not_more() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        let mut told = Vec::new();
        // Every second for two minutes.
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            let telling = dials.begin(ROUTER, now);
            dials.ended(ROUTER, None, None, telling.is_quiet(), now);
            if telling != Telling::LeftOut {
                told.push((second, telling));
            }
        }
        let again = Telling::Told { left_out: 57 };
        let expected = [
            (0, TELL),
            (1, TELL),
            (2, TELL),
            (3, Telling::FirstLeftOut),
            (60, again),
            (61, TELL),
            (62, TELL),
            (63, Telling::FirstLeftOut),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn sessions_that_last_count_for_nothing_and_short_ones_for_their_user_too() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        for _ in 0..100 {
            assert_eq!(dials.begin(ROUTER, start), TELL);
            assert_eq!(dials.logged_in(ROUTER, b"alice", false, start), TELL);
            dials.ended(ROUTER, Some(b"alice"), Some(PERIOD), false, start);
        }
        // One account, and another MAC address each time.
        let short = Some(PERIOD - Duration::from_millis(1));
        let tellings: Vec<_> = (0..14)
            .map(|number| {
                assert_eq!(dials.begin(mac(number), start), TELL);
                let telling = dials.logged_in(mac(number), b"mallory", false, start);
                dials.ended(mac(number), Some(b"mallory"), short, telling.is_quiet(), start);
                telling
            })
            .collect();
        let (told, left_out) = tellings.split_at(10);
        assert!(told.iter().all(|telling| *telling == TELL), "{told:?}");
        assert_eq!(left_out[0], Telling::FirstLeftOut);
        assert!(left_out[1..].iter().all(|telling| *telling == Telling::LeftOut));
        let later = dials.logged_in(mac(99), b"mallory", false, start + PERIOD);
        assert_eq!(later, Telling::Told { left_out: 4 });
        assert_eq!(dials.logged_in(ROUTER, b"alice", false, start), TELL);
    }

    #[test]
    fn one_address_that_comes_and_goes_is_told_three_times_a_minute() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        let mut told = 0;
        for second in 0..120 {
            let now = start + Duration::from_secs(second);
            dials.begin(ROUTER, now);
            let telling = dials.logged_in(ROUTER, b"alice", false, now);
            told += u32::from(!telling.is_quiet());
            dials.ended(ROUTER, Some(b"alice"), Some(Duration::ZERO), telling.is_quiet(), now);
        }
        assert_eq!(told, 6);
    }

    #[test]
    fn who_gets_in_at_last_is_told_with_the_dials_that_were_left_out() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        for _ in 0..6 {
            let telling = dials.begin(ROUTER, start);
            dials.ended(ROUTER, None, None, telling.is_quiet(), start);
        }
        assert_eq!(dials.begin(ROUTER, start), Telling::LeftOut);
        assert_eq!(dials.logged_in(ROUTER, b"alice", false, start), Telling::Told { left_out: 3 });
        assert_eq!(dials.begin(ROUTER, start), TELL);
    }

    #[test]
    fn a_flood_of_addresses_is_remembered_in_part_and_counted_whole() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        for number in 0..3000_u16 {
            let telling = dials.begin(mac(number), start);
            assert_eq!(telling.is_quiet(), u32::from(number) >= TOLD_OF_ALL);
            dials.ended(mac(number), None, None, telling.is_quiet(), start);
        }
        assert_eq!(dials.failing.known.len(), MAX_REMEMBERED);
        assert_eq!(dials.take_of_others(start), Some(3000 - 200));
        // Who logs in is told.
        assert_eq!(dials.logged_in(mac(2999), b"alice", false, start), TELL);
        dials.ended(mac(3000), None, None, true, start);
        assert_eq!(dials.take_of_others(start), None, "not yet again");
        assert_eq!(dials.take_of_others(start + PERIOD), Some(1));
        assert_eq!(dials.take_of_others(start + PERIOD), None);
        assert_eq!(dials.begin(mac(3000), start + PERIOD), TELL, "the old ones are forgotten");
        assert!(dials.failing.known.is_empty());
    }

    #[test]
    fn what_a_stranger_does_with_an_address_leaves_out_no_login_of_its_owner() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        for _ in 0..20 {
            dials.begin(ROUTER, start);
            dials.ended(ROUTER, None, None, true, start);
            dials.begin(ROUTER, start);
            let telling = dials.logged_in(ROUTER, b"mallory", false, start);
            dials.ended(ROUTER, Some(b"mallory"), Some(Duration::ZERO), telling.is_quiet(), start);
        }
        assert!(dials.begin(ROUTER, start).is_quiet());
        assert!(dials.logged_in(ROUTER, b"mallory", false, start).is_quiet());
        assert!(!dials.logged_in(ROUTER, b"alice", false, start).is_quiet());
    }

    #[test]
    fn one_account_with_any_number_of_addresses_writes_little() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        let (mut started, mut logged_in) = (0, 0);
        for number in 0..3000 {
            let dial = dials.begin(mac(number), start);
            started += u32::from(!dial.is_quiet());
            let login = dials.logged_in(mac(number), b"mallory", dial.is_quiet(), start);
            logged_in += u32::from(!login.is_quiet());
            dials.ended(mac(number), Some(b"mallory"), Some(Duration::ZERO), login.is_quiet(), start);
        }
        assert_eq!((started, logged_in), (TOLD_OF_ALL + TOLD_OF_USER, TOLD_OF_USER));
        assert_eq!(dials.logged_in(mac(3001), b"alice", true, start), TELL);
    }

    #[test]
    fn what_we_decide_is_told_whatever_is_left_out() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        let mut told = |reason, user: Option<&[u8]>| {
            (0..30).filter(|_| dials.tells_end(reason, ROUTER, user, start)).count()
        };
        let alice: Option<&[u8]> = Some(b"alice");
        assert_eq!([EndReason::Admin, EndReason::Shutdown].map(|reason| told(reason, alice)), [30, 30]);
        assert_eq!(told(EndReason::Quota, alice), 10);
        assert_eq!(told(EndReason::SessionTimeout, Some(b"bob")), 10);
        assert_eq!(told(EndReason::HookVeto, None), 10);
        assert_eq!([EndReason::Padt, EndReason::AuthFailed].map(|reason| told(reason, None)), [0, 0]);
    }

    #[test]
    fn a_worker_that_crashes_at_each_dial_is_told_once_a_minute() {
        let start = Instant::now();
        let mut dials = RepeatedDials::default();
        let told = |dials: &mut RepeatedDials, second| {
            dials.tells_end(EndReason::WorkerCrash, ROUTER, None, start + Duration::from_secs(second))
        };
        assert_eq!([0, 1, 59, 60].map(|second| told(&mut dials, second)), [true, false, false, true]);
    }
}
