use crate::pppoe::TagType;

/// What was wrong with a frame that was parsed, or with values that were to be emitted.
///
/// `what` names the header or field in the words of its RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes end inside a field.
    #[error("{what} needs {needed} bytes, only {have} are there")]
    Truncated {
        /// The header or field that is cut off.
        what: &'static str,
        /// Bytes that the field needs.
        needed: usize,
        /// Bytes that are left.
        have: usize,
    },
    /// A length field is smaller than its own header, or runs past the end of what holds it.
    #[error("{what} claims a length of {claimed}, possible are {min} to {max}")]
    Length {
        /// The header or field that holds the length.
        what: &'static str,
        /// The value received.
        claimed: usize,
        /// The smallest length that this field can have.
        min: usize,
        /// The largest length that fits.
        max: usize,
    },
    /// Bytes are left over where the format has no room for them.
    #[error("{count} bytes follow the end of {what}")]
    TrailingBytes {
        /// The packet that should have ended.
        what: &'static str,
        /// How many bytes follow.
        count: usize,
    },
    /// The VER and TYPE octet of PPPoE is not 0x11 (RFC 2516 §4).
    #[error("PPPoE version and type are {0:#04x}, not 0x11")]
    VersionType(u8),
    /// A PPPoE tag of fixed size has another size.
    #[error("tag {kind:?} has {len} bytes of value")]
    TagLength {
        /// The tag's type.
        kind: TagType,
        /// Bytes of its value.
        len: usize,
    },
    /// A configuration option of known type has a size that its RFC does not allow.
    #[error("{protocol} option {kind} has {len} bytes of data")]
    OptionLength {
        /// The control protocol that the option belongs to.
        protocol: &'static str,
        /// The option's type octet.
        kind: u8,
        /// Bytes of data, without type and length octets.
        len: usize,
    },
    /// The Code octet of an authentication protocol is not one of those that its RFC defines.
    #[error("{protocol} has no code {code}")]
    UnknownCode {
        /// The protocol.
        protocol: &'static str,
        /// The value received.
        code: u8,
    },
    /// The version nibble of an IP packet is not the expected one.
    #[error("IP version {found} where {expected} was announced")]
    IpVersion {
        /// The version that the PPP protocol field announced.
        expected: u8,
        /// The version nibble of the packet.
        found: u8,
    },
    /// A value handed to an `emit` or builder does not fit its field.
    #[error("{what} of {len} bytes does not fit, at most {max} do")]
    TooLong {
        /// The field.
        what: &'static str,
        /// The size asked for.
        len: usize,
        /// The largest size that fits.
        max: usize,
    },
    /// A value that its RFC requires to be there is empty.
    #[error("{what} is empty")]
    Empty {
        /// The field.
        what: &'static str,
    },
}
