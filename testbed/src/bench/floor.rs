//! What the kernel asks for a session whatever the server does: a process, a TUN, an address.

use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig};
use ppp_linux::pidfd::PidFd;
use ppp_linux::records::RecordSocket;
use ppp_linux::template;
use ppp_linux::tun::Tun;

use crate::programs;
use crate::world::World;

/// Name of the hidden command that [`forked`] is.
pub(crate) const COMMAND: &str = "fork-template";

/// Makes, one after the other, so many TUNs with their addresses and processes forked from a small one, and returns how many
/// there were in a second.
///
/// # Errors
/// When the kernel refuses something.
pub(super) fn per_second(world: &World, sessions: u32) -> Result<f64> {
    let (ours, theirs) = RecordSocket::pair()?;
    let mut command = Command::new(programs::testbed()?);
    let mut template = command.arg(COMMAND).stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    drop(command);
    let took = world.srv.run(|| make(&ours, sessions))?;
    drop(ours);
    template.wait().context("wait for the template")?;
    Ok(f64::from(sessions) / took.as_secs_f64())
}

fn make(template: &RecordSocket, sessions: u32) -> Result<Duration> {
    let mut netlink = Netlink::open()?;
    let mut made = Vec::new();
    let start = Instant::now();
    for number in 0..sessions {
        let (tun, interface) = Tun::create(&format!("floor{number}").parse()?)?;
        let peer = Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 0, 2).to_bits() + number);
        let ipv4 = Some(Ipv4Ends { local: Ipv4Addr::new(10, 0, 0, 1), peer });
        netlink.configure_ptp(&interface, &PtpConfig { mtu: 1492, ipv4 })?;
        let (waits, ends) = io::pipe()?;
        template.send(b"fork", &[waits.as_fd()])?;
        let answer = template.receive()?.context("the template ended")?;
        let pid: u32 = std::str::from_utf8(&answer.bytes)?.parse().context("no process was forked")?;
        made.push((tun, ends, PidFd::open(pid)?));
    }
    let took = start.elapsed();
    for (tun, ends, process) in made {
        drop((tun, ends));
        while process.exit()?.is_none() {
            std::thread::yield_now();
        }
    }
    Ok(took)
}

/// The process that others are forked from, which wait until their pipe is closed. It must have one thread.
///
/// # Errors
/// When its socket breaks.
pub(crate) fn forked() -> Result<()> {
    let socket = RecordSocket::from(io::stdin().as_fd().try_clone_to_owned()?);
    let answer = |forked: io::Result<u32>| match forked {
        Ok(pid) => pid.to_string().into_bytes(),
        Err(error) => error.to_string().into_bytes(),
    };
    if let Some(birth) = template::serve::<1>(socket, answer)? {
        let [pipe] = birth.descriptors;
        io::PipeReader::from(pipe).read_to_end(&mut Vec::new())?;
    }
    Ok(())
}
