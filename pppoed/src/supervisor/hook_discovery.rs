//! `padi`: whether a station gets an offer, and when.

use std::time::{Duration, Instant};

use ppp_ipc::hooks::{Answer, Argument, Event};
use ppp_proto::discovery::server::{Asks, OfferRequest};
use ppp_wire::MacAddr;

use super::Supervisor;
use super::hook_fields;
use super::hook_news::{Label, Outcome};
use super::hook_pool::Lane;
use super::hooks::{Hooks, Purpose};
use super::session::AccessIndex;

impl Hooks {
    /// Whether the scripts want to be asked about an offer. A flood of PADI keeps a bounded number of calls waiting, and
    /// one station has one at a time.
    pub(super) fn asks_about_offers(&self, access: AccessIndex, peer: MacAddr) -> Asks {
        if !self.has(Event::Padi) {
            return Asks::No;
        }
        let is_full = self.pool.stations() >= self.config.padi_limit;
        match is_full || self.pool.is_known(Lane::Station(access, peer)) {
            true => Asks::Busy,
            false => Asks::Yes,
        }
    }
}

impl Supervisor {
    pub(super) fn ask_about_offer(&mut self, access: AccessIndex, request: OfferRequest) {
        let interface = self.accesses.get(access).map_or("", |access| access.name());
        let fields = hook_fields::of_offer(&request, interface, self.table.len());
        let label =
            Label { peer_mac: Some(request.peer_mac.to_string()), ..Label::new(Event::Padi.as_str()) };
        let lane = Lane::Station(access, request.peer_mac);
        let purpose = Purpose::Offer { access, request: Box::new(request) };
        self.call_hook(lane, Event::Padi, vec![Argument::Table(fields)], label, purpose);
    }

    pub(super) fn offer_hook_answered(
        &mut self,
        access: AccessIndex,
        request: &OfferRequest,
        outcome: &Outcome,
        now: Instant,
    ) {
        let delay = offer_delay(outcome, self.hooks.deny_on_failure());
        if let Some(access) = self.accesses.get_mut(access) {
            access.with_server(|server| match delay {
                Some(delay) => server.offer(request, delay, now),
                None => server.withhold(request),
            });
            self.pace.offered(access.take_offers(), now);
        }
    }
}

/// How long the offer waits; `None` for no offer.
fn offer_delay(outcome: &Outcome, deny_on_failure: bool) -> Option<Duration> {
    let mut delay = Duration::ZERO;
    for call in &outcome.calls {
        match &call.result {
            Ok(Answer::Silence) => return None,
            Ok(Answer::Delay(milliseconds)) => {
                delay = delay.max(Duration::from_millis(u64::from(*milliseconds)));
            }
            Ok(_) => {}
            Err(_) if deny_on_failure => return None,
            Err(_) => {}
        }
    }
    Some(delay)
}

#[cfg(test)]
mod tests {
    use super::super::hook_news::{CallOutcome, Failed, Logged};
    use super::*;

    #[test]
    fn the_longest_delay_counts_and_one_no_is_enough() {
        let outcome = |results: Vec<Result<Answer, Failed>>| {
            let calls = results.into_iter().map(|result| CallOutcome {
                file: String::new(),
                took: Duration::ZERO,
                result,
                shown: None,
                logged: Logged::default(),
            });
            Outcome { calls: calls.collect() }
        };
        let milliseconds = Duration::from_millis;
        assert_eq!(offer_delay(&outcome(vec![]), true), Some(Duration::ZERO));
        let delays = || vec![Ok(Answer::Delay(200)), Ok(Answer::None), Ok(Answer::Delay(100))];
        assert_eq!(offer_delay(&outcome(delays()), true), Some(milliseconds(200)));
        let with = |result| [delays(), vec![result]].concat();
        assert_eq!(offer_delay(&outcome(with(Ok(Answer::Silence))), false), None);
        let failed = || Err(Failed::Error(String::new()));
        assert_eq!(offer_delay(&outcome(with(failed())), true), None);
        assert_eq!(offer_delay(&outcome(with(failed())), false), Some(milliseconds(200)));
    }
}
