//! Frame formats of Ethernet, PPPoE and PPP.
//!
//! The crate holds no socket, clock or random numbers, and nothing that it does with received bytes can panic.
//!
//! * Fixed headers are *views* ([`ethernet::EthernetFrame`], [`pppoe::PppoePacket`], [`cp::CpPacket`],
//!   [`ip::Ipv4Packet`], [`ip::Ipv6Packet`]). `new_checked` is the only length gate; after it every accessor is
//!   total, because the view holds the header as an array and the payload already cut to the length field.
//! * Lists of tags and options are iterators of `Result`. They read through a length-bounded reader, and end
//!   after the first error.
//! * Bodies of control packets are values with `parse(&[u8])` and `emit(&mut Vec<u8>)`.
//! * Errors say what the sender did, with the offending value.

mod error;
mod macros;
mod reader;

pub mod causes;
pub mod chap;
pub mod cp;
pub mod describe;
pub mod escape;
pub mod ethernet;
pub mod if_name;
pub mod ip;
pub mod ipcp;
pub mod ipv6cp;
pub mod lcp;
pub mod logfmt;
pub mod mss;
pub mod name;
pub mod offload;
pub mod pap;
pub mod ppp;
pub mod pppoe;

pub use error::Error;
pub use ethernet::{MacAddr, ParseMacError};
