//! The session sockets of one interface, as a group among which the kernel chooses without asking each.
//!
//! A frame for a plain packet socket is a question to the filters of all: with 1000 sessions, a thousand filters run for
//! each frame. The members of a `PACKET_FANOUT` group (packet(7)) are asked as one: the program of a
//! [`Selector`] looks the frame's session up and names the member. The first member belongs to no session: it gets
//! what the selector does not find. Each other member keeps its own filter, locked, so a mistake of the selector
//! would lose a frame and never give it to a stranger.
//!
//! # Members that leave
//! The selector names members by their place, and when one leaves, the kernel moves the last one to its place. This
//! module keeps account of the places, so nobody may leave unseen: it holds a duplicate of each member, and a member
//! leaves when [`Membership`] was dropped (by then nobody else must have the socket) and the duplicate is
//! closed. Before that, the entry of the last member is set to a number that is right before the move and after it
//! ([`before_move`]). So a session does not lose a frame when another ends.
//!
//! Closing takes the kernel some 10 ms (it waits for all processors to have forgotten the socket), so a thread does it.
//! Members at the end of the account are closed many at a time: they move nobody but each other.
//!
//! # An interface that was down
//! The kernel takes all sockets out of the group when the interface goes down, and puts them back, in the order in
//! which they were made, when it comes up. The first member's socket is told of the former.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::libc;
use ppp_wire::ethernet::EtherType;

use super::filter::stray_filter;
use super::selector::{STRAYS, Selector, before_move};
use super::socket::{FanoutArgs, PacketSocket, Setup, get_integer, set_option};
use super::{PacketError, Received, SessionKey, SessionSocket};
use crate::interface::InterfaceId;
use crate::netlink::Netlink;

/// What the kernel allows (`PACKET_FANOUT_MAX`). Fewer take less memory: 8 bytes each.
pub const MAX_MEMBERS: u32 = 1 << 16;

/// Bytes of frames of no session that may wait: some 100. Who is not answered sends again.
const STRAYS_RECEIVE_BUFFER: usize = 128 << 10;

/// Sockets that are closed at the same time.
const CLOSERS: usize = 64;

/// Longest time for which members that leave let others join first, and its steps.
const COURTESY: Duration = Duration::from_millis(20);
const COURTESY_STEP: Duration = Duration::from_micros(200);

/// The session sockets of one interface. Clones are the same group.
#[derive(Clone, Debug)]
pub struct SessionGroup(Arc<Shared>);

/// One session's place in its group, as far as the group's account goes. When it is dropped, the session's socket must
/// have no other owner than the group; frames of the session are strays from then on.
#[derive(Debug)]
pub struct Membership {
    group: Arc<Shared>,
    serial: u64,
}

#[derive(Debug)]
struct Shared {
    interface: InterfaceId,
    ether_type: EtherType,
    fanout: FanoutArgs,
    /// The first member.
    strays: PacketSocket,
    account: Mutex<Account>,
    departed: Mutex<Departed>,
    /// How many wait to join.
    joining: AtomicUsize,
    /// The interface went down, and the account does not know.
    went_down: AtomicBool,
    /// Nobody leaves any more.
    is_frozen: AtomicBool,
}

/// The members as the kernel has them.
#[derive(Debug)]
struct Account {
    selector: Selector,
    /// By place. The first is the one for strays, which never leaves.
    members: Vec<Member>,
    /// Who has the entry of a session id.
    entries: BTreeMap<u16, u64>,
    next_serial: u64,
    /// The kernel has taken all out; they will be put back in the order of their serials.
    is_down: bool,
}

#[derive(Debug)]
struct Member {
    /// In the order in which the sockets were made.
    serial: u64,
    /// Its session, and the group's duplicate of its socket; none of the first.
    session: Option<(SessionKey, OwnedFd)>,
    is_leaving: bool,
}

#[derive(Debug, Default)]
struct Departed {
    serials: Vec<u64>,
    /// A thread sees to them.
    is_seen_to: bool,
}

impl SessionGroup {
    /// Makes the group of an interface, with no session in it yet. `sessions` is how many there will be at most;
    /// there is room for as many again that have ended and not quite left.
    ///
    /// # Errors
    /// Without root; when the interface is gone or, before Linux 6.13, down; and where there is no eBPF or no
    /// fanout for us. [`SessionSocket::open`] does not need a group.
    pub fn open(interface: &InterfaceId, ether_type: EtherType, sessions: u32) -> Result<Self, PacketError> {
        const ROOM_FOR_FEW: u32 = 8192;
        let room = sessions.saturating_mul(2).saturating_add(1).clamp(ROOM_FOR_FEW, MAX_MEMBERS);
        Self::with_room(interface, ether_type, room)
    }

    /// `room`: for how many members, the first included.
    pub(super) fn with_room(
        interface: &InterfaceId,
        ether_type: EtherType,
        room: u32,
    ) -> Result<Self, PacketError> {
        let step = |step| move |source| setup_error(interface, step, source);
        let selector = Selector::new(0).map_err(step("load the eBPF program of a fanout group"))?;
        let filter = stray_filter();
        let setup = Setup {
            purpose: "session",
            interface,
            ether_type,
            receive_buffer: STRAYS_RECEIVE_BUFFER,
            filter: Some(&filter),
            // Who has a locked filter may not give its group another program, which this one has to.
            lock_filter: false,
            outgoing: false,
        };
        let strays = PacketSocket::open(&setup)?;
        let first = FanoutArgs::of_new_group(room);
        set_option(strays.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, &first)
            .map_err(step("make a fanout group"))?;
        let found = get_integer(strays.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT)
            .map_err(step("read the number of the fanout group"))?;
        set_program(&strays, &selector).map_err(step("attach the eBPF program to the fanout group"))?;
        let account = Account {
            selector,
            members: vec![Member { serial: 0, session: None, is_leaving: false }],
            entries: BTreeMap::new(),
            next_serial: 1,
            is_down: false,
        };
        Ok(Self(Arc::new(Shared {
            interface: interface.clone(),
            ether_type,
            fanout: first.of_next_member(found),
            strays,
            account: Mutex::new(account),
            departed: Mutex::default(),
            joining: AtomicUsize::new(0),
            went_down: AtomicBool::new(false),
            is_frozen: AtomicBool::new(false),
        })))
    }

    /// Opens the socket of a session in this group. Its EtherType is the group's. May block for some 10 ms.
    ///
    /// # Errors
    /// As [`SessionSocket::open`]; [`PacketError::GroupFull`] when there are as many members as there may be.
    pub fn join(
        &self,
        key: &SessionKey,
        receive_buffer: usize,
    ) -> Result<(SessionSocket, Membership), PacketError> {
        let shared = &self.0;
        shared.joining.fetch_add(1, Ordering::Relaxed);
        let mut account = lock(&shared.account);
        shared.joining.fetch_sub(1, Ordering::Relaxed);
        shared.bring_up_to_date(&mut account);
        let key = SessionKey { ether_type: shared.ether_type, ..*key };
        let joined = add(shared, &mut account, &key, receive_buffer);
        shared.bring_up_to_date(&mut account);
        let (socket, serial) = joined?;
        Ok((socket, Membership { group: Arc::clone(shared), serial }))
    }

    /// Receives a frame of no session into `buffer`.
    ///
    /// # Errors
    /// As [`super::DiscoverySocket::recv`].
    pub fn recv_stray(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let outcome = self.0.strays.recv(buffer);
        if outcome.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENETDOWN)) {
            self.0.went_down.store(true, Ordering::SeqCst);
            // Whoever has the account looks for this before it is given back.
            if let Ok(mut account) = self.0.account.try_lock() {
                self.0.bring_up_to_date(&mut account);
            }
        }
        let (wire_len, packet_type) = outcome?;
        Ok(Received { len: wire_len.min(buffer.len()), wire_len, packet_type })
    }

    /// From now on nobody leaves, whatever becomes of the memberships: the process is about to end, and others have the
    /// sockets. Waits for those who are just leaving.
    ///
    /// The group lives on with its sockets. The first member goes with this process, so that the last one gets its
    /// place; and the number of the last place leads there, because one less divides it.
    pub fn freeze(&self) {
        // Whoever sees to the leavers looks at this with the account in hand.
        let _account = lock(&self.0.account);
        self.0.is_frozen.store(true, Ordering::SeqCst);
    }

    /// Waits until all who are leaving have left, but no longer than `patience`. Returns how many there still are.
    pub fn wait_for_leavers(&self, patience: Duration) -> usize {
        let deadline = Instant::now() + patience;
        loop {
            let departed = lock(&self.0.departed);
            let (waiting, is_done) = (departed.serials.len(), !departed.is_seen_to);
            drop(departed);
            if waiting == 0 && is_done {
                return 0;
            }
            if Instant::now() >= deadline {
                let account = lock(&self.0.account);
                return waiting + account.members.iter().filter(|member| member.is_leaving).count();
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Readable when a stray waits.
impl AsFd for SessionGroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.strays.as_fd()
    }
}

impl AsRawFd for SessionGroup {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut departed = lock(&self.group.departed);
        departed.serials.push(self.serial);
        if mem::replace(&mut departed.is_seen_to, true) {
            return;
        }
        let group = Arc::clone(&self.group);
        let thread = thread::Builder::new().name("session-sockets".to_owned());
        // Without a thread, the next one who leaves tries again.
        departed.is_seen_to = thread.spawn(move || group.see_leavers_off()).is_ok();
    }
}

/// Opens a socket and makes it the last member.
fn add(
    group: &Arc<Shared>,
    account: &mut Account,
    key: &SessionKey,
    receive_buffer: usize,
) -> Result<(SessionSocket, u64), PacketError> {
    let step = |step| move |source| setup_error(&group.interface, step, source);
    if !account.selector.covers(key.session_id) {
        group
            .extend_selector(account, key.session_id)
            .map_err(step("make room for more session ids in the fanout group"))?;
    }
    let socket = SessionSocket::open(&group.interface, key, receive_buffer)?;
    let duplicate = socket
        .as_fd()
        .try_clone_to_owned()
        .map_err(step("duplicate the socket (see ulimit -n, LimitNOFILE)"))?;
    match set_option(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT, &group.fanout) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
            let members = account.members.len();
            return Err(PacketError::GroupFull { interface: group.interface.name.clone(), members });
        }
        Err(error) => return Err(step("join the fanout group")(error)),
    }
    let serial = account.next_serial;
    account.next_serial += 1;
    let place = account.members.len();
    account.members.push(Member { serial, session: Some((*key, duplicate)), is_leaving: false });
    account.entries.insert(key.session_id, serial);
    account.enter(place);
    Ok((socket, serial))
}

impl Shared {
    /// Gives the group a selector with room for this session id.
    fn extend_selector(&self, account: &mut Account, session_id: u16) -> io::Result<()> {
        let old = mem::replace(&mut account.selector, Selector::new(session_id)?);
        account.enter_all();
        set_program(&self.strays, &account.selector).inspect_err(|_| account.selector = old)
    }

    /// Does what is to be done for those who leave, until there are none.
    fn see_leavers_off(self: Arc<Self>) {
        loop {
            let serials = mem::take(&mut lock(&self.departed).serials);
            let mut account = lock(&self.account);
            if self.is_frozen.load(Ordering::SeqCst) {
                return;
            }
            account.mark(&serials);
            drop(account);
            // Whoever joins has a peer who waits.
            let deadline = Instant::now() + COURTESY;
            while self.joining.load(Ordering::Relaxed) > 0 && Instant::now() < deadline {
                thread::sleep(COURTESY_STEP);
            }
            let mut account = lock(&self.account);
            if self.is_frozen.load(Ordering::SeqCst) {
                return;
            }
            self.bring_up_to_date(&mut account);
            let is_done = !account.see_some_off();
            self.bring_up_to_date(&mut account);
            drop(account);
            let mut departed = lock(&self.departed);
            if is_done && departed.serials.is_empty() {
                departed.is_seen_to = false;
                return;
            }
        }
    }

    /// Takes note of an interface that went down or came up.
    fn bring_up_to_date(&self, account: &mut Account) {
        let was_told = self.went_down.swap(false, Ordering::SeqCst);
        let error = get_integer(self.strays.as_fd(), libc::SOL_SOCKET, libc::SO_ERROR);
        if was_told || matches!(error, Ok(libc::ENETDOWN)) {
            account.is_down = true;
            account.members.sort_by_key(|member| member.serial);
            account.enter_all();
        }
        if account.is_down && self.interface_is_up() {
            account.is_down = false;
        }
    }

    fn interface_is_up(&self) -> bool {
        let found = Netlink::open().and_then(|mut netlink| netlink.interface_by_index(self.interface.index));
        found.is_ok_and(|interface| interface.up)
    }
}

impl Account {
    /// Sets the entry of the session at a place, if it has one.
    fn enter(&self, place: usize) {
        self.enter_as(place, u32::try_from(place).unwrap_or(STRAYS));
    }

    /// Sets the entry of the session at a place to a number that leads there.
    fn enter_as(&self, place: usize, number: u32) {
        let Some(Member { serial, session: Some((key, _)), .. }) = self.members.get(place) else { return };
        if self.entries.get(&key.session_id) == Some(serial) {
            // The map covers the session id, and then this cannot fail.
            let _ = self.selector.set(key.session_id, key.peer, number);
        }
    }

    fn enter_all(&self) {
        (0..self.members.len()).for_each(|place| self.enter(place));
    }

    /// Those who have the serials are about to leave. What comes for their sessions is stray.
    fn mark(&mut self, serials: &[u64]) {
        for serial in serials {
            let Some(member) = self.members.iter_mut().find(|member| member.serial == *serial) else {
                continue;
            };
            member.is_leaving = true;
            let Some((key, _)) = &member.session else { continue };
            // Unless there is another session of that id already.
            if self.entries.get(&key.session_id) == Some(serial) {
                self.entries.remove(&key.session_id);
                // As above.
                let _ = self.selector.clear(key.session_id);
            }
        }
    }

    /// Closes as many sockets as can be closed at a time. False if nobody is leaving.
    fn see_some_off(&mut self) -> bool {
        if self.is_down {
            // None of them is in the group now. The others keep their order.
            let mut left = CLOSERS;
            let leaving = self.members.extract_if(.., |member| {
                let goes = member.is_leaving && left > 0;
                left -= usize::from(goes);
                goes
            });
            let leaving = leaving.collect();
            self.enter_all();
            return close(leaving);
        }
        let last_that_stays = self.members.iter().rposition(|member| !member.is_leaving).unwrap_or(0);
        let tail = self.members.len().saturating_sub(last_that_stays + 1);
        if tail > 0 {
            let tail = self.members.split_off(self.members.len() - tail.min(CLOSERS));
            return close(tail);
        }
        let Some(hole) = self.members.iter().position(|member| member.is_leaving) else { return false };
        let number = |count: usize| u32::try_from(count).unwrap_or(STRAYS);
        self.enter_as(last_that_stays, before_move(number(self.members.len()), number(hole)));
        close(vec![self.members.swap_remove(hole)]);
        self.enter(hole);
        true
    }
}

/// Closes the sockets of all at once, and returns when that is done; false if there are none.
fn close(members: Vec<Member>) -> bool {
    let there_are_some = !members.is_empty();
    thread::scope(|scope| {
        let mut members = members.into_iter();
        let last = members.next_back();
        for member in members {
            // Without a thread, it is closed at once.
            let _ = thread::Builder::new().spawn_scoped(scope, move || drop(member));
        }
        drop(last);
    });
    there_are_some
}

fn set_program(strays: &PacketSocket, selector: &Selector) -> io::Result<()> {
    let program = selector.as_fd().as_raw_fd();
    set_option(strays.as_fd(), libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, &program)
}

fn setup_error(interface: &InterfaceId, step: &'static str, source: io::Error) -> PacketError {
    PacketError::Setup { purpose: "session", interface: interface.name.clone(), step, source }
}

/// Nothing that is done under the locks leaves their content half changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
