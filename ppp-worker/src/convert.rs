//! Between the messages of `ppp-ipc` and the types of `ppp-proto`, which do not know each other.

use std::time::Duration;

use ppp_ipc::worker as ipc;
use ppp_proto::auth::{AuthConfig, AuthMethod, Proof};
use ppp_proto::ipcp::{IpcpConfig, IpcpNegotiated, NameServers};
use ppp_proto::ipv6cp::{Ipv6cpConfig, Ipv6cpNegotiated};
use ppp_proto::lcp::{LcpConfig, LcpNegotiated};
use ppp_proto::link::{CloseReason, EchoConfig, LinkConfig, Verdict};
use ppp_proto::{NegotiationFailure, RestartConfig};

use crate::relay::{RateLimit, Rates};

/// The limits as the relay takes them.
pub(crate) fn rates(rates: ipc::Rates) -> Rates {
    let limit = |kbit_per_second: u32| {
        (kbit_per_second > 0).then_some(RateLimit { kbit_per_second, burst: rates.burst })
    };
    Rates { down: limit(rates.down), up: limit(rates.up) }
}

/// A time in milliseconds, of which 0 means "never".
pub(crate) fn limit(milliseconds: u32) -> Option<Duration> {
    (milliseconds > 0).then(|| millis(milliseconds))
}

fn millis(milliseconds: u32) -> Duration {
    Duration::from_millis(u64::from(milliseconds))
}

pub(crate) fn link_config(link: &ipc::LinkParameters) -> LinkConfig {
    LinkConfig {
        lcp: LcpConfig { mru: link.mru, max_peer_mru: link.max_peer_mru },
        lcp_restart: restart_config(link.lcp),
        ipcp_restart: restart_config(link.ipcp),
        ipv6cp_restart: restart_config(link.ipv6cp),
        require_auth: link.auth_methods.iter().copied().map(auth_method).collect(),
        credentials: None,
        auth: AuthConfig {
            restart: millis(link.auth_restart_ms),
            max_transmits: link.auth_max_transmits,
            max_tries: link.auth_max_tries,
            deadline: limit(link.auth_deadline_ms),
            rechallenge: limit(link.chap_interval_ms),
        },
        ipcp: link.network.map(ipcp_config),
        ipv6cp: link.ipv6.map(ipv6cp_config),
        echo: limit(link.echo_interval_ms).map(|interval| EchoConfig {
            interval,
            max_failures: link.echo_failure,
            only_when_idle: link.echo_adaptive,
        }),
        setup_deadline: millis(link.setup_deadline_ms),
    }
}

fn restart_config(restart: ipc::RestartParameters) -> RestartConfig {
    RestartConfig {
        restart: millis(restart.restart_ms),
        max_configure: restart.max_configure,
        max_terminate: restart.max_terminate,
        max_failure: restart.max_failure,
    }
}

fn auth_method(method: ipc::AuthMethod) -> AuthMethod {
    match method {
        ipc::AuthMethod::Pap => AuthMethod::Pap,
        ipc::AuthMethod::ChapMd5 => AuthMethod::ChapMd5,
    }
}

fn ipcp_config(network: ipc::Network) -> IpcpConfig {
    IpcpConfig::Assign {
        local: network.local,
        remote: network.remote,
        name_servers: NameServers { dns: network.dns, nbns: network.nbns },
    }
}

fn ipv6cp_config(ipv6: ipc::Ipv6Parameters) -> Ipv6cpConfig {
    Ipv6cpConfig { local: Some(ipv6.local), remote: ipv6.remote }
}

pub(crate) fn verdict(verdict: ipc::Verdict) -> Verdict {
    match verdict {
        ipc::Verdict::Accept { message, network, .. } => {
            Verdict::Accept { message, ipcp: Some(ipcp_config(network)) }
        }
        ipc::Verdict::Reject { message } => Verdict::Reject { message },
    }
}

pub(crate) fn lcp_report(lcp: &LcpNegotiated) -> ipc::LcpReport {
    let auth = lcp.auth.map(|method| match method {
        AuthMethod::Pap => ipc::AuthMethod::Pap,
        AuthMethod::ChapMd5 => ipc::AuthMethod::ChapMd5,
    });
    ipc::LcpReport { mru: lcp.mru, peer_mru: lcp.peer_mru, auth }
}

pub(crate) fn network_report(ipcp: IpcpNegotiated) -> ipc::NetworkReport {
    ipc::NetworkReport { local: ipcp.local, remote: ipcp.remote }
}

pub(crate) fn ipv6_report(ipv6cp: Ipv6cpNegotiated) -> ipc::Ipv6Report {
    ipc::Ipv6Report { local: ipv6cp.local, remote: ipv6cp.remote }
}

pub(crate) fn proof(proof: Proof) -> ipc::Proof {
    match proof {
        Proof::Pap { name, mut password } => {
            ipc::Proof::Pap { name, password: std::mem::take(&mut *password) }
        }
        Proof::Chap { identifier, response, name } => {
            ipc::Proof::Chap { identifier, response: response.to_vec(), name }
        }
    }
}

/// The reason for the log and the console, and more about it.
pub(crate) fn end_reason(reason: &CloseReason) -> (ipc::EndReason, Vec<u8>) {
    use ipc::EndReason;
    let word = match reason {
        CloseReason::AdminClose | CloseReason::LowerLayerDown => EndReason::Admin,
        CloseReason::PeerTerminated => EndReason::PeerTerminated,
        CloseReason::LcpFailed(NegotiationFailure::Loopback) => EndReason::Loopback,
        CloseReason::LcpFailed(_) | CloseReason::IpcpFailed(_) | CloseReason::Ipv6cpFailed(_) => {
            EndReason::NegotiationFailed
        }
        CloseReason::AuthFailed | CloseReason::RefusedByPeer(_) => EndReason::AuthFailed,
        CloseReason::AuthTimeout => EndReason::AuthTimeout,
        CloseReason::SetupTimeout => EndReason::SetupTimeout,
        CloseReason::EchoLost => EndReason::EchoLost,
    };
    (word, reason.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NETWORK: ipc::Network = ipc::Network {
        local: Ipv4Addr::new(10, 0, 0, 1),
        remote: Ipv4Addr::new(10, 0, 0, 2),
        dns: [Some(Ipv4Addr::new(192, 0, 2, 1)), None],
        nbns: [None, Some(Ipv4Addr::new(192, 0, 2, 2))],
    };

    fn restart(first: u32) -> ipc::RestartParameters {
        ipc::RestartParameters {
            restart_ms: first,
            max_configure: first + 1,
            max_terminate: first + 2,
            max_failure: first + 3,
        }
    }

    fn is_restart(config: RestartConfig, first: u32) -> bool {
        let expected = RestartConfig {
            restart: Duration::from_millis(first.into()),
            max_configure: first + 1,
            max_terminate: first + 2,
            max_failure: first + 3,
        };
        config == expected
    }

    /// Every number differs, so that none can take another one's place.
    fn parameters(echo_adaptive: bool) -> ipc::LinkParameters {
        ipc::LinkParameters {
            name: b"ac".to_vec(),
            mru: 1400,
            max_peer_mru: 1492,
            auth_methods: vec![ipc::AuthMethod::ChapMd5, ipc::AuthMethod::Pap],
            lcp: restart(100),
            ipcp: restart(200),
            ipv6cp: restart(300),
            ipv6: Some(ipc::Ipv6Parameters { local: [1; 8], remote: Some([2; 8]) }),
            network: Some(NETWORK),
            auth_restart_ms: 1,
            auth_max_transmits: 2,
            auth_max_tries: 3,
            chap_interval_ms: 4,
            auth_deadline_ms: 5,
            setup_deadline_ms: 6,
            echo_interval_ms: 7,
            echo_failure: 8,
            echo_adaptive,
            dead_peer_ms: 9,
            idle_ms: 10,
            max_mss: 11,
        }
    }

    #[test]
    fn each_parameter_goes_where_it_belongs() {
        for echo_adaptive in [false, true] {
            let echo = link_config(&parameters(echo_adaptive)).echo.unwrap();
            assert_eq!(echo.only_when_idle, echo_adaptive);
        }
        let config = link_config(&parameters(false));
        assert_eq!((config.lcp.mru, config.lcp.max_peer_mru), (1400, 1492));
        assert!(is_restart(config.lcp_restart, 100));
        assert!(is_restart(config.ipcp_restart, 200));
        assert!(is_restart(config.ipv6cp_restart, 300));
        assert_eq!(config.require_auth, [AuthMethod::ChapMd5, AuthMethod::Pap]);
        let auth = AuthConfig {
            restart: Duration::from_millis(1),
            max_transmits: 2,
            max_tries: 3,
            rechallenge: Some(Duration::from_millis(4)),
            deadline: Some(Duration::from_millis(5)),
        };
        assert_eq!(config.auth, auth);
        assert_eq!(config.setup_deadline, Duration::from_millis(6));
        let echo = config.echo.unwrap();
        assert_eq!((echo.interval, echo.max_failures), (Duration::from_millis(7), 8));
        let name_servers = NameServers { dns: NETWORK.dns, nbns: NETWORK.nbns };
        let ipcp = IpcpConfig::Assign { local: NETWORK.local, remote: NETWORK.remote, name_servers };
        assert_eq!(config.ipcp, Some(ipcp));
        let ipv6cp = config.ipv6cp.unwrap();
        assert_eq!((ipv6cp.local, ipv6cp.remote), (Some([1; 8]), Some([2; 8])));
        // We prove nothing to a peer.
        assert!(config.credentials.is_none());

        let message = b"welcome".to_vec();
        let accept = ipc::Verdict::Accept { message: message.clone(), network: NETWORK, idle_ms: 0 };
        assert_eq!(verdict(accept), Verdict::Accept { message, ipcp: Some(ipcp) });
    }

    #[test]
    fn zero_means_never() {
        assert_eq!(limit(0), None);
        assert_eq!(limit(1500), Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_proof_arrives_as_it_came() {
        let name = b"alice".to_vec();
        match proof(Proof::Pap { name: name.clone(), password: b"secret".to_vec().into() }) {
            ipc::Proof::Pap { name: ref sent, ref password } => {
                assert_eq!((sent, password.as_slice()), (&name, &b"secret"[..]));
            }
            other => panic!("{other:?}"),
        }
        match proof(Proof::Chap { identifier: 7, response: [9; 16], name: name.clone() }) {
            ipc::Proof::Chap { identifier: 7, ref response, name: ref sent } => {
                assert_eq!((sent, response.as_slice()), (&name, &[9; 16][..]));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_end_has_its_reason() {
        use ipc::EndReason;
        for (reason, word) in [
            (CloseReason::PeerTerminated, EndReason::PeerTerminated),
            (CloseReason::LcpFailed(NegotiationFailure::Loopback), EndReason::Loopback),
            (CloseReason::AuthFailed, EndReason::AuthFailed),
            (CloseReason::AuthTimeout, EndReason::AuthTimeout),
            (CloseReason::SetupTimeout, EndReason::SetupTimeout),
            (CloseReason::EchoLost, EndReason::EchoLost),
        ] {
            let (found, detail) = end_reason(&reason);
            assert_eq!((found, detail), (word, reason.to_string().into_bytes()));
        }
    }
}
