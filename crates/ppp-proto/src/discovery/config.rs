use std::num::NonZeroU32;
use std::time::Duration;

use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;

use super::delay::PadoDelay;
use super::{DEFAULT_MAX_PAYLOAD, LARGEST_MAX_PAYLOAD, SESSION_OVERHEAD};
use crate::token_bucket::Rate;

/// The longest AC-Name, service name, HURL or MOTM in bytes.
pub const MAX_NAME_LEN: usize = 256;

/// How a server presents itself on one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The interface's address.
    pub mac: MacAddr,
    /// A number that no other interface has, for example the interface index. It goes into the cookie.
    pub interface: u32,
    /// The interface's MTU in bytes.
    pub mtu: u16,
    /// EtherType of discovery frames.
    pub ether_type: EtherType,
    /// AC-Name: 1 to [`MAX_NAME_LEN`] bytes.
    pub ac_name: Vec<u8>,
    /// Services offered, the default first, each up to [`MAX_NAME_LEN`] bytes. None: only the empty name is served.
    pub services: Vec<Vec<u8>>,
    /// The largest PPP payload in bytes to agree to by PPP-Max-Payload, up to [`LARGEST_MAX_PAYLOAD`] and never more
    /// than the MTU can carry. [`DEFAULT_MAX_PAYLOAD`] turns RFC 4638 off.
    pub max_payload: u16,
    /// Be silent to a PADI when no slot is free, instead of refusing the PADR.
    pub ignore_when_full: bool,
    /// URL for the client to show, sent after the PADS; up to [`MAX_NAME_LEN`] bytes.
    pub hurl: Option<Vec<u8>>,
    /// Message for the client to show, sent after the PADS; up to [`MAX_NAME_LEN`] bytes.
    pub motm: Option<Vec<u8>>,
    /// A cookie lives at least this long, at most twice as long.
    pub cookie_slot: Duration,
    /// How long after its PADR a session is young, so that a repeated PADR gets the same PADS.
    pub young: Duration,
    /// Young sessions and sessions being made, at most; one more is refused as if no slot were free.
    pub max_young: usize,
    /// How much is answered.
    pub limits: Limits,
    /// How long a PADO waits by load, at most half of [`Self::cookie_slot`].
    pub pado_delay: PadoDelay,
}

/// How many frames are answered at most; `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// PADI on this interface. The last quarter of the burst is for peers that were turned away lately.
    pub padi: Option<Rate>,
    /// PADR with a good cookie on this interface.
    pub padr: Option<Rate>,
    /// PADT on this interface, in answer to session data of no session.
    pub padt: Option<Rate>,
    /// PADI of one peer, and PADR with a good cookie of one peer, and PADT for one peer.
    pub per_mac: Option<Rate>,
}

impl Limits {
    /// 2000 PADI, 500 PADR and 100 PADT per second, 10 per second of one peer, each with a burst of one second's worth.
    pub const DEFAULT: Self = Self {
        padi: per_second(2000),
        padr: per_second(500),
        padt: per_second(100),
        per_mac: per_second(10),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const fn per_second(count: u32) -> Option<Rate> {
    match NonZeroU32::new(count) {
        Some(count) => Some(Rate::per_second(count)),
        None => None,
    }
}

impl Config {
    /// The defaults for an interface.
    pub fn new(mac: MacAddr, interface: u32, mtu: u16, ac_name: impl Into<Vec<u8>>) -> Self {
        Self {
            mac,
            interface,
            mtu,
            ether_type: EtherType::PppoeDiscovery,
            ac_name: ac_name.into(),
            services: Vec::new(),
            max_payload: LARGEST_MAX_PAYLOAD,
            ignore_when_full: false,
            hurl: None,
            motm: None,
            cookie_slot: Duration::from_secs(5),
            young: Duration::from_secs(30),
            max_young: usize::from(u16::MAX),
            limits: Limits::DEFAULT,
            pado_delay: PadoDelay::default(),
        }
    }

    /// Whether a server can work with it.
    ///
    /// # Errors
    /// [`ConfigError`] if not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let name = |what, value: &[u8]| match value.len() {
            len @ ..=MAX_NAME_LEN => Ok(len),
            len => Err(ConfigError::TooLong { what, len }),
        };
        if name("AC-Name", &self.ac_name)? == 0 {
            return Err(ConfigError::NoAcName);
        }
        for service in &self.services {
            name("service name", service)?;
        }
        name("HURL", self.hurl.as_deref().unwrap_or_default())?;
        name("MOTM", self.motm.as_deref().unwrap_or_default())?;
        if self.cookie_slot.is_zero() {
            return Err(ConfigError::NoCookieLifetime);
        }
        let (delay, longest) = (self.pado_delay.longest(), self.cookie_slot / 2);
        if delay > longest {
            return Err(ConfigError::PadoTooLate { delay, longest });
        }
        Ok(())
    }

    /// The payload to agree to, if it is more than what needs no agreement.
    pub(super) fn agree(&self, max_payload: Option<u16>) -> Option<u16> {
        let largest =
            self.max_payload.min(LARGEST_MAX_PAYLOAD).min(self.mtu.saturating_sub(SESSION_OVERHEAD));
        Some(max_payload?.min(largest)).filter(|&agreed| agreed > DEFAULT_MAX_PAYLOAD)
    }

    /// The service that a request for `name` gets.
    pub(super) fn service<'a>(&'a self, name: &'a [u8]) -> Option<&'a [u8]> {
        if name.is_empty() {
            return Some(self.services.first().map_or(name, Vec::as_slice));
        }
        self.services.iter().map(Vec::as_slice).find(|service| *service == name)
    }
}

/// A configuration that no server can be made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A name or text does not fit.
    #[error("{what} has {len} bytes, at most {MAX_NAME_LEN} are possible")]
    TooLong {
        /// Which one.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
    },
    /// The AC-Name is empty.
    #[error("the AC-Name is empty")]
    NoAcName,
    /// Cookies would never be valid.
    #[error("the cookie lifetime is zero")]
    NoCookieLifetime,
    /// The cookie of a PADO that waits so long would be of no use.
    #[error("a PADO must not wait {delay:?}: with this lifetime of cookies, {longest:?} is the longest")]
    PadoTooLate {
        /// The longest delay that is wanted.
        delay: Duration,
        /// The longest that is possible.
        longest: Duration,
    },
}
