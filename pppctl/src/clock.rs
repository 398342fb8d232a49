//! Moments as people and programs read them: local time with its zone, or UTC.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, ZonedDateTime, civil, tz::TimeZone};
use thiserror::Error;

/// Which clock on the wall moments are shown by, and written by in arguments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Zone {
    /// That of the machine, or of `TZ`.
    #[default]
    Local,
    /// Coordinated Universal Time (`--utc`).
    Utc,
}

impl Zone {
    fn time_zone(self) -> TimeZone {
        match self {
            Self::Local => TimeZone::system(),
            Self::Utc => TimeZone::UTC,
        }
    }

    fn at(self, ms_since_1970: u64) -> Option<ZonedDateTime> {
        let ms = i64::try_from(ms_since_1970).ok()?;
        Some(Timestamp::from_millisecond(ms).ok()?.to_zoned_datetime(self.time_zone()))
    }

    /// `2026-11-30 11:31:02.123+01:00`, for people. A number that is no moment (beyond the year 9999) is shown as it is.
    pub(crate) fn moment(self, ms_since_1970: u64) -> String {
        self.format(ms_since_1970, "%Y-%m-%d %H:%M:%S.%3f%:z")
    }

    /// `2026-11-30T11:31:02.123+01:00`, for programs (RFC 3339, ISO 8601).
    pub(crate) fn iso_8601(self, ms_since_1970: u64) -> String {
        self.format(ms_since_1970, "%Y-%m-%dT%H:%M:%S.%3f%:z")
    }

    fn format(self, ms_since_1970: u64, format: &str) -> String {
        self.at(ms_since_1970)
            .map_or_else(|| format!("{ms_since_1970} ms"), |moment| moment.strftime(format).to_string())
    }
}

/// A moment in the past, as an argument names it.
#[derive(Clone, Debug)]
pub(crate) enum Since {
    /// So long ago.
    Ago(Span),
    /// Midnight, so many days before today's.
    Days(i64),
    /// At this time of today.
    Today(civil::Time),
    /// At this time of this day.
    At(civil::DateTime),
    /// A moment that has its zone.
    Exactly(Timestamp),
}

/// Why an argument names no moment.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("invalid time {0:?}: use 10m, 2h, 3d, 14:30, today, yesterday, 2026-11-30, or \"2026-11-30 14:30\"")]
pub(crate) struct SinceError(String);

impl Since {
    /// The moment in milliseconds since 1970, by a clock that shows `now`, and in its zone; 0 for what was before that.
    pub(crate) fn ms(&self, now: &ZonedDateTime) -> u64 {
        let midnight = |days: i64| {
            let date = now.date().checked_sub(SignedDuration::from_hours(24 * days)).ok()?;
            date.to_zoned_datetime(now.time_zone().clone()).ok()
        };
        let civil = |at: civil::DateTime| at.to_zoned_datetime(now.time_zone().clone()).ok();
        let moment = match self {
            Self::Ago(span) => now.checked_sub(*span).ok(),
            Self::Days(days) => midnight(*days),
            Self::Today(time) => civil(now.date().to_datetime(*time)),
            Self::At(at) => civil(*at),
            Self::Exactly(moment) => return u64::try_from(moment.as_millisecond()).unwrap_or(0),
        };
        moment.and_then(|moment| u64::try_from(moment.timestamp().as_millisecond()).ok()).unwrap_or(0)
    }
}

/// An argument that names a moment.
///
/// # Errors
/// When it names none.
pub(crate) fn parse_since(text: &str) -> Result<Since, SinceError> {
    let wrong = || SinceError(text.to_owned());
    match text {
        "today" => return Ok(Since::Days(0)),
        "yesterday" => return Ok(Since::Days(1)),
        _ => {}
    }
    // A date alone would be read as a span of nothing, and a time as a date: from the strictest to the loosest.
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Since::Exactly(moment));
    }
    if let Ok(at) = text.parse::<civil::DateTime>() {
        return Ok(Since::At(at));
    }
    // An hour alone is more likely a span whose unit is missing.
    if text.contains(':')
        && let Ok(time) = text.parse::<civil::Time>()
    {
        return Ok(Since::Today(time));
    }
    let span: Span = text.parse().map_err(|_| wrong())?;
    // Years of a session's log are as wrong as what has no length.
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    if length <= SignedDuration::ZERO { Err(wrong()) } else { Ok(Since::Ago(span)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_795_257_062_123;

    #[test]
    fn moments_have_their_zone() {
        assert_eq!(Zone::Utc.moment(MS), "2026-11-21 10:31:02.123+00:00");
        assert_eq!(Zone::Utc.iso_8601(MS), "2026-11-21T10:31:02.123+00:00");
        assert_eq!(Zone::Utc.moment(u64::MAX), format!("{} ms", u64::MAX));
        let vienna = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let shown = |ms: i64| {
            let moment = Timestamp::from_millisecond(ms).unwrap().to_zoned_datetime(vienna.clone());
            moment.strftime("%H:%M%:z").to_string()
        };
        // The last hour of summer time and the hour after it have the same name.
        assert_eq!(
            (shown(1_792_886_400_000), shown(1_792_890_000_000)),
            ("02:00+02:00".into(), "02:00+01:00".into())
        );
    }

    #[test]
    fn moments_can_be_named_in_many_ways() {
        let now = "2026-11-21T10:31:02.123Z".parse::<Timestamp>().unwrap().to_zoned_datetime(TimeZone::UTC);
        let shown = |text: &str| Zone::Utc.moment(parse_since(text).unwrap().ms(&now));
        for (text, expected) in [
            ("10m", "2026-11-21 10:21:02.123"),
            ("90s", "2026-11-21 10:29:32.123"),
            ("2h", "2026-11-21 08:31:02.123"),
            ("1d 2h", "2026-11-20 08:31:02.123"),
            ("today", "2026-11-21 00:00:00.000"),
            ("yesterday", "2026-11-20 00:00:00.000"),
            ("09:15", "2026-11-21 09:15:00.000"),
            ("09:15:30", "2026-11-21 09:15:30.000"),
            ("2026-11-01", "2026-11-01 00:00:00.000"),
            ("2026-11-01 23:59", "2026-11-01 23:59:00.000"),
            ("2026-11-01T23:59:01", "2026-11-01 23:59:01.000"),
            ("2026-11-01T23:59:00+01:00", "2026-11-01 22:59:00.000"),
        ] {
            assert_eq!(shown(text), format!("{expected}+00:00"), "{text}");
        }
    }

    #[test]
    fn what_names_no_moment_is_refused() {
        for text in ["", "x", "10", "-5m", "0s", "25:00", "2026-13-01", "tomorrow"] {
            let error = parse_since(text).map(|since| format!("{since:?}")).unwrap_err();
            assert!(error.to_string().contains(&format!("invalid time {text:?}")), "{text}");
        }
    }
}
