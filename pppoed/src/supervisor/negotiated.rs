//! What a session's ends agreed on, in words.

use std::net::Ipv4Addr;

use ppp_ipc::control::{AuthMethod, NegotiatedOption};

use super::ipv6;
use super::session::Session;

/// The options of the protocols that are open.
pub(super) fn options(session: &Session) -> Vec<NegotiatedOption> {
    let mut options = Vec::new();
    let mut add = |protocol: &str, option: &str, ours: Option<String>, peers: Option<String>| {
        if ours.is_some() || peers.is_some() {
            let (protocol, option) = (protocol.to_owned(), option.to_owned());
            options.push(NegotiatedOption { protocol, option, ours, peers });
        }
    };
    if let Some(lcp) = &session.lcp {
        add("lcp", "mru", Some(lcp.mru.to_string()), Some(lcp.peer_mru.to_string()));
        let method = lcp.auth.map(|method| match method {
            AuthMethod::Pap => "pap".to_owned(),
            AuthMethod::ChapMd5 => "chap-md5".to_owned(),
        });
        add("lcp", "authentication-protocol", None, method);
    }
    if let Some(network) = session.network.filter(|_| session.ip_open) {
        add("ipcp", "ip-address", Some(network.local.to_string()), Some(network.remote.to_string()));
        let names = ["primary-dns", "secondary-dns", "primary-nbns", "secondary-nbns"];
        let servers = network.dns.into_iter().chain(network.nbns);
        for (name, server) in names.into_iter().zip(servers) {
            add("ipcp", name, None, server.map(|server: Ipv4Addr| server.to_string()));
        }
    }
    if let Some(report) = session.ipv6_open {
        let ends = ipv6::ends(report);
        add("ipv6cp", "interface-identifier", Some(ends.local.to_string()), Some(ends.peer.to_string()));
    }
    options
}
