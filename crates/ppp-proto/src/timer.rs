//! The timers of one link: a table with one deadline per named timer.

use std::time::Instant;

/// What a deadline of a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Restart timer of LCP (RFC 1661 §4.6).
    LcpRestart,
    /// Restart timer of IPCP.
    IpcpRestart,
    /// Restart timer of IPV6CP.
    Ipv6cpRestart,
    /// Repeats our Challenge until the peer responds.
    AuthenticatorRestart,
    /// Repeats our Authenticate-Request or Response until the peer decides.
    AuthenticateeRestart,
    /// Ends a link whose Authenticate phase takes too long.
    AuthDeadline,
    /// Asks for a new Challenge of a peer that was authenticated before.
    Rechallenge,
    /// Looks whether the line is idle, and sends an Echo-Request if so.
    Echo,
    /// Ends a link on which no network protocol is open.
    SetupDeadline,
}

impl Timer {
    const ALL: [Self; 9] = [
        Self::LcpRestart,
        Self::IpcpRestart,
        Self::Ipv6cpRestart,
        Self::AuthenticatorRestart,
        Self::AuthenticateeRestart,
        Self::AuthDeadline,
        Self::Rechallenge,
        Self::Echo,
        Self::SetupDeadline,
    ];
}

/// Deadlines, at most one per [`Timer`].
#[derive(Debug, Clone, Default)]
pub(crate) struct TimerTable {
    deadlines: [Option<Instant>; Timer::ALL.len()],
}

impl TimerTable {
    /// Starts or restarts a timer.
    pub(crate) fn set(&mut self, timer: Timer, deadline: Instant) {
        *self.slot(timer) = Some(deadline);
    }

    /// Stops a timer; one that does not run is left alone.
    pub(crate) fn stop(&mut self, timer: Timer) {
        *self.slot(timer) = None;
    }

    /// Stops every timer.
    pub(crate) fn stop_all(&mut self) {
        self.deadlines = Default::default();
    }

    /// Whether the timer runs.
    pub(crate) fn runs(&self, timer: Timer) -> bool {
        self.deadlines.get(timer as usize).copied().flatten().is_some()
    }

    /// The earliest deadline.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().min().copied()
    }

    /// Stops and returns the timer that expired first, if any has by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Timer> {
        let (deadline, timer) = Timer::ALL
            .into_iter()
            .zip(self.deadlines)
            .filter_map(|(timer, deadline)| Some((deadline?, timer)))
            .min()?;
        if deadline > now {
            return None;
        }
        self.stop(timer);
        Some(timer)
    }

    fn slot(&mut self, timer: Timer) -> &mut Option<Instant> {
        let [
            lcp_restart,
            ipcp_restart,
            ipv6cp_restart,
            authenticator_restart,
            authenticatee_restart,
            auth_deadline,
            rechallenge,
            echo,
            setup_deadline,
        ] = &mut self.deadlines;
        match timer {
            Timer::LcpRestart => lcp_restart,
            Timer::IpcpRestart => ipcp_restart,
            Timer::Ipv6cpRestart => ipv6cp_restart,
            Timer::AuthenticatorRestart => authenticator_restart,
            Timer::AuthenticateeRestart => authenticatee_restart,
            Timer::AuthDeadline => auth_deadline,
            Timer::Rechallenge => rechallenge,
            Timer::Echo => echo,
            Timer::SetupDeadline => setup_deadline,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_timer_has_its_own_slot_in_order() {
        let base = Instant::now();
        let mut table = TimerTable::default();
        for (seconds, timer) in (1..).zip(Timer::ALL) {
            table.set(timer, base + Duration::from_secs(seconds));
            assert!(table.runs(timer));
        }
        assert_eq!(table.next_timeout(), Some(base + Duration::from_secs(1)));
        let late = base + Duration::from_secs(60);
        for timer in Timer::ALL {
            assert_eq!(table.expire(late), Some(timer));
        }
        assert_eq!((table.expire(late), table.next_timeout()), (None, None));
    }

    #[test]
    fn an_early_call_expires_nothing() {
        let base = Instant::now();
        let mut table = TimerTable::default();
        table.set(Timer::Echo, base + Duration::from_secs(2));
        assert_eq!(table.expire(base + Duration::from_secs(1)), None);
        assert_eq!(table.expire(base + Duration::from_secs(2)), Some(Timer::Echo));
    }
}
