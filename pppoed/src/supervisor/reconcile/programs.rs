//! What lets workers send, compared with the sessions. Everything that knows how that is kept in the kernel is here and in `egress.rs`.

use std::collections::BTreeSet;

use ppp_linux::interface::IfIndex;
use ppp_linux::packet::SessionKey;

use super::super::egress::Egress;

/// The rule of a session's worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleOf {
    /// It is to be there; else it may or may not.
    pub(super) is_settled: bool,
    pub(super) interface: IfIndex,
    pub(super) key: SessionKey,
}

/// What differs.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Rules of sessions that are not there.
    pub(super) missing: Vec<RuleOf>,
    /// Session ids that have a rule and are no session's.
    pub(super) unknown: BTreeSet<u16>,
}

/// Compares the rules that there are with those of `sessions`, which are all of them. May block: a look at each session id, some 30 ms in all.
pub(super) fn compare(egress: &Egress, sessions: &[RuleOf]) -> Programs {
    let Some(filter) = egress.filter() else { return Programs::default() };
    // What cannot be looked at is taken to be as it should be.
    let has_rule = |id: u16| filter.dropped_of(id).map(|dropped| dropped.is_some());
    let is_missing =
        |rule: &&RuleOf| rule.is_settled && has_rule(rule.key.session_id).is_ok_and(|there| !there);
    let missing = sessions.iter().filter(is_missing).copied().collect();
    let known: BTreeSet<u16> = sessions.iter().map(|rule| rule.key.session_id).collect();
    let is_unknown = |id: &u16| !known.contains(id) && has_rule(*id).is_ok_and(|there| there);
    Programs { missing, unknown: (1..=u16::MAX).filter(is_unknown).collect() }
}

#[cfg(test)]
mod tests {
    use ppp_linux::egress::EgressFilter;
    use ppp_linux::netns;
    use ppp_wire::MacAddr;
    use ppp_wire::ethernet::EtherType;

    use super::*;

    #[test]
    fn rules_are_compared_with_the_sessions() {
        netns::run_in_new(|| {
            let filter = EgressFilter::open("pppoed of a test", EtherType::PppoeDiscovery).unwrap();
            let interface = IfIndex::new(1).unwrap();
            let rule = |session_id, is_settled| {
                let (own, peer) = (MacAddr([2, 0, 0, 0, 0, 1]), MacAddr([2, 0, 0, 0, 0, 2]));
                let key = SessionKey { ether_type: EtherType::PppoeSession, session_id, own, peer };
                RuleOf { is_settled, interface, key }
            };
            for id in [7, 9, u16::MAX] {
                filter.permit(interface, &rule(id, true).key).unwrap();
            }
            let egress = Egress::with(filter);
            let found = compare(&egress, &[rule(7, true), rule(8, true), rule(10, false)]);
            let missing: Vec<u16> = found.missing.iter().map(|rule| rule.key.session_id).collect();
            assert_eq!((missing, found.unknown), (vec![8], BTreeSet::from([9, u16::MAX])));
            let none = compare(&Egress::without(), &[rule(7, true)]);
            assert!(none.missing.is_empty() && none.unknown.is_empty());
        })
        .unwrap();
    }
}
