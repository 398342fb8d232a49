//! A worker that its peer has taken over: started exactly as the real one (by `pppoed`, through the template, with the same
//! descriptors and the same sandbox), it then tries one thing. Each attempt has to fail, and a table says what stopped it.
//! What takes raw system calls is tried in `ppp-linux` (`tests/sandbox`).

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::process::exit;
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::ptrace;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::kill;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, bind, sendmsg, sendto, setsockopt, socket, sockopt,
};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, writev};
use nix::unistd::{Pid, Uid, chroot, execv, setuid, write};
use ppp_ipc::reason::EndReason;
use ppp_ipc::worker::{Ended, FromWorker, Start};
use ppp_linux::netlink::Netlink;
use ppp_linux::packet::SessionSocket;
use ppp_linux::pidfd::PidFd;
use ppp_linux::spawn::replace_standard_error;
use ppp_linux::tun::Tun;
use ppp_wire::MacAddr;
use ppp_wire::ethernet::{EtherType, EthernetHeader, MIN_FRAME_LEN};
use ppp_wire::pppoe::emit_session_header;
use ppp_worker::Newborn;

use super::devices::count;
use super::lab::{Lab, with_wire};
use super::peer::{Host, Subscriber};
use super::worker::{Pipe, attacker_mac, good_mac, sleep_for_ever};

/// What a worker has to attack with.
struct Arms {
    pipe: Pipe,
    packet: SessionSocket,
    tun: Tun,
    start: Start,
}

/// What has to stop an attempt.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// The list of system calls.
    SystemCalls,
    /// The kernel's program at its device, which counts it under this name. Whoever tries it learns nothing.
    Counted(&'static str),
    /// The limit of the address space.
    Memory,
    /// A worker that is not lost has no business on the workers' socket.
    Caller,
    /// There is nothing to be found: an error of this name.
    Nothing(&'static str),
}

impl Stop {
    /// What the log says of the end.
    fn detail(self) -> String {
        match self {
            Self::SystemCalls => "killed by signal 31 (SIGSYS)".to_owned(),
            Self::Counted(_) => TRIED.to_owned(),
            Self::Memory => "killed by signal 6 (SIGABRT)".to_owned(),
            Self::Caller => "unexpected connection of a worker to the worker socket".to_owned(),
            Self::Nothing(error) => format!("stopped: {error}"),
        }
    }

    fn name(self) -> String {
        match self {
            Self::SystemCalls => "system call filter (SIGSYS)".to_owned(),
            Self::Counted(cause) => format!("dropped by the device's program ({cause})"),
            Self::Memory => "limit of the address space (SIGABRT)".to_owned(),
            Self::Caller => "it is not lost, so its session ends".to_owned(),
            Self::Nothing(error) => error.to_owned(),
        }
    }
}

/// An attempt; `Ok` when it succeeded.
type Attempt = fn(&Arms) -> io::Result<()>;

use Stop::{Caller, Counted, Memory, Nothing, SystemCalls};

/// A process that is not the worker's. Every namespace of processes has it.
const INIT: i32 = 1;

const ATTACKS: &[(&str, Stop, Attempt)] = &[
    ("open a file", SystemCalls, |_| File::open("/etc/passwd").map(drop)),
    ("read the secrets", SystemCalls, |_| fs::read("/etc/ppp/chap-secrets").map(drop)),
    ("list the processes", SystemCalls, |_| fs::read_dir("/proc").map(drop)),
    ("make a file", SystemCalls, |_| File::create("/here").map(drop)),
    ("make a memory file", SystemCalls, |_| done(memfd_create(c"x", MFdFlags::empty()))),
    ("make an inet socket", SystemCalls, |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("connect by TCP", SystemCalls, |_| TcpStream::connect("127.0.0.1:80").map(drop)),
    ("make a packet socket", SystemCalls, |_| {
        done(socket(AddressFamily::Packet, SockType::Raw, SockFlag::empty(), None))
    }),
    ("make a netlink socket", SystemCalls, |_| Netlink::open().map(drop).map_err(io::Error::other)),
    ("make a pair of sockets", SystemCalls, |_| UnixStream::pair().map(drop)),
    ("connect to the console's socket", Nothing("ENOENT"), |_| connect("/control.sock")),
    ("leave the root by ..", Nothing("ENOENT"), |_| connect("/../../run/pppoed/control.sock")),
    ("call pppoed though it is not lost", Caller, |_| connect("/supervisor.sock")),
    ("call pppoed as often as it can", Caller, |_| {
        loop {
            // With more than the kernel takes into such a socket, and nobody reads it.
            let _ = call_with(&[7; 300_000]);
        }
    }),
    ("execute a program", SystemCalls, |_| done(execv(c"/bin/sh", &[c"sh"]))),
    ("start a thread", SystemCalls, |_| thread::Builder::new().spawn(|| ()).map(drop)),
    ("trace a process", SystemCalls, |_| Ok(ptrace::attach(Pid::from_raw(INIT))?)),
    ("signal a process", SystemCalls, |_| Ok(kill(Pid::from_raw(INIT), None)?)),
    ("signal its group", SystemCalls, |_| Ok(kill(Pid::from_raw(0), None)?)),
    ("read a process's memory", SystemCalls, |_| {
        let mut buffer = [0; 8];
        let remote = [RemoteIoVec { base: 0x1000, len: 8 }];
        done(process_vm_readv(Pid::from_raw(INIT), &mut [IoSliceMut::new(&mut buffer)], &remote))
    }),
    ("hold a process by a pidfd", SystemCalls, |_| PidFd::open(1).map(drop)),
    ("duplicate a descriptor", SystemCalls, |arms| arms.packet.as_fd().try_clone_to_owned().map(drop)),
    ("raise a limit", SystemCalls, |_| Ok(setrlimit(Resource::RLIMIT_NPROC, 9, 9)?)),
    ("become root", SystemCalls, |_| Ok(setuid(Uid::from_raw(0))?)),
    ("change the root directory", SystemCalls, |_| Ok(chroot("..")?)),
    ("mount", SystemCalls, |_| Ok(mount(None::<&str>, "/", Some("tmpfs"), MsFlags::empty(), None::<&str>)?)),
    ("make a user namespace", SystemCalls, |_| Ok(unshare(CloneFlags::CLONE_NEWUSER)?)),
    ("enter a namespace", SystemCalls, |arms| Ok(setns(arms.packet.as_fd(), CloneFlags::empty())?)),
    ("make another TUN", SystemCalls, |_| {
        Tun::create(&"evil0".parse().unwrap()).map(drop).map_err(io::Error::other)
    }),
    ("control its TUN", SystemCalls, |arms| arms.tun.offer().map(drop).map_err(io::Error::other)),
    ("take the mark off its packet socket", SystemCalls, |arms| arms.packet.set_mark(0)),
    ("take room for more frames", SystemCalls, |arms| arms.packet.set_receive_buffer(1 << 30)),
    ("bind to another device", SystemCalls, |arms| {
        Ok(setsockopt(&arms.packet, sockopt::BindToDevice, &"lo".into())?)
    }),
    ("bind its packet socket", SystemCalls, |arms| Ok(bind(arms.packet.as_fd().as_raw_fd(), &address())?)),
    ("send to an address", SystemCalls, |arms| {
        let frame = frame(arms, arms.start.session_id);
        done(sendto(arms.packet.as_fd().as_raw_fd(), &frame, &address(), MsgFlags::empty()))
    }),
    ("send by sendmsg", SystemCalls, |arms| {
        let frame = frame(arms, arms.start.session_id);
        let (fd, vector) = (arms.packet.as_fd().as_raw_fd(), [IoSlice::new(&frame)]);
        done(sendmsg::<()>(fd, &vector, &[], MsgFlags::empty(), None))
    }),
    ("send another session's frame", Counted("worker_kind"), |arms| {
        let _ = arms.packet.send(&frame(arms, arms.start.session_id + 1));
        Ok(())
    }),
    ("write another session's frame", Counted("worker_kind"), |arms| {
        let _ = write(&arms.packet, &frame(arms, arms.start.session_id + 1));
        Ok(())
    }),
    ("writev another session's frame", Counted("worker_kind"), |arms| {
        let frame = frame(arms, arms.start.session_id + 1);
        let (start, end) = frame.split_at(9);
        let _ = writev(&arms.packet, &[IoSlice::new(start), IoSlice::new(end)]);
        Ok(())
    }),
    ("send ARP", Counted("worker_kind"), |arms| {
        let _ = arms.packet.send(&[0, 1, 8, 0, 6, 4, 0, 1]);
        Ok(())
    }),
    ("send data before its session is open", Counted("data_before_open"), |arms| {
        let _ = arms.packet.send(&[0x45; 28]);
        Ok(())
    }),
    ("hand over data before its session is open", Counted("data_before_open"), |arms| {
        arms.tun.send(&[0x45; 28])
    }),
    ("flood its line with packets of control", Counted("worker_flood"), |arms| {
        (0..2000).for_each(|_| drop(arms.packet.send(&[0xc0, 0x21, 9, 1])));
        Ok(())
    }),
    // Two bytes that the kernel writes behind all its checks, over an address for instance.
    ("have a checksum written elsewhere (IPv4)", Counted("worker_checksum_request"), |arms| {
        arms.tun.write(&[IoSlice::new(&asks(24, 2)), IoSlice::new(&[0x45; 60])])
    }),
    ("have a checksum written elsewhere (IPv6)", Counted("worker_checksum_request"), |arms| {
        arms.tun.write(&[IoSlice::new(&asks(40, 2)), IoSlice::new(&[0x60; 60])])
    }),
    ("have a packet cut into thousands", Counted("worker_segments"), |arms| {
        let mut packet = vec![0x45; 40_000];
        packet[9] = 6;
        let mut header = asks(20, 16);
        (header[1], header[2], header[4]) = (1, 40, 8);
        arms.tun.write(&[IoSlice::new(&header), IoSlice::new(&packet)])
    }),
    ("take all memory", Memory, |_| {
        black_box(vec![1_u8; 1 << 30]);
        Ok(())
    }),
];

pub(crate) fn tests() -> Vec<super::Test> {
    vec![("a worker that its peer has taken over".to_owned(), Box::new(|| with_wire(taken_over)))]
}

/// What a worker says that has tried something that the kernel drops without a word.
const TRIED: &str = "tried it";

/// A virtio header (linux/virtio_net.h) that asks for a checksum.
fn asks(start: u16, offset: u16) -> [u8; 10] {
    let [a, b] = start.to_ne_bytes();
    let [c, d] = offset.to_ne_bytes();
    [1, 0, 0, 0, 0, 0, a, b, c, d]
}

fn done<T>(outcome: nix::Result<T>) -> io::Result<()> {
    outcome.map(drop).map_err(Into::into)
}

fn connect(path: &str) -> io::Result<()> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    Ok(nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?)
}

/// Leaves a connection with as much as the kernel takes.
fn call_with(words: &[u8]) -> io::Result<()> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(socket.as_raw_fd(), &UnixAddr::new("/supervisor.sock")?)?;
    done(write(&socket, words))
}

fn address() -> UnixAddr {
    UnixAddr::new("/anywhere").unwrap()
}

/// A frame of the attacker's own, but for the session id.
fn frame(arms: &Arms, session_id: u16) -> Vec<u8> {
    let Start { own_mac, peer_mac, session_ethertype, .. } = arms.start;
    let header = EthernetHeader {
        source: MacAddr(own_mac),
        destination: MacAddr(peer_mac),
        ether_type: EtherType::from(session_ethertype),
    };
    let mut frame = emit_session_header(&header, session_id, 10).to_vec();
    frame.resize(MIN_FRAME_LEN, 0);
    frame
}

/// Does what the real worker does, and then attacks.
pub(crate) fn attack(number: u8, start: Start, newborn: Newborn) -> ! {
    let Newborn { entered, control, packet, tun, counters, stderr } = newborn;
    replace_standard_error(stderr).unwrap();
    let packet = SessionSocket::from_fd(packet).unwrap();
    let tun = Tun::from_fd(tun).unwrap();
    let keep = [control.as_fd(), packet.as_fd(), tun.as_fd(), counters.as_fd()];
    assert!(entered.finish(&keep).unwrap().is_all());
    // The pipe is asked for nothing that needs a TUN.
    let mut pipe = Pipe::without_tun(control);
    pipe.ready();
    let mut arms = Arms { pipe, packet, tun, start };
    let (_, stop, attempt) = ATTACKS[usize::from(number)];
    let outcome = attempt(&arms);
    if matches!((stop, &outcome), (Caller, Ok(()))) {
        // The call was heard; now the server has to notice.
        sleep_for_ever();
    }
    let detail = match outcome {
        Ok(()) if matches!(stop, Counted(_)) => TRIED.to_owned(),
        Ok(()) => "THE ATTEMPT SUCCEEDED".to_owned(),
        Err(error) => {
            let errno = error.raw_os_error().map(nix::errno::Errno::from_raw);
            format!("stopped: {}", errno.map_or_else(|| error.to_string(), |errno| format!("{errno:?}")))
        }
    };
    arms.pipe
        .send(&FromWorker::Ended(Ended { reason: EndReason::PeerTerminated, detail: detail.into_bytes() }));
    exit(0)
}

fn taken_over() {
    let lab = Lab::start(&[]);
    let mut bystander = Subscriber::open(good_mac(1));
    let mut table = String::new();
    let mut failed = Vec::new();
    for (number, (what, stop, _)) in ATTACKS.iter().enumerate() {
        let mac = attacker_mac(u8::try_from(number).unwrap());
        let count = || match stop {
            Counted(cause) => count(&lab, cause),
            _ => 0,
        };
        let before = count();
        let mut host = Host::dial(mac);
        // The PADS comes after the whole sandbox, and the attempt right behind.
        host.connected();
        host.terminated();
        let line = lab.logged(&["session ended", &format!("peer_mac={mac}")]);
        let is_counted = !matches!(stop, Counted(_)) || count() > before;
        let is_stopped = line.contains(&stop.detail()) && is_counted;
        let verdict = if is_stopped { stop.name() } else { format!("NOT AS EXPECTED: {line}") };
        table.push_str(&format!("    {what:36} {verdict}\n"));
        if !is_stopped {
            failed.push(*what);
        }
    }
    io::stdout().write_all(table.as_bytes()).unwrap();
    assert_eq!(failed, [""; 0]);
    bystander.assert_alive();
    lab.stop_with(&mut [&mut bystander]);
}
