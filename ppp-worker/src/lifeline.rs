//! The way to `pppoed`, and back to the next one when it is lost.
//!
//! A worker that was given a ticket goes on without `pppoed`: it tries again and again to connect to the socket in its
//! root directory, shows its ticket, and is taken over. One that has none, because its session has not been open yet,
//! is over.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use ppp_ipc::adoption::{Claim, SOCKET_NAME, Ticket, Welcome};
use ppp_ipc::worker::{FromWorker, ToWorker};

use crate::control::{Control, ControlError};

/// Time between the loss and the first attempt, and the next ones, at most: it is doubled each time.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// Time that a claim may wait for its answer. A `pppoed` that takes over thousands of sessions answers in two seconds.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(10);

/// The socket to `pppoed`, while there is one.
#[derive(Debug)]
pub(crate) struct Lifeline {
    state: State,
    ticket: Option<Ticket>,
    orphan_timeout: Duration,
    /// Where the next `pppoed` listens.
    path: PathBuf,
    /// The other end has hung up; what it said before is still to be heard.
    is_cut: bool,
    /// State of the random numbers that spread the attempts of thousands of workers.
    random: u64,
}

#[derive(Debug)]
enum State {
    /// `pppoed` is there.
    Attached(Control),
    /// It is not, since a time.
    Alone { since: Instant, attempt_at: Instant, delay: Duration },
    /// Somebody listens, and has been shown the ticket and how things stood then. What has happened since is said
    /// after the answer.
    Claiming {
        since: Instant,
        control: Control,
        answer_by: Instant,
        delay: Duration,
        since_then: Vec<FromWorker>,
    },
}

/// Changes that may happen while a claim waits for its answer. With more, it is better to make another claim.
const MAX_SINCE_THEN: usize = 32;

/// What came over it.
#[derive(Debug)]
pub(crate) enum News {
    /// A message of the `pppoed` that it is attached to.
    Message(ToWorker),
    /// `pppoed` is lost.
    Lost,
    /// The time has come for [`Lifeline::claim`], if the session can be shown.
    MayClaim,
    /// Another `pppoed` has taken over.
    Adopted {
        /// As in [`Welcome::Adopted`].
        farewell: bool,
    },
}

impl Lifeline {
    /// The next `pppoed` will listen in the directory `root`. `seed` must differ from worker to worker.
    pub(crate) fn new(control: Control, orphan_timeout: Duration, root: &Path, seed: u64) -> Self {
        let (state, path) = (State::Attached(control), root.join(SOCKET_NAME));
        Self { state, ticket: None, orphan_timeout, path, is_cut: false, random: seed }
    }

    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.state, State::Attached(_))
    }

    pub(crate) fn ticket(&self) -> Option<&Ticket> {
        self.ticket.as_ref()
    }

    pub(crate) fn keep(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
    }

    /// Sends a message. Without `pppoed` there is nobody to tell: the next one is told how things stand.
    ///
    /// # Errors
    /// When `pppoed` cannot be understood. That it is lost is found out by [`Lifeline::next`].
    pub(crate) fn send(&mut self, message: FromWorker) -> Result<(), ControlError> {
        match &mut self.state {
            State::Attached(control) => forgive_loss(control.send(&message)),
            State::Alone { .. } => Ok(()),
            State::Claiming { since_then, .. } => {
                // Questions are repeated anyway.
                let is_question =
                    matches!(message, FromWorker::ChallengeNeeded | FromWorker::Authenticate(_));
                if !is_question {
                    since_then.push(message);
                }
                Ok(())
            }
        }
    }

    /// Writes as much as the socket takes.
    ///
    /// # Errors
    /// As [`Lifeline::send`].
    pub(crate) fn flush(&mut self) -> Result<(), ControlError> {
        match &mut self.state {
            State::Attached(control) | State::Claiming { control, .. } => forgive_loss(control.flush()),
            State::Alone { .. } => Ok(()),
        }
    }

    /// Writes what is left, for as long as it may take at the end.
    pub(crate) fn flush_before_exit(&mut self) {
        if let State::Attached(control) = &mut self.state {
            control.flush_before_exit();
        }
    }

    /// The socket to wait for, and whether it is to be written to.
    pub(crate) fn socket(&self) -> Option<(BorrowedFd<'_>, bool)> {
        match &self.state {
            State::Attached(control) | State::Claiming { control, .. } => {
                Some((control.as_fd(), control.has_unsent()))
            }
            State::Alone { .. } => None,
        }
    }

    /// When [`Lifeline::next`] has something to do by itself.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Attached(_) => None,
            State::Alone { attempt_at, .. } => Some(*attempt_at),
            State::Claiming { answer_by, .. } => Some(*answer_by),
        }
    }

    /// When a session that is alone ends.
    pub(crate) fn orphan_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Attached(_) => None,
            State::Alone { since, .. } | State::Claiming { since, .. } => {
                since.checked_add(self.orphan_timeout)
            }
        }
    }

    /// Reads what is there; it is in [`Lifeline::next`].
    ///
    /// # Errors
    /// When `pppoed` cannot be understood.
    pub(crate) fn receive(&mut self) -> Result<(), ControlError> {
        match &mut self.state {
            State::Attached(control) => match control.receive() {
                Err(error) if error.is_loss() => self.is_cut = true,
                outcome => return outcome,
            },
            State::Claiming { control, .. } => self.is_cut = control.receive().is_err(),
            State::Alone { .. } => {}
        }
        Ok(())
    }

    /// The next news. To be called until there are none.
    ///
    /// # Errors
    /// When `pppoed` cannot be understood, or is lost and there is no ticket for another one.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Option<News>, ControlError> {
        match &mut self.state {
            State::Attached(control) => match control.next_message()? {
                Some(message) => Ok(Some(News::Message(message))),
                None if !self.is_cut => Ok(None),
                None if self.ticket.is_none() => Err(ControlError::Closed),
                None => {
                    // The old socket is closed by this: the process may have no more descriptors than it has.
                    self.state = State::Alone { since: now, attempt_at: now, delay: FIRST_DELAY };
                    self.try_again(now);
                    Ok(Some(News::Lost))
                }
            },
            State::Alone { attempt_at, .. } => Ok((*attempt_at <= now).then_some(News::MayClaim)),
            State::Claiming { control, answer_by, since_then, .. } => match control.welcome() {
                Ok(Some(Welcome::Adopted { farewell, .. })) => {
                    self.attach(now)?;
                    Ok(Some(News::Adopted { farewell }))
                }
                Ok(None) if *answer_by > now && !self.is_cut && since_then.len() <= MAX_SINCE_THEN => {
                    Ok(None)
                }
                // It has hung up, does not answer, or says what nobody understands.
                Ok(None) | Err(_) => {
                    self.try_again(now);
                    Ok(None)
                }
            },
        }
    }

    fn attach(&mut self, now: Instant) -> Result<(), ControlError> {
        let nobody = State::Alone { since: now, attempt_at: now, delay: FIRST_DELAY };
        if let State::Claiming { mut control, since_then, .. } = std::mem::replace(&mut self.state, nobody) {
            for message in since_then {
                forgive_loss(control.send(&message))?;
            }
            self.state = State::Attached(control);
        }
        Ok(())
    }

    /// Nobody listens, or whoever does has not taken the session over.
    fn try_again(&mut self, now: Instant) {
        let (since, delay) = match &self.state {
            State::Attached(_) => return,
            State::Alone { since, delay, .. } | State::Claiming { since, delay, .. } => (*since, *delay),
        };
        let wait = delay / 2 + (delay / 2).mul_f64(self.next_random());
        let delay = (delay * 2).min(LONGEST_DELAY);
        self.state = State::Alone { since, attempt_at: now + wait, delay };
        self.is_cut = false;
    }

    /// Connects and shows `claim`, or tries again later.
    pub(crate) fn claim(&mut self, claim: &Claim, now: Instant) {
        let State::Alone { since, delay, .. } = self.state else { return };
        let connected = connect_to(&self.path).map(Control::new).map_err(ControlError::from);
        let claimed = connected.and_then(|mut control| control.claim(claim).map(|()| control));
        match claimed {
            Ok(control) => {
                let (answer_by, since_then) = (now + CLAIM_TIMEOUT, Vec::new());
                self.state = State::Claiming { since, control, answer_by, delay, since_then };
            }
            Err(_) => self.try_again(now),
        }
    }

    /// A number from 0 to 1.
    fn next_random(&mut self) -> f64 {
        // splitmix64, of which the upper half is used.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let upper = u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0);
        f64::from(upper) / f64::from(u32::MAX)
    }
}

/// A socket that does not block.
fn connect_to(path: &Path) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket)
}

fn forgive_loss(outcome: Result<(), ControlError>) -> Result<(), ControlError> {
    match outcome {
        Err(error) if error.is_loss() => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};

    use ppp_ipc::adoption::{Returning, TAG_LEN};
    use ppp_ipc::codec;
    use ppp_ipc::frame::FrameDecoder;
    use ppp_ipc::worker::EndReason;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(120);

    /// A worker, its pppoed's end of the socket, and its root directory.
    fn attached() -> (Lifeline, UnixStream, tempfile::TempDir) {
        let root = tempfile::tempdir().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Lifeline::new(Control::new(ours.into()), TIMEOUT, root.path(), 7), theirs, root)
    }

    fn ticket() -> Ticket {
        Ticket { record: b"all that there is to know".to_vec(), tag: [7; TAG_LEN] }
    }

    fn claim() -> Claim {
        Claim::Session(Box::new(Returning {
            version: 3,
            ticket: ticket(),
            counters: 7,
            lcp: None,
            authenticated: true,
            network: None,
            ipv6: None,
            ended: None,
        }))
    }

    /// A worker whose pppoed is lost at `now`.
    fn alone(now: Instant) -> (Lifeline, tempfile::TempDir) {
        let (mut lifeline, server, root) = attached();
        lifeline.keep(ticket());
        drop(server);
        lifeline.receive().unwrap();
        assert!(matches!(lifeline.next(now), Ok(Some(News::Lost))));
        (lifeline, root)
    }

    /// The next attempt is due, and nothing else.
    fn due(lifeline: &mut Lifeline) -> Instant {
        let at = lifeline.poll_timeout().unwrap();
        assert!(matches!(lifeline.next(at - Duration::from_millis(1)), Ok(None)));
        assert!(matches!(lifeline.next(at), Ok(Some(News::MayClaim))));
        at
    }

    fn read<T>(stream: &mut UnixStream, count: usize, decode: impl Fn(&[u8]) -> T) -> Vec<T> {
        let (mut decoder, mut seen, mut buffer) = (FrameDecoder::new(), Vec::new(), [0; 4096]);
        while seen.len() < count {
            let read = stream.read(&mut buffer).unwrap();
            decoder.push(&buffer[..read]);
            while let Some(body) = decoder.next_frame().unwrap() {
                seen.push(decode(body));
            }
        }
        seen
    }

    #[test]
    fn without_a_ticket_the_loss_is_the_end() {
        let (mut lifeline, server, _root) = attached();
        drop(server);
        lifeline.send(FromWorker::NetworkDown).unwrap();
        lifeline.receive().unwrap();
        assert!(matches!(lifeline.next(Instant::now()), Err(ControlError::Closed)));
    }

    #[test]
    fn what_pppoed_said_before_it_went_is_heard() {
        let (mut lifeline, mut server, _root) = attached();
        server.write_all(&codec::encode(&ToWorker::Record(ticket())).unwrap()).unwrap();
        drop(server);
        lifeline.receive().unwrap();
        lifeline.receive().unwrap();
        let now = Instant::now();
        let Ok(Some(News::Message(ToWorker::Record(ticket)))) = lifeline.next(now) else {
            panic!("no record")
        };
        lifeline.keep(ticket);
        assert!(matches!(lifeline.next(now), Ok(Some(News::Lost))));
        assert!(!lifeline.is_attached());
    }

    #[test]
    fn attempts_become_rarer_and_the_end_stays_where_it_is() {
        let lost = Instant::now();
        let (mut lifeline, _root) = alone(lost);
        let mut now = lost;
        for attempt in 0..20 {
            let at = due(&mut lifeline);
            let wait = at - now;
            assert!(wait <= LONGEST_DELAY, "attempt {attempt} after {wait:?}");
            assert!(attempt < 6 || wait >= LONGEST_DELAY / 2, "attempt {attempt} after {wait:?}");
            lifeline.claim(&claim(), at);
            assert_eq!(lifeline.orphan_deadline(), Some(lost + TIMEOUT));
            now = at;
        }
        assert!(lifeline.socket().is_none());
    }

    #[test]
    fn a_claim_is_answered_and_what_happened_meanwhile_is_said_then() {
        let (mut lifeline, root) = alone(Instant::now());
        let listener = UnixListener::bind(root.path().join(SOCKET_NAME)).unwrap();
        let now = due(&mut lifeline);
        lifeline.claim(&claim(), now);
        let (mut server, _) = listener.accept().unwrap();
        assert!(matches!(lifeline.next(now), Ok(None)));
        // The question is repeated by who asked it.
        lifeline.send(FromWorker::ChallengeNeeded).unwrap();
        lifeline.send(FromWorker::NetworkDown).unwrap();
        let seen =
            read(&mut server, 1, |body| codec::encode(&codec::decode::<Claim>(body).unwrap()).unwrap());
        assert_eq!(seen, [codec::encode(&claim()).unwrap()]);

        let terminate = codec::encode(&ToWorker::Terminate(EndReason::Admin)).unwrap();
        let welcome = codec::encode(&Welcome::Adopted { version: 3, farewell: true }).unwrap();
        server.write_all(&[welcome.as_slice(), terminate.as_slice()].concat()).unwrap();
        lifeline.receive().unwrap();
        assert!(matches!(lifeline.next(now), Ok(Some(News::Adopted { farewell: true }))));
        let Ok(Some(News::Message(ToWorker::Terminate(EndReason::Admin)))) = lifeline.next(now) else {
            panic!("no message")
        };
        assert!(lifeline.is_attached() && lifeline.orphan_deadline().is_none());
        let said = read(&mut server, 1, <[u8]>::to_vec);
        assert!(matches!(codec::decode(&said[0]), Ok(FromWorker::NetworkDown)), "{said:?}");
    }

    #[test]
    fn who_hangs_up_or_is_silent_or_talks_nonsense_is_asked_again_later() {
        let lost = Instant::now();
        let (mut lifeline, root) = alone(lost);
        let listener = UnixListener::bind(root.path().join(SOCKET_NAME)).unwrap();
        for answer in [None, Some(&b""[..]), Some(&[1, 0, 0, 0, 0xee])] {
            let now = due(&mut lifeline);
            lifeline.claim(&claim(), now);
            let (mut server, _) = listener.accept().unwrap();
            let (server, now) = match answer {
                None => (Some(server), now + CLAIM_TIMEOUT),
                Some(bytes) => {
                    server.write_all(bytes).unwrap();
                    drop(server);
                    lifeline.receive().unwrap();
                    lifeline.receive().unwrap();
                    (None, now)
                }
            };
            assert!(matches!(lifeline.next(now), Ok(None)), "{answer:?}");
            assert!(lifeline.socket().is_none(), "{answer:?}");
            assert_eq!(lifeline.orphan_deadline(), Some(lost + TIMEOUT));
            drop(server);
        }
    }
}
