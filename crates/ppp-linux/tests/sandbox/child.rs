//! The parent's view of a template and a worker: their surroundings, what they say and how they end.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use ppp_linux::counters::{SharedCounters, Snapshot};
use ppp_linux::netlink::{Netlink, PtpConfig};
use ppp_linux::netns;
use ppp_linux::packet::{SessionKey, SessionSocket};
use ppp_linux::pidfd::{Exit, PidFd};
use ppp_linux::records::RecordSocket;
use ppp_linux::spawn::Program;
use ppp_linux::tun::Tun;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;
use tempfile::TempDir;

use super::setup::{self, Parameters};

/// A template.
pub(crate) struct Template {
    process: std::process::Child,
    socket: RecordSocket,
    netns: OwnedFd,
    parameters: Parameters,
    directory: TempDir,
    root: PathBuf,
}

/// A worker that was forked from it.
pub(crate) struct Child {
    pid: u32,
    process: PidFd,
    control: BufReader<UnixStream>,
    counters: SharedCounters,
    stderr: Option<PipeReader>,
    log: PathBuf,
}

/// What there is to know about a process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Everything that it said and that was not expected before.
    pub(crate) said: String,
    pub(crate) exit: Exit,
    pub(crate) stderr: String,
    pub(crate) counters: Snapshot,
}

impl Template {
    /// Starts one; `attempt` is what its workers will do, or it will itself when told to.
    pub(crate) fn start(parameters: Parameters, attempt: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Its parents have to be passable for the child that is not root.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let root = make_root(&directory, parameters.root);
        let netns = make_netns(parameters.netns);
        let (socket, theirs) = RecordSocket::pair().unwrap();

        let program = Program::open(&std::env::current_exe().unwrap()).unwrap();
        let mut command = program.command();
        command.arg(setup::CHILD).arg(parameters.encode(root.to_str().unwrap())).arg(attempt);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mappings = [
            (OwnedFd::from(theirs), setup::SOCKET_FD),
            (netns.as_fd().try_clone_to_owned().unwrap(), setup::NETNS_FD),
        ];
        command
            .fd_mappings(mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).into())
            .unwrap();
        let process = command.spawn().unwrap();
        drop(command);
        let root = root.canonicalize().unwrap_or(root);
        Self { process, socket, netns, parameters, directory, root }
    }

    /// Its next record, `None` when it has ended.
    pub(crate) fn said(&self) -> Option<String> {
        Some(String::from_utf8(self.socket.receive().unwrap()?.bytes).unwrap())
    }

    pub(crate) fn expect(&self, wanted: &str) {
        assert_eq!(self.said().as_deref(), Some(wanted));
    }

    /// Has it fork a worker.
    pub(crate) fn birth(&self) -> Child {
        let counters = SharedCounters::create().unwrap();
        let (packet, tun) = netns::run_in_new(make_devices).unwrap();
        let (control, theirs) = UnixStream::pair().unwrap();
        control.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let log = self.directory.path().join("log");
        let (reader, writer) = std::io::pipe().unwrap();
        let stderr = match self.parameters {
            Parameters { keep_directory: true, .. } => File::open("/").unwrap().into(),
            Parameters { stderr_is_file: true, .. } => File::create(&log).unwrap().into(),
            _ => OwnedFd::from(writer),
        };
        let descriptors = [theirs.as_fd(), packet.as_fd(), tun.as_fd(), counters.as_fd(), stderr.as_fd()];
        self.socket.send(b"a request", &descriptors).unwrap();
        let pid = self.said().unwrap().parse().unwrap();
        let process = PidFd::open(pid).unwrap();
        assert!(process.is_child().unwrap(), "workers are children of the template's parent");
        Child { pid, process, control: BufReader::new(control), counters, stderr: Some(reader), log }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn tell(&self, record: &[u8]) {
        self.socket.send(record, &[]).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// It ends when its socket does, if not before.
    pub(crate) fn finish(self) -> ExitStatus {
        let Self { mut process, socket, .. } = self;
        drop(socket);
        process.wait().unwrap()
    }

    pub(crate) fn netns(&self) -> &OwnedFd {
        &self.netns
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Child {
    /// The child says exactly this, on a line.
    pub(crate) fn expect(&mut self, wanted: &str) {
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        if line.trim_end() != wanted {
            let mut rest = String::new();
            let _ = self.control.read_to_string(&mut rest);
            panic!("the child said {line:?}{rest:?} instead of {wanted:?}");
        }
    }

    /// Lets the child end, which it does when its control socket does if not before.
    pub(crate) fn finish(mut self) -> Ended {
        self.control.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = String::new();
        self.control.read_to_string(&mut said).unwrap();
        let mut stderr = Vec::new();
        self.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        stderr.extend(fs::read(&self.log).unwrap_or_default());
        poll(&mut [PollFd::new(self.process.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
        let exit = self.process.exit().unwrap().unwrap();
        let stderr = String::from_utf8(stderr).unwrap();
        Ended { said, exit, stderr, counters: self.counters.snapshot() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn kill(&self) {
        self.process.signal(Signal::SIGKILL).unwrap();
    }
}

fn make_root(directory: &TempDir, kind: &str) -> PathBuf {
    let root = directory.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o755)).unwrap();
    match kind {
        "empty" => {}
        "missing" => fs::remove_dir(&root).unwrap(),
        "file" => {
            fs::remove_dir(&root).unwrap();
            File::create(&root).unwrap();
        }
        "link" => {
            let link = directory.path().join("link");
            symlink(&root, &link).unwrap();
            return link;
        }
        "not empty" => drop(File::create(root.join("file")).unwrap()),
        "socket" => drop(UnixListener::bind(root.join("socket")).unwrap()),
        "open" => fs::set_permissions(&root, Permissions::from_mode(0o777)).unwrap(),
        "owned" => chown(&root, Some(setup::UID), None).unwrap(),
        other => panic!("{other:?}"),
    }
    root
}

fn make_netns(kind: &str) -> OwnedFd {
    match kind {
        "empty" => netns::create().unwrap(),
        "none" => File::open("/dev/null").unwrap().into(),
        "lo is up" => {
            let namespace = netns::create().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    netns::enter(&namespace).unwrap();
                    let mut netlink = Netlink::open().unwrap();
                    let lo = netlink.interface(&"lo".parse().unwrap()).unwrap();
                    netlink.link_up(&lo.id).unwrap();
                });
            });
            namespace
        }
        other => panic!("{other:?}"),
    }
}

/// A session's socket (the access interface is the loopback interface here) and its TUN.
fn make_devices() -> (SessionSocket, Tun) {
    let mut netlink = Netlink::open().unwrap();
    let lo = netlink.interface(&"lo".parse().unwrap()).unwrap().id;
    netlink.link_up(&lo).unwrap();
    let key = SessionKey {
        ether_type: EtherType::PppoeSession,
        session_id: 1,
        own: MacAddr::ZERO,
        peer: MacAddr::ZERO,
    };
    let packet = SessionSocket::open(&lo, &key, SessionSocket::DEFAULT_RECEIVE_BUFFER).unwrap();
    let (tun, id) = Tun::create(&"ppp0".parse().unwrap()).unwrap();
    netlink.configure_ptp(&id, &PtpConfig { mtu: 1492, ipv4: None }).unwrap();
    (packet, tun)
}
