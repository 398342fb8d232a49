//! Numbers as people read them.

/// A time span by its two largest units, such as `2h05m`.
pub(crate) fn duration(seconds: u64) -> String {
    let (minutes, s) = (seconds / 60, seconds % 60);
    let (hours, m) = (minutes / 60, minutes % 60);
    let (days, h) = (hours / 24, hours % 24);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{s}s"),
        (0, 0, _) => format!("{m}m{s:02}s"),
        (0, ..) => format!("{h}h{m:02}m"),
        _ => format!("{days}d{h:02}h"),
    }
}

/// A number of bytes with a binary prefix and three or four digits, such as `1.5 KiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    // Tenths of the unit, rounded down, so that no number reads larger than it is.
    let mut tenths = u128::from(count) * 10 / 1024;
    for unit in UNITS {
        if tenths < 1000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        if tenths < 10240 {
            return format!("{} {unit}", tenths / 10);
        }
        tenths /= 1024;
    }
    format!("{count} B")
}

/// A rate with a decimal prefix, as networks are sold, such as `1.5 Mbit/s`.
pub(crate) fn bits_per_second(count: u64) -> String {
    const UNITS: [&str; 6] = ["kbit/s", "Mbit/s", "Gbit/s", "Tbit/s", "Pbit/s", "Ebit/s"];
    if count < 1000 {
        return format!("{count} bit/s");
    }
    let mut tenths = u128::from(count) * 10 / 1000;
    for unit in UNITS {
        if tenths < 1000 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        if tenths < 10_000 {
            return format!("{} {unit}", tenths / 10);
        }
        tenths /= 1000;
    }
    format!("{count} bit/s")
}

/// Milliseconds as seconds, such as `1.042s`.
pub(crate) fn milliseconds(count: u64) -> String {
    format!("{}.{:03}s", count / 1000, count % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m00s"),
            (3599, "59m59s"),
            (3600, "1h00m"),
            (86399, "23h59m"),
            (86400, "1d00h"),
            (400 * 86400 + 3600, "400d01h"),
            (u64::MAX, "213503982334601d07h"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn byte_counts() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_399, "99.9 KiB"),
            (102_400, "100 KiB"),
            (1_048_575, "1023 KiB"),
            (1_048_576, "1.0 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), text, "{count}");
        }
    }

    #[test]
    fn rates() {
        for (count, text) in [
            (0, "0 bit/s"),
            (999, "999 bit/s"),
            (1000, "1.0 kbit/s"),
            (99_999, "99.9 kbit/s"),
            (100_000, "100 kbit/s"),
            (999_999, "999 kbit/s"),
            (1_500_000, "1.5 Mbit/s"),
            (u64::MAX, "18.4 Ebit/s"),
        ] {
            assert_eq!(bits_per_second(count), text, "{count}");
        }
    }

    #[test]
    fn millisecond_counts() {
        assert_eq!(milliseconds(7), "0.007s");
        assert_eq!(milliseconds(61_042), "61.042s");
    }
}
