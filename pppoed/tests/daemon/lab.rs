//! A `pppoed` in a network namespace of the test's own, with a host's port at the other end of its wire.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ppp_ipc::control::Phase;
use ppp_linux::device::forget;
use ppp_linux::netlink::Netlink;
use ppp_linux::netns;
use ppp_wire::if_name::IfName;
use tempfile::TempDir;

use super::peer::Subscriber;

use super::console::Console;

/// Time that anything may take that takes milliseconds on a machine that has nothing else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The wire: `pppoed`'s end, and the hosts' end.
pub(crate) const ACCESS: &str = "access0";
pub(crate) const HOSTS: &str = "hosts0";

/// A user whose sessions last four seconds.
pub(crate) const SHORT_USER: &str = "short";

/// A user who may use ten thousand bytes.
pub(crate) const FRUGAL_USER: &str = "frugal";

/// Every user's password.
pub(crate) const SECRET: &str = "correct horse";

/// A running server. Killed when dropped, with its workers.
pub(crate) struct Lab {
    directory: TempDir,
    process: Child,
}

/// Runs `test` in a network namespace that has a wire.
pub(crate) fn with_wire<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    netns::run_in_new(|| {
        add_veth(ACCESS, HOSTS);
        let mut netlink = Netlink::open().unwrap();
        let names = [ACCESS, HOSTS].map(|name| name.parse::<IfName>().unwrap());
        for name in &names {
            let id = netlink.interface(name).unwrap().id;
            netlink.link_up(&id).unwrap();
        }
        // The kernel notices a carrier late, and drops until then.
        until("the carrier", || names.iter().all(|name| netlink.interface(name).unwrap().running));
        test()
    })
    .unwrap()
}

impl Lab {
    /// Starts a server for two sessions, in the namespace of the caller, and waits until it listens.
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, &[])
    }

    /// As [`Lab::start`], with more in the environment.
    pub(crate) fn start_with(flags: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::begin(directory(), flags, environment)
    }

    /// As [`Lab::start`], with files that were made before.
    pub(crate) fn start_in(directory: TempDir, flags: &[&str]) -> Self {
        Self::begin(directory, flags, &[])
    }

    /// As [`Lab::start_in`], as the first process of a PID namespace; [`Lab::pid`] is its parent's.
    pub(crate) fn start_in_container(directory: TempDir, flags: &[&str]) -> Self {
        let container = "unshare --pid --fork --kill-child --mount-proc";
        Self::begin(directory, flags, &[("UNDER", container)])
    }

    fn begin(directory: TempDir, flags: &[&str], environment: &[(&str, &str)]) -> Self {
        let stderr = log_file(&directory);
        Self::start_logging_to(directory, flags, environment, stderr)
    }

    /// As [`Lab::start_in`], with another standard error. `{lab}` in a flag is the directory.
    pub(crate) fn start_logging_to(
        directory: TempDir,
        flags: &[&str],
        environment: &[(&str, &str)],
        stderr: Stdio,
    ) -> Self {
        let process = spawn(&directory, ACCESS, flags, environment, stderr);
        let mut lab = Self { process, directory };
        lab.wait_ready(1);
        lab
    }

    /// Starts a server again, after the last one has ended, with the same files.
    pub(crate) fn restart(&mut self, flags: &[&str]) {
        self.restart_on(ACCESS, flags);
    }

    /// As [`Lab::restart`], to serve this interface.
    pub(crate) fn restart_on(&mut self, interface: &str, flags: &[&str]) {
        self.restart_with(interface, flags, &[]);
    }

    /// As [`Lab::restart`], by a program that executes what its arguments say.
    pub(crate) fn restart_under(&mut self, program: &str, flags: &[&str]) {
        self.restart_with(ACCESS, flags, &[("UNDER", program)]);
    }

    fn restart_with(&mut self, interface: &str, flags: &[&str], environment: &[(&str, &str)]) {
        let before = self.log().matches(" ready ").count();
        self.process = spawn(&self.directory, interface, flags, environment, log_file(&self.directory));
        self.wait_ready(before + 1);
    }

    /// Starts a server again that does not want to; what it says.
    pub(crate) fn refused_start(&mut self, flags: &[&str]) -> String {
        let before = self.log().len();
        self.process = spawn(&self.directory, ACCESS, flags, &[], log_file(&self.directory));
        assert!(!self.wait_gone().success());
        self.log().split_off(before)
    }

    fn wait_ready(&mut self, count: usize) {
        until("the server to listen", || {
            let exited = self.process.try_wait().unwrap();
            assert!(exited.is_none(), "it exited: {}", self.log());
            self.log().matches(" ready ").count() >= count
        });
    }

    /// Waits until the server, which was told to, has ended.
    pub(crate) fn wait_gone(&mut self) -> ExitStatus {
        let mut status = None;
        until("the server to exit", || {
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.process.id().try_into().unwrap())
    }

    /// Everything that the server wrote to standard error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.path("log")).unwrap_or_default()).into_owned()
    }

    /// Waits for a line of the log that has all of these.
    pub(crate) fn logged(&self, parts: &[&str]) -> String {
        let find = || {
            let log = self.log();
            log.lines().find(|line| parts.iter().all(|part| line.contains(part))).map(str::to_owned)
        };
        until_some(&format!("{parts:?} in the log"), find)
            .unwrap_or_else(|why| panic!("{why}:\n{}", self.log()))
    }

    pub(crate) fn console(&self) -> Console {
        Console::connect(&self.path("run/control.sock"))
    }

    /// Waits until the session is in this phase.
    pub(crate) fn in_phase(&self, session_id: u16, phase: Phase) {
        let reached = || {
            let sessions = self.console().sessions();
            sessions.iter().any(|session| session.id == session_id && session.state == phase)
        };
        until(&format!("session {session_id} to be in {phase:?}"), reached);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Kills the server.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Lets every user reach the files.
    pub(crate) fn let_all_pass(&self) {
        fs::set_permissions(self.directory.path(), Permissions::from_mode(0o755)).unwrap();
    }

    /// Ends the server politely, while these hosts answer: it must leave nothing behind.
    pub(crate) fn stop_with(self, subscribers: &mut [&mut Subscriber]) {
        self.signal(Signal::SIGTERM);
        self.wait_stopped_while(|| subscribers.iter_mut().for_each(|subscriber| subscriber.drive()));
    }

    /// Waits for a server that was told to stop.
    pub(crate) fn wait_stopped(self) {
        self.wait_stopped_while(|| {});
    }

    /// As [`Lab::wait_stopped`], doing `work` meanwhile.
    pub(crate) fn wait_stopped_while(mut self, mut work: impl FnMut()) {
        let mut status = None;
        until("the server to exit", || {
            work();
            status = self.process.try_wait().unwrap();
            status.is_some()
        });
        assert!(status.unwrap().success(), "{}", self.log());
        let left = |directory: &str| -> Vec<_> {
            let entries = fs::read_dir(self.path(directory)).unwrap().map(|entry| entry.unwrap().file_name());
            entries.filter(|name| name != "empty").collect()
        };
        assert_eq!((left("run"), left("run/empty")), (vec![], vec![]), "left behind");
        assert_eq!(ppp_interfaces(), Vec::<String>::new());
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Workers end when their server is gone.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = forget(&self.path("run"));
        if thread::panicking() {
            eprintln!("--- log of the server:\n{}---", self.log());
        }
    }
}

/// A directory with the files that a server needs.
pub(crate) fn directory() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let secrets = format!(
        "* * \"{SECRET}\" *\n{SHORT_USER} * \"{SECRET}\" * -- maxconnect 4\n\
         {FRUGAL_USER} * \"{SECRET}\" * -- maxoctets 10000\n"
    );
    let options = "require-chap\nlcp-restart 1\nlcp-max-terminate 1\nnoipv6\n";
    for (name, content) in [("secrets", secrets.as_str()), ("options", options), ("empty", "")] {
        fs::write(path(name), content).unwrap();
        fs::set_permissions(path(name), Permissions::from_mode(0o600)).unwrap();
    }
    symlink(env::current_exe().unwrap(), path(super::worker::NAME)).unwrap();
    directory
}

fn log_file(directory: &TempDir) -> Stdio {
    fs::File::options().create(true).append(true).open(directory.path().join("log")).unwrap().into()
}

fn spawn(
    directory: &TempDir,
    interface: &str,
    flags: &[&str],
    environment: &[(&str, &str)],
    stderr: Stdio,
) -> Child {
    let path = |name: &str| directory.path().join(name);
    // With so few descriptors that it has to see to more, as under a system's default limits with more sessions.
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        "ulimit -S -n 100; ulimit -S -c \"$(ulimit -H -c)\"; exec $UNDER \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_pppoed"),
    ]);
    command.args(["-F", "-I", interface, "-L", "10.0.0.1", "-R", "10.0.0.2", "-N", "2"]);
    // Unless a test is about that, workers do not outlive it.
    command.args(["--worker-user", "nobody", "--setup-deadline", "5", "--orphan-timeout", "0"]);
    for (flag, file) in [
        ("-O", "options"),
        ("--common-options", "empty"),
        ("--chap-secrets", "secrets"),
        ("--run-dir", "run"),
        ("--worker", super::worker::NAME),
        // The usual ones are the machine's.
        ("--hook-store", "hooks.store"),
        ("--console-file", "console.toml"),
    ] {
        command.arg(flag).arg(path(file));
    }
    // Most tests name sessions by ids that they know.
    if !flags.iter().any(|flag| ["-o", "-r", "-u"].contains(flag)) {
        command.args(["-o", "0"]);
    }
    let lab = directory.path().to_str().unwrap();
    command
        .args(flags.iter().map(|flag| flag.replace("{lab}", lab)))
        .env_remove("JOURNAL_STREAM")
        .envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// The sessions' interfaces in the namespace of the caller.
pub(crate) fn ppp_interfaces() -> Vec<String> {
    let interfaces = Netlink::open().unwrap().interfaces().unwrap();
    let names = interfaces.iter().map(|interface| interface.id.name.to_string());
    names.filter(|name| name.starts_with("ppp")).collect()
}

/// The children of a process: of all its threads (proc_tid_children(5)), as any of them may have started one.
pub(crate) fn children(pid: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = threads.map(|thread| fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    let pids =
        |list: String| list.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>();
    lists.flat_map(pids).map(Pid::from_raw).collect()
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    if let Err(why) = until_some(what, || condition().then_some(())) {
        panic!("{why}");
    }
}

/// Waits for a value.
pub(crate) fn until_some<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> Result<T, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe() {
            return Ok(value);
        }
        if Instant::now() > deadline {
            return Err(format!("waited in vain for {what}"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a pair of interfaces.
pub(crate) fn add_veth(name: &str, peer: &str) {
    let mut far = LinkMessage::default();
    far.attributes.push(LinkAttribute::IfName(peer.to_owned()));
    let mut near = LinkMessage::default();
    near.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far)))];
    near.attributes.push(LinkAttribute::LinkInfo(info));

    change(RouteNetlinkMessage::NewLink(near));
}

fn change(message: RouteNetlinkMessage) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
    socket.bind_auto().unwrap();
    socket.connect(&SocketAddr::new(0, 0)).unwrap();
    socket.send(&bytes, 0).unwrap();
    let (answer, _) = socket.recv_from_full().unwrap();
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(&answer).unwrap().payload {
        NetlinkPayload::Error(error) if error.code.is_none() => {}
        other => panic!("the kernel refused: {other:?}"),
    }
}
