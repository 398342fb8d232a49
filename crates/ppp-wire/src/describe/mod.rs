//! Packets in words, for people who watch a negotiation: the one owner of what a packet is called and how it is shown.
//!
//! Nothing here acts on what it reads, and nothing fails: what is malformed is shown as such, with its first bytes.
//! Secrets are never shown: the password of PAP, the Response of CHAP, and what an LCP packet may bring back of them.
//! Text of the sender is escaped ([`crate::escape`]), and every value is cut to a bounded length.

mod auth;
mod control;
mod data;
mod discovery;

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::Error;
use crate::MacAddr;
use crate::cp::CpPacket;
use crate::escape::Escaped;
use crate::ethernet::EthernetFrame;
use crate::ppp::{Protocol, split_protocol};
use crate::pppoe::{Code, PppoePacket};

/// Fields of one packet that are shown; the rest is counted.
pub const MAX_FIELDS: usize = 48;
/// Bytes of one value that are shown in hexadecimal.
pub const MAX_HEX: usize = 32;
/// Bytes of one text that are shown.
pub const MAX_TEXT: usize = 128;
/// First bytes of a malformed packet that are shown. Too few for a PPPoE header in front of a password.
const HEAD: usize = 12;

/// Shown in the place of a secret.
pub const HIDDEN: &str = "<hidden>";

/// A PPPoE frame, Ethernet header first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Sender, if the frame is long enough to have one.
    pub source: Option<MacAddr>,
    /// Receiver.
    pub destination: Option<MacAddr>,
    /// SESSION_ID, if there is a PPPoE header.
    pub session_id: Option<u16>,
    /// Whether it belongs to the Session stage: its CODE is 0 (RFC 2516 §6).
    pub is_session: bool,
    /// What it holds.
    pub packet: Description,
}

impl Frame {
    /// Reads a frame of either EtherType of PPPoE; which of the two it has is not looked at.
    pub fn read(bytes: &[u8]) -> Self {
        let mut read =
            Self { source: None, destination: None, session_id: None, is_session: false, packet: nothing() };
        let frame = match EthernetFrame::new_checked(bytes) {
            Ok(frame) => frame,
            Err(error) => {
                read.packet = Description::new("Ethernet").malformed(&error, bytes, HEAD);
                return read;
            }
        };
        (read.source, read.destination) = (Some(frame.source()), Some(frame.destination()));
        match PppoePacket::new_checked(frame.payload()) {
            Ok(packet) => {
                read.session_id = Some(packet.session_id());
                read.is_session = packet.code() == Code::SessionData;
                read.packet = if read.is_session {
                    Description::of_ppp(packet.payload())
                } else {
                    discovery::describe(&packet)
                };
            }
            Err(error) => {
                read.packet = Description::new("PPPoE").malformed(&error, frame.payload(), HEAD);
            }
        }
        read
    }
}

/// A packet in words. Shows itself on one line, such as
/// `LCP Configure-Request id=1 mru=1492 auth=chap-md5 magic_number=0x1a2b3c4d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `PPPoE`, `LCP`, `CHAP`, …; its number for a protocol without a name here.
    pub protocol: Cow<'static, str>,
    /// `PADI`, `Configure-Request`, …; none for data.
    pub code: Option<Cow<'static, str>>,
    /// Identifier of a control packet.
    pub identifier: Option<u8>,
    /// Options, tags and other fields, in their order; [`MAX_FIELDS`] at most.
    pub fields: Vec<Field>,
    /// Fields beyond those.
    pub more_fields: usize,
    /// What is wrong with it, in words: the first thing.
    pub malformed: Option<String>,
    /// The first bytes of a packet that is malformed, in hexadecimal.
    pub head: Option<String>,
}

/// A field and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, such as `mru`.
    pub name: Cow<'static, str>,
    /// Value; none where the name says everything.
    pub value: Option<String>,
    /// Whether the value is text that the sender chose, to stand between quotes.
    pub is_text: bool,
    /// Length of the value in bytes, if it is too long to be shown whole.
    pub cut_from: Option<usize>,
}

impl Description {
    /// Reads the payload of a frame of the Session stage: a PPP packet from its Protocol field on.
    pub fn of_ppp(payload: &[u8]) -> Self {
        let (protocol, information) = match split_protocol(payload) {
            Ok(split) => split,
            Err(error) => return Self::new("PPP").malformed(&error, payload, HEAD),
        };
        let description = Self::new(protocol_name(protocol));
        match protocol {
            Protocol::Ip => data::ipv4(description, information),
            Protocol::Ipv6 => data::ipv6(description, information),
            Protocol::LinkQualityReport => description.count("length", information.len()),
            protocol if u16::from(protocol) < 0x8000 => description.count("length", information.len()),
            _ => match CpPacket::new_checked(information) {
                Ok(packet) => description.control(protocol, &packet),
                Err(error) => {
                    // Those of the header, which hold no secret.
                    let most = payload.len() - information.len() + crate::cp::HEADER_LEN;
                    description.malformed(&error, payload, most)
                }
            },
        }
    }

    fn control(mut self, protocol: Protocol, packet: &CpPacket<'_>) -> Self {
        self.identifier = Some(packet.identifier());
        match protocol {
            Protocol::Pap => auth::pap(self, packet),
            Protocol::Chap => auth::chap(self, packet),
            Protocol::Eap => {
                self.code(&format!("code-{}", packet.code())).count("length", packet.data().len())
            }
            Protocol::Lcp => control::lcp(self, packet),
            _ => control::ncp(self, protocol, packet),
        }
    }

    fn new(protocol: impl Into<Cow<'static, str>>) -> Self {
        Self { protocol: protocol.into(), ..nothing() }
    }

    fn code(self, code: &str) -> Self {
        Self { code: Some(Cow::Owned(code.to_owned())), ..self }
    }

    fn named(self, code: &'static str) -> Self {
        Self { code: Some(Cow::Borrowed(code)), ..self }
    }

    fn add(mut self, field: Field) -> Self {
        if self.fields.len() < MAX_FIELDS {
            self.fields.push(field);
        } else {
            self.more_fields += 1;
        }
        self
    }

    /// A value that is a word or a number of ours.
    fn word(self, name: impl Into<Cow<'static, str>>, value: impl fmt::Display) -> Self {
        let value = Some(value.to_string());
        self.add(Field { name: name.into(), value, is_text: false, cut_from: None })
    }

    fn flag(self, name: &'static str) -> Self {
        self.add(Field { name: name.into(), value: None, is_text: false, cut_from: None })
    }

    fn count(self, name: &'static str, bytes: usize) -> Self {
        self.word(name, bytes)
    }

    fn hex(self, name: impl Into<Cow<'static, str>>, bytes: &[u8]) -> Self {
        let (shown, cut_from) = cut(bytes, MAX_HEX);
        let mut value = String::with_capacity(2 + 2 * shown.len());
        value.push_str("0x");
        shown.iter().for_each(|byte| put(&mut value, format_args!("{byte:02x}")));
        self.add(Field { name: name.into(), value: Some(value), is_text: false, cut_from })
    }

    fn text(self, name: impl Into<Cow<'static, str>>, bytes: &[u8]) -> Self {
        let (shown, cut_from) = cut(bytes, MAX_TEXT);
        let value = Some(Escaped(shown).to_string());
        self.add(Field { name: name.into(), value, is_text: true, cut_from })
    }

    /// The text of a message, if there is one.
    fn message(self, bytes: &[u8]) -> Self {
        if bytes.is_empty() { self } else { self.text("message", bytes) }
    }

    /// What is wrong, unless something is known to be wrong already, with at most `most` of these bytes.
    fn malformed(mut self, error: &Error, bytes: &[u8], most: usize) -> Self {
        if self.malformed.is_none() {
            let mut head = String::new();
            for byte in bytes.iter().take(most) {
                let gap = if head.is_empty() { "" } else { " " };
                put(&mut head, format_args!("{gap}{byte:02x}"));
            }
            self.malformed = Some(error.to_string());
            self.head = (!head.is_empty()).then_some(head);
        }
        self
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a packet of discovery is called says that it is one.
        match &self.code {
            Some(code) if self.protocol == "PPPoE" => f.write_str(code)?,
            Some(code) => write!(f, "{} {code}", self.protocol)?,
            None => f.write_str(&self.protocol)?,
        }
        if let Some(identifier) = self.identifier {
            write!(f, " id={identifier}")?;
        }
        for field in &self.fields {
            write!(f, " {field}")?;
        }
        if self.more_fields > 0 {
            write!(f, " and {} more", self.more_fields)?;
        }
        if let Some(why) = &self.malformed {
            write!(f, " MALFORMED ({why})")?;
        }
        self.head.as_ref().map_or(Ok(()), |head| write!(f, " [{head}]"))
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match &self.value {
            Some(text) if self.is_text => write!(f, "=\"{text}\"")?,
            Some(word) => write!(f, "={word}")?,
            None => {}
        }
        self.cut_from.map_or(Ok(()), |len| write!(f, "...({len} bytes)"))
    }
}

fn nothing() -> Description {
    Description {
        protocol: Cow::Borrowed(""),
        code: None,
        identifier: None,
        fields: Vec::new(),
        more_fields: 0,
        malformed: None,
        head: None,
    }
}

fn cut(bytes: &[u8], most: usize) -> (&[u8], Option<usize>) {
    bytes.get(..most).filter(|_| bytes.len() > most).map_or((bytes, None), |shown| (shown, Some(bytes.len())))
}

fn put(text: &mut String, what: fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = text.write_fmt(what);
}

/// What people call a protocol; its number, if it has no name here.
fn protocol_name(protocol: Protocol) -> Cow<'static, str> {
    Cow::Borrowed(match protocol {
        Protocol::Ip => "IP",
        Protocol::VjCompressedTcp => "VJ-compressed",
        Protocol::VjUncompressedTcp => "VJ-uncompressed",
        Protocol::Multilink => "Multilink",
        Protocol::Ipv6 => "IPv6",
        Protocol::Compressed => "Compressed",
        Protocol::Ipcp => "IPCP",
        Protocol::Bcp => "BCP",
        Protocol::Ecp => "ECP",
        Protocol::Ipv6cp => "IPV6CP",
        Protocol::Ccp => "CCP",
        Protocol::Mplscp => "MPLSCP",
        Protocol::Lcp => "LCP",
        Protocol::Pap => "PAP",
        Protocol::LinkQualityReport => "LQR",
        Protocol::Chap => "CHAP",
        Protocol::Eap => "EAP",
        Protocol::Unknown(number) => return Cow::Owned(format!("protocol-0x{number:04x}")),
    })
}
