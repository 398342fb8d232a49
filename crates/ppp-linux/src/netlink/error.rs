//! What the kernel refused, in terms of what was attempted.

use std::io;

use nix::libc;
use thiserror::Error;

/// What went wrong; `operation` reads like "add address 10.0.0.1 peer 10.0.0.2 to ppp0".
#[derive(Debug, Error)]
pub enum NetlinkError {
    /// No netlink socket could be had.
    #[error("cannot open a netlink socket")]
    Open {
        /// The kernel's answer.
        source: io::Error,
    },
    /// The request could not be sent, or the answer not received.
    #[error("cannot {operation}: no conversation with the kernel")]
    Transport {
        /// What was attempted.
        operation: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The answer cannot be read.
    #[error("cannot {operation}: the kernel's answer is malformed: {reason}")]
    Malformed {
        /// What was attempted.
        operation: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The kernel agreed and then sent nothing.
    #[error("cannot {operation}: the kernel answered with nothing")]
    NoAnswer {
        /// What was attempted.
        operation: String,
    },
    /// `EEXIST`: the same address or route is there already.
    #[error("cannot {operation}: that exists already{}", said(.kernel_message))]
    AlreadyExists {
        /// What was attempted.
        operation: String,
        /// The kernel's own words, where it has any.
        kernel_message: Option<String>,
    },
    /// `ENODEV` or `ENXIO`: the interface is gone, or never was.
    #[error("cannot {operation}: no such interface{}", said(.kernel_message))]
    NoSuchInterface {
        /// What was attempted.
        operation: String,
        /// The kernel's own words, where it has any.
        kernel_message: Option<String>,
    },
    /// `EPERM` or `EACCES`: no `CAP_NET_ADMIN` in this network namespace.
    #[error("cannot {operation}: not permitted (this needs CAP_NET_ADMIN){}", said(.kernel_message))]
    NotPermitted {
        /// What was attempted.
        operation: String,
        /// The kernel's own words, where it has any.
        kernel_message: Option<String>,
    },
    /// Every other refusal.
    #[error("cannot {operation}{}", said(.kernel_message))]
    Refused {
        /// What was attempted.
        operation: String,
        /// The kernel's own words, where it has any.
        kernel_message: Option<String>,
        /// The kernel's error number.
        source: io::Error,
    },
    /// The kernel accepted everything, and yet the interface is not as it was asked for.
    #[error("{interface} is configured, but {problem}")]
    NotInForce {
        /// The interface.
        interface: String,
        /// What is missing or different.
        problem: String,
    },
}

impl NetlinkError {
    /// Whether the interface is not there, or not any more.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::NoSuchInterface { .. } => true,
            Self::Refused { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

fn said(kernel_message: &Option<String>) -> String {
    kernel_message.as_ref().map(|message| format!(" ({message})")).unwrap_or_default()
}

/// The error for a request that the kernel refused.
pub(super) fn refusal(operation: String, source: io::Error, kernel_message: Option<String>) -> NetlinkError {
    match source.raw_os_error() {
        Some(libc::EEXIST) => NetlinkError::AlreadyExists { operation, kernel_message },
        Some(libc::ENODEV | libc::ENXIO) => NetlinkError::NoSuchInterface { operation, kernel_message },
        Some(libc::EPERM | libc::EACCES) => NetlinkError::NotPermitted { operation, kernel_message },
        _ => NetlinkError::Refused { operation, kernel_message, source },
    }
}

/// `NLM_F_ACK_TLVS`: attributes follow the error.
const NLM_F_ACK_TLVS: u16 = 0x200;
/// `NLMSGERR_ATTR_MSG`: the attribute that holds the kernel's words, ended by a zero byte.
const NLMSGERR_ATTR_MSG: u16 = 1;
/// `struct nlmsghdr`, the error number, and the header of the refused request, which is all that
/// `NETLINK_CAP_ACK` leaves of it.
const ATTRIBUTES_START: usize = 16 + 4 + 16;

/// The kernel's own words in an `NLMSG_ERROR` message, header included.
pub(super) fn extended_message(message: &[u8]) -> Option<String> {
    let flags = u16::from_ne_bytes(*message.get(6..)?.first_chunk()?);
    if flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let mut attributes = message.get(ATTRIBUTES_START..)?;
    loop {
        let (&length, rest) = attributes.split_first_chunk::<2>()?;
        let kind = u16::from_ne_bytes(*rest.first_chunk()?);
        let length = usize::from(u16::from_ne_bytes(length));
        let value = attributes.get(4..length)?;
        if kind == NLMSGERR_ATTR_MSG {
            let text = value.strip_suffix(&[0]).unwrap_or(value);
            return Some(String::from_utf8_lossy(text).into_owned());
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn error_message(flags: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; ATTRIBUTES_START];
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend(attributes.concat());
        bytes
    }

    #[test]
    fn the_kernels_words_are_found_behind_other_attributes() {
        let message =
            error_message(NLM_F_ACK_TLVS, &[attribute(2, &[0; 6]), attribute(NLMSGERR_ATTR_MSG, b"Nope\0")]);
        assert_eq!(extended_message(&message).as_deref(), Some("Nope"));
    }

    #[test]
    fn without_words_or_with_garbage_there_are_none() {
        assert_eq!(extended_message(&error_message(0, &[attribute(NLMSGERR_ATTR_MSG, b"Nope\0")])), None);
        assert_eq!(extended_message(&error_message(NLM_F_ACK_TLVS, &[])), None);
        // An attribute that claims to be shorter than its own header, and one that claims more than there is.
        assert_eq!(extended_message(&error_message(NLM_F_ACK_TLVS, &[vec![0; 8]])), None);
        assert_eq!(extended_message(&error_message(NLM_F_ACK_TLVS, &[vec![0xff; 8]])), None);
        assert_eq!(extended_message(&[]), None);
    }

    #[test]
    fn errors_name_the_operation() {
        let error = |errno| {
            refusal(
                "delete interface ppp7".into(),
                io::Error::from_raw_os_error(errno),
                Some("because".into()),
            )
        };
        let text = error(libc::ENODEV).to_string();
        assert_eq!(text, "cannot delete interface ppp7: no such interface (because)");
        assert!(matches!(error(libc::EEXIST), NetlinkError::AlreadyExists { .. }));
        assert!(matches!(error(libc::EPERM), NetlinkError::NotPermitted { .. }));
        assert!(matches!(error(libc::EINVAL), NetlinkError::Refused { .. }));
    }
}
