//! How often each function of the scripts was called, how it went, and how long it took.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::hook_news::{CallOutcome, Failed};

/// Calls that the median is made of: the last ones.
const REMEMBERED: usize = 255;

/// Counters of all functions.
#[derive(Debug, Default)]
pub(super) struct HookStats {
    functions: BTreeMap<(String, String), Counters>,
}

/// Counters of one function of one file.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    pub(super) calls: u64,
    /// Calls that raised an error, returned nonsense, took their host down or said that they failed.
    pub(super) failures: u64,
    /// Calls that were killed at their deadline; they are among the failures too.
    pub(super) timeouts: u64,
    pub(super) longest: Duration,
    last: VecDeque<Duration>,
}

impl HookStats {
    pub(super) fn count(&mut self, function: &str, call: &CallOutcome) {
        let counters = self.functions.entry((call.file.clone(), function.to_owned())).or_default();
        counters.calls += 1;
        counters.failures += u64::from(call.result.is_err() || call.logged.has_failure);
        counters.timeouts += u64::from(matches!(call.result, Err(Failed::TimedOut { .. })));
        counters.longest = counters.longest.max(call.took);
        if counters.last.len() == REMEMBERED {
            counters.last.pop_front();
        }
        counters.last.push_back(call.took);
    }

    /// File, function and counters, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str, &Counters)> {
        self.functions.iter().map(|((file, function), counters)| (file.as_str(), function.as_str(), counters))
    }
}

impl Counters {
    /// Of the last calls.
    pub(super) fn median(&self) -> Duration {
        let mut times: Vec<Duration> = self.last.iter().copied().collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::hooks::Answer;

    use super::super::hook_news::Logged;
    use super::*;

    #[test]
    fn calls_are_counted_by_file_and_function() {
        let mut stats = HookStats::default();
        let call = |took, result| CallOutcome {
            file: "a.lua".to_owned(),
            took: Duration::from_millis(took),
            result,
            shown: None,
            logged: Logged::default(),
        };
        for took in [7, 1, 500] {
            stats.count("ip_up", &call(took, Ok(Answer::None)));
        }
        stats.count("ip_up", &call(2, Err(Failed::Error("x".to_owned()))));
        let timed_out = Failed::TimedOut { deadline: Duration::from_secs(1), place: String::new() };
        stats.count("ip_up", &call(3, Err(timed_out)));
        let mut said_so = call(1, Ok(Answer::None));
        said_so.logged.has_failure = true;
        stats.count("ip_up", &said_so);
        stats.count("ip_down", &call(0, Ok(Answer::None)));
        let (file, function, counters) = stats.iter().nth(1).unwrap();
        assert_eq!((file, function), ("a.lua", "ip_up"));
        assert_eq!((counters.calls, counters.failures, counters.timeouts), (6, 3, 1));
        assert_eq!(
            (counters.median(), counters.longest),
            (Duration::from_millis(3), Duration::from_millis(500))
        );
        for _ in 0..1000 {
            stats.count("ip_up", &call(9, Ok(Answer::None)));
        }
        let (_, _, counters) = stats.iter().nth(1).unwrap();
        assert_eq!((counters.last.len(), counters.median()), (REMEMBERED, Duration::from_millis(9)));
    }
}
