//! The parent's view of a child: its surroundings, what it says and how it ends.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::unistd::Pid;
use ppp_linux::counters::{SharedCounters, Snapshot};
use ppp_linux::netlink::{Netlink, PtpConfig};
use ppp_linux::netns;
use ppp_linux::packet::{SessionKey, SessionSocket};
use ppp_linux::spawn::Program;
use ppp_linux::tun::Tun;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::EtherType;
use tempfile::TempDir;

use super::setup::{self, Parameters};

pub(crate) struct Child {
    process: std::process::Child,
    control: BufReader<UnixStream>,
    netns: OwnedFd,
    counters: SharedCounters,
    directory: TempDir,
    root: PathBuf,
}

/// What there is to know about a child that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Everything that it said and that was not expected before.
    pub(crate) said: String,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
    pub(crate) counters: Snapshot,
}

impl Child {
    pub(crate) fn start(parameters: Parameters, attempt: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Its parents have to be passable for the child that is not root.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let root = make_root(&directory, parameters.root);
        let netns = make_netns(parameters.netns);
        let counters = SharedCounters::create().unwrap();
        let (packet, tun) = netns::run_in_new(make_devices).unwrap();
        let (control, theirs) = UnixStream::pair().unwrap();
        control.set_read_timeout(Some(Duration::from_secs(20))).unwrap();

        let program = Program::open(&std::env::current_exe().unwrap()).unwrap();
        let mut command = program.command();
        command.arg(setup::CHILD).arg(parameters.encode(root.to_str().unwrap())).arg(attempt);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if parameters.stderr_is_file {
            command.stderr(File::create(directory.path().join("log")).unwrap());
        }
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().unwrap();
        let mappings = [
            (OwnedFd::from(theirs), setup::CONTROL_FD),
            (packet.into(), setup::PACKET_FD),
            (tun.into(), setup::TUN_FD),
            (copy(counters.as_fd()), setup::COUNTERS_FD),
            (copy(netns.as_fd()), setup::NETNS_FD),
        ];
        command
            .fd_mappings(mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).into())
            .unwrap();

        let process = command.spawn().unwrap();
        drop(command);
        Self {
            process,
            control: BufReader::new(control),
            netns,
            counters,
            directory,
            root: root.canonicalize().unwrap_or(root),
        }
    }

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
        let output = self.process.wait_with_output().unwrap();
        let log_file = fs::read(self.directory.path().join("log")).unwrap_or_default();
        let stderr = String::from_utf8([output.stderr, log_file].concat()).unwrap();
        Ended { said, status: output.status, stderr, counters: self.counters.snapshot() }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    pub(crate) fn netns(&self) -> &OwnedFd {
        &self.netns
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
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
