//! Ping through the kernel's own IP stack, without a ping program.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::world::Netns;

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends one Echo message (RFC 792) of 56 bytes of data and returns how long the answer took.
///
/// # Errors
/// When no answer comes within two seconds.
pub(crate) fn ping(namespace: &Netns, target: Ipv4Addr, sequence: u16) -> Result<Duration> {
    // icmp(7): a datagram socket of this protocol sends echoes and gets their answers only. The kernel fills in the
    // identifier and the checksum. Group 0 must be allowed to open one.
    namespace.sysctl("ipv4/ping_group_range", "0 0")?;
    let socket = namespace.run(|| {
        let kind = (AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp);
        Ok(UdpSocket::from(socket(kind.0, kind.1, kind.2, kind.3).context("open a ping socket")?))
    })?;
    socket.set_read_timeout(Some(PATIENCE))?;

    let [high, low] = sequence.to_be_bytes();
    let mut message = vec![ECHO_REQUEST, 0, 0, 0, 0, 0, high, low];
    message.resize(8 + 56, 0x2a);
    let start = Instant::now();
    socket.send_to(&message, (target, 0)).with_context(|| format!("ping {target}"))?;
    let mut answer = [0; 128];
    match socket.recv(&mut answer) {
        Ok(len) => {
            let time = start.elapsed();
            let answer = answer.get(..len).context("an answer longer than its buffer")?;
            let is_reply = answer.first() == Some(&ECHO_REPLY) && answer.get(6..) == message.get(6..);
            ensure!(is_reply, "{target} answered something else: {answer:02x?}");
            Ok(time)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("{target} does not answer a ping"),
        Err(error) => Err(error).with_context(|| format!("ping {target}")),
    }
}
