//! Pings through one session.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::icmp::{Echo, Kind};

/// Requests whose answers are waited for; the oldest is given up for one more.
const MAX_WAITING: usize = 1024;

/// How a session pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PingConfig {
    /// Whom; `None` is the other end of the session.
    pub(crate) target: Option<Ipv4Addr>,
    /// Time from one request to the next.
    pub(crate) interval: Duration,
    /// Bytes of data behind the ICMP header.
    pub(crate) size: usize,
}

/// Sends requests at an interval and knows the answers.
#[derive(Debug)]
pub(super) struct Pinger {
    local: Ipv4Addr,
    target: Ipv4Addr,
    interval: Duration,
    size: usize,
    identifier: u16,
    sequence: u16,
    /// When the next request is due; `None` once stopped.
    next: Option<Instant>,
    waiting: VecDeque<(u16, Instant)>,
}

impl Pinger {
    /// Pings from `local`, first now. `remote` is the other end of the session.
    pub(super) fn new(
        config: &PingConfig,
        local: Ipv4Addr,
        remote: Ipv4Addr,
        identifier: u16,
        now: Instant,
    ) -> Self {
        Self {
            local,
            target: config.target.unwrap_or(remote),
            interval: config.interval,
            size: config.size,
            identifier,
            sequence: 0,
            next: Some(now),
            waiting: VecDeque::new(),
        }
    }

    /// No more requests; answers are still taken.
    pub(super) fn stop(&mut self) {
        self.next = None;
    }

    /// When the next request is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// Whether an answer is missing.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The next request, if it is due: an IPv4 packet.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        let due = self.next.filter(|due| *due <= now)?;
        // After a stall there is one request, not one for every interval that was missed.
        let next = due + self.interval;
        self.next = Some(if next > now { next } else { now + self.interval });
        let request = Echo {
            kind: Kind::Request,
            source: self.local,
            destination: self.target,
            identifier: self.identifier,
            sequence: self.sequence,
            data: &self.data(self.sequence),
        };
        if self.waiting.len() == MAX_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((self.sequence, now));
        self.sequence = self.sequence.wrapping_add(1);
        Some(request.to_packet())
    }

    /// Takes an answer; the time that it took, or `None` if it is not one to us.
    pub(super) fn handle_reply(&mut self, reply: &Echo<'_>, now: Instant) -> Option<Duration> {
        let ours = reply.kind == Kind::Reply
            && (reply.source, reply.destination) == (self.target, self.local)
            && reply.identifier == self.identifier
            && reply.data == self.data(reply.sequence);
        let position = self.waiting.iter().position(|(sequence, _)| *sequence == reply.sequence)?;
        if !ours {
            return None;
        }
        let (_, sent) = self.waiting.remove(position)?;
        Some(now.saturating_duration_since(sent))
    }

    /// Other data for every session and request, so that a mixed-up answer shows.
    fn data(&self, sequence: u16) -> Vec<u8> {
        let [a, b] = self.identifier.to_be_bytes();
        let [c, d] = sequence.to_be_bytes();
        [a, b, c, d].into_iter().chain(0..=255).cycle().take(self.size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
    const REMOTE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const CONFIG: PingConfig = PingConfig { target: None, interval: Duration::from_secs(1), size: 56 };

    #[test]
    fn requests_come_at_their_interval() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pinger = Pinger::new(&CONFIG, LOCAL, REMOTE, 7, start);
        assert!(pinger.poll_transmit(start).is_some());
        assert!(pinger.poll_transmit(at(999)).is_none());
        assert_eq!(pinger.poll_timeout(), Some(at(1000)));
        assert!(pinger.poll_transmit(at(1100)).is_some());
        assert_eq!(pinger.poll_timeout(), Some(at(2000)), "no drift");
        assert!(pinger.poll_transmit(at(9000)).is_some());
        assert_eq!(pinger.poll_timeout(), Some(at(10_000)), "no burst for what was missed");
        pinger.stop();
        assert!(pinger.poll_transmit(at(20_000)).is_none());
        assert!(pinger.is_waiting());
    }

    #[test]
    fn only_the_right_answer_counts_and_only_once() {
        let now = Instant::now();
        let mut pinger = Pinger::new(&CONFIG, LOCAL, REMOTE, 7, now);
        let request = pinger.poll_transmit(now).unwrap();
        let request = Echo::parse(&request).unwrap();
        assert_eq!((request.source, request.destination, request.data.len()), (LOCAL, REMOTE, 56));
        let reply = request.reply();
        let mut other_data = reply.data.to_vec();
        other_data[55] ^= 1;
        for wrong in [
            request,
            Echo { identifier: 8, ..reply },
            Echo { sequence: 1, ..reply },
            Echo { source: Ipv4Addr::new(10, 0, 0, 9), ..reply },
            Echo { data: &other_data, ..reply },
        ] {
            assert_eq!(pinger.handle_reply(&wrong, now), None, "{wrong:?}");
        }
        let took = Duration::from_millis(3);
        assert_eq!(pinger.handle_reply(&reply, now + took), Some(took));
        assert_eq!(pinger.handle_reply(&reply, now + took), None, "a duplicate");
        assert!(!pinger.is_waiting());
    }
}
