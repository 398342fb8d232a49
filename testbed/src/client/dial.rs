//! One session with a network interface of its own, for ordinary programs.

use std::fmt;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use ppp_linux::netlink::{Ipv4Ends, Netlink, PtpConfig, Route};
use ppp_linux::netns;
use ppp_linux::tun::Tun;
use ppp_proto::auth::{AuthMethod, Credentials};
use ppp_wire::MacAddr;
use ppp_wire::if_name::IfName;

use super::data::DataPath;
use super::port::{Port, Ready};
use super::session::{Conduct, End, Event, Opened, Session, SessionConfig};

/// How long Terminate-Requests may take: the peer is asked twice, 3 seconds apart.
const HANG_UP: Duration = Duration::from_secs(8);

/// Whom to dial as.
#[derive(Debug)]
pub(crate) struct DialConfig {
    /// Network namespace of the access interface, where the TUN is made as well; `None` is the caller's.
    pub(crate) netns: Option<OwnedFd>,
    /// Access interface.
    pub(crate) interface: IfName,
    /// Address to dial from; `None` is the interface's.
    pub(crate) mac: Option<MacAddr>,
    /// User name.
    pub(crate) user: Vec<u8>,
    /// Password.
    pub(crate) password: String,
    /// How to authenticate, in order of preference.
    pub(crate) methods: Vec<AuthMethod>,
    /// Service-Name; empty takes any.
    pub(crate) service_name: String,
    /// PPP-Max-Payload in bytes to ask for.
    pub(crate) max_payload: Option<u16>,
    /// From the PADS to an open IPCP.
    pub(crate) setup_deadline: Duration,
    /// Name of the TUN.
    pub(crate) tun: IfName,
    /// Whether everything is routed through the session.
    pub(crate) default_route: bool,
    /// Whether the TUN has segmentation offloads and frames are moved in batches; one packet per call if not.
    pub(crate) offloads: bool,
    /// How long the frames of a busy server may gather, as with `pppoed --gather`.
    pub(crate) gather: Duration,
}

/// As `pppoed` has it.
pub(crate) const GATHER: Duration = Duration::from_micros(50);

/// What came of a session, in packets and bytes of IPv4.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Why it ended.
    pub(crate) end: End,
    /// From the server.
    pub(crate) received: Count,
    /// To the server.
    pub(crate) sent: Count,
}

/// Packets and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Count {
    pub(super) fn add(&mut self, packet: &[u8]) {
        self.packets += 1;
        self.bytes += u64::try_from(packet.len()).unwrap_or(u64::MAX);
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} packets, {} bytes", self.packets, self.bytes)
    }
}

/// A session that is up. A thread relays its packets until it is hung up, which dropping this does.
#[derive(Debug)]
pub(crate) struct Dialled {
    opened: Opened,
    /// Closing this is what tells the thread to hang up.
    line: Option<UnixStream>,
    thread: Option<JoinHandle<Result<Ended>>>,
}

/// Dials, and returns once packets flow and the TUN is up.
///
/// # Errors
/// What the server said, what the kernel refused, or that `deadline` passed.
pub(crate) fn dial(config: DialConfig, deadline: Instant) -> Result<Dialled> {
    let (line, other_end) = UnixStream::pair()?;
    other_end.set_nonblocking(true)?;
    let (report, reports) = mpsc::channel();
    let work = move || {
        if let Some(netns) = &config.netns {
            netns::enter(netns)?;
        }
        Relay::new(&config, other_end, report)?.run(&config)
    };
    let thread = thread::Builder::new().name("dial".into()).spawn(work)?;
    match reports.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(opened) => Ok(Dialled { opened, line: Some(line), thread: Some(thread) }),
        Err(RecvTimeoutError::Timeout) => {
            drop(line);
            let ended = join(thread)?;
            bail!("the session was not open in time ({})", ended.end)
        }
        Err(RecvTimeoutError::Disconnected) => {
            let ended = join(thread)?;
            Err(anyhow!(ended.end).context("the session did not open"))
        }
    }
}

impl Dialled {
    /// What was agreed on.
    pub(crate) fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Whether the session has ended by itself.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the session by Terminate-Request and PADT, unless it is over. The TUN is gone afterwards.
    ///
    /// # Errors
    /// What went wrong since it was dialled.
    pub(crate) fn hang_up(mut self) -> Result<Ended> {
        self.line = None;
        join(self.thread.take().context("hung up already")?)
    }
}

impl Drop for Dialled {
    fn drop(&mut self) {
        self.line = None;
        if let Some(Err(error)) = self.thread.take().map(join) {
            eprintln!("testbed: a dialled session failed: {error:#}");
        }
    }
}

fn join(thread: JoinHandle<Result<Ended>>) -> Result<Ended> {
    thread.join().map_err(|_| anyhow!("the thread of a dialled session panicked"))?
}

/// The thread's side.
struct Relay {
    port: Port,
    session: Session,
    tun: Option<Tun>,
    line: UnixStream,
    report: Option<Sender<Opened>>,
    hang_up_until: Option<Instant>,
    end: Option<End>,
    data: DataPath,
}

impl Relay {
    fn new(config: &DialConfig, line: UnixStream, report: Sender<Opened>) -> Result<Self> {
        let port = Port::open(&config.interface)?;
        let mac = config.mac.or(port.interface().mac).context("the interface has no hardware address")?;
        let session = SessionConfig {
            mac,
            credentials: Credentials {
                name: config.user.clone(),
                secret: config.password.clone().into_bytes().into(),
                methods: config.methods.clone(),
            },
            service_name: config.service_name.clone().into_bytes(),
            max_payload: config.max_payload,
            setup_deadline: config.setup_deadline,
            seed: getrandom::u64().context("random number")?,
            conduct: Conduct::Honest,
        };
        let session = Session::new(session, port.mtu(), Instant::now())?;
        Ok(Self {
            port,
            session,
            tun: None,
            line,
            report: Some(report),
            hang_up_until: None,
            end: None,
            data: DataPath::new(config.offloads, config.gather)?,
        })
    }

    fn run(mut self, config: &DialConfig) -> Result<Ended> {
        loop {
            let now = Instant::now();
            self.session.handle_timeout(now);
            self.service(config)?;
            if let Some(end) = self.end {
                return Ok(Ended { end, received: self.data.received, sent: self.data.sent });
            }
            if self.hang_up_until.is_some_and(|until| now >= until) {
                bail!("the server did not answer our Terminate-Requests");
            }
            if let Some(pause) = self.data.take_pause() {
                thread::sleep(pause);
            }
            let ready = self.wait()?;
            let [line, tun] = ready.others;
            if line && self.hang_up_until.is_none() && self.is_line_closed()? {
                let now = Instant::now();
                self.hang_up_until = Some(now + HANG_UP);
                self.session.hang_up(now);
            }
            self.receive_frames(&ready)?;
            if tun && let Some(tun) = &self.tun {
                self.data.transmit(&mut self.port, &self.session, tun)?;
            }
        }
    }

    fn wait(&self) -> Result<Ready> {
        let until = self.session.poll_timeout().into_iter().chain(self.hang_up_until).min();
        let tun = self.tun.as_ref().map(AsFd::as_fd);
        // A closed line stays readable, so it is looked at only until then.
        let line = self.hang_up_until.is_none().then(|| self.line.as_fd());
        self.port.wait([line, tun], until)
    }

    fn is_line_closed(&mut self) -> Result<bool> {
        match self.line.read(&mut [0]) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context("read from the owner"),
        }
    }

    fn service(&mut self, config: &DialConfig) -> Result<()> {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Opened(opened) => self.open(config, opened)?,
                Event::Ended(end) => self.end = Some(end),
            }
        }
        while let Some(frame) = self.session.poll_transmit() {
            self.port.send(&frame)?;
        }
        Ok(())
    }

    fn open(&mut self, config: &DialConfig, opened: Opened) -> Result<()> {
        let Some(report) = self.report.take() else {
            // IPCP was negotiated again; the addresses of the TUN are as they were the first time.
            return Ok(());
        };
        if opened.remote.is_unspecified() {
            bail!("the server did not tell its address");
        }
        let (tun, interface) = Tun::create(&config.tun)?;
        if config.offloads {
            tun.offer().context("offer segmentation offloads")?;
        }
        let ipv4 = Some(Ipv4Ends { local: opened.local, peer: opened.remote });
        let mut netlink = Netlink::open()?;
        netlink.configure_ptp(&interface, &PtpConfig { mtu: opened.mtu, ipv4 })?;
        if config.default_route {
            let everything =
                Route { destination: Ipv4Addr::UNSPECIFIED.into(), prefix_length: 0, metric: None };
            netlink.add_route(&interface, &everything)?;
        }
        self.tun = Some(tun);
        // The owner may have lost patience; then its line is closed, too.
        let _ = report.send(opened);
        Ok(())
    }

    fn receive_frames(&mut self, ready: &Ready) -> Result<()> {
        // Session frames that came before a discovery frame are handled before it, so that a Terminate-Request is seen
        // before the PADT that follows it.
        let discovery = if ready.discovery { self.port.receive_discovery()? } else { None };
        let now = Instant::now();
        if ready.session || discovery.is_some() {
            self.data.receive(&self.port, &mut self.session, self.tun.as_ref(), now)?;
        }
        if let Some(frame) = discovery {
            self.session.handle_discovery_frame(&frame, now);
        }
        Ok(())
    }
}
