//! The template and its worker: enter the sandbox, and attempt one thing.

use std::error::Error;
use std::ffi::{c_long, c_void};
use std::fs::File;
use std::hint::black_box;
use std::io::{IoSlice, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{ptr, thread};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::unistd::{Uid, setuid};
use ppp_linux::counters::WorkerCounters;
use ppp_linux::packet::{FrameBatch, SessionSocket};
use ppp_linux::records::RecordSocket;
use ppp_linux::sandbox::{self, Entered, Protections, SandboxConfig, SandboxError};
use ppp_linux::tun::{Tun, VNET_HEADER_LEN};
use ppp_linux::{spawn, template};

use super::setup::{ABSTRACT_NAME, BORN_WITH, Decoded, NETNS_FD, SOCKET_FD, SOCKET_NAME};

/// Prefix of what the template attempts itself.
pub(crate) const IN_TEMPLATE: &str = "in the template: ";

/// Descriptors to misuse.
struct Targets {
    control: RawFd,
    packet: RawFd,
    tun: RawFd,
}

impl Targets {
    fn of(worker: &Worker) -> Self {
        Self {
            control: worker.control.as_raw_fd(),
            packet: worker.packet.as_fd().as_raw_fd(),
            tun: worker.tun.as_fd().as_raw_fd(),
        }
    }
}

struct Worker {
    control: UnixStream,
    packet: SessionSocket,
    tun: Tun,
    counters: WorkerCounters,
    counters_file: OwnedFd,
}

pub(crate) fn run(parameters: &Decoded, attempt: &str) -> ExitCode {
    let [socket, netns] = spawn::take_inherited([SOCKET_FD, NETNS_FD]).unwrap();
    assert!(spawn::take_inherited([SOCKET_FD]).is_err(), "descriptors have one owner");
    spawn::set_process_name("ppp-template").unwrap();
    let socket = RecordSocket::from(socket);
    let entered = match enter(parameters, &socket, netns) {
        Ok(entered) => entered,
        Err(error) => return refused(&error, |text| socket.write(text).unwrap()),
    };
    socket.write(b"entered").unwrap();
    if let Some(attempt) = attempt.strip_prefix(IN_TEMPLATE) {
        assert_eq!(socket.receive().unwrap().unwrap().bytes, b"go");
        let fd = socket.as_raw_fd();
        let outcome = forbidden(attempt, &Targets { control: fd, packet: fd, tun: fd });
        socket.write(format!("survived: {outcome}").as_bytes()).unwrap();
        return ExitCode::SUCCESS;
    }
    match template::serve::<BORN_WITH>(socket, |pid| pid.unwrap().to_string().into_bytes()).unwrap() {
        Some(birth) => work_inside(parameters, attempt, entered, birth.descriptors),
        None => ExitCode::SUCCESS,
    }
}

fn refused(error: &SandboxError, say: impl FnOnce(&[u8])) -> ExitCode {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    say(format!("refused: {error}: {cause}").as_bytes());
    ExitCode::from(2)
}

fn enter(parameters: &Decoded, socket: &RecordSocket, netns: OwnedFd) -> Result<Entered, SandboxError> {
    if parameters.leak {
        // Leaked on purpose, at a low and at a high number.
        std::mem::forget(File::open("/etc/passwd").unwrap());
        let high = nix::fcntl::FcntlArg::F_DUPFD(200);
        nix::fcntl::fcntl(socket.as_fd(), high).unwrap();
    }
    if parameters.second_thread {
        thread::spawn(|| thread::sleep(Duration::from_secs(60)));
    }
    if parameters.drop_root {
        setuid(Uid::from_raw(parameters.uid)).unwrap();
    }
    sandbox::enter(SandboxConfig {
        uid: parameters.uid,
        gid: parameters.gid,
        netns,
        root: Path::new(&parameters.root),
        address_space_limit: super::ADDRESS_SPACE,
        socket: socket.as_fd(),
        descriptors: BORN_WITH.try_into().unwrap(),
    })
}

/// The worker.
fn work_inside(
    parameters: &Decoded,
    attempt: &str,
    entered: Entered,
    descriptors: [OwnedFd; BORN_WITH],
) -> ExitCode {
    let [control, packet, tun, counters_file, stderr] = descriptors;
    spawn::set_process_name("ppp-worker").unwrap();
    let mut worker = Worker {
        control: control.into(),
        packet: SessionSocket::from_fd(packet).unwrap(),
        tun: Tun::from_fd(tun).unwrap(),
        counters: WorkerCounters::map(&counters_file).unwrap(),
        counters_file,
    };
    let kept =
        [worker.control.as_fd(), worker.packet.as_fd(), worker.tun.as_fd(), worker.counters_file.as_fd()];
    let mut keep = kept.to_vec();
    let outcome = if parameters.keep_directory {
        keep.push(stderr.as_fd());
        entered.finish(&keep)
    } else {
        spawn::replace_standard_error(stderr).unwrap();
        entered.finish(&keep)
    };
    match outcome {
        Ok(protections) => {
            writeln!(worker.control, "inside").unwrap();
            self::attempt(attempt, &mut worker, protections);
            writeln!(worker.control, "done").unwrap();
            ExitCode::SUCCESS
        }
        Err(error) => refused(&error, |text| worker.control.write_all(text).unwrap()),
    }
}

fn attempt(attempt: &str, worker: &mut Worker, protections: Protections) {
    match attempt {
        "work" => work(worker),
        "wait" => {
            writeln!(worker.control, "protections {}", protections.bits()).unwrap();
            assert_eq!(worker.control.read(&mut [0]).unwrap(), 0);
        }
        "count and wait" => {
            worker.counters.rx_packets.add(7);
            worker.counters.tx_bytes.set(u64::MAX);
            writeln!(worker.control, "counted").unwrap();
            assert_eq!(worker.control.read(&mut [0]).unwrap(), 0);
        }
        "come back" => {
            worker.counters.rx_packets.add(1);
            come_back(worker);
        }
        "log" => {
            worker.counters.rx_packets.add(1);
            assert!(std::io::stderr().write(b"something for the log").is_err());
        }
        "panic" => panic!("as it has to be possible"),
        "abort" => std::process::abort(),
        // SAFETY: none; that is the point.
        "crash" => unsafe { ptr::null_mut::<u8>().write_volatile(1) },
        "allocate too much" => drop(black_box(vec![1_u8; 256 << 20])),
        other => {
            let outcome = forbidden(other, &Targets::of(worker));
            let error = std::io::Error::last_os_error();
            writeln!(worker.control, "survived: {outcome}, {error}").unwrap();
        }
    }
}

/// All that a worker has to be able to do.
fn work(worker: &mut Worker) {
    // Wait.
    let before = Instant::now();
    {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds = [readable(worker.packet.as_fd()), readable(worker.tun.as_fd())];
        assert_eq!(poll(&mut fds, PollTimeout::from(20_u8)), Ok(0));
    }
    thread::sleep(Duration::from_millis(1));
    assert!(before.elapsed() >= Duration::from_millis(20));

    // Both devices, in all ways. The access interface is a loopback interface: what is sent comes back.
    let mut frame = vec![0; 60];
    frame[12..18].copy_from_slice(&[0x88, 0x64, 0x11, 0, 0, 1]);
    let mut batch = FrameBatch::new(4, 1514).unwrap();
    for _ in 0..3 {
        worker.packet.send(&frame).unwrap();
    }
    assert_eq!(worker.packet.recv(&mut [0; 1514]).unwrap(), 60);
    assert_eq!(worker.packet.recv_batch(&mut batch).unwrap(), 2);
    assert_eq!(worker.packet.take_statistics().unwrap().received, 3);
    assert!(worker.tun.recv(&mut [0; 1514]).is_err());
    let mut packet = [0; 20];
    packet[0] = 0x45;
    worker.tun.send(&packet).unwrap();
    worker.tun.write(&[IoSlice::new(&[0; VNET_HEADER_LEN]), IoSlice::new(&packet)]).unwrap();
    assert!(worker.tun.read(&mut [0; 1514]).is_err());
    batch.give_back();
    worker.counters.rx_packets.add(1);
    assert!(ppp_linux::counters::monotonic_millis() > 0);

    // Allocate, little and much, grow and give back; random numbers.
    for _ in 0..100 {
        let mut map = std::collections::HashMap::new();
        let mut vector = Vec::new();
        for number in 0..1000_u32 {
            map.insert(number, number.to_string());
            vector.extend([number; 1000]);
        }
        black_box((map, vector));
    }
    // A panic that is caught, as the first use of the unwinder does things that later ones do not.
    std::panic::catch_unwind(|| panic!("that is caught")).unwrap_err();
    eprintln!("a line for the log");
}

/// Looks for a supervisor; the socket to the old one is still open, which leaves two numbers free: one for this, and one
/// for a packet socket that it may be handed.
fn come_back(worker: &Worker) {
    let abstract_name = UnixAddr::new_abstract(ABSTRACT_NAME).unwrap();
    let address = UnixAddr::new(&Path::new("/").join(SOCKET_NAME)).unwrap();
    assert!(connect(worker.packet.as_fd().as_raw_fd(), &address).is_err());
    let new_socket = || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        socket(AddressFamily::Unix, SockType::Stream, flags, None)
    };
    let connection = loop {
        let one = new_socket().unwrap();
        let spare = new_socket().unwrap();
        assert!(new_socket().is_err(), "there is a third free number");
        drop(spare);
        assert!(connect(one.as_raw_fd(), &abstract_name).is_err(), "it is in the test's network namespace");
        match connect(one.as_raw_fd(), &address) {
            Ok(()) => break one,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut connection = UnixStream::from(connection);
    poll(&mut [PollFd::new(connection.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
    connection.write_all(b"back").unwrap();
}

/// Attempts one thing that has to kill the process.
fn forbidden(attempt: &str, on: &Targets) -> c_long {
    const NAME: *const libc::c_char = c"/dev/null".as_ptr();
    const ARGUMENTS: [*const libc::c_char; 2] = [NAME, ptr::null()];
    let Targets { control, packet, tun } = *on;
    let null: *mut c_void = ptr::null_mut();
    let init = 1;
    // SAFETY: the calls are given valid or null pointers; none is expected to return.
    unsafe {
        match attempt {
            "open a file" => libc::open(NAME, libc::O_RDONLY).into(),
            "read /proc" => libc::open(c"/proc/self/status".as_ptr(), libc::O_RDONLY).into(),
            "make an IPv4 socket" => libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0).into(),
            "make a packet socket" => libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).into(),
            "make a netlink socket" => libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, 0).into(),
            "make a Unix socket" => libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).into(),
            "send through another interface" => {
                let mut address: libc::sockaddr_ll = std::mem::zeroed();
                address.sll_family = libc::AF_PACKET.try_into().unwrap();
                address.sll_ifindex = 1;
                let length = size_of::<libc::sockaddr_ll>().try_into().unwrap();
                let frame = [0_u8; 60];
                let (frame, size) = (frame.as_ptr().cast(), frame.len());
                i64::from(libc::sendto(packet, frame, size, 0, (&raw const address).cast(), length) > 0)
            }
            "send a message" => {
                let message: libc::msghdr = std::mem::zeroed();
                i64::from(libc::sendmsg(control, &raw const message, 0) >= 0)
            }
            "bind" => libc::bind(packet, null.cast(), 0).into(),
            "execute a program" => libc::execve(NAME, ARGUMENTS.as_ptr(), [ptr::null()].as_ptr()).into(),
            "start a thread" => thread::spawn(|| 1).join().unwrap(),
            "fork" => libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0),
            "trace" => libc::ptrace(libc::PTRACE_ATTACH, init, 0, 0),
            "be traced" => libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0),
            "read another process's memory" => {
                libc::process_vm_readv(init, ptr::null(), 0, ptr::null(), 0, 0).try_into().unwrap_or(0)
            }
            "signal another process" => libc::kill(init, 0).into(),
            "signal a thread of another process" => libc::syscall(libc::SYS_tgkill, init, init, 0),
            "become root" => libc::setuid(0).into(),
            "change the group" => libc::setgid(0).into(),
            "raise a limit" => {
                let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
                libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit).into()
            }
            "become dumpable" => libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0).into(),
            "mount" => libc::mount(NAME, NAME, NAME, 0, null).into(),
            "leave the root directory" => libc::chroot(c"..".as_ptr()).into(),
            "change the namespace" => libc::unshare(libc::CLONE_NEWUSER).into(),
            "duplicate a descriptor" => libc::dup(control).into(),
            "make a memory file" => libc::memfd_create(NAME, 0).into(),
            "map executable memory" => {
                let protection = libc::PROT_READ | libc::PROT_EXEC;
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                i64::from(libc::mmap(null, 4096, protection, flags, -1, 0) != libc::MAP_FAILED)
            }
            "map a file" => {
                let address = libc::mmap(null, 4096, libc::PROT_READ, libc::MAP_SHARED, control, 0);
                i64::from(address != libc::MAP_FAILED)
            }
            "make memory executable" => libc::mprotect(null, 4096, libc::PROT_READ | libc::PROT_EXEC).into(),
            "control a device" => libc::ioctl(tun, libc::TUNSETPERSIST, 1).into(),
            "set a socket option" => {
                libc::setsockopt(control, libc::SOL_SOCKET, libc::SO_PASSCRED, null, 0).into()
            }
            "load a BPF program" => libc::syscall(libc::SYS_bpf, 0, 0, 0),
            "make an io_uring" => libc::syscall(libc::SYS_io_uring_setup, 1, 0),
            "handle page faults" => libc::syscall(libc::SYS_userfaultfd, 0),
            "open a performance counter" => libc::syscall(libc::SYS_perf_event_open, null, 0, -1, -1, 0),
            "use the keyring" => libc::syscall(libc::SYS_keyctl, 0, 0, 0, 0, 0),
            "take another process's descriptor" => libc::syscall(libc::SYS_pidfd_getfd, control, 0, 0),
            "send many messages" => libc::syscall(libc::SYS_sendmmsg, packet, null, 0, 0),
            "splice" => libc::syscall(libc::SYS_splice, control, null, packet, null, 64, 0),
            "fork by another call" => libc::syscall(libc::SYS_clone3, null, 0),
            "write another process's memory" => {
                libc::process_vm_writev(init, ptr::null(), 0, ptr::null(), 0, 0).try_into().unwrap_or(0)
            }
            "requeue a futex" => libc::syscall(libc::SYS_futex, 0, libc::FUTEX_REQUEUE, 0, 0, 0, 0),
            // The number of getpid(2), which is allowed, in the x32 variant of x86_64's table.
            #[cfg(target_arch = "x86_64")]
            "use another system call interface" => libc::syscall(libc::SYS_getpid | 0x4000_0000),
            // The other architecture has no such variant; any number that is not allowed will do.
            #[cfg(not(target_arch = "x86_64"))]
            "use another system call interface" => libc::syscall(0xffff),
            other => panic!("no such attempt: {other}"),
        }
    }
}
