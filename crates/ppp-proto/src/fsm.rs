//! The option negotiation automaton of RFC 1661 §4, as a pure function.
//!
//! [`transition`] is the table of §4.1 and nothing else: it takes a state and an event and returns the next
//! state with the actions to perform, in the order in which the RFC lists them. Whoever owns the automaton
//! performs the actions (module `negotiation`); nothing is called from here.
//!
//! Options of the RFC: the passive option (p) is not used (TO- finishes the layer), the restart option (r)
//! neither (Open in Stopped, Closing, Stopping and Opened changes no more than the table says).

/// The ten states of RFC 1661 §4.2, in the order of the table's columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// Lower layer down, no Open yet.
    Initial,
    /// Open wanted, lower layer still down.
    Starting,
    /// Lower layer up, no Open wanted.
    Closed,
    /// Open wanted; waits for Down after This-Layer-Finished, or after a Terminate-Ack was sent.
    Stopped,
    /// Terminate-Request sent after Close; the Restart timer runs.
    Closing,
    /// Terminate-Request or the Ack to the peer's sent while Open stands; the Restart timer runs.
    Stopping,
    /// Configure-Request sent, no Ack sent or received.
    ReqSent,
    /// Configure-Request sent and acknowledged; none of the peer's acknowledged yet.
    AckRcvd,
    /// Peer's Configure-Request acknowledged; ours not yet.
    AckSent,
    /// Configure-Ack both sent and received.
    Opened,
}

impl State {
    /// All states, in the order of RFC 1661 §4.1.
    pub const ALL: [Self; 10] = [
        Self::Initial,
        Self::Starting,
        Self::Closed,
        Self::Stopped,
        Self::Closing,
        Self::Stopping,
        Self::ReqSent,
        Self::AckRcvd,
        Self::AckSent,
        Self::Opened,
    ];

    /// Whether the Restart timer runs in this state: the states that have TO events (RFC 1661 §4.1).
    #[must_use]
    pub const fn restart_timer_runs(self) -> bool {
        matches!(self, Self::Closing | Self::Stopping | Self::ReqSent | Self::AckRcvd | Self::AckSent)
    }

    /// Whether options are being negotiated: a Configure-Request of ours is out, or was just answered.
    #[must_use]
    pub const fn is_negotiating(self) -> bool {
        matches!(self, Self::ReqSent | Self::AckRcvd | Self::AckSent)
    }

    /// Whether a Configure-Request of the peer gets a Configure-Ack, Nak or Reject in this state.
    ///
    /// In the other states the contents of the request do not matter: it is ignored or answered with
    /// Terminate-Ack.
    #[must_use]
    pub const fn answers_configure_request(self) -> bool {
        matches!(self, Self::Stopped | Self::ReqSent | Self::AckRcvd | Self::AckSent | Self::Opened)
    }

    /// Whether the lower layer is up, so that packets may be received at all.
    #[must_use]
    pub const fn is_lower_up(self) -> bool {
        !matches!(self, Self::Initial | Self::Starting)
    }
}

/// The events of RFC 1661 §4.3, in the order of the table's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// The lower layer is ready to carry packets.
    Up,
    /// The lower layer is no longer ready.
    Down,
    /// Administrative Open.
    Open,
    /// Administrative Close.
    Close,
    /// TO+: the Restart timer expired with the Restart counter above zero.
    TimeoutRetry,
    /// TO-: the Restart timer expired with the Restart counter at zero.
    TimeoutGiveUp,
    /// RCR+: an acceptable Configure-Request.
    RcrGood,
    /// RCR-: an unacceptable Configure-Request.
    RcrBad,
    /// Receive-Configure-Ack.
    Rca,
    /// Receive-Configure-Nak/Rej.
    Rcn,
    /// Receive-Terminate-Request.
    Rtr,
    /// Receive-Terminate-Ack.
    Rta,
    /// Receive-Unknown-Code.
    Ruc,
    /// RXJ+: a Code-Reject or Protocol-Reject that can be lived with.
    RxjPermitted,
    /// RXJ-: a catastrophic Code-Reject or Protocol-Reject.
    RxjCatastrophic,
    /// Receive-Echo-Request, Echo-Reply or Discard-Request.
    Rxr,
}

impl Event {
    /// All events, in the order of RFC 1661 §4.1.
    pub const ALL: [Self; 16] = [
        Self::Up,
        Self::Down,
        Self::Open,
        Self::Close,
        Self::TimeoutRetry,
        Self::TimeoutGiveUp,
        Self::RcrGood,
        Self::RcrBad,
        Self::Rca,
        Self::Rcn,
        Self::Rtr,
        Self::Rta,
        Self::Ruc,
        Self::RxjPermitted,
        Self::RxjCatastrophic,
        Self::Rxr,
    ];
}

/// The actions of RFC 1661 §4.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Initialize-Restart-Count: Max-Configure or Max-Terminate, whichever packet is sent next.
    Irc,
    /// Zero-Restart-Count: pause for one Restart period before the final state.
    Zrc,
    /// Send-Configure-Request.
    Scr,
    /// Send-Configure-Ack.
    Sca,
    /// Send-Configure-Nak or -Reject.
    Scn,
    /// Send-Terminate-Request.
    Str,
    /// Send-Terminate-Ack.
    Sta,
    /// Send-Code-Reject.
    Scj,
    /// Send-Echo-Reply.
    Ser,
    /// This-Layer-Up.
    Tlu,
    /// This-Layer-Down.
    Tld,
    /// This-Layer-Started.
    Tls,
    /// This-Layer-Finished.
    Tlf,
}

/// One cell of the table: what to do, and the state that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// Actions in the order in which the RFC lists them.
    pub actions: &'static [Action],
    /// The state that follows.
    pub state: State,
}

/// The state transition table of RFC 1661 §4.1.
///
/// `None` is the RFC's dash: an event that cannot occur in a properly implemented automaton. No transition
/// is taken.
#[must_use]
pub const fn transition(state: State, event: Event) -> Option<Transition> {
    use Action::{Irc, Sca, Scj, Scn, Scr, Ser, Sta, Str, Tld, Tlf, Tls, Tlu, Zrc};
    use Event as E;
    use State as S;

    let (actions, state): (&'static [Action], State) = match (event, state) {
        (E::Up, S::Initial) => (&[], S::Closed),
        (E::Up, S::Starting) => (&[Irc, Scr], S::ReqSent),
        (E::Up, _) => return None,

        (E::Down, S::Initial | S::Starting) => return None,
        (E::Down, S::Closed | S::Closing) => (&[], S::Initial),
        (E::Down, S::Stopped) => (&[Tls], S::Starting),
        (E::Down, S::Stopping | S::ReqSent | S::AckRcvd | S::AckSent) => (&[], S::Starting),
        (E::Down, S::Opened) => (&[Tld], S::Starting),

        (E::Open, S::Initial) => (&[Tls], S::Starting),
        (E::Open, S::Closed) => (&[Irc, Scr], S::ReqSent),
        (E::Open, S::Closing) => (&[], S::Stopping),
        (
            E::Open,
            S::Starting | S::Stopped | S::Stopping | S::ReqSent | S::AckRcvd | S::AckSent | S::Opened,
        ) => (&[], state),

        (E::Close, S::Starting) => (&[Tlf], S::Initial),
        (E::Close, S::Initial | S::Closed | S::Closing) => (&[], state),
        (E::Close, S::Stopped) => (&[], S::Closed),
        (E::Close, S::Stopping) => (&[], S::Closing),
        (E::Close, S::ReqSent | S::AckRcvd | S::AckSent) => (&[Irc, Str], S::Closing),
        (E::Close, S::Opened) => (&[Tld, Irc, Str], S::Closing),

        (E::TimeoutRetry, S::Closing | S::Stopping) => (&[Str], state),
        (E::TimeoutRetry, S::ReqSent | S::AckRcvd) => (&[Scr], S::ReqSent),
        (E::TimeoutRetry, S::AckSent) => (&[Scr], S::AckSent),
        (E::TimeoutGiveUp, S::Closing) => (&[Tlf], S::Closed),
        (E::TimeoutGiveUp, S::Stopping | S::ReqSent | S::AckRcvd | S::AckSent) => (&[Tlf], S::Stopped),
        (
            E::TimeoutRetry | E::TimeoutGiveUp,
            S::Initial | S::Starting | S::Closed | S::Stopped | S::Opened,
        ) => return None,

        // A packet cannot arrive while the lower layer is down.
        (
            E::RcrGood
            | E::RcrBad
            | E::Rca
            | E::Rcn
            | E::Rtr
            | E::Rta
            | E::Ruc
            | E::RxjPermitted
            | E::RxjCatastrophic
            | E::Rxr,
            S::Initial | S::Starting,
        ) => return None,

        (E::RcrGood | E::RcrBad | E::Rca | E::Rcn, S::Closed) => (&[Sta], S::Closed),
        (E::RcrGood | E::RcrBad | E::Rca | E::Rcn, S::Closing | S::Stopping) => (&[], state),

        (E::RcrGood, S::Stopped) => (&[Irc, Scr, Sca], S::AckSent),
        (E::RcrGood, S::ReqSent | S::AckSent) => (&[Sca], S::AckSent),
        (E::RcrGood, S::AckRcvd) => (&[Sca, Tlu], S::Opened),
        (E::RcrGood, S::Opened) => (&[Tld, Scr, Sca], S::AckSent),

        (E::RcrBad, S::Stopped) => (&[Irc, Scr, Scn], S::ReqSent),
        (E::RcrBad, S::ReqSent | S::AckSent) => (&[Scn], S::ReqSent),
        (E::RcrBad, S::AckRcvd) => (&[Scn], S::AckRcvd),
        (E::RcrBad, S::Opened) => (&[Tld, Scr, Scn], S::ReqSent),

        (E::Rca | E::Rcn, S::Stopped) => (&[Sta], S::Stopped),
        (E::Rca, S::ReqSent) => (&[Irc], S::AckRcvd),
        (E::Rca, S::AckSent) => (&[Irc, Tlu], S::Opened),
        (E::Rcn, S::ReqSent | S::AckSent) => (&[Irc, Scr], state),
        (E::Rca | E::Rcn, S::AckRcvd) => (&[Scr], S::ReqSent),
        (E::Rca | E::Rcn, S::Opened) => (&[Tld, Scr], S::ReqSent),

        (E::Rtr, S::Closed | S::Stopped | S::Closing | S::Stopping) => (&[Sta], state),
        (E::Rtr, S::ReqSent | S::AckRcvd | S::AckSent) => (&[Sta], S::ReqSent),
        (E::Rtr, S::Opened) => (&[Tld, Zrc, Sta], S::Stopping),

        (E::Rta, S::Closed | S::Stopped | S::ReqSent | S::AckSent) => (&[], state),
        (E::Rta, S::Closing) => (&[Tlf], S::Closed),
        (E::Rta, S::Stopping) => (&[Tlf], S::Stopped),
        (E::Rta, S::AckRcvd) => (&[], S::ReqSent),
        (E::Rta, S::Opened) => (&[Tld, Scr], S::ReqSent),

        (E::Ruc, _) => (&[Scj], state),

        (E::RxjPermitted, S::AckRcvd) => (&[], S::ReqSent),
        (E::RxjPermitted, _) => (&[], state),
        (E::RxjCatastrophic, S::Closed | S::Closing) => (&[Tlf], S::Closed),
        (E::RxjCatastrophic, S::Stopped | S::Stopping | S::ReqSent | S::AckRcvd | S::AckSent) => {
            (&[Tlf], S::Stopped)
        }
        (E::RxjCatastrophic, S::Opened) => (&[Tld, Irc, Str], S::Stopping),

        (E::Rxr, S::Opened) => (&[Ser], S::Opened),
        (E::Rxr, _) => (&[], state),
    };
    Some(Transition { actions, state })
}
