//! Between the messages of `ppp-ipc` and the types of `ppp-proto`, which do not know each other.

use std::time::Duration;

use ppp_ipc::worker as ipc;
use ppp_proto::auth::{AuthConfig, AuthMethod, Proof};
use ppp_proto::ipcp::{IpcpConfig, NameServers};
use ppp_proto::ipv6cp::Ipv6cpConfig;
use ppp_proto::lcp::{LcpConfig, LcpNegotiated};
use ppp_proto::link::{CloseReason, EchoConfig, LinkConfig, Verdict};
use ppp_proto::{NegotiationFailure, RestartConfig};

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
            only_when_idle: true,
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
