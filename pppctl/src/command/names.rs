//! Names of users, and words that stand for one session.

use std::os::unix::ffi::OsStrExt as _;

use clap::builder::{OsStringValueParser, TypedValueParser};
use ppp_ipc::name::{Name, NamePattern};

use crate::parse::parse_mac;

/// A name, as it is shown or as it is: bytes that are not UTF-8 may be given either way.
pub(crate) fn name() -> impl TypedValueParser<Value = Name> {
    OsStringValueParser::new().map(|word| Name::from_text(word.as_bytes()))
}

/// A name, or a pattern for names.
pub(crate) fn name_pattern() -> impl TypedValueParser<Value = NamePattern> {
    OsStringValueParser::new().map(|word| NamePattern::from_text(word.as_bytes()))
}

/// A word that stands for one session.
pub(crate) fn one_session() -> impl TypedValueParser<Value = OneSession> {
    name().map(|word| OneSession { word, id: None })
}

/// One session, by its id, interface, Ethernet address, peer address or user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OneSession {
    word: Name,
    /// Its id, once the server has said which one it is.
    id: Option<u16>,
}

impl OneSession {
    /// What to ask the server for. An Ethernet address may have been written in several ways.
    pub(crate) fn word(&self) -> Name {
        let mac = std::str::from_utf8(self.word.as_bytes()).ok().and_then(|text| parse_mac(text).ok());
        mac.map_or_else(|| self.word.clone(), |mac| Name::new(ppp_wire::MacAddr(mac).to_string()))
    }

    /// Whether it is an id, as far as is known: a number that can be one (RFC 2516 §4), and nothing else was found to be meant.
    pub(crate) fn is_number(&self) -> bool {
        self.id.is_none() && (1..0xffff).contains(&self.id())
    }

    /// It is this one.
    pub(crate) fn set(&mut self, id: u16) {
        self.id = Some(id);
    }

    /// Its id. Before the server was asked, the number that the word is; 0, which is no session's, if it is none.
    pub(crate) fn id(&self) -> u16 {
        let number = || std::str::from_utf8(self.word.as_bytes()).ok().and_then(|text| text.parse().ok());
        self.id.or_else(number).unwrap_or_default()
    }
}
