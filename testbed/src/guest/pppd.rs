//! The pppd of a guest: dialling in, looking at the session, hanging up.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Guest;

const DIAL_LIMIT: Duration = Duration::from_secs(60);

/// What carries pppd's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// The kernel's PPPoE, by rp-pppoe.so. That plugin switches CCP off.
    Kernel,
    /// rp-pppoe's user mode client on a pseudo-terminal, where pppd offers CCP as on any serial line.
    UserMode,
}

impl Carrier {
    fn options(self) -> &'static str {
        match self {
            Carrier::Kernel => "plugin rp-pppoe.so\nnic-vec0",
            Carrier::UserMode => {
                "pty \"pppoe -I vec0 -T 80\"\nnoaccomp\nnopcomp\ndefault-asyncmap\nmru 1492\nmtu 1492\nbsdcomp 15"
            }
        }
    }
}

/// How to dial.
#[derive(Clone, Debug)]
pub(crate) struct Dial<'a> {
    /// The name to authenticate with.
    pub(crate) user: &'a str,
    /// The password, written to both of the guest's secrets files.
    pub(crate) password: &'a str,
    /// More pppd options.
    pub(crate) options: &'a [&'a str],
    /// What carries the frames.
    pub(crate) carrier: Carrier,
}

impl<'a> Dial<'a> {
    /// A plain dial.
    pub(crate) fn new(user: &'a str, password: &'a str) -> Self {
        Dial { user, password, options: &[], carrier: Carrier::Kernel }
    }

    /// The same with more pppd options.
    pub(crate) fn with(self, options: &'a [&'a str]) -> Self {
        Dial { options, ..self }
    }

    /// The same by another carrier.
    pub(crate) fn by(self, carrier: Carrier) -> Self {
        Dial { carrier, ..self }
    }
}

/// A session that is up, as the guest sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Our address.
    pub(crate) local: Ipv4Addr,
    /// The server's address.
    pub(crate) remote: Ipv4Addr,
    /// The interface's MTU in bytes.
    pub(crate) mtu: u32,
    /// What pppd wrote until IP was up, with `debug`.
    pub(crate) log: String,
}

/// The part of `ip -json address` that matters here.
#[derive(Debug, Deserialize)]
struct Link {
    mtu: u32,
    addr_info: Vec<Address>,
}

#[derive(Debug, Deserialize)]
struct Address {
    family: String,
    local: Ipv4Addr,
    address: Option<Ipv4Addr>,
}

impl Guest {
    /// Dials and waits until IP is up on `ppp0`.
    ///
    /// # Errors
    /// When pppd gives up; the error holds its log.
    pub(crate) fn dial(&self, dial: &Dial<'_>) -> Result<Session> {
        let (status, log) = self.try_dial(dial)?;
        if status != 0 {
            bail!("guest {}: pppd ended with {status}:\n{log}", self.name());
        }
        let (local, remote, mtu) = self.ppp0()?;
        Ok(Session { local, remote, mtu, log })
    }

    /// Dials, expecting that it does not work out.
    ///
    /// # Errors
    /// When the session comes up after all.
    pub(crate) fn dial_refused(&self, dial: &Dial<'_>) -> Result<(i32, String)> {
        let (status, log) = self.try_dial(dial)?;
        if status == 0 {
            bail!("guest {}: the session came up, it should not have:\n{log}", self.name());
        }
        Ok((status, log))
    }

    fn try_dial(&self, dial: &Dial<'_>) -> Result<(i32, String)> {
        let mut options = String::new();
        for option in dial.options {
            writeln!(options, "{option}")?;
        }
        let secret = format!("{} * {} *", quoted(dial.user), quoted(dial.password));
        // A here-document with a quoted word: the shell changes nothing in it.
        let script = format!(
            "umask 077\n\
             cat > /etc/ppp/chap-secrets <<'THE-END'\n{secret}\nTHE-END\n\
             cp /etc/ppp/chap-secrets /etc/ppp/pap-secrets\n\
             cat > /run/dial-options <<'THE-END'\n\
             {carrier}\nuser {user}\nnoauth\nnoipdefault\ndefaultroute\nusepeerdns\n\
             maxfail 1\nupdetach\ndebug\nlogfile /run/pppd.log\n{options}THE-END\n\
             : > /run/pppd.log\n\
             pppd file /run/dial-options > /run/pppd.out 2>&1; status=$?\n\
             cat /run/pppd.out /run/pppd.log\n\
             exit $status\n",
            carrier = dial.carrier.options(),
            user = quoted(dial.user),
        );
        let done = self.run(&script, DIAL_LIMIT)?;
        Ok((done.status, done.output))
    }

    fn ppp0(&self) -> Result<(Ipv4Addr, Ipv4Addr, u32)> {
        // pppd lets go of the dial when its first network protocol is open, which may be IPv6.
        let json = self.sh("for i in $(seq 50); do \
               ip -4 address show dev ppp0 | grep -q inet && break; sleep 0.1; \
             done; ip -4 -json address show dev ppp0")?;
        let links: Vec<Link> = serde_json::from_str(&json).with_context(|| format!("parse {json:?}"))?;
        let link = links.first().context("no ppp0")?;
        let address = link.addr_info.iter().find(|a| a.family == "inet").context("ppp0 has no address")?;
        Ok((address.local, address.address.context("ppp0 has no peer address")?, link.mtu))
    }

    /// Asks pppd to end the session and waits until it has gone.
    ///
    /// # Errors
    /// When there is no pppd, or it does not end.
    pub(crate) fn hang_up(&self) -> Result<()> {
        self.sh("kill -TERM $(head -n 1 /run/ppp0.pid)")?;
        self.wait_session_end()
    }

    /// Waits until pppd has gone, whoever ended the session.
    ///
    /// # Errors
    /// When it stays.
    pub(crate) fn wait_session_end(&self) -> Result<()> {
        self.sh("for i in $(seq 250); do \
               ip link show dev ppp0 > /dev/null 2>&1 || pidof pppd > /dev/null || exit 0; sleep 0.1; \
             done; cat /run/pppd.log; exit 1")
            .map(drop)
    }

    /// Everything pppd has written since the last dial.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub(crate) fn pppd_log(&self) -> Result<String> {
        self.sh("cat /run/pppd.log")
    }

    /// Sends three pings and expects every answer.
    ///
    /// # Errors
    /// When one is missing.
    pub(crate) fn ping(&self, target: Ipv4Addr) -> Result<()> {
        self.sh(&format!("ping -n -c 3 -i 0.2 -W 2 {target}")).map(drop)
    }
}

/// A word for pppd's option and secrets files.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_pppd() {
        assert_eq!(quoted("alice"), r#""alice""#);
        assert_eq!(quoted(r#"a"b\c d"#), r#""a\"b\\c d""#);
    }
}
