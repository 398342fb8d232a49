//! Sessions and the server as the tables that scripts get.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ppp_ipc::hooks::{Field, Value};
use ppp_ipc::worker::AuthMethod;
use ppp_proto::discovery::server::OfferRequest;
use ppp_session::session::End;

use super::ipv6;
use super::session::Session;

/// Most bytes of `env` in a frame, so that a session fits in with all else.
const MAX_ENVIRONMENT: usize = 16 << 10;
/// What a name and a value have around them there: their lengths.
const AROUND: usize = 2 * 3;

/// Collects fields.
struct Fields(Vec<Field>);

impl Fields {
    /// One value under all names of the field.
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        self.0.extend(synonyms(name).into_iter().map(|name| (name.to_owned(), value.clone())));
    }

    /// As [`Fields::add`], unless there is none.
    fn maybe(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }
}

/// Names that mean the same.
const SYNONYMS: [&[&str]; 14] = [
    &["id", "session_id"],
    &["ifname", "linkname"],
    &["interface", "device", "tty", "called_sid", "called_id"],
    &["mac", "remotenumber", "macremote", "calling_sid", "caller_id"],
    &["username", "peername", "user", "authname"],
    &["worker_pid", "pppd_pid"],
    &["ctrl_type", "module"],
    &["iplocal", "local_address"],
    &["ipremote", "remote_address", "ipv4", "address"],
    &["llremote", "ipv6"],
    &["bytes_rcvd", "rx_bytes"],
    &["packets_rcvd", "rx_packets"],
    &["bytes_sent", "tx_bytes"],
    &["packets_sent", "tx_packets"],
];

/// All names of a field.
pub(super) fn synonyms(name: &str) -> Vec<&str> {
    let known = SYNONYMS.into_iter().find(|names| names.contains(&name));
    known.map_or_else(|| vec![name], <[&str]>::to_vec)
}

/// All fields of a session.
pub(super) fn of_session(session: &Session, now: Instant) -> Vec<Field> {
    let mut fields = Fields(Vec::with_capacity(96));
    place(&mut fields, session);
    peer(&mut fields, session);
    addresses(&mut fields, session);
    numbers(&mut fields, session, now);
    options(&mut fields, session);
    if let Some(End { reason, detail }) = session.machine.end().filter(|_| session.machine.is_gone()) {
        fields.add("reason", reason.as_str());
        fields.add("detail", detail.as_str());
    }
    fields.0
}

fn place(fields: &mut Fields, session: &Session) {
    fields.add("sid", session.hooks.sid.as_str());
    fields.add("id", u32::from(session.id));
    fields.add("ifname", session.ifname.as_str());
    fields.maybe("ifindex", session.tun.as_ref().map(|tun| tun.index.get()));
    fields.add("unit", session.unit.number);
    fields.add("interface", session.access_name.as_str());
    fields.add("own_mac", session.own_mac.to_string());
    fields.add("acname", session.settings.ac_name.as_slice());
    fields.add("pool", &*session.settings.pool);
    fields.add("worker_pid", session.worker_pid);
    fields.add("state", session.machine.phase().as_str());
    // pppd's words for what there is no other value for.
    fields.add("speed", 0_u32);
    fields.add("orig_uid", 0_u32);
    fields.add("ppplogname", "root");
    fields.add("ctrl_type", "pppoe");
    fields.add("adopted", session.hooks.is_adopted);
}

fn peer(fields: &mut Fields, session: &Session) {
    let mac = session.peer_mac.to_string();
    fields.add("mac", mac);
    let name =
        session.user.as_ref().map(|user| user.name.as_slice()).or(session.hooks.claimed_name.as_deref());
    fields.maybe("username", name);
    fields.add("service", session.service.as_slice());
    fields.maybe("host_uniq", session.host_uniq.as_deref());
    fields.maybe("circuit_id", session.hooks.circuit_id.as_deref());
    fields.maybe("remote_id", session.hooks.remote_id.as_deref());
    let method = session.lcp.as_ref().map(|lcp| match lcp.auth {
        Some(AuthMethod::Pap) => "pap",
        Some(AuthMethod::ChapMd5) => "chap-md5",
        None => "none",
    });
    fields.maybe("auth_method", method);
    fields.maybe("secret_origin", session.user.as_ref().map(|user| user.origin.as_str()));
}

fn addresses(fields: &mut Fields, session: &Session) {
    if let Some(network) = session.network {
        fields.add("iplocal", network.local);
        fields.add("ipremote", network.remote);
        for (name, address) in ["dns1", "dns2"].into_iter().zip(network.dns) {
            fields.maybe(name, address);
        }
        for (name, address) in ["wins1", "wins2"].into_iter().zip(network.nbns) {
            fields.maybe(name, address);
        }
    }
    fields.add("ipv4_open", session.ip_open);
    fields.add("ipv6_open", session.ipv6_open.is_some());
    if let Some(ends) = session.ipv6_open.map(ipv6::ends) {
        fields.add("lllocal", ends.local.to_string());
        fields.add("llremote", ends.peer.to_string());
    }
    fields.maybe("mtu", session.mtu.map(u32::from));
    fields.maybe("mru", session.lcp.as_ref().map(|lcp| u32::from(lcp.mru)));
    fields.maybe("peer_mru", session.lcp.as_ref().map(|lcp| u32::from(lcp.peer_mru)));
    fields.add("max_payload", u32::from(session.max_payload));
}

fn numbers(fields: &mut Fields, session: &Session, now: Instant) {
    let age = session.age(now);
    let started = SystemTime::now().checked_sub(age).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    fields.maybe("started", started.map(|time| time.as_secs()));
    fields.add("uptime", age.as_secs());
    let open = session.machine.opened().map(|opened| now.saturating_duration_since(opened));
    fields.add("connect_time", open.map_or(0, |time| time.as_secs()));
    let traffic = session.traffic();
    fields.add("bytes_rcvd", traffic.rx_bytes);
    fields.add("packets_rcvd", traffic.rx_packets);
    fields.add("bytes_sent", traffic.tx_bytes);
    fields.add("packets_sent", traffic.tx_packets);
}

fn options(fields: &mut Fields, session: &Session) {
    let options = session.options();
    let rates = session.rates();
    fields.maybe("rate_down", Some(rates.down).filter(|rate| *rate > 0));
    fields.maybe("rate_up", Some(rates.up).filter(|rate| *rate > 0));
    let limit = |option: Option<u32>| option.filter(|limit| *limit > 0);
    fields.maybe("session_timeout", limit(options.maxconnect.as_ref().map(|option| option.value)));
    fields.maybe("idle_timeout", limit(options.idle.as_ref().map(|option| option.value)));
    let quota = options.maxoctets.as_ref().map(|option| option.value);
    fields.maybe("quota", quota.filter(|limit| *limit > 0));
    fields.maybe("ipparam", options.ipparam.as_ref().map(|option| option.value.as_slice()));
    let mut room = MAX_ENVIRONMENT;
    let variables = options.environment.iter().filter_map(|(name, value)| {
        let value = &value.as_ref()?.value;
        room = room.checked_sub(name.len() + value.len() + AROUND)?;
        Some((name.clone(), value.clone()))
    });
    fields.add("env", Value::Table(variables.collect()));
    let scripts = session.settings.scripts.iter();
    let scripts = scripts.map(|(script, path)| {
        (script.as_str().as_bytes().to_vec(), path.as_os_str().as_encoded_bytes().to_vec())
    });
    fields.add("scripts", Value::Table(scripts.collect()));
}

/// All fields of a PADI. `sessions` is how many there are.
pub(super) fn of_offer(request: &OfferRequest, interface: &str, sessions: usize) -> Vec<Field> {
    let mut fields = Fields(Vec::new());
    fields.add("interface", interface);
    fields.add("mac", request.peer_mac.to_string());
    fields.add("service", request.service_name.as_slice());
    fields.maybe("host_uniq", request.host_uniq.as_deref());
    fields.maybe("circuit_id", request.circuit_id.as_deref());
    fields.maybe("remote_id", request.remote_id.as_deref());
    fields.add("sessions", u64::try_from(sessions).unwrap_or(u64::MAX));
    fields.0
}

/// What is known of the server, for `server_start` and its kin.
pub(super) struct ServerView<'a> {
    pub(super) ac_name: &'a [u8],
    pub(super) interfaces: Vec<&'a str>,
    pub(super) sessions: usize,
    /// Some of the sessions were begun by an earlier `pppoed`.
    pub(super) is_adopted: bool,
}

impl ServerView<'_> {
    pub(super) fn fields(&self) -> Vec<Field> {
        let mut fields = Fields(Vec::new());
        fields.add("version", env!("CARGO_PKG_VERSION"));
        fields.add("ac_name", self.ac_name);
        fields.add("pid", std::process::id());
        let names = self.interfaces.iter().map(|name| name.as_bytes().to_vec()).collect();
        fields.add("interfaces", Value::List(names));
        fields.add("sessions", u64::try_from(self.sessions).unwrap_or(u64::MAX));
        fields.add("adopted", self.is_adopted);
        fields.0
    }
}
