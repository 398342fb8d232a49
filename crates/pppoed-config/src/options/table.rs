//! One row for every option that pppd knows.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use ppp_ipc::bytes::ByteCount;

use super::plugin::{self, OF_RADIUS, OWN_PPPOE};
use super::value::{address, bytes, interface_identifier, number, rate};
use super::{OctetDirection, PppOptions, Script, SessionOptions, ValueError};
use crate::origin::{Origin, Sourced};
use crate::spelling;

/// What this server does with one option.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What its argument is, for options that take one.
    pub(super) argument: Option<&'static str>,
    pub(super) action: Action,
    /// What to know about an option that is implemented.
    pub(super) remark: Option<&'static str>,
}

/// Sets an option from its argument (empty for options without one).
type Set<T> = fn(&mut T, &[u8], Origin) -> Result<(), ValueError>;

#[derive(Clone, Copy)]
pub(super) enum Action {
    /// It says what is the case anyway; accepted without a word.
    AlreadyTrue,
    /// Implemented, for the whole server.
    Global(Set<PppOptions>),
    /// Read another file.
    Include,
    /// It depends on the argument.
    ByArgument(fn(&[u8]) -> Action),
    /// Accepted with a notice that tells why it does nothing.
    NoEffect(&'static str),
    /// An error that tells why.
    Refused(&'static str),
    /// Implemented, for the whole server or for one user.
    Session(Set<SessionOptions>),
}

use Action::{AlreadyTrue, ByArgument, Global, Include, NoEffect, Refused, Session};

pub(super) const NUMBER: Option<&str> = Some("a number");
pub(super) const SECONDS: Option<&str> = Some("a number of seconds");
pub(super) const RATE: Option<&str> = Some("a rate, such as 512k or 10M");
pub(super) const BYTES: Option<&str> = Some("a number of bytes, such as 500M or 50G");
pub(super) const PATH: Option<&str> = Some("a path");
const WORD: Option<&str> = Some("a word");
const ADDRESS: Option<&str> = Some("an IPv4 address");

/// pppd keeps numbers in a C int.
const MAX: u32 = i32::MAX.unsigned_abs();

/// As much as the queue of a limited session holds at most.
const MAX_BURST: u64 = 1 << 20;

impl Row {
    /// What the server does with the option and this argument.
    pub(super) fn action(&self, argument: &[u8]) -> Action {
        match self.action {
            ByArgument(decide) => decide(argument),
            action => action,
        }
    }

    /// Whether the option is taken, with an argument of the right kind.
    pub(super) fn is_accepted(&self) -> bool {
        !matches!(self.action, Refused(_) | ByArgument(_))
    }
}

const fn row(name: &'static str, argument: Option<&'static str>, action: Action) -> Row {
    Row { name, argument, action, remark: None }
}

const fn remarked(
    name: &'static str,
    argument: Option<&'static str>,
    action: Action,
    remark: &'static str,
) -> Row {
    Row { name, argument, action, remark: Some(remark) }
}

const fn script(name: &'static str, set: Set<PppOptions>) -> Row {
    row(name, PATH, Global(set))
}

fn set<T>(slot: &mut Option<Sourced<T>>, value: T, origin: Origin) -> Result<(), ValueError> {
    *slot = Some(Sourced::new(value, origin));
    Ok(())
}

fn mark(slot: &mut Option<Origin>, origin: Origin) -> Result<(), ValueError> {
    *slot = Some(origin);
    Ok(())
}

fn not_empty(word: &[u8]) -> Result<Vec<u8>, ValueError> {
    if word.is_empty() { Err(ValueError::Empty) } else { Ok(word.to_vec()) }
}

fn path(word: &[u8]) -> Result<PathBuf, ValueError> {
    not_empty(word).map(|bytes| OsString::from_vec(bytes).into())
}

fn set_script(options: &mut PppOptions, script: Script, word: &[u8], at: Origin) -> Result<(), ValueError> {
    options.scripts.insert(script, Sourced::new(path(word)?, at));
    Ok(())
}

/// MTU and MRU: from pppd's least to the most that PPPoE carries with RFC 4638 on ordinary Ethernet.
fn packet_size(word: &[u8]) -> Result<u16, ValueError> {
    let size = number(word, 128, 1500)?;
    u16::try_from(size).map_err(|_| ValueError::OutOfRange { min: 128, max: 1500 })
}

fn burst(word: &[u8]) -> Result<u32, ValueError> {
    let count = bytes(word, MAX_BURST)?;
    u32::try_from(count).map_err(|_| ValueError::TooManyBytes(ByteCount(MAX_BURST)))
}

/// The last two servers given count, the first of them as the primary.
fn add_server(list: &mut Vec<Sourced<Ipv4Addr>>, word: &[u8], at: Origin) -> Result<(), ValueError> {
    let server = address(word)?;
    if list.len() >= 2 {
        list.remove(0);
    }
    list.push(Sourced::new(server, at));
    Ok(())
}

fn interface_identifiers(options: &mut PppOptions, word: &[u8], at: Origin) -> Result<(), ValueError> {
    let mut parts = word.splitn(2, |&byte| byte == b',');
    let (local, remote) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !local.is_empty() {
        set(&mut options.ipv6_local_id, interface_identifier(local)?, at.clone())?;
    }
    if !remote.is_empty() {
        set(&mut options.ipv6_remote_id, interface_identifier(remote)?, at.clone())?;
    }
    let given = |id: &Option<Sourced<u64>>| id.as_ref().map(|id| id.value);
    if given(&options.ipv6_local_id).is_some()
        && given(&options.ipv6_local_id) == given(&options.ipv6_remote_id)
    {
        return Err(ValueError::SameIdentifiers);
    }
    set(&mut options.ipv6, true, at)
}

fn set_variable(options: &mut SessionOptions, word: &[u8], at: Origin) -> Result<(), ValueError> {
    let equals = word.iter().position(|&byte| byte == b'=').ok_or(ValueError::NoEqualsSign)?;
    let (name, value) = word.split_at(equals);
    if name.is_empty() {
        return Err(ValueError::EmptyName);
    }
    let value = value.get(1..).unwrap_or_default().to_vec();
    options.environment.insert(name.to_vec(), Some(Sourced::new(value, at)));
    Ok(())
}

fn unset_variable(options: &mut SessionOptions, word: &[u8], _: Origin) -> Result<(), ValueError> {
    if word.is_empty() {
        return Err(ValueError::EmptyName);
    }
    if word.contains(&b'=') {
        return Err(ValueError::UnexpectedEqualsSign);
    }
    options.environment.insert(word.to_vec(), None);
    Ok(())
}

fn direction(word: &[u8]) -> OctetDirection {
    match word {
        b"in" => OctetDirection::In,
        b"out" => OctetDirection::Out,
        b"max" => OctetDirection::Max,
        _ => OctetDirection::Sum,
    }
}

fn more_debug(options: &mut PppOptions, _: &[u8], at: Origin) -> Result<(), ValueError> {
    let before = options.debug.as_ref().map_or(0, |debug| debug.value);
    set(&mut options.debug, before.saturating_add(1), at)
}

const CLIENT_ONLY: &str = "the server never authenticates itself to a client";
const CLIENTS_CHOICE: &str = "the server never authenticates itself to a client; \
     to select how clients authenticate, use require-chap or require-pap";
const DIALS: &str = "it applies to dialling clients only";
const FOREGROUND: &str = "use the flag -F to run in the foreground";
const LINK_LOCAL_ONLY: &str = "only link-local addresses are supported: clients get no IPv6 prefixes, and their packets from \
     other addresses are dropped";
const NO_COMPRESSION: &str = "no compression (CCP is rejected)";
const NO_EAP: &str = "no EAP; use require-chap";
const NO_ENCRYPTION: &str = "no MPPE encryption (CCP is rejected); remove it";
const NO_FRAMING: &str = "PPPoE has no HDLC framing (RFC 2516 section 7)";
const NO_IPX: &str = "no IPX";
const NO_MSCHAP: &str = "no MS-CHAP in this version; use require-chap, which Windows clients support as well";
const NO_MULTILINK: &str = "each client has one session; remove it";
const NO_PEER_DNS: &str = "the server does not request name servers from clients";
const NO_ROUTE: &str = "the server never sets a default route to a client";
const NO_NET_SCRIPT: &str = "no such script; use auth-up or ip-pre-up";
const NO_SERIAL: &str = "it applies to serial lines only";
const NO_TLS: &str = "no EAP-TLS; remove it";
const NO_VJ: &str = "no Van Jacobson header compression";
const OWN_DEBUG: &str = "use --log-level";
const OWN_NAMES: &str = "the server names the interfaces of sessions itself";
const OWN_SCRIPT_ENV: &str = "the server sets it for each session";

/// Alphabetical within each group.
pub(super) static TABLE: &[Row] = &[
    // authentication
    row("auth", None, Global(|o, _, at| set(&mut o.auth, true, at))),
    row("noauth", None, Global(|o, _, at| set(&mut o.auth, false, at))),
    row("require-pap", None, Global(|o, _, at| mark(&mut o.require_pap, at))),
    row("+pap", None, Global(|o, _, at| mark(&mut o.require_pap, at))),
    row("require-chap", None, Global(|o, _, at| mark(&mut o.require_chap, at))),
    row("+chap", None, Global(|o, _, at| mark(&mut o.require_chap, at))),
    row("require-mschap", None, Refused(NO_MSCHAP)),
    row("+mschap", None, Refused(NO_MSCHAP)),
    row("require-mschap-v2", None, Refused(NO_MSCHAP)),
    row("+mschap-v2", None, Refused(NO_MSCHAP)),
    row("require-eap", None, Refused(NO_EAP)),
    row("+chapms", None, Refused(NO_MSCHAP)),
    row("+chapms-v2", None, Refused(NO_MSCHAP)),
    row("-chapms", None, AlreadyTrue),
    row("-chapms-v2", None, AlreadyTrue),
    row("refuse-pap", None, NoEffect(CLIENTS_CHOICE)),
    row("-pap", None, NoEffect(CLIENTS_CHOICE)),
    row("refuse-chap", None, NoEffect(CLIENTS_CHOICE)),
    row("-chap", None, NoEffect(CLIENTS_CHOICE)),
    row("refuse-mschap", None, AlreadyTrue),
    row("-mschap", None, AlreadyTrue),
    row("refuse-mschap-v2", None, AlreadyTrue),
    row("-mschap-v2", None, AlreadyTrue),
    row("refuse-eap", None, AlreadyTrue),
    row("name", WORD, Global(|o, w, at| set(&mut o.name, not_empty(w)?, at))),
    row("usehostname", None, Global(|o, _, at| mark(&mut o.usehostname, at))),
    row("domain", WORD, Global(|o, w, at| set(&mut o.domain, w.to_vec(), at))),
    row("chap-secrets", PATH, Global(|o, w, at| set(&mut o.chap_secrets, path(w)?, at))),
    row("pap-secrets", PATH, Global(|o, w, at| set(&mut o.pap_secrets, path(w)?, at))),
    remarked(
        "login",
        None,
        Global(|o, _, at| mark(&mut o.login, at)),
        "system passwords are not used: CHAP works as without it, PAP uses pap-secrets only, and a line \
         with an empty secret never matches",
    ),
    row("papcrypt", None, Global(|o, _, at| mark(&mut o.papcrypt, at))),
    row("enable-session", None, NoEffect("sessions are logged, but not recorded in wtmp")),
    row("user", WORD, NoEffect(CLIENT_ONLY)),
    row("password", WORD, NoEffect(CLIENT_ONLY)),
    row("+ua", PATH, NoEffect(CLIENT_ONLY)),
    row("remotename", WORD, Refused("all clients would be the same user; remove it")),
    row("remotenumber", WORD, NoEffect("it is always the client's MAC address")),
    row("allow-number", WORD, Refused("use --mac-allow to restrict clients by MAC address; remove it")),
    row("allow-ip", WORD, Refused("put the address into the secrets file, in the line of the user")),
    row("privgroup", WORD, NoEffect("only root starts this server")),
    row("chapms-strip-domain", None, NoEffect("no MS-CHAP in this version")),
    row("need-peer-eap", None, Refused(NO_TLS)),
    row("ca", PATH, Refused(NO_TLS)),
    row("capath", PATH, Refused(NO_TLS)),
    row("cert", PATH, Refused(NO_TLS)),
    row("crl", PATH, Refused(NO_TLS)),
    row("crl-dir", PATH, Refused(NO_TLS)),
    row("key", PATH, Refused(NO_TLS)),
    row("pkcs12", PATH, Refused(NO_TLS)),
    row("max-tls-version", WORD, Refused(NO_TLS)),
    row("tls-verify-key-usage", None, Refused(NO_TLS)),
    row("tls-verify-method", WORD, Refused(NO_TLS)),
    row("eap-interval", NUMBER, NoEffect(NO_EAP)),
    row("eap-max-rreq", NUMBER, NoEffect(NO_EAP)),
    row("eap-max-sreq", NUMBER, NoEffect(NO_EAP)),
    row("eap-restart", NUMBER, NoEffect(NO_EAP)),
    row("eap-timeout", NUMBER, NoEffect(NO_EAP)),
    row("chap-interval", SECONDS, Global(|o, w, at| set(&mut o.chap_interval, number(w, 0, MAX)?, at))),
    row(
        "chap-max-challenge",
        NUMBER,
        Global(|o, w, at| set(&mut o.chap_max_challenge, number(w, 1, MAX)?, at)),
    ),
    row("chap-restart", SECONDS, Global(|o, w, at| set(&mut o.chap_restart, number(w, 1, MAX)?, at))),
    row("chap-timeout", SECONDS, NoEffect(CLIENT_ONLY)),
    row("pap-max-authreq", NUMBER, NoEffect(CLIENT_ONLY)),
    row("pap-restart", SECONDS, NoEffect(CLIENT_ONLY)),
    row("pap-timeout", SECONDS, Global(|o, w, at| set(&mut o.pap_timeout, number(w, 0, MAX)?, at))),
    row("hide-password", None, AlreadyTrue),
    row("show-password", None, NoEffect("passwords are never logged")),
    // LCP
    row("lcp-echo-adaptive", None, Global(|o, _, at| mark(&mut o.lcp_echo_adaptive, at))),
    row("lcp-echo-failure", NUMBER, Global(|o, w, at| set(&mut o.lcp_echo_failure, number(w, 0, MAX)?, at))),
    row(
        "lcp-echo-interval",
        SECONDS,
        Global(|o, w, at| set(&mut o.lcp_echo_interval, number(w, 0, MAX)?, at)),
    ),
    row(
        "lcp-max-configure",
        NUMBER,
        Global(|o, w, at| set(&mut o.lcp.max_configure, number(w, 1, MAX)?, at)),
    ),
    row("lcp-max-failure", NUMBER, Global(|o, w, at| set(&mut o.lcp.max_failure, number(w, 1, MAX)?, at))),
    row(
        "lcp-max-terminate",
        NUMBER,
        Global(|o, w, at| set(&mut o.lcp.max_terminate, number(w, 1, MAX)?, at)),
    ),
    row("lcp-restart", SECONDS, Global(|o, w, at| set(&mut o.lcp.restart, number(w, 1, MAX)?, at))),
    row("lcp-rtt-file", PATH, NoEffect("round-trip times are not written to a file")),
    row("mru", NUMBER, Global(|o, w, at| set(&mut o.mru, packet_size(w)?, at))),
    row("default-mru", None, NoEffect("PPPoE must not use the default MRU of 1500 (RFC 2516 section 7)")),
    row("-mru", None, NoEffect("PPPoE must not use the default MRU of 1500 (RFC 2516 section 7)")),
    row("mtu", NUMBER, Session(|o, w, at| set(&mut o.mtu, packet_size(w)?, at))),
    row("-all", None, NoEffect("LCP options are required")),
    row("-ac", None, NoEffect(NO_FRAMING)),
    row("-am", None, NoEffect(NO_FRAMING)),
    row("-as", WORD, NoEffect(NO_FRAMING)),
    row("-pc", None, NoEffect("protocol fields are never compressed")),
    row("asyncmap", WORD, NoEffect(NO_FRAMING)),
    row("default-asyncmap", None, NoEffect(NO_FRAMING)),
    row("escape", WORD, NoEffect(NO_FRAMING)),
    row("noaccomp", None, NoEffect(NO_FRAMING)),
    row("nopcomp", None, NoEffect("protocol fields are never compressed")),
    row("receive-all", None, NoEffect(NO_FRAMING)),
    row("-mn", None, NoEffect("loopback detection is always enabled")),
    row("nomagic", None, NoEffect("loopback detection is always enabled")),
    row("-p", None, NoEffect(DIALS)),
    row("passive", None, NoEffect(DIALS)),
    row("silent", None, NoEffect("the server always initiates LCP")),
    row("noendpoint", None, AlreadyTrue),
    row("endpoint", WORD, Refused(NO_MULTILINK)),
    row("mpshortseq", None, Refused(NO_MULTILINK)),
    row("mrru", NUMBER, Refused(NO_MULTILINK)),
    row("nompshortseq", None, AlreadyTrue),
    row("bundle", WORD, Refused(NO_MULTILINK)),
    row("mp", None, Refused(NO_MULTILINK)),
    row("multilink", None, Refused(NO_MULTILINK)),
    row("master_detach", None, Refused(NO_MULTILINK)),
    row("nomp", None, AlreadyTrue),
    row("nomultilink", None, AlreadyTrue),
    // IPCP
    row(
        "ipcp-max-configure",
        NUMBER,
        Global(|o, w, at| set(&mut o.ipcp.max_configure, number(w, 1, MAX)?, at)),
    ),
    row("ipcp-max-failure", NUMBER, Global(|o, w, at| set(&mut o.ipcp.max_failure, number(w, 1, MAX)?, at))),
    row(
        "ipcp-max-terminate",
        NUMBER,
        Global(|o, w, at| set(&mut o.ipcp.max_terminate, number(w, 1, MAX)?, at)),
    ),
    row("ipcp-restart", SECONDS, Global(|o, w, at| set(&mut o.ipcp.restart, number(w, 1, MAX)?, at))),
    row("ms-dns", ADDRESS, Session(|o, w, at| add_server(&mut o.ms_dns, w, at))),
    row("ms-wins", ADDRESS, Session(|o, w, at| add_server(&mut o.ms_wins, w, at))),
    row("ipparam", WORD, Session(|o, w, at| set(&mut o.ipparam, w.to_vec(), at))),
    row("proxyarp", None, Session(|o, _, at| set(&mut o.proxyarp, true, at))),
    // Not pppd's, which leaves limits to the scripts.
    row("rate-down", RATE, Session(|o, w, at| set(&mut o.rate_down, rate(w)?, at))),
    row("rate-up", RATE, Session(|o, w, at| set(&mut o.rate_up, rate(w)?, at))),
    row("rate-burst", BYTES, Session(|o, w, at| set(&mut o.rate_burst, burst(w)?, at))),
    // Not one of pppd's, which leaves sources to the kernel in any case.
    row("nosourcecheck", None, Session(|o, _, at| set(&mut o.source_check, false, at))),
    row("noproxyarp", None, Session(|o, _, at| set(&mut o.proxyarp, false, at))),
    row("-proxyarp", None, Session(|o, _, at| set(&mut o.proxyarp, false, at))),
    row("-ip", None, Refused("sessions always include IPv4; remove it")),
    row("noip", None, Refused("sessions always include IPv4; remove it")),
    row("-defaultroute", None, NoEffect(NO_ROUTE)),
    row("defaultroute", None, NoEffect(NO_ROUTE)),
    row("defaultroute-metric", NUMBER, NoEffect(NO_ROUTE)),
    row("nodefaultroute", None, NoEffect(NO_ROUTE)),
    row("noreplacedefaultroute", None, NoEffect(NO_ROUTE)),
    row("replacedefaultroute", None, NoEffect(NO_ROUTE)),
    row(
        "ipcp-accept-local",
        None,
        NoEffect("the local address is set by -L or the pool file, never by a client"),
    ),
    row("ipcp-accept-remote", None, NoEffect("client addresses are set by the secrets file or the pool")),
    row("ipcp-no-address", None, NoEffect("each side always gets an address")),
    row("ipcp-no-addresses", None, AlreadyTrue),
    row(
        "noipdefault",
        None,
        NoEffect("the local address is set by -L or the pool file, never by the host name"),
    ),
    row("noremoteip", None, NoEffect("each side always gets an address")),
    row("nosendip", None, NoEffect("each side always gets an address")),
    row("netmask", WORD, NoEffect("a point-to-point link has no netmask")),
    row("noresolvconf", None, NoEffect(NO_PEER_DNS)),
    row("usepeerdns", None, NoEffect(NO_PEER_DNS)),
    row("usepeerwins", None, NoEffect(NO_PEER_DNS)),
    row("-vj", None, NoEffect(NO_VJ)),
    row("-vjccomp", None, NoEffect(NO_VJ)),
    row("novj", None, NoEffect(NO_VJ)),
    row("novjccomp", None, NoEffect(NO_VJ)),
    row("vj-max-slots", NUMBER, NoEffect(NO_VJ)),
    // IPV6CP
    remarked("+ipv6", None, Global(|o, _, at| set(&mut o.ipv6, true, at)), LINK_LOCAL_ONLY),
    row("-ipv6", None, Global(|o, _, at| set(&mut o.ipv6, false, at))),
    row("noipv6", None, Global(|o, _, at| set(&mut o.ipv6, false, at))),
    remarked(
        "ipv6",
        Some("interface identifiers LOCAL,REMOTE"),
        Global(interface_identifiers),
        LINK_LOCAL_ONLY,
    ),
    row(
        "ipv6cp-max-configure",
        NUMBER,
        Global(|o, w, at| set(&mut o.ipv6cp.max_configure, number(w, 1, MAX)?, at)),
    ),
    row(
        "ipv6cp-max-failure",
        NUMBER,
        Global(|o, w, at| set(&mut o.ipv6cp.max_failure, number(w, 1, MAX)?, at)),
    ),
    row(
        "ipv6cp-max-terminate",
        NUMBER,
        Global(|o, w, at| set(&mut o.ipv6cp.max_terminate, number(w, 1, MAX)?, at)),
    ),
    row("ipv6cp-restart", SECONDS, Global(|o, w, at| set(&mut o.ipv6cp.restart, number(w, 1, MAX)?, at))),
    row("ipv6cp-accept-local", None, NoEffect("the server chooses interface identifiers")),
    row(
        "ipv6cp-accept-remote",
        None,
        NoEffect("a peer chooses its interface identifier unless the option ipv6 sets it"),
    ),
    row("ipv6cp-noremote", None, NoEffect("each side always gets an interface identifier")),
    row("ipv6cp-nosend", None, NoEffect("each side always gets an interface identifier")),
    row("ipv6cp-use-ipaddr", None, NoEffect("the server chooses interface identifiers")),
    row("ipv6cp-use-persistent", None, NoEffect("the server chooses interface identifiers")),
    row("ipv6cp-use-remotenumber", None, NoEffect("the server chooses interface identifiers")),
    row("-defaultroute6", None, NoEffect(NO_ROUTE)),
    row("defaultroute6", None, NoEffect(NO_ROUTE)),
    row("defaultroute6-metric", NUMBER, NoEffect(NO_ROUTE)),
    row("nodefaultroute6", None, NoEffect(NO_ROUTE)),
    // limits and scripts
    row("idle", SECONDS, Session(|o, w, at| set(&mut o.idle, number(w, 0, MAX)?, at))),
    row("maxconnect", SECONDS, Session(|o, w, at| set(&mut o.maxconnect, number(w, 0, MAX)?, at))),
    row("maxoctets", BYTES, Session(|o, w, at| set(&mut o.maxoctets, bytes(w, u64::MAX)?, at))),
    row("mo", BYTES, Session(|o, w, at| set(&mut o.maxoctets, bytes(w, u64::MAX)?, at))),
    row("mo-direction", WORD, Session(|o, w, at| set(&mut o.mo_direction, direction(w), at))),
    row("mo-timeout", SECONDS, Session(|o, w, at| set(&mut o.mo_timeout, number(w, 1, MAX)?, at))),
    row("active-filter", WORD, Refused("no packet filters; use nftables")),
    row("pass-filter", WORD, Refused("no packet filters; use nftables")),
    row("set", Some("NAME=value"), Session(set_variable)),
    row("unset", Some("a variable's name"), Session(unset_variable)),
    script("auth-down-script", |o, w, at| set_script(o, Script::AuthDown, w, at)),
    script("auth-up-script", |o, w, at| set_script(o, Script::AuthUp, w, at)),
    script("ip-down-script", |o, w, at| set_script(o, Script::IpDown, w, at)),
    script("ip-pre-up-script", |o, w, at| set_script(o, Script::IpPreUp, w, at)),
    script("ip-up-script", |o, w, at| set_script(o, Script::IpUp, w, at)),
    script("ipv6-down-script", |o, w, at| set_script(o, Script::Ipv6Down, w, at)),
    script("ipv6-up-script", |o, w, at| set_script(o, Script::Ipv6Up, w, at)),
    row("net-down-script", PATH, NoEffect(NO_NET_SCRIPT)),
    row("net-init-script", PATH, NoEffect(NO_NET_SCRIPT)),
    row("net-pre-up-script", PATH, NoEffect(NO_NET_SCRIPT)),
    // the program itself
    row("file", PATH, Include),
    row("call", WORD, Refused("it refers to a dial-out configuration; use file with a path")),
    row("logfile", PATH, Global(|o, w, at| set(&mut o.logfile, path(w)?, at))),
    row(
        "logfd",
        NUMBER,
        NoEffect("the server logs to the journal, to standard error with -F, or to a file (see logfile)"),
    ),
    row("nolog", None, NoEffect(OWN_DEBUG)),
    row("nologfd", None, NoEffect(OWN_DEBUG)),
    row("debug", None, Global(more_debug)),
    row("-d", None, Global(more_debug)),
    row("kdebug", NUMBER, NoEffect(OWN_DEBUG)),
    row("dump", None, NoEffect(OWN_DEBUG)),
    row("dryrun", None, Refused("the server would not run; remove it")),
    row("show-options", None, Refused("the server would not run; remove it")),
    row("--help", None, Refused("command line only")),
    row("--version", None, Refused("command line only")),
    row("-h", None, Refused("command line only")),
    row("-v", None, Refused("command line only")),
    row("-detach", None, NoEffect(FOREGROUND)),
    row("nodetach", None, NoEffect(FOREGROUND)),
    row("up_sdnotify", None, NoEffect(FOREGROUND)),
    row("updetach", None, NoEffect(FOREGROUND)),
    row("child-timeout", SECONDS, NoEffect("timeouts of programs are settings of hooks")),
    row("ifname", WORD, NoEffect(OWN_NAMES)),
    row("linkname", WORD, NoEffect(OWN_SCRIPT_ENV)),
    row("unit", NUMBER, NoEffect(OWN_NAMES)),
    row("vrf", WORD, Refused("no VRFs; remove it")),
    row("ktune", None, NoEffect("set net.ipv4.ip_forward with sysctl")),
    row("noktune", None, NoEffect("the server never changes kernel settings of the machine")),
    row("plugin", PATH, ByArgument(plugin::plugin)),
    // of plug-ins
    row("rp_pppoe_service", WORD, NoEffect(OWN_PPPOE)),
    row("rp_pppoe_ac", WORD, NoEffect(OWN_PPPOE)),
    row("rp_pppoe_sess", WORD, NoEffect(OWN_PPPOE)),
    row("rp_pppoe_verbose", NUMBER, NoEffect(OWN_PPPOE)),
    row("rp_pppoe_mac", WORD, NoEffect(OWN_PPPOE)),
    row("pppoe-service", WORD, NoEffect(OWN_PPPOE)),
    row("pppoe-ac", WORD, NoEffect(OWN_PPPOE)),
    row("pppoe-sess", WORD, NoEffect(OWN_PPPOE)),
    row("pppoe-verbose", NUMBER, NoEffect(OWN_PPPOE)),
    row("pppoe-mac", WORD, NoEffect(OWN_PPPOE)),
    row("pppoe-host-uniq", WORD, NoEffect(OWN_PPPOE)),
    row("host-uniq", WORD, NoEffect(OWN_PPPOE)),
    row("pppoe-padi-timeout", NUMBER, NoEffect(OWN_PPPOE)),
    row("pppoe-padi-attempts", NUMBER, NoEffect(OWN_PPPOE)),
    row("radius-config-file", PATH, NoEffect(OF_RADIUS)),
    row("realms-config-file", PATH, NoEffect(OF_RADIUS)),
    row("avpair", WORD, NoEffect(OF_RADIUS)),
    row("map-to-ifname", None, NoEffect(OF_RADIUS)),
    row("map-to-ttyname", None, NoEffect(OF_RADIUS)),
    row("demand", None, NoEffect(DIALS)),
    row("holdoff", SECONDS, NoEffect(DIALS)),
    row("maxfail", NUMBER, NoEffect(DIALS)),
    row("nopersist", None, NoEffect(DIALS)),
    row("persist", None, NoEffect(DIALS)),
    // compression and encryption
    row("-bsdcomp", None, NoEffect(NO_COMPRESSION)),
    row("-ccp", None, NoEffect(NO_COMPRESSION)),
    row("-deflate", None, NoEffect(NO_COMPRESSION)),
    row("-ecp", None, NoEffect("this server has no ECP")),
    row("-predictor1", None, NoEffect(NO_COMPRESSION)),
    row("bsdcomp", WORD, NoEffect(NO_COMPRESSION)),
    row("deflate", WORD, NoEffect(NO_COMPRESSION)),
    row("nobsdcomp", None, NoEffect(NO_COMPRESSION)),
    row("noccp", None, NoEffect(NO_COMPRESSION)),
    row("nodeflate", None, NoEffect(NO_COMPRESSION)),
    row("nodeflatedraft", None, NoEffect(NO_COMPRESSION)),
    row("noecp", None, NoEffect("this server has no ECP")),
    row("nopredictor1", None, NoEffect(NO_COMPRESSION)),
    row("predictor1", None, NoEffect(NO_COMPRESSION)),
    row("+mppe", None, Refused(NO_ENCRYPTION)),
    row("+mppe-128", None, Refused(NO_ENCRYPTION)),
    row("+mppe-40", None, Refused(NO_ENCRYPTION)),
    row("require-mppe", None, Refused(NO_ENCRYPTION)),
    row("require-mppe-128", None, Refused(NO_ENCRYPTION)),
    row("require-mppe-40", None, Refused(NO_ENCRYPTION)),
    row("mppe-stateful", None, Refused(NO_ENCRYPTION)),
    // of pppd 2.4.1 with the patches for MPPE
    row("mppe", WORD, Refused(NO_ENCRYPTION)),
    row("mppe-40", None, Refused(NO_ENCRYPTION)),
    row("mppe-56", None, Refused(NO_ENCRYPTION)),
    row("mppe-128", None, Refused(NO_ENCRYPTION)),
    row("mppe-stateless", None, Refused(NO_ENCRYPTION)),
    row("-mppe", None, AlreadyTrue),
    row("-mppe-128", None, AlreadyTrue),
    row("-mppe-40", None, AlreadyTrue),
    row("nomppe", None, AlreadyTrue),
    row("nomppe-128", None, AlreadyTrue),
    row("nomppe-40", None, AlreadyTrue),
    row("nomppe-stateful", None, AlreadyTrue),
    row("noipx", None, NoEffect(NO_IPX)),
    row("-ipx", None, NoEffect(NO_IPX)),
    // serial lines
    row("-crtscts", None, NoEffect(NO_SERIAL)),
    row("cdtrcts", None, NoEffect(NO_SERIAL)),
    row("connect", WORD, Refused("there is no serial line; remove it")),
    row("connect-delay", NUMBER, NoEffect(NO_SERIAL)),
    row("crtscts", None, NoEffect(NO_SERIAL)),
    row("datarate", NUMBER, NoEffect(NO_SERIAL)),
    row("disconnect", WORD, Refused("there is no serial line; remove it")),
    row("init", WORD, Refused("there is no serial line; remove it")),
    row("local", None, NoEffect(NO_SERIAL)),
    row("lock", None, NoEffect(NO_SERIAL)),
    row("modem", None, NoEffect(NO_SERIAL)),
    row("nocdtrcts", None, NoEffect(NO_SERIAL)),
    row("nocrtscts", None, NoEffect(NO_SERIAL)),
    row("nolock", None, NoEffect(NO_SERIAL)),
    row("notty", None, Refused("sessions run over the Ethernet interfaces given by -I; remove it")),
    row("pty", WORD, Refused("sessions run over the Ethernet interfaces given by -I; remove it")),
    row("record", PATH, NoEffect("use tcpdump on the Ethernet interface")),
    row("socket", WORD, Refused("sessions run over the Ethernet interfaces given by -I; remove it")),
    row("stop-bits", NUMBER, NoEffect(NO_SERIAL)),
    row("sync", None, NoEffect(NO_SERIAL)),
    row("welcome", WORD, Refused("there is no serial line; remove it")),
    row("xonxoff", None, NoEffect(NO_SERIAL)),
];

/// All rows.
#[cfg(test)]
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    TABLE.iter()
}

/// The row of an option.
pub(super) fn find(name: &[u8]) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name.as_bytes() == name)
}

/// The option whose name is nearest to `word`, if it is near enough to be a slip of the pen, and would be taken.
pub(super) fn nearest(word: &[u8], is_possible: impl Fn(&str) -> bool) -> Option<&'static str> {
    nearest_of(word, |row| row.is_accepted() && is_possible(row.name))
}

/// The same, of the options that can be set for one user.
pub(super) fn nearest_for_user(word: &[u8]) -> Option<&'static str> {
    nearest_of(word, |row| matches!(row.action, Session(_) | AlreadyTrue | NoEffect(_)))
}

fn nearest_of(word: &[u8], is_possible: impl Fn(&Row) -> bool) -> Option<&'static str> {
    let names = TABLE.iter().filter(|row| is_possible(row)).map(|row| row.name);
    spelling::nearest(std::str::from_utf8(word).ok()?, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, row) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(index + 1).all(|other| other.name != row.name), "{}", row.name);
        }
    }
}
