//! What a link is told when it is made.

use std::time::Duration;

use crate::auth::{AuthConfig, AuthMethod, Credentials};
use crate::ipcp::IpcpConfig;
use crate::ipv6cp::Ipv6cpConfig;
use crate::lcp::LcpConfig;
use crate::negotiation::RestartConfig;

/// Everything that one link must know. The same machine is a server's end or a client's, as this says.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// What LCP asks for.
    pub lcp: LcpConfig,
    /// Restart timer and counters of LCP.
    pub lcp_restart: RestartConfig,
    /// Restart timer and counters of IPCP.
    pub ipcp_restart: RestartConfig,
    /// Restart timer and counters of IPV6CP.
    pub ipv6cp_restart: RestartConfig,
    /// Methods by which the peer must prove who it is, in order of preference; empty for no proof.
    pub require_auth: Vec<AuthMethod>,
    /// What we prove ourselves with if the peer asks; with `None` its asking is rejected.
    pub credentials: Option<Credentials>,
    /// Timers and counters of authentication.
    pub auth: AuthConfig,
    /// IPCP, unless the verdict on the peer brings it. With neither, IPCP gets a Protocol-Reject.
    pub ipcp: Option<IpcpConfig>,
    /// IPV6CP; with `None` it gets a Protocol-Reject.
    pub ipv6cp: Option<Ipv6cpConfig>,
    /// Keep-alive by Echo-Requests; `None` for none.
    pub echo: Option<EchoConfig>,
    /// Time that a link may spend without an open network protocol, from its start or since the last one closed.
    pub setup_deadline: Duration,
}

impl Default for LinkConfig {
    /// A link without authentication and without network protocols, with the timers of the RFCs.
    fn default() -> Self {
        Self {
            lcp: LcpConfig::default(),
            lcp_restart: RestartConfig::default(),
            ipcp_restart: RestartConfig::default(),
            ipv6cp_restart: RestartConfig::default(),
            require_auth: Vec::new(),
            credentials: None,
            auth: AuthConfig::default(),
            ipcp: None,
            ipv6cp: None,
            echo: None,
            setup_deadline: Duration::from_secs(60),
        }
    }
}

/// Keep-alive by Echo-Requests (RFC 1661 §5.8), sent while LCP is Opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EchoConfig {
    /// Time between Echo-Requests; zero for none.
    pub interval: Duration,
    /// Echo-Requests in a row without a sign of life that end the link; 0 for never.
    pub max_failures: u32,
    /// Whether packets from the peer take the place of an Echo-Request: one is sent only when the line was idle
    /// for the whole interval.
    pub only_when_idle: bool,
}

impl Default for EchoConfig {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), max_failures: 3, only_when_idle: false }
    }
}
