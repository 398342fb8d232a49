//! What each implemented option does, for the commented `pppoed.toml` and its manual page.

/// An option in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// The option.
    pub name: &'static str,
    /// A value for it, in TOML.
    pub example: &'static str,
    /// That value is the default.
    pub is_default: bool,
    /// What it does, with units.
    pub text: &'static str,
}

const fn example(name: &'static str, example: &'static str, text: &'static str) -> About {
    About { name, example, is_default: false, text }
}

const fn default(name: &'static str, example: &'static str, text: &'static str) -> About {
    About { name, example, is_default: true, text }
}

/// In the order of a file. Other spellings of the same option are left out.
pub static OPTIONS: &[About] = &[
    example(
        "require-chap",
        "true",
        "Ask clients for CHAP (MD5). With require-pap too: CHAP, or PAP if the client wants that",
    ),
    example("require-pap", "true", "Ask clients for PAP"),
    default("auth", "true", "Clients must prove who they are, by CHAP or PAP"),
    example("noauth", "true", "Clients need not prove who they are, and get any address of the pool"),
    example(
        "name",
        "\"isp\"",
        "Our name in CHAP challenges and in the second column of the secrets files; the host name unless set",
    ),
    example("usehostname", "true", "Our name is the host name, whatever name says"),
    example("domain", "\"example.net\"", "Appended to the host name where that is our name"),
    default(
        "chap-secrets",
        "\"/etc/ppp/chap-secrets\"",
        "Users for CHAP. The key chap-secrets above [ppp] beats it",
    ),
    default(
        "pap-secrets",
        "\"/etc/ppp/pap-secrets\"",
        "Users for PAP. The key pap-secrets above [ppp] beats it",
    ),
    default("papcrypt", "false", "Secrets for PAP are hashes only, never plain text"),
    example("login", "true", "Has no effect but a warning: PAP uses pap-secrets alone"),
    default("chap-restart", "3", "Seconds until a challenge without an answer is sent again"),
    default("chap-max-challenge", "10", "How often a challenge without an answer is sent"),
    example(
        "chap-interval",
        "3600",
        "Seconds between two challenges of an open session; 0, the default, for none",
    ),
    example(
        "pap-timeout",
        "30",
        "Seconds that a client has to prove its identity; 0 for no limit. The key auth-deadline beats it",
    ),
    default(
        "lcp-echo-interval",
        "10",
        "Seconds between LCP Echo-Requests, which tell whether the client is there; 0 for none",
    ),
    default(
        "lcp-echo-failure",
        "3",
        "Echo-Requests without an Echo-Reply after which the session ends; 0 for any number",
    ),
    default(
        "lcp-echo-adaptive",
        "false",
        "Send an Echo-Request only if the client sent nothing for lcp-echo-interval, as pppd with this option",
    ),
    default("lcp-restart", "3", "Seconds until a request of LCP without an answer is sent again"),
    default("lcp-max-configure", "10", "How often a Configure-Request of LCP is sent"),
    default("lcp-max-terminate", "2", "How often a Terminate-Request of LCP is sent"),
    default("lcp-max-failure", "5", "Configure-Naks of LCP before options are rejected instead"),
    default(
        "mru",
        "1500",
        "Largest packet to take from a client, in bytes; more than 1492 needs PPP-Max-Payload (RFC 4638)",
    ),
    example("mtu", "1492", "Largest packet to send to a client, in bytes; what LCP agrees on unless set"),
    default("ipcp-restart", "3", "Seconds until a request of IPCP without an answer is sent again"),
    default("ipcp-max-configure", "10", "How often a Configure-Request of IPCP is sent"),
    default("ipcp-max-terminate", "2", "How often a Terminate-Request of IPCP is sent"),
    default("ipcp-max-failure", "5", "Configure-Naks of IPCP before options are rejected instead"),
    example("ms-dns", "[\"9.9.9.9\", \"1.1.1.1\"]", "Name servers for the clients, at most two"),
    example("ms-wins", "[\"10.0.0.3\"]", "NetBIOS name servers for the clients, at most two"),
    example("proxyarp", "true", "Answer ARP for a client's address on the Ethernet that it belongs to"),
    default("noproxyarp", "true", "Do not answer ARP for clients"),
    example("nosourcecheck", "true", "Let packets from other addresses than the client's pass"),
    example(
        "rate-down",
        "\"10M\"",
        "Limit of the rate to each client: a number of kbit/s, or one like 512k, 10M or 1G; none for no limit",
    ),
    example("rate-up", "\"2M\"", "Limit of the rate from each client, likewise"),
    default(
        "rate-burst",
        "0",
        "Bytes that may go at once each way under a limit, also as a text like \"32k\"; 0 for what is good for the rate",
    ),
    default("idle", "0", "Seconds without traffic after which a session ends; 0 for never"),
    default("maxconnect", "0", "Seconds after which a session ends; 0 for never"),
    default(
        "maxoctets",
        "0",
        "Bytes that a session may use, also as a text with a unit: \"500M\", \"50G\" (powers of 1024); 0 for any number",
    ),
    default(
        "mo-direction",
        "\"sum\"",
        "Which bytes count for maxoctets: sum, in (from the client), out, or max of the two",
    ),
    default("mo-timeout", "1", "Seconds between two looks at the counters for maxoctets"),
    example("+ipv6", "true", "IPv6 with link-local addresses beside IPv4; also: ipv6 = true"),
    example(
        "ipv6",
        "\"::1,::2\"",
        "The same, with interface identifiers: ours, and the client's; either may be left out",
    ),
    default("noipv6", "true", "No IPv6"),
    default("ipv6cp-restart", "3", "Seconds until a request of IPV6CP without an answer is sent again"),
    default("ipv6cp-max-configure", "10", "How often a Configure-Request of IPV6CP is sent"),
    default("ipv6cp-max-terminate", "2", "How often a Terminate-Request of IPV6CP is sent"),
    default("ipv6cp-max-failure", "5", "Configure-Naks of IPV6CP before options are rejected instead"),
    example("ipparam", "\"site-a\"", "Last argument of the scripts"),
    example("set", "[\"SITE=a\"]", "Variables for the scripts, NAME=value"),
    example("unset", "[\"SITE\"]", "Variables that the scripts do not get"),
    example(
        "auth-up-script",
        "\"/etc/ppp/auth-up\"",
        "Run by the hook compat.lua when a client has proved who it is",
    ),
    example(
        "auth-down-script",
        "\"/etc/ppp/auth-down\"",
        "Run by the hook compat.lua after the end of such a session",
    ),
    example(
        "ip-pre-up-script",
        "\"/etc/ppp/ip-pre-up\"",
        "Run by the hook compat.lua before the interface comes up, and waited for",
    ),
    example("ip-up-script", "\"/etc/ppp/ip-up\"", "Run by the hook compat.lua when a session is up"),
    example("ip-down-script", "\"/etc/ppp/ip-down\"", "Run by the hook compat.lua when it is down"),
    example("ipv6-up-script", "\"/etc/ppp/ipv6-up\"", "Run by the hook compat.lua when IPv6 is up"),
    example("ipv6-down-script", "\"/etc/ppp/ipv6-down\"", "Run by the hook compat.lua when it is down"),
    example("logfile", "\"/var/log/pppoed.log\"", "File to log to, beside the journal"),
    example("debug", "true", "Log what happens inside sessions: the level debug"),
];

#[cfg(test)]
mod tests {
    use super::super::table::{Action, rows};
    use super::*;

    #[test]
    fn every_option_that_does_something_is_told() {
        const OTHER_SPELLINGS: &[&str] = &["+pap", "+chap", "-ipv6", "-proxyarp", "mo", "-d"];
        let does_something = |action: Action| matches!(action, Action::Global(_) | Action::Session(_));
        for row in rows().filter(|row| does_something(row.action)) {
            let told = OPTIONS.iter().any(|option| option.name == row.name);
            assert_ne!(told, OTHER_SPELLINGS.contains(&row.name), "{}", row.name);
        }
        for option in OPTIONS {
            let row = super::super::table::find(option.name.as_bytes()).unwrap();
            assert!(does_something(row.action), "{}", option.name);
            assert!(!option.text.ends_with('.'), "{}", option.text);
        }
    }
}
