//! Packets in words, as `pppctl trace` prints them: on one line, of bounded length, all text escaped, and nothing secret.

use std::ops::Range;

use ppp_wire::cp::CpPacket;
use ppp_wire::describe::{Description, Field, Frame, HIDDEN, MAX_FIELDS, MAX_HEX, MAX_TEXT};
use ppp_wire::ethernet::EthernetFrame;
use ppp_wire::ppp::{Protocol, split_protocol};
use ppp_wire::pppoe::PppoePacket;

use super::escaping::{acts_on_a_reader, unescaped};

/// Most characters of a value: each byte of a text is 10 at most.
const MAX_VALUE: usize = 10 * MAX_TEXT;

/// Most characters of a description, beside those of its fields.
const MAX_REST: usize = 512;

/// The bytes are a frame.
pub fn run(bytes: &[u8]) {
    let frame = Frame::read(bytes);
    check(&frame.packet, bytes);
    if let Some(hidden) = hidden(bytes) {
        let mut other = bytes.to_vec();
        other[hidden].iter_mut().for_each(|byte| *byte ^= 0xff);
        assert_eq!(Frame::read(&other), frame, "a secret makes a difference");
    }
    if frame.session_id.is_some() {
        // What stands behind the packet pads the frame.
        assert_eq!(Frame::read(&[bytes, b"padding"].concat()), frame);
    }
}

fn check(packet: &Description, bytes: &[u8]) {
    assert!(packet.fields.len() <= MAX_FIELDS && packet.more_fields <= bytes.len());
    assert!(packet.more_fields == 0 || packet.fields.len() == MAX_FIELDS);
    packet.fields.iter().for_each(|field| check_field(field, bytes));
    assert!(packet.head.is_none() || packet.malformed.is_some(), "bytes of a packet that is well formed");
    let shown = packet.to_string();
    assert!(!shown.chars().any(acts_on_a_reader), "{shown:?}");
    let fields: usize = packet.fields.iter().map(|field| field.to_string().len() + 1).sum();
    assert!(shown.len() <= fields + MAX_REST, "{shown}");
    // A text in quotes cannot be mistaken for more fields.
    let outside: String = without_texts(&shown);
    let expected = packet.fields.iter().filter(|field| field.value.is_some()).count();
    let reasons = packet.malformed.as_ref().map_or(0, |why| why.matches('=').count());
    assert_eq!(outside.matches('=').count(), expected + usize::from(packet.identifier.is_some()) + reasons);
}

fn check_field(field: &Field, bytes: &[u8]) {
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.,:<>".contains(c))
    };
    assert!(is_word(&field.name), "{field}");
    let Some(value) = &field.value else { return };
    assert!(value.len() <= MAX_VALUE, "{field}");
    if field.is_text {
        let text = unescaped(value).unwrap_or_else(|| panic!("{field} is not escaped"));
        assert!(text.is_empty() || bytes.windows(text.len()).any(|part| part == text), "nobody said {field}");
        assert_eq!(field.cut_from.is_some(), text.len() == MAX_TEXT && field.cut_from > Some(MAX_TEXT));
    } else {
        assert!(is_word(value), "{field}");
        assert!(field.cut_from.is_none_or(|len| len > MAX_HEX && value.len() == 2 + 2 * MAX_HEX), "{field}");
    }
    assert!(field.cut_from.is_none_or(|len| len <= bytes.len()), "{field}");
    assert!(field.name != "password" || value == HIDDEN);
}

/// What is outside of quotes.
fn without_texts(shown: &str) -> String {
    let (mut is_text, mut is_escaped) = (false, false);
    let outside = shown.chars().filter(|character| {
        is_text ^= *character == '"' && !is_escaped;
        is_escaped = *character == '\\' && !is_escaped;
        !is_text
    });
    let outside = outside.collect();
    assert!(!is_text, "{shown}");
    outside
}

/// Where a well-formed packet has what must not be shown: the password of PAP (RFC 1334 §2.2.1), the Value of a CHAP
/// Response (RFC 1994 §4.1), and the packet that an LCP peer does not know (RFC 1661 §5.6, §5.7).
fn hidden(bytes: &[u8]) -> Option<Range<usize>> {
    let frame = EthernetFrame::new_checked(bytes).ok()?;
    let packet = PppoePacket::new_checked(frame.payload()).ok()?;
    if u8::from(packet.code()) != 0 {
        return None;
    }
    let (protocol, information) = split_protocol(packet.payload()).ok()?;
    let data = CpPacket::new_checked(information).ok()?;
    let (code, data) = (data.code(), data.data());
    let within = match (protocol, code) {
        (Protocol::Pap, 1) => {
            let name = 1 + usize::from(*data.first()?);
            let password = name + 1;
            password..password + usize::from(*data.get(name)?)
        }
        (Protocol::Chap, 2) => 1..1 + usize::from(*data.first()?),
        // Behind the Code, or the Rejected-Protocol.
        (Protocol::Lcp, 7) => 1..data.len(),
        (Protocol::Lcp, 8) => 2..data.len(),
        _ => return None,
    };
    data.get(within.clone())?;
    let start = offset(bytes, data) + within.start;
    Some(start..start + within.len())
}

/// Where `part` is in `whole`, of which it is a part.
fn offset(whole: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr() - whole.as_ptr().addr()
}
