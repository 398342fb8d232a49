//! Values on the command line.

use std::time::Duration;

use ppp_wire::MacAddr;

/// A time of 1 ms to an hour.
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds".to_owned())?;
    if !(0.001..=3600.0).contains(&seconds) {
        return Err("give 0.001 to 3600 seconds".to_owned());
    }
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

/// A MAC address.
pub(crate) fn parse_mac(text: &str) -> Result<[u8; 6], String> {
    let wrong = |_| "give six bytes in hexadecimal, such as 02:00:5e:10:00:01".to_owned();
    text.parse::<MacAddr>().map(|mac| mac.0).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_addresses() {
        let address = [0x02, 0, 0x5e, 0x10, 0, 0xff];
        for good in ["02:00:5e:10:00:ff", "02-00-5E-10-00-FF", "2:0:5e:10:0:ff", "0200.5e10.00ff"] {
            assert_eq!(parse_mac(good), Ok(address), "{good}");
        }
        for bad in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:ff:01",
            "02:00:5e:10:00:fff",
            "02:00:5e:10:00:+f",
            "::::: ",
        ] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn timeouts() {
        assert_eq!(parse_seconds("0.25"), Ok(Duration::from_millis(250)));
        for bad in ["0", "-1", "nan", "inf", "3601", "soon"] {
            assert!(parse_seconds(bad).is_err(), "{bad}");
        }
    }
}
