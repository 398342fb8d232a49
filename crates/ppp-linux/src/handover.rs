//! One descriptor that comes with bytes over a stream socket (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

/// Sends `bytes`, and a duplicate of `descriptor` with the first of them. Returns how many bytes were sent: none
/// of them without the descriptor.
///
/// # Errors
/// The kernel's answer: [`io::ErrorKind::WouldBlock`] when nothing could be sent yet.
pub fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<usize> {
    let numbers = [descriptor.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&numbers)];
    let sent = sendmsg::<()>(
        socket.as_raw_fd(),
        &[IoSlice::new(bytes)],
        &rights,
        MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
        None,
    )?;
    Ok(sent)
}

/// Receives bytes into `buffer`, and the descriptor that came with them, if one did. Returns 0 bytes when the other end
/// was closed. The descriptor is closed on exec. Of several all but the last are closed; one that the process may not have
/// (`RLIMIT_NOFILE`) is not there.
///
/// # Errors
/// The kernel's answer: [`io::ErrorKind::WouldBlock`] when nothing is there yet.
pub fn receive_with(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    // Of more than fit, the kernel closes those that do not.
    let mut control = nix::cmsg_space!([RawFd; 1]);
    let mut vectors = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut vectors, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut last = None;
    for rights in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = rights {
            for number in numbers {
                // SAFETY: the kernel made this descriptor just now, and nobody else knows it.
                last = Some(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    Ok((message.bytes, last))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Seek, Write};
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_descriptor_comes_with_its_bytes_and_only_once() {
        let (one, other) = UnixStream::pair().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"content").unwrap();
        (&one).write_all(b"before").unwrap();
        assert_eq!(send_with(one.as_fd(), b"with", file.as_fd()).unwrap(), 4);
        (&one).write_all(b"after").unwrap();

        let mut buffer = [0; 64];
        let (mut bytes, mut found) = (Vec::new(), None);
        while bytes.len() < 15 {
            let (count, descriptor) = receive_with(other.as_fd(), &mut buffer).unwrap();
            bytes.extend_from_slice(&buffer[..count]);
            assert!(found.is_none() || descriptor.is_none(), "it came twice");
            found = found.or(descriptor);
        }
        assert_eq!(bytes, b"beforewithafter");
        let mut content = String::new();
        let mut found = File::from(found.unwrap());
        found.rewind().unwrap();
        found.read_to_string(&mut content).unwrap();
        assert_eq!(content, "content");
        drop(one);
        assert!(matches!(receive_with(other.as_fd(), &mut buffer), Ok((0, None))));
    }

    #[test]
    fn who_does_not_read_is_not_waited_for() {
        let (one, _other) = UnixStream::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let error = loop {
            if let Err(error) = send_with(one.as_fd(), &[0; 4096], file.as_fd()) {
                break error;
            }
        };
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock), "{error}");
    }
}
