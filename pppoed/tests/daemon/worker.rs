//! The program that `pppoed` starts: the real template, of bad workers and real ones.

use std::env;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitCode, exit};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use ppp_ipc::codec;
use ppp_ipc::frame::{FrameDecoder, HEADER_LEN};
use ppp_ipc::worker::{
    AuthMethod, FromWorker, LcpReport, Network, NetworkReport, Proof, Start, ToWorker, VERSION, Verdict,
};
use ppp_linux::sandbox::Protections;
use ppp_linux::spawn::replace_standard_error;
use ppp_linux::tun::Tun;
use ppp_proto::auth::chap::md5_response;
use ppp_wire::MacAddr;
use ppp_worker::Newborn;

use super::attacks;
use super::heartbeat;
use super::lab::SECRET;
use super::misbehaviour::CASES;
use super::returning;
use super::second_opinion;
use super::spoofing;

/// Name of this program as a worker.
pub(crate) const NAME: &str = "bad-worker";

/// Status with which a bad worker exits of its own will.
pub(crate) const EXIT_STATUS: i32 = 7;

/// The peer whose worker misbehaves in the way of this number.
pub(crate) fn bad_mac(number: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0xba, u8::try_from(number).unwrap()])
}

/// The peer whose worker deals with heart-beats in the way of this number.
pub(crate) fn beat_mac(number: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0xbe, u8::try_from(number).unwrap()])
}

/// The peer whose worker hands over packets of others.
pub(crate) fn spoofer_mac() -> MacAddr {
    MacAddr([2, 0, 0, 0, 0x59, 0])
}

/// The peer whose worker attacks in the way of this number.
pub(crate) fn attacker_mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0xa7, number])
}

/// The peer whose worker lies about what it carries.
pub(crate) fn liar_mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0x11, number])
}

/// The peer whose worker comes back to the next server in the way of this number.
pub(crate) fn returning_mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0xcb, number])
}

/// A peer whose worker is the real one.
pub(crate) fn good_mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0x60, number])
}

pub(crate) fn was_started_as_worker() -> bool {
    env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(NAME.as_ref()))
}

/// Plays the template, and in each worker the one that the peer's address asks for.
pub(crate) fn run() -> ExitCode {
    ppp_worker::template::run(|newborn| {
        let start = peek(&newborn.control);
        let case = match start.peer_mac {
            [2, 0, 0, 0, 0xa7, number] => attacks::attack(number, start, newborn),
            [2, 0, 0, 0, 0x59, 0] => {
                let Newborn { control, tun, .. } = newborn;
                spoofing::spoof(&start, Pipe::new(control, Tun::from_fd(tun).unwrap()))
            }
            [2, 0, 0, 0, 0x11, number] => {
                let Newborn { control, tun, .. } = newborn;
                second_opinion::lie(number, Pipe::new(control, Tun::from_fd(tun).unwrap()))
            }
            [2, 0, 0, 0, 0xcb, number] => {
                let Newborn { control, tun, .. } = newborn;
                returning::come_back(number, Pipe::new(control, Tun::from_fd(tun).unwrap()))
            }
            [2, 0, 0, 0, 0xba, number] => CASES.get(usize::from(number)),
            [2, 0, 0, 0, 0xbe, number] => heartbeat::CASES.get(usize::from(number)),
            _ => None,
        };
        if let Some(case) = case {
            let Newborn { control, stderr, packet, tun, counters, .. } = newborn;
            replace_standard_error(stderr).unwrap();
            let others = [packet, counters];
            (case.behave)(Pipe::new(control, Tun::from_fd(tun).unwrap()));
            drop(others);
            exit(EXIT_STATUS);
        }
        newborn.run()
    })
}

/// The first message, which stays in the socket.
fn peek(control: &OwnedFd) -> Start {
    let mut buffer = [0; 4096];
    loop {
        wait_for_input(control.as_fd());
        let count = recv(control.as_raw_fd(), &mut buffer, MsgFlags::MSG_PEEK).unwrap();
        assert!(count > 0, "the server hung up");
        let mut decoder = FrameDecoder::new();
        decoder.push(&buffer[..count]);
        if let Some(body) = decoder.next_frame().unwrap() {
            let ToWorker::Start(start) = codec::decode(body).unwrap() else { panic!("no Start") };
            return *start;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn wait_for_input(fd: BorrowedFd<'_>) {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::NONE).unwrap();
}

/// A bad worker's end of its socket.
pub(crate) struct Pipe {
    stream: UnixStream,
    decoder: FrameDecoder,
    tun: Option<Tun>,
}

impl Pipe {
    fn new(socket: OwnedFd, tun: Tun) -> Self {
        Self { tun: Some(tun), ..Self::without_tun(socket) }
    }

    pub(crate) fn without_tun(socket: OwnedFd) -> Self {
        Self { stream: UnixStream::from(socket), decoder: FrameDecoder::new(), tun: None }
    }

    /// Sends a message; nobody may be there to take it.
    pub(crate) fn send(&mut self, message: &FromWorker) {
        self.send_bytes(&codec::encode(message).unwrap());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// A frame with this body.
    pub(crate) fn send_body(&mut self, body: &[u8]) {
        let mut frame = u32::try_from(body.len()).unwrap().to_le_bytes().to_vec();
        frame.extend_from_slice(body);
        self.send_bytes(&frame);
    }

    /// The next message. Ends the process when the server hung up.
    pub(crate) fn receive(&mut self) -> ToWorker {
        self.receive_unless_alone().unwrap_or_else(|| exit(EXIT_STATUS))
    }

    /// The next message; none when the server hung up.
    pub(crate) fn receive_unless_alone(&mut self) -> Option<ToWorker> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(body) = self.decoder.next_frame().unwrap() {
                return Some(codec::decode(body).unwrap());
            }
            wait_for_input(self.stream.as_fd());
            match self.stream.read(&mut buffer) {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.decoder.push(&buffer[..count]),
            }
        }
    }

    /// Takes the Start, says Ready as if in a sandbox, and waits until the peer has its PADS.
    pub(crate) fn ready(&mut self) {
        assert!(matches!(self.receive(), ToWorker::Start(_)));
        self.send(&ready());
        assert!(matches!(self.receive(), ToWorker::Open));
    }

    /// As [`Pipe::ready`], and says that LCP opened.
    pub(crate) fn establish(&mut self) {
        self.ready();
        self.send(&lcp_opened(Some(AuthMethod::ChapMd5)));
    }

    /// As [`Pipe::establish`], and asks for a challenge.
    pub(crate) fn challenge(&mut self) -> (u8, Vec<u8>) {
        self.establish();
        self.send(&FromWorker::ChallengeNeeded);
        match self.receive() {
            ToWorker::Challenge { identifier, value } => (identifier, value),
            other => panic!("no challenge: {other:?}"),
        }
    }

    /// As [`Pipe::challenge`], and gives a good proof.
    pub(crate) fn authenticate(&mut self) -> Network {
        self.authenticate_as("mallory")
    }

    fn authenticate_as(&mut self, user: &str) -> Network {
        let (identifier, value) = self.challenge();
        self.send(&proof_of(user.as_bytes(), identifier, &value));
        match self.receive() {
            ToWorker::Verdict(Verdict::Accept { network, .. }) => network,
            other => panic!("no good verdict: {other:?}"),
        }
    }

    /// As [`Pipe::authenticate`], and says that IPCP opened; waits for the leave to relay.
    pub(crate) fn open(&mut self) {
        self.open_as("mallory");
    }

    /// As [`Pipe::open`], for this user.
    pub(crate) fn open_as(&mut self, user: &str) {
        self.open_granted(user);
    }

    /// As [`Pipe::open_as`]; what it was granted.
    pub(crate) fn open_granted(&mut self, user: &str) -> Network {
        let network = self.authenticate_as(user);
        let Network { local, remote, .. } = network;
        self.send(&FromWorker::NetworkUp(NetworkReport { local, remote }));
        loop {
            match self.receive() {
                ToWorker::Relay(_) => return network,
                // They come before.
                ToWorker::SetRates(_) => {}
                other => panic!("no leave to relay: {other:?}"),
            }
        }
    }

    /// Hands the kernel a packet as if from the peer.
    pub(crate) fn relay(&mut self, packet: &[u8]) {
        self.tun.as_ref().unwrap().send(packet).unwrap();
    }

    /// Closes the socket.
    pub(crate) fn close(self) {}

    /// Stays, reads nothing and says nothing.
    pub(crate) fn stay(self) -> ! {
        let _open = self.stream;
        sleep_for_ever()
    }

    /// Stays until the server hangs up, whatever it says.
    pub(crate) fn wait_for_hang_up(&mut self) -> ! {
        loop {
            self.receive();
        }
    }
}

pub(crate) fn sleep_for_ever() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

pub(crate) fn ready() -> FromWorker {
    FromWorker::Ready { version: VERSION, protections: Protections::all().bits() }
}

pub(crate) fn lcp_opened(auth: Option<AuthMethod>) -> FromWorker {
    FromWorker::LcpOpened(LcpReport { mru: 1492, peer_mru: 1492, auth })
}

/// A right proof, of the user `mallory`.
pub(crate) fn proof(identifier: u8, challenge: &[u8]) -> FromWorker {
    proof_of(b"mallory", identifier, challenge)
}

/// A right proof.
pub(crate) fn proof_of(name: &[u8], identifier: u8, challenge: &[u8]) -> FromWorker {
    let response = md5_response(identifier, SECRET.as_bytes(), challenge).to_vec();
    FromWorker::Authenticate(Proof::Chap { identifier, response, name: name.to_vec() })
}

/// The body of a message, without its header.
pub(crate) fn body(message: &FromWorker) -> Vec<u8> {
    codec::encode(message).unwrap()[HEADER_LEN..].to_vec()
}
