//! A packet of a negotiation: a line for people, a document for programs.

use ppp_ipc::control::{CaptureEnd, TracedFrame};
use ppp_wire::describe::{Description, Field, Frame};
use ppp_wire::escape::harmless;
use serde::Serialize;

use super::{count, style::Style};
use crate::{clock::Zone, terminal::Screen};

/// `2026-11-30 11:31:02.123+01:00 rcvd 7 LCP Configure-Request id=1 mru=1492`, or of discovery
/// `2026-11-30 11:31:02.120+01:00 rcvd eth1 02:00:5e:10:00:01 PADI service_name=""`; behind one that is sent once more
/// stands `(again)`
pub(super) fn line(traced: &TracedFrame, is_repeated: bool, screen: Screen) -> String {
    let packet = Packet::new(traced, is_repeated, screen.zone);
    let way = if traced.frame.is_from_peer { "rcvd" } else { "sent" };
    let whose = match packet.session {
        Some(session) if packet.is_session => session.to_string(),
        _ => format!("{} {}", traced.interface, packet.mac.as_deref().unwrap_or("-")),
    };
    let description = harmless(&packet.description.to_string()).into_owned();
    let time = screen.zone.moment(traced.frame.time_ns / 1_000_000);
    let words = style(&packet.description).paint(&description, screen.colour);
    let again = if is_repeated { " (again)" } else { "" };
    format!("{time} {way} {} {words}{again}", harmless(&whose))
}

/// Said at the end.
pub(super) fn end(end: &CaptureEnd) -> String {
    let packets = count(end.frames, "packet");
    let lost = if end.lost == 0 { String::new() } else { format!(", {} lost", end.lost) };
    format!("-- {packets}{lost}: {}", harmless(&end.why))
}

fn style(packet: &Description) -> Style {
    let code = packet.code.as_deref().unwrap_or_default();
    let has = |name: &str| packet.fields.iter().any(|field| field.name.ends_with(name));
    if packet.malformed.is_some() || code == "Failure" || code == "Authenticate-Nak" || has("_error") {
        Style::Bad
    } else if code.ends_with("-Nak")
        || code.ends_with("-Reject")
        || code.starts_with("Terminate")
        || code == "PADT"
    {
        Style::Pending
    } else if code == "Success" || code == "Authenticate-Ack" || code == "PADS" {
        Style::Good
    } else {
        Style::Plain
    }
}

/// The end of a trace, for programs.
#[derive(Serialize)]
pub(super) struct End<'a> {
    packets: u64,
    lost: u64,
    why: &'a str,
}

impl<'a> From<&'a CaptureEnd> for End<'a> {
    fn from(end: &'a CaptureEnd) -> Self {
        Self { packets: end.frames, lost: end.lost, why: &end.why }
    }
}

/// A packet, for programs.
#[derive(Serialize)]
pub(super) struct Packet<'a> {
    time: String,
    time_us: u64,
    interface: &'a str,
    direction: &'static str,
    mac: Option<String>,
    session: Option<u16>,
    repeated: bool,
    length: u32,
    #[serde(flatten, with = "Described")]
    description: Description,
    #[serde(skip)]
    is_session: bool,
}

/// Fields of [`Description`], in the order in which they are shown.
#[derive(Serialize)]
#[serde(remote = "Description")]
struct Described {
    protocol: std::borrow::Cow<'static, str>,
    code: Option<std::borrow::Cow<'static, str>>,
    identifier: Option<u8>,
    #[serde(serialize_with = "fields")]
    fields: Vec<Field>,
    more_fields: usize,
    malformed: Option<String>,
    head: Option<String>,
}

#[derive(Serialize)]
struct NamedValue<'a> {
    name: &'a str,
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_from: Option<usize>,
}

fn fields<S: serde::Serializer>(fields: &[Field], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(fields.iter().map(|Field { name, value, cut_from, .. }| NamedValue {
        name,
        value: value.as_deref(),
        cut_from: *cut_from,
    }))
}

impl<'a> Packet<'a> {
    pub(super) fn new(traced: &'a TracedFrame, is_repeated: bool, zone: Zone) -> Self {
        let frame = Frame::read(&traced.frame.bytes);
        let peer = if traced.frame.is_from_peer { frame.source } else { frame.destination };
        Self {
            time: zone.iso_8601(traced.frame.time_ns / 1_000_000),
            time_us: traced.frame.time_ns / 1000,
            interface: &traced.interface,
            direction: if traced.frame.is_from_peer { "received" } else { "sent" },
            mac: peer.map(|peer| peer.to_string()),
            session: frame.session_id.filter(|id| *id != 0),
            repeated: is_repeated,
            length: traced.frame.wire_len,
            is_session: frame.is_session,
            description: frame.packet,
        }
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::control::CapturedFrame;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        answer::Piece,
        output::{Output, json, samples},
    };

    fn traced(is_from_peer: bool, bytes: Vec<u8>) -> TracedFrame {
        let wire_len = u32::try_from(bytes.len()).unwrap();
        let frame = CapturedFrame { time_ns: 37_862_123_456_789, is_from_peer, wire_len, bytes };
        TracedFrame { interface: "eth1".into(), frame }
    }

    fn frame(code: u8, session: u16, payload: &[u8]) -> Vec<u8> {
        let ends = [[2, 0, 0, 0, 0, 1], [2, 0, 0x5e, 0x10, 0, 1]].concat();
        let len = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&ends, &[0x88, 0x63, 0x11, code][..], &session.to_be_bytes(), &len, payload].concat()
    }

    fn json(traced: TracedFrame) -> String {
        let mut out = Vec::new();
        json::Json { zone: Zone::Utc }
            .write_piece(&Piece::Packet { frame: Box::new(traced), is_repeated: false }, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines() {
        let padi = traced(true, frame(9, 0, &[1, 1, 0, 0]));
        assert_eq!(
            line(&padi, false, samples::UTC),
            r#"1970-01-01 10:31:02.123+00:00 rcvd eth1 02:00:5e:10:00:01 PADI service_name="""#
        );
        let nak = traced(false, frame(0, 7, &[0xc0, 0x21, 3, 1, 0, 8, 1, 4, 5, 0xd4]));
        assert_eq!(
            line(&nak, false, samples::UTC),
            "1970-01-01 10:31:02.123+00:00 sent 7 LCP Configure-Nak id=1 mru=1492"
        );
        assert!(
            line(&nak, false, Screen { colour: true, ..samples::UTC })
                .ends_with("sent 7 \x1b[33mLCP Configure-Nak id=1 mru=1492\x1b[0m")
        );
        let end = |lost| super::end(&CaptureEnd { frames: 1, lost, why: "the session is over".into() });
        assert_eq!(end(0), "-- 1 packet: the session is over");
        assert_eq!(end(2), "-- 1 packet, 2 lost: the session is over");
    }

    #[test]
    fn documents() {
        let refused = traced(true, frame(0, 7, b"\xc0\x23\x01\x09\x00\x0b\x05al\x1bce\x00"));
        let shown = json(refused);
        assert_eq!(
            shown,
            concat!(
                r#"{"schema":1,"packet":{"time":"1970-01-01T10:31:02.123+00:00","time_us":37862123456,"interface":"eth1","direction":"received","#,
                r#""mac":"02:00:5e:10:00:01","session":7,"repeated":false,"length":33,"protocol":"PAP","#,
                r#""code":"Authenticate-Request","identifier":9,"fields":[{"name":"name","value":"al\\u{1b}ce"},"#,
                r#"{"name":"password","value":"<hidden>"}],"more_fields":0,"malformed":null,"head":null}}"#,
                "\n"
            )
        );
        let documentation = include_str!("../../../docs/json-schema.md");
        let packet: serde_json::Value = serde_json::from_str(&shown).unwrap();
        for field in packet["packet"].as_object().unwrap().keys() {
            assert!(documentation.contains(&format!("`{field}`")), "{field} is not in docs/json-schema.md");
        }
    }

    proptest! {
        /// Whatever the server passes on.
        #[test]
        fn any_frame_is_one_line_without_control_characters(bytes: Vec<u8>, is_from_peer: bool, code in 0..3_u8) {
            let behind_headers = frame(code, 7, &bytes);
            for bytes in [bytes, behind_headers] {
                let traced = traced(is_from_peer, bytes);
                let line = line(&traced, true, samples::UTC);
                prop_assert!(!line.chars().any(char::is_control), "{}", line);
                let json = json(traced);
                let text = json.strip_suffix('\n').unwrap();
                prop_assert!(!text.chars().any(char::is_control), "{}", text);
                prop_assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
            }
        }
    }
}
