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
        "Require CHAP (MD5). With require-pap as well: CHAP, or PAP if the client rejects CHAP",
    ),
    example("require-pap", "true", "Require PAP"),
    default("auth", "true", "Require authentication by CHAP or PAP"),
    example("noauth", "true", "Do not require authentication; clients get any address of the pool"),
    example(
        "name",
        "\"isp\"",
        "Server name in CHAP challenges and in the second column of the secrets files; by default the host name",
    ),
    example("usehostname", "true", "Use the host name as server name, overriding name"),
    example("domain", "\"example.net\"", "Domain to append to the host name when it is the server name"),
    default(
        "chap-secrets",
        "\"/etc/ppp/chap-secrets\"",
        "CHAP secrets file. Overridden by the key chap-secrets above [ppp]",
    ),
    default(
        "pap-secrets",
        "\"/etc/ppp/pap-secrets\"",
        "PAP secrets file. Overridden by the key pap-secrets above [ppp]",
    ),
    default("papcrypt", "false", "Accept only hashed PAP secrets, never plain text"),
    example("login", "true", "No effect except a warning: PAP uses pap-secrets only"),
    default("chap-restart", "3", "CHAP challenge retransmission interval in seconds"),
    default("chap-max-challenge", "10", "Maximum CHAP challenge transmissions"),
    example(
        "chap-interval",
        "3600",
        "CHAP rechallenge interval of open sessions in seconds; 0, the default, disables it",
    ),
    example(
        "pap-timeout",
        "30",
        "Authentication timeout in seconds; 0 disables it. Overridden by the key auth-deadline",
    ),
    default("lcp-echo-interval", "10", "LCP Echo-Request interval in seconds; 0 disables them"),
    default(
        "lcp-echo-failure",
        "3",
        "Unanswered LCP Echo-Requests before the session is ended; 0 for no limit",
    ),
    default(
        "lcp-echo-adaptive",
        "false",
        "Send an LCP Echo-Request only if nothing was received for lcp-echo-interval, as in pppd",
    ),
    default("lcp-restart", "3", "LCP retransmission interval in seconds"),
    default("lcp-max-configure", "10", "Maximum LCP Configure-Request transmissions"),
    default("lcp-max-terminate", "2", "Maximum LCP Terminate-Request transmissions"),
    default("lcp-max-failure", "5", "Maximum LCP Configure-Naks before options are rejected instead"),
    default(
        "mru",
        "1500",
        "Maximum receive unit (MRU) in bytes; more than 1492 requires PPP-Max-Payload (RFC 4638)",
    ),
    example("mtu", "1492", "Maximum transmission unit (MTU) in bytes; by default as negotiated by LCP"),
    default("ipcp-restart", "3", "IPCP retransmission interval in seconds"),
    default("ipcp-max-configure", "10", "Maximum IPCP Configure-Request transmissions"),
    default("ipcp-max-terminate", "2", "Maximum IPCP Terminate-Request transmissions"),
    default("ipcp-max-failure", "5", "Maximum IPCP Configure-Naks before options are rejected instead"),
    example("ms-dns", "[\"9.9.9.9\", \"1.1.1.1\"]", "DNS servers for clients, at most two"),
    example("ms-wins", "[\"10.0.0.3\"]", "NetBIOS name servers for clients, at most two"),
    example("proxyarp", "true", "Proxy ARP for client addresses, on the interface with a matching subnet"),
    default("noproxyarp", "true", "Disable proxy ARP"),
    example("nosourcecheck", "true", "Accept packets from source addresses other than the client's"),
    example(
        "rate-down",
        "\"10M\"",
        "Rate limit to each client: a number in kbit/s, or with a unit: 512k, 10M, 1G; none for no limit",
    ),
    example("rate-up", "\"2M\"", "Rate limit from each client, in the same format"),
    default(
        "rate-burst",
        "0",
        "Burst size of rate limits in bytes, also with a unit: \"32k\"; 0 derives it from the rate",
    ),
    default("idle", "0", "Idle timeout in seconds; 0 disables it"),
    default("maxconnect", "0", "Session timeout in seconds; 0 disables it"),
    default(
        "maxoctets",
        "0",
        "Traffic quota of a session in bytes, also with a unit: \"500M\", \"50G\" (powers of 1024); 0 for no limit",
    ),
    default(
        "mo-direction",
        "\"sum\"",
        "Traffic that counts for maxoctets: sum, in (from the client), out, or max of the two",
    ),
    default("mo-timeout", "1", "Interval in seconds between checks of maxoctets"),
    example("+ipv6", "true", "Enable IPv6 with link-local addresses; also: ipv6 = true"),
    example(
        "ipv6",
        "\"::1,::2\"",
        "Enable IPv6 with interface identifiers LOCAL,REMOTE; either may be omitted",
    ),
    default("noipv6", "true", "Disable IPv6"),
    default("ipv6cp-restart", "3", "IPV6CP retransmission interval in seconds"),
    default("ipv6cp-max-configure", "10", "Maximum IPV6CP Configure-Request transmissions"),
    default("ipv6cp-max-terminate", "2", "Maximum IPV6CP Terminate-Request transmissions"),
    default("ipv6cp-max-failure", "5", "Maximum IPV6CP Configure-Naks before options are rejected instead"),
    example("ipparam", "\"site-a\"", "Last argument of scripts"),
    example("set", "[\"SITE=a\"]", "Environment variables for scripts, NAME=value"),
    example("unset", "[\"SITE\"]", "Environment variables to remove for scripts"),
    example(
        "auth-up-script",
        "\"/etc/ppp/auth-up\"",
        "Script to run after authentication, by the hook compat.lua",
    ),
    example(
        "auth-down-script",
        "\"/etc/ppp/auth-down\"",
        "Script to run after an authenticated session has ended, by the hook compat.lua",
    ),
    example(
        "ip-pre-up-script",
        "\"/etc/ppp/ip-pre-up\"",
        "Script to run before the interface comes up, by the hook compat.lua, which waits for it",
    ),
    example("ip-up-script", "\"/etc/ppp/ip-up\"", "Script to run when IPv4 is up, by the hook compat.lua"),
    example(
        "ip-down-script",
        "\"/etc/ppp/ip-down\"",
        "Script to run when IPv4 is down, by the hook compat.lua",
    ),
    example(
        "ipv6-up-script",
        "\"/etc/ppp/ipv6-up\"",
        "Script to run when IPv6 is up, by the hook compat.lua",
    ),
    example(
        "ipv6-down-script",
        "\"/etc/ppp/ipv6-down\"",
        "Script to run when IPv6 is down, by the hook compat.lua",
    ),
    example("logfile", "\"/var/log/pppoed.log\"", "Log file, in addition to the journal"),
    example("debug", "true", "Set the log level debug"),
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
