//! What a run measured.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// Result of a run of many sessions.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Report {
    /// Sessions that were to be dialled.
    pub(crate) sessions: u32,
    /// Sessions that reached an open IPCP.
    pub(crate) established: u32,
    /// Sessions that did not, by reason.
    pub(crate) failed: BTreeMap<String, u32>,
    /// Sessions that ended by themselves after they were established, by reason.
    pub(crate) lost: BTreeMap<String, u32>,
    /// From PADI to open IPCP.
    #[serde(rename = "setup_ms")]
    pub(crate) setup: Option<Percentiles>,
    /// Established sessions per second, from the first PADI to the last open IPCP.
    pub(crate) setup_rate: f64,
    /// The pings.
    pub(crate) ping: PingReport,
    /// Guesses that were refused, of clients that guess on.
    pub(crate) guesses: u64,
    /// Frames that the interface refused to send because too many were waiting.
    pub(crate) not_sent: u64,
}

/// Pings of all sessions together.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct PingReport {
    /// Echo-Requests that were sent.
    pub(crate) sent: u64,
    /// Of these, how many were answered with the same data.
    pub(crate) received: u64,
    /// Answers that nobody waited for (any more), or with other data.
    pub(crate) unexpected: u64,
    /// Echo-Requests of others that were answered.
    pub(crate) answered: u64,
    /// From request to answer.
    #[serde(rename = "round_trip_ms")]
    pub(crate) round_trip: Option<Percentiles>,
}

/// A distribution; in JSON, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Percentiles {
    #[serde(serialize_with = "milliseconds")]
    pub(crate) min: Duration,
    #[serde(serialize_with = "milliseconds")]
    pub(crate) p50: Duration,
    #[serde(serialize_with = "milliseconds")]
    pub(crate) p99: Duration,
    #[serde(serialize_with = "milliseconds")]
    pub(crate) max: Duration,
}

impl Percentiles {
    /// Of all samples (nearest rank); `None` if there are none.
    pub(crate) fn of(mut samples: Vec<Duration>) -> Option<Self> {
        samples.sort_unstable();
        let rank = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100).max(1);
            samples.get(rank - 1).copied()
        };
        Some(Self { min: rank(0)?, p50: rank(50)?, p99: rank(99)?, max: rank(100)? })
    }
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64() * 1000.0)
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, p50, p99, max } = self;
        write!(f, "min {min:.1?}, p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sessions, established, setup_rate, .. } = self;
        writeln!(f, "established  {established} of {sessions}, {setup_rate:.1} per second")?;
        if let Some(setup) = self.setup {
            writeln!(f, "set-up time  {setup}")?;
        }
        for (what, counts) in [("failed", &self.failed), ("lost", &self.lost)] {
            for (reason, count) in counts {
                writeln!(f, "{what:<12} {count}: {reason}")?;
            }
        }
        let PingReport { sent, received, unexpected, answered, round_trip } = &self.ping;
        if *sent > 0 {
            writeln!(f, "pings        {received} of {sent} answered, {unexpected} unexpected answers")?;
        }
        if let Some(round_trip) = round_trip {
            writeln!(f, "round trip   {round_trip}")?;
        }
        if *answered > 0 {
            writeln!(f, "pinged       {answered} times by others")?;
        }
        if self.not_sent > 0 {
            writeln!(f, "not sent     {} frames", self.not_sent)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        assert_eq!(Percentiles::of(vec![]), None);
        let ms = Duration::from_millis;
        let one = Percentiles::of(vec![ms(7)]).unwrap();
        assert_eq!((one.min, one.p50, one.p99, one.max), (ms(7), ms(7), ms(7), ms(7)));
        let many = Percentiles::of((1..=200).rev().map(ms).collect()).unwrap();
        assert_eq!((many.min, many.p50, many.p99, many.max), (ms(1), ms(100), ms(198), ms(200)));
    }
}
