//! The same harmful text wherever else somebody can put it: in tags, as a cookie, in what hooks say; and where it goes:
//! the log, the console, events, Lua, the scripts of pppd.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use ppp_ipc::control::{EventFilter, Phase, Request, Response};
use ppp_proto::auth::AuthMethod;
use ppp_wire::MacAddr;
use ppp_wire::escape::Escaped;
use ppp_wire::ethernet::{EtherType, EthernetFrame, EthernetHeader};
use ppp_wire::name::NameText;
use ppp_wire::pppoe::{Code, DiscoveryBuilder, PppoePacket, TagType};
use tempfile::TempDir;

use super::lab::{self, Lab, SECRET, until, until_some, with_wire};
use super::nasty::{NASTY, assert_harmless, everything_shown};
use super::peer::{Host, Subscriber, socket};
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 2] = [
        ("nasty tags and texts of hooks act on nobody who reads them", texts),
        ("pppd's scripts get a nasty name as pppd gives it to them", scripts),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

const FLAGS: [&str; 4] = ["--hooks-dir", "{lab}/hooks.d", "--log-level", "trace"];

/// Files of a server with this hook.
fn directory(hook: &str) -> TempDir {
    let directory = lab::directory();
    let hooks = directory.path().join("hooks.d");
    fs::create_dir(&hooks).unwrap();
    fs::set_permissions(&hooks, Permissions::from_mode(0o755)).unwrap();
    fs::write(hooks.join("a.lua"), hook).unwrap();
    directory
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn dial(number: u8, name: &[u8]) -> Subscriber {
    Subscriber::begin_by(Host::dial_with(good_mac(number), NASTY.to_vec()), name, AuthMethod::ChapMd5, SECRET)
}

/// Asks for a service of that name, as no honest client does who was not offered it, and hands in a cookie of its own.
fn ask_for_nasty_service(mac: MacAddr) {
    let wire = socket(EtherType::PppoeDiscovery);
    let to = |destination, code, tags: &[(TagType, &[u8])]| {
        let header = EthernetHeader { destination, source: mac, ether_type: EtherType::PppoeDiscovery };
        let mut builder = DiscoveryBuilder::new(&header, code, 0);
        for (kind, value) in tags {
            builder.tag(*kind, value).unwrap();
        }
        wire.send(&builder.finish()).unwrap();
    };
    let (service, uniq, cookie) = (TagType::ServiceName, TagType::HostUniq, TagType::AcCookie);
    let relay = (TagType::RelaySessionId, &NASTY[..12]);
    to(MacAddr::BROADCAST, Code::Padi, &[(service, b""), (uniq, NASTY), relay]);
    let mut buffer = [0; 1600];
    let (server, good_cookie) = until_some("a PADO", || {
        let length = wire.recv(&mut buffer).ok()?.len;
        let ethernet = EthernetFrame::new_checked(&buffer[..length]).ok()?;
        let packet = PppoePacket::new_checked(ethernet.payload()).ok()?;
        if packet.code() != Code::Pado || ethernet.destination() != mac {
            return None;
        }
        let found = packet.tags().flatten().find(|tag| tag.kind == cookie)?;
        Some((ethernet.source(), found.value.to_vec()))
    })
    .unwrap();
    to(server, Code::Padr, &[(service, b""), (uniq, NASTY), relay, (cookie, NASTY)]);
    to(server, Code::Padr, &[(service, NASTY), (uniq, NASTY), relay, (cookie, &good_cookie)]);
}

fn texts() {
    let text: String = NASTY.iter().map(|byte| format!("\\x{byte:02x}")).collect();
    let hook = format!(
        "local TEXT = '{text}'\n\
         function padi(r) log.info('asked by ' .. (r.host_uniq or '')) end\n\
         function auth(s, proof)\n\
           if s.username == 'denied' then return false, TEXT end\n\
           if s.username == 'broken' then error(TEXT) end\n\
         end\n\
         function ip_up(s)\n\
           log.warn(TEXT)\n\
           log.info('uniq=' .. hex(s.host_uniq) .. ' name=' .. hex(s.username))\n\
           error(TEXT)\n\
         end\n"
    );
    let lab = Lab::start_in(directory(&hook), &FLAGS);
    let mut monitor = lab.console();
    monitor.send(&Request::Monitor(EventFilter::default()));
    let shown = Escaped(NASTY).to_string();
    // A service is a name.
    let name = NameText(NASTY).to_string();
    // As it is in a line of the log, which may have it between quotes.
    let logged = |words: &str| {
        let line = lab.logged(&[words, "owned"]);
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let forms = [shown.clone(), quoted(&shown), name.clone(), quoted(&name)];
        assert!(forms.iter().any(|form| line.contains(form)), "{line}");
    };

    ask_for_nasty_service(good_mac(9));
    logged("Service-Name-Error");
    for (number, name) in [(1, "denied"), (2, "broken")] {
        let mut refused = dial(number, name.as_bytes());
        until("the refusal", || refused.is_over());
    }
    logged("authentication refused");
    let mut subscriber = dial(3, NASTY);
    until("IPCP to open", || {
        subscriber.drive();
        subscriber.address().is_some()
    });
    lab.in_phase(subscriber.session_id, Phase::Open);

    // Lua gets the bytes.
    lab.logged(&[&format!("uniq={0} name={0}", hex(NASTY))]);
    lab.logged(&["ip_up", "failed"]);

    let log = fs::read(lab.path("log")).unwrap();
    let log = String::from_utf8(log).expect("the log is UTF-8");
    for line in log.lines() {
        assert!(line.starts_with("20") && !line.starts_with("2026-01-01 ERROR"), "{line}");
        assert_harmless(&line.into());
    }
    everything_shown(&lab, subscriber.session_id);
    let mut refusals = 0;
    while refusals < 2 {
        let Some(Response::Event(event)) = monitor.receive() else { panic!("no events") };
        let event = serde_json::to_value(&event).unwrap();
        assert_harmless(&event);
        refusals += usize::from(event["event"] == "auth-refused");
    }
    lab.stop_with(&mut [&mut subscriber]);
}

fn scripts() {
    let compat = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/compat.lua");
    let compat = fs::read_to_string(compat).unwrap();
    let directory = directory("");
    let path = |name: &str| directory.path().join(name);
    let own = format!("local DIRECTORY = {:?}", directory.path());
    let moved = compat.replace("local DIRECTORY = \"/etc/ppp\"", &own);
    assert_ne!(moved, compat);
    fs::write(path("hooks.d/a.lua"), moved).unwrap();
    for name in ["auth-up", "ip-up"] {
        // Each word and variable ends with a NUL, which none of them can have.
        let script = format!(
            "#!/bin/sh\n{{ printf '%s\\0' \"$@\"; env -0; }} >{0}.tmp && mv {0}.tmp {0}.out\n",
            path(name).display()
        );
        fs::write(path(name), script).unwrap();
        fs::set_permissions(path(name), Permissions::from_mode(0o700)).unwrap();
    }
    let lab = Lab::start_in(directory, &FLAGS);
    let mut subscriber = dial(1, NASTY);
    let outputs = ["auth-up.out", "ip-up.out"].map(|name| lab.path(name));
    until("the scripts to have run", || {
        subscriber.drive();
        outputs.iter().all(|path| path.exists())
    });
    // Control characters as pppd writes them; no shell has looked at the rest.
    let caret = |byte: &u8| if byte.is_ascii_control() { vec![b'^', byte ^ 0x40] } else { vec![*byte] };
    let name: Vec<u8> = NASTY.iter().flat_map(caret).collect();
    let variable = [b"PEERNAME=", &name[..]].concat();
    for output in outputs {
        let words = fs::read(&output).unwrap();
        let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
        assert!(
            words.contains(&&variable[..]),
            "{output:?}: {}",
            String::from_utf8_lossy(&words.join(&b'\n'))
        );
        if output.ends_with("auth-up.out") {
            assert_eq!(words[1], &name[..], "the user name, behind the interface");
        }
    }
    lab.stop_with(&mut [&mut subscriber]);
}
