//! `maxoctets`: sessions whose traffic is used up.
//!
//! The supervisor decides, on a timer (`mo-timeout`), and not the worker: a worker may belong to its peer, who would
//! like to have no quota. For the same reason the worker's counters, which cost nothing to read, are not all that is
//! looked at. The second opinion is the kernel's counters of the session's TUN, through which every packet must go and
//! which a worker cannot change. Of the two, for each direction, the larger number counts: a worker that claims less
//! than it carried gains nothing by it, and one that claims more ends its own session.
//!
//! Both numbers are bytes of packets from the IP header on. As in pppd, "in" is what the server receives from the
//! peer, the limit is what a session may use (more than that ends it), and what goes through until the next look, at
//! most `mo-timeout` later, is not held back.

use std::time::{Duration, Instant};

use ppp_ipc::control::Traffic;
use ppp_ipc::reason::EndReason;
use ppp_linux::interface::InterfaceId;
use ppp_linux::netlink::{LinkTraffic, Netlink, NetlinkError};
use ppp_wire::causes::chain;
use pppoed_config::options::{OCTETS_TIMEOUT, OctetDirection, SessionOptions};

use super::session::{Session, Token};
use super::session_log::about;
use super::{Supervisor, Work};
use crate::message::COUNTERS_DOUBTFUL;
use crate::turns;

/// Looks that are due within this time are done together: the kernel is asked beside the event loop, and going there
/// costs more than asking.
const TOGETHER: Duration = Duration::from_millis(100);
/// Bytes that a worker may claim less than its interface carried: what it has in hand, and what it dropped since.
const TOLERANCE: u64 = 1 << 20;

/// What the kernel says about sessions.
#[derive(Debug)]
pub(super) struct Measured(Vec<(Token, Result<LinkTraffic, NetlinkError>)>);

/// What a session may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quota {
    /// Bytes.
    limit: u64,
    direction: OctetDirection,
    /// Time between two looks.
    interval: Duration,
}

impl Quota {
    /// `None` for as much as one likes.
    fn new(options: &SessionOptions) -> Option<Self> {
        let limit = options.maxoctets.as_ref()?.value;
        let interval = options.mo_timeout.as_ref().map_or(OCTETS_TIMEOUT, |timeout| timeout.value);
        (limit > 0).then(|| Self {
            limit,
            direction: options.mo_direction.as_ref().map_or(OctetDirection::Sum, |direction| direction.value),
            interval: Duration::from_secs(interval.into()),
        })
    }

    /// Bytes that count.
    fn used(&self, traffic: &LinkTraffic) -> u64 {
        let LinkTraffic { rx_bytes, tx_bytes } = *traffic;
        match self.direction {
            OctetDirection::In => rx_bytes,
            OctetDirection::Out => tx_bytes,
            OctetDirection::Max => rx_bytes.max(tx_bytes),
            OctetDirection::Sum => rx_bytes.saturating_add(tx_bytes),
        }
    }
}

/// The larger of what a worker claims and what the kernel saw, each way.
fn believed(claimed: &Traffic, seen: &LinkTraffic) -> LinkTraffic {
    LinkTraffic {
        rx_bytes: claimed.rx_bytes.max(seen.rx_bytes),
        tx_bytes: claimed.tx_bytes.max(seen.tx_bytes),
    }
}

/// `may_drop`: the worker has a limit of what goes to the peer, and has dropped what was more.
fn is_far_less(claimed: &Traffic, seen: &Traffic, may_drop: bool) -> bool {
    let is_less = |claimed: u64, seen: u64| claimed.saturating_add(TOLERANCE) < seen;
    is_less(claimed.rx_bytes, seen.rx_bytes) || !may_drop && is_less(claimed.tx_bytes, seen.tx_bytes)
}

impl Supervisor {
    /// A session is open: looks after its traffic from now on, if it has a quota.
    pub(super) fn watch_quota(&mut self, token: Token, now: Instant) {
        let quota = self.quota(token);
        self.quota_looks.set(token, quota.and_then(|quota| now.checked_add(quota.interval)));
    }

    fn quota(&mut self, token: Token) -> Option<Quota> {
        let session = self.table.get_mut(token)?;
        Quota::new(session.options())
    }

    /// Asks the kernel about the sessions that are to be looked at.
    pub(super) fn handle_quota_looks(&mut self, now: Instant) {
        let mut sessions = Vec::new();
        while let Some(token) = self.quota_looks.pop_expired(now + TOGETHER) {
            let session = self.table.get_mut(token).filter(|session| !session.machine.is_ending());
            sessions.extend(session.and_then(|session| Some((token, session.tun.clone()?))));
        }
        if sessions.is_empty() {
            return;
        }
        let work = self.work.clone();
        turns::spawn("quota", async move {
            let measuring = tokio::task::spawn_blocking(move || measure(sessions));
            let Ok(measured) = measuring.await else { return };
            // Fails only when the supervisor is gone.
            let _ = work.send(Work::Measured(measured)).await;
        });
    }

    pub(super) fn handle_measured(&mut self, measured: Measured, now: Instant) {
        for (token, seen) in measured.0 {
            let Some(quota) = self.quota(token) else { continue };
            let Some(session) = self.table.get_mut(token) else { continue };
            let claimed = session.claimed_traffic();
            let seen = seen.unwrap_or_else(|error| {
                // The interface went with its worker, most likely, whose end is on its way here.
                session.note(format!("no second opinion on its traffic: {}", chain(&error)), now);
                LinkTraffic::default()
            });
            let counted = Traffic { rx_bytes: seen.rx_bytes, tx_bytes: seen.tx_bytes, ..Traffic::default() };
            if tell_if_doubtful(session, &counted) {
                self.keep_record(token);
            }
            let used = quota.used(&believed(&claimed, &seen));
            if used > quota.limit {
                let detail = format!("{used} bytes used of {}", quota.limit);
                self.terminate(token, EndReason::Quota, &detail, now);
            } else {
                self.watch_quota(token, now);
            }
        }
    }
}

/// Compares a worker's word with what the kernel has counted. Whether a doubt is news.
pub(super) fn tell_if_doubtful(session: &mut Session, seen: &Traffic) -> bool {
    let claimed = session.claimed_traffic();
    let may_drop = session.rates().down > 0 || session.sent_rates.is_some_and(|rates| rates.down > 0);
    let is_news = !session.is_doubtful && is_far_less(&claimed, seen, may_drop);
    if is_news {
        session.is_doubtful = true;
        about!(
            warn,
            COUNTERS_DOUBTFUL,
            session,
            claimed_rx_bytes = claimed.rx_bytes,
            claimed_tx_bytes = claimed.tx_bytes,
            rx_bytes = seen.rx_bytes,
            tx_bytes = seen.tx_bytes,
        );
    }
    is_news
}

/// Runs where it may block.
fn measure(sessions: Vec<(Token, InterfaceId)>) -> Measured {
    let mut netlink = Netlink::open();
    let ask = |(token, tun): (Token, InterfaceId)| {
        let seen = match &mut netlink {
            Ok(netlink) => netlink.traffic(&tun),
            Err(_) => Netlink::open().and_then(|mut netlink| netlink.traffic(&tun)),
        };
        (token, seen)
    };
    Measured(sessions.into_iter().map(ask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use pppoed_config::origin::{Origin, Sourced};

    const SEEN: LinkTraffic = LinkTraffic { rx_bytes: 300, tx_bytes: 500 };

    fn quota(limit: u64, direction: Option<OctetDirection>, interval: Option<u32>) -> Option<Quota> {
        let options = SessionOptions {
            maxoctets: Some(Sourced::new(limit, Origin::Default)),
            mo_direction: direction.map(|direction| Sourced::new(direction, Origin::Default)),
            mo_timeout: interval.map(|interval| Sourced::new(interval, Origin::Default)),
            ..SessionOptions::default()
        };
        Quota::new(&options)
    }

    #[test]
    fn what_the_options_mean() {
        assert_eq!(Quota::new(&SessionOptions::default()), None);
        assert_eq!(quota(0, None, None), None);
        let expected = Quota { limit: 5, direction: OctetDirection::Sum, interval: Duration::from_secs(1) };
        assert_eq!(quota(5, None, None), Some(expected));
        assert_eq!(quota(5, None, Some(60)).unwrap().interval, Duration::from_secs(60));
    }

    #[test]
    fn directions() {
        for (direction, used) in [
            (OctetDirection::In, 300),
            (OctetDirection::Out, 500),
            (OctetDirection::Max, 500),
            (OctetDirection::Sum, 800),
        ] {
            assert_eq!(quota(1, Some(direction), None).unwrap().used(&SEEN), used, "{direction:?}");
        }
        let endless = LinkTraffic { rx_bytes: u64::MAX, tx_bytes: u64::MAX };
        assert_eq!(quota(1, None, None).unwrap().used(&endless), u64::MAX);
    }

    #[test]
    fn a_worker_cannot_claim_its_traffic_away() {
        let claims_nothing = Traffic::default();
        assert_eq!(believed(&claims_nothing, &SEEN), SEEN);
        let claims_more = Traffic { rx_bytes: 1000, tx_bytes: 2, ..Traffic::default() };
        assert_eq!(believed(&claims_more, &SEEN), LinkTraffic { rx_bytes: 1000, tx_bytes: 500 });

        let carried = |rx_bytes, tx_bytes| Traffic { rx_bytes, tx_bytes, ..Traffic::default() };
        assert!(!is_far_less(&claims_nothing, &carried(TOLERANCE, 0), false));
        assert!(is_far_less(&claims_nothing, &carried(0, TOLERANCE + 1), false));
        // What is more than `rate-down` is read by the worker, and dropped.
        assert!(!is_far_less(&claims_nothing, &carried(0, TOLERANCE + 1), true));
        assert!(is_far_less(&claims_nothing, &carried(TOLERANCE + 1, 0), true));
    }
}
