use std::collections::BTreeMap;

use ppp_wire::MacAddr;
use ppp_wire::ethernet::EthernetFrame;
use ppp_wire::pppoe::{PppoePacket, TagType};

macro_rules! drop_causes {
    ($( $(#[$meta:meta])* $variant:ident => $name:literal, )+) => {
        /// Why the server did not do what a frame asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum DropCause {
            $( $(#[$meta])* $variant, )+
        }

        impl DropCause {
            /// Every cause, in the order of the counters.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The cause as it stands in tables and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }
        }
    };
}

drop_causes! {
    /// The frame ends before its headers do, or before LENGTH says.
    Truncated => "truncated",
    /// The frame is longer than a discovery frame on this interface can be.
    OverLong => "over_long",
    /// The EtherType is not the one that is served.
    EtherType => "ether_type",
    /// PPPoE version and type are not 1 and 1.
    VersionType => "version_type",
    /// The source is our own address: a loop in the network.
    OwnFrame => "own_frame",
    /// The source is a group, or all zero.
    SourceNotUnicast => "source_not_unicast",
    /// The destination is another station, or a group where RFC 2516 asks for our own address.
    Destination => "destination",
    /// The CODE is unknown, or one that only servers send.
    Code => "code",
    /// SESSION_ID is not 0 in a PADI or PADR, or is reserved in a PADT.
    SessionId => "session_id",
    /// A tag runs past the end of the packet.
    BadTag => "bad_tag",
    /// A PADI without Service-Name.
    ServiceNameMissing => "service_name_missing",
    /// A PADI with more than one Service-Name.
    ServiceNameRepeated => "service_name_repeated",
    /// A PADI that asks for a service that is not offered.
    ServiceUnknown => "service_unknown",
    /// A PADR that was refused because no slot is free, or a PADI then if the server was told to be silent.
    NoFreeSlot => "no_free_slot",
    /// A PADI or PADR of a peer that may not have (more) sessions.
    NotAdmitted => "not_admitted",
    /// A PADI or PADR of a peer that a list of addresses excludes.
    MacNotAllowed => "mac_not_allowed",
    /// A PADI or PADR while as many sessions are being set up as may be at once.
    TooManyStarting => "too_many_starting",
    /// A PADI while there are so many sessions that none is answered.
    Overload => "overload",
    /// A PADI while whoever dials now would have to wait for too long.
    Congested => "congested",
    /// A PADR whose client had given up before its turn came.
    GaveUp => "gave_up",
    /// A PADI beyond the interface's rate.
    PadiRate => "padi_rate",
    /// A PADR, with a good cookie, beyond the interface's rate.
    PadrRate => "padr_rate",
    /// A PADI, a PADR with a good cookie, or session data of no session, beyond the rate of a single peer; or a PADT after too many
    /// for no session of that peer.
    MacRate => "mac_rate",
    /// A PADI while too many PADOs wait for their time.
    PadoQueueFull => "pado_queue_full",
    /// A PADI that somebody else was asked about, who said no.
    HookRefused => "hook_refused",
    /// A PADI that nobody could be asked about: too many wait for an answer, or one of the same peer does.
    HookBusy => "hook_busy",
    /// A PADR without AC-Cookie.
    CookieMissing => "cookie_missing",
    /// A PADR whose AC-Cookie was not made here, or not for this peer.
    CookieWrong => "cookie_wrong",
    /// A PADR whose AC-Cookie is too old.
    CookieExpired => "cookie_expired",
    /// A repeated PADR while its session is still being made.
    StillStarting => "still_starting",
    /// A PADT for a session that does not exist.
    NoSuchSession => "no_such_session",
    /// A PADT from another station than the session's owner.
    NotOwner => "not_owner",
    /// Session data of a session that is just beginning or ending, and so not its worker's.
    EarlyOrLate => "early_or_late",
    /// Session data of no session, beyond the rate of the PADTs that answer it.
    PadtRate => "padt_rate",
    /// The tags to echo do not fit the answer.
    AnswerTooLong => "answer_too_long",
}

/// How many frames were dropped, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DropCounters {
    counts: [u64; DropCause::ALL.len()],
}

impl Default for DropCounters {
    fn default() -> Self {
        Self { counts: [0; DropCause::ALL.len()] }
    }
}

impl DropCounters {
    /// Frames dropped for `cause`.
    pub fn get(&self, cause: DropCause) -> u64 {
        self.counts.get(cause as usize).copied().unwrap_or(0)
    }

    /// Every cause with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (DropCause, u64)> + '_ {
        DropCause::ALL.into_iter().zip(self.counts)
    }

    /// Frames dropped for any cause.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn count(&mut self, cause: DropCause) {
        if let Some(count) = self.counts.get_mut(cause as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// What one dropped frame was, for whoever looks for its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropSample {
    /// Its Ethernet source.
    pub peer_mac: MacAddr,
    /// The Service-Name that it asks for, if it has one and can be read up to there.
    pub service: Option<Vec<u8>>,
}

impl DropSample {
    /// `None` if not even its Ethernet header is whole.
    fn of(frame: &[u8]) -> Option<Self> {
        let ethernet = EthernetFrame::new_checked(frame).ok()?;
        let packet = PppoePacket::new_checked(ethernet.payload());
        let service = packet.ok().and_then(|packet| {
            let tag = packet.tags().map_while(Result::ok).find(|tag| tag.kind == TagType::ServiceName)?;
            Some(tag.value.to_vec())
        });
        Some(Self { peer_mac: ethernet.source(), service })
    }
}

/// Of each cause the first frame since somebody asked: enough to name a sender, and bounded however many there are.
#[derive(Debug, Default)]
pub(super) struct DropSamples {
    first: BTreeMap<DropCause, DropSample>,
}

impl DropSamples {
    pub(super) fn note(&mut self, cause: DropCause, frame: &[u8]) {
        if !self.first.contains_key(&cause)
            && let Some(sample) = DropSample::of(frame)
        {
            self.first.insert(cause, sample);
        }
    }

    pub(super) fn take(&mut self, cause: DropCause) -> Option<DropSample> {
        self.first.remove(&cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_own_counter_and_name() {
        let mut counters = DropCounters::default();
        for (n, cause) in DropCause::ALL.into_iter().enumerate() {
            for _ in 0..=n {
                counters.count(cause);
            }
        }
        for ((n, cause), (found, count)) in DropCause::ALL.into_iter().enumerate().zip(counters.iter()) {
            assert_eq!((found, count), (cause, n as u64 + 1));
            assert_eq!(counters.get(cause), count);
        }
        let mut names: Vec<_> = DropCause::ALL.iter().map(|cause| cause.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropCause::ALL.len());
        assert_eq!(counters.total(), (1..=names.len() as u64).sum());
    }

    #[test]
    fn the_first_frame_of_a_cause_is_kept_until_it_is_asked_for() {
        let padi = |last: u8, tags: &[u8]| {
            let len = u8::try_from(tags.len()).unwrap();
            let ethernet = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, last, 0x88, 0x63];
            [&ethernet[..], &[0x11, 0x09, 0, 0, 0, len], tags].concat()
        };
        let sample = |last: u8, service: Option<&[u8]>| {
            Some(DropSample {
                peer_mac: MacAddr([2, 0, 0, 0, 0, last]),
                service: service.map(<[u8]>::to_vec),
            })
        };
        let mut samples = DropSamples::default();
        samples.note(DropCause::ServiceUnknown, &padi(1, b"\x01\x03\0\x02\xff\xff\x01\x01\0\x03vip"));
        samples.note(DropCause::ServiceUnknown, &padi(2, b"\x01\x01\0\0"));
        samples.note(DropCause::BadTag, &padi(3, b"\x01\x03\0\x09"));
        samples.note(DropCause::Truncated, &[0; 13]);
        assert_eq!(samples.take(DropCause::ServiceUnknown), sample(1, Some(b"vip")));
        assert_eq!(samples.take(DropCause::ServiceUnknown), None);
        assert_eq!(samples.take(DropCause::BadTag), sample(3, None));
        assert_eq!(samples.take(DropCause::Truncated), None);
        samples.note(DropCause::ServiceUnknown, &padi(2, b"\x01\x01\0\0"));
        assert_eq!(samples.take(DropCause::ServiceUnknown), sample(2, Some(b"")));
    }
}
