//! How long offers wait (`--pado-delay`).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use ppp_proto::discovery::server::{PadoDelay, PadoTiming, StepsNotAscending};

/// A delay of offers as it stands on the command line: `DELAY[,DELAY:SESSIONS]...`, delays in milliseconds, -1 for
/// no offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PadoDelayText(pub PadoDelay);

/// What is wrong with a delay of offers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PadoDelayError {
    /// A delay is neither -1 nor a number of milliseconds.
    #[error("{0:?} is not a valid delay: expected milliseconds up to 60000, or -1 for no PADO")]
    Delay(String),
    /// A part but the first has no number of sessions.
    #[error("{0:?} lacks the number of sessions: expected DELAY:SESSIONS")]
    Sessions(String),
    /// The numbers of sessions do not grow.
    #[error("{0}")]
    Steps(#[from] StepsNotAscending),
}

impl FromStr for PadoDelayText {
    type Err = PadoDelayError;

    fn from_str(text: &str) -> Result<Self, PadoDelayError> {
        let mut parts = text.split(',');
        let base = timing(parts.next().unwrap_or_default())?;
        let steps: Vec<_> = parts.map(step).collect::<Result<_, _>>()?;
        Ok(Self(PadoDelay::new(base, &steps)?))
    }
}

impl fmt::Display for PadoDelayText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn step(part: &str) -> Result<(usize, PadoTiming), PadoDelayError> {
    let (delay, sessions) = part.split_once(':').ok_or_else(|| PadoDelayError::Sessions(part.to_owned()))?;
    let sessions = sessions.parse().map_err(|_| PadoDelayError::Sessions(part.to_owned()))?;
    Ok((sessions, timing(delay)?))
}

fn timing(text: &str) -> Result<PadoTiming, PadoDelayError> {
    if text == "-1" {
        return Ok(PadoTiming::Never);
    }
    let millis = text.parse().ok().filter(|millis| *millis <= 60_000);
    let millis = millis.ok_or_else(|| PadoDelayError::Delay(text.to_owned()))?;
    Ok(PadoTiming::After(Duration::from_millis(millis)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delay(text: &str) -> Result<PadoDelay, String> {
        text.parse().map(|PadoDelayText(delay)| delay).map_err(|error| error.to_string())
    }

    #[test]
    fn delays_of_offers() {
        let after = |millis| PadoTiming::After(Duration::from_millis(millis));
        assert_eq!(delay("0").unwrap(), PadoDelay::default());
        assert_eq!(delay("-1").unwrap().at(0), PadoTiming::Never);
        let expected = PadoDelay::new(after(0), &[(50, after(100)), (500, PadoTiming::Never)]).unwrap();
        assert_eq!(delay("0,100:50,-1:500").unwrap(), expected);
        for (text, message) in [
            ("", "\"\" is not a valid delay: expected milliseconds up to 60000, or -1 for no PADO"),
            ("-2", "\"-2\" is not a valid delay: expected milliseconds up to 60000, or -1 for no PADO"),
            ("60001", "\"60001\" is not a valid delay: expected milliseconds up to 60000, or -1 for no PADO"),
            ("0,100", "\"100\" lacks the number of sessions: expected DELAY:SESSIONS"),
            ("0,100:", "\"100:\" lacks the number of sessions: expected DELAY:SESSIONS"),
            ("0,x:5", "\"x\" is not a valid delay: expected milliseconds up to 60000, or -1 for no PADO"),
            ("0,1:5,2:5", "the step at 5 sessions does not need more sessions than the one before it"),
        ] {
            assert_eq!(delay(text), Err(message.to_owned()), "{text}");
        }
    }
}
