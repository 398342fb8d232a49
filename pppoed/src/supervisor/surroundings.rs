//! What the machine around us does with subscribers' packets: somebody may turn forwarding off, or the uplink's MTU may be smaller
//! than the sessions'. Neither is ours to change, and both look like a fault of ours.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ppp_proto::discovery::DEFAULT_MAX_PAYLOAD;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::first_run::default_route;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(30);

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Surroundings {
    /// IPv4 forwarding; `None` where that cannot be read.
    forwards: Option<bool>,
    /// The interface of the IPv4 default route, and its MTU in bytes.
    uplink: Option<(String, u32)>,
}

impl Surroundings {
    /// May block. `root` is `/`, but in tests.
    fn look(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        let forwards = read("proc/sys/net/ipv4/ip_forward").map(|text| text.trim() != "0");
        let uplink = read("proc/net/route").and_then(|routes| default_route(&routes)).and_then(|name| {
            let mtu = read(&format!("sys/class/net/{name}/mtu"))?.trim().parse().ok()?;
            Some((name, mtu))
        });
        Self { forwards, uplink }
    }

    /// A default route by a session is no uplink, and one by an interface with a full MTU no obstacle.
    fn narrow_uplink(&self) -> Option<(&str, u32)> {
        let (name, mtu) = self.uplink.as_ref()?;
        (*mtu < u32::from(DEFAULT_MAX_PAYLOAD)).then_some((name, *mtu))
    }
}

/// Looks again and again, beside the event loop, and logs what has changed.
pub(super) async fn watch() {
    let look = || tokio::task::spawn_blocking(|| Surroundings::look(Path::new("/")));
    // What is wrong with forwarding at the start was logged at the start.
    let mut known = Surroundings { forwards: look().await.ok().and_then(|now| now.forwards), uplink: None };
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(now) = look().await else { continue };
        log_changes(&known, &now);
        known = now;
    }
}

fn log_changes(before: &Surroundings, now: &Surroundings) {
    if before.forwards != now.forwards {
        match now.forwards {
            Some(false) => warn!(
                "net.ipv4.ip_forward was set to 0; clients can reach only this machine: sysctl -w \
                 net.ipv4.ip_forward=1"
            ),
            Some(true) => info!("net.ipv4.ip_forward is 1 again; packets of clients are forwarded"),
            None => {}
        }
    }
    if before.narrow_uplink() != now.narrow_uplink()
        && let Some((uplink, mtu)) = now.narrow_uplink()
    {
        warn!(
            uplink,
            mtu,
            "the uplink's MTU is smaller than the sessions' ({DEFAULT_MAX_PAYLOAD}): packets of full size depend on ICMP, \
             which many networks drop; use the hook mss-clamp.lua, or set mtu and mru in the options"
        );
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::log_ring::{LogRing, messages};

    fn root(forward: &str, route: &str, mtu: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("proc/sys/net/ipv4/ip_forward", forward),
            ("proc/net/route", route),
            ("sys/class/net/eth0/mtu", mtu),
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const ROUTES: &str = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                          eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\n";

    #[test]
    fn what_is_there_is_seen() {
        let wide = Surroundings::look(root("1\n", ROUTES, "1500\n").path());
        assert_eq!(wide, Surroundings { forwards: Some(true), uplink: Some(("eth0".into(), 1500)) });
        assert_eq!(wide.narrow_uplink(), None);
        let narrow = Surroundings::look(root("0\n", ROUTES, "1491\n").path());
        assert_eq!((narrow.forwards, narrow.narrow_uplink()), (Some(false), Some(("eth0", 1491))));
        assert_eq!(Surroundings::look(root("0\n", ROUTES, "1492\n").path()).narrow_uplink(), None);
        assert_eq!(Surroundings::look(Path::new("/nonexistent")), Surroundings::default());
    }

    #[test]
    fn a_change_is_logged_once() {
        let ring = LogRing::new();
        let subscriber = tracing_subscriber::registry().with(ring.layer());
        tracing::subscriber::with_default(subscriber, || {
            let state =
                |forwards, mtu| Surroundings { forwards: Some(forwards), uplink: Some(("eth0".into(), mtu)) };
            log_changes(&state(true, 1500), &state(true, 1500));
            assert_eq!(messages(&ring).len(), 0);
            log_changes(&state(true, 1500), &state(false, 1400));
            log_changes(&state(false, 1400), &state(false, 1400));
            log_changes(&state(false, 1400), &state(true, 1500));
        });
        let logged = messages(&ring);
        assert_eq!(logged.len(), 3, "{logged:?}");
        assert!(logged[0].starts_with("net.ipv4.ip_forward was set to 0"), "{logged:?}");
        assert!(logged[1].starts_with("the uplink's MTU is smaller"), "{logged:?}");
        assert!(logged[2].starts_with("net.ipv4.ip_forward is 1 again"), "{logged:?}");
    }
}
