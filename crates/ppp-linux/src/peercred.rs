//! Who is at the other end of a Unix stream socket.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{getsockopt, sockopt};
use thiserror::Error;

/// The process that made the connection, as it was at that moment (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerCredentials {
    /// Process id in our PID namespace; 0 when the process is outside of it. It may be somebody else's by
    /// now: good for the log, not for decisions.
    pub pid: i32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
}

/// The kernel does not tell who is at the other end: the descriptor is not a connected Unix stream socket.
#[derive(Debug, Error)]
#[error("cannot determine the peer credentials of the socket")]
pub struct PeerCredentialsError {
    /// The kernel's answer.
    source: io::Error,
}

/// Who is at the other end of `socket`, a connected Unix stream socket.
///
/// # Errors
/// When `socket` is anything else.
pub fn peer_credentials(socket: &impl AsFd) -> Result<PeerCredentials, PeerCredentialsError> {
    let credentials = getsockopt(socket, sockopt::PeerCredentials)
        .map_err(|errno| PeerCredentialsError { source: errno.into() })?;
    Ok(PeerCredentials { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid() })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_socket_pair_of_our_own() {
        let (end, _other) = UnixStream::pair().unwrap();
        let credentials = peer_credentials(&end).unwrap();
        assert_eq!(credentials.pid, nix::unistd::getpid().as_raw());
        assert_eq!(credentials.uid, nix::unistd::geteuid().as_raw());
        assert_eq!(credentials.gid, nix::unistd::getegid().as_raw());
    }

    #[test]
    fn not_a_socket() {
        assert!(peer_credentials(&File::open("/dev/null").unwrap()).is_err());
    }
}
