//! What a line of the log says, by a name and a number that stay when its words change.
//!
//! A line names its message by tracing's `name:`; the journal gets the number as `MESSAGE_ID` and the name as `EVENT`.
//! `docs/logging.md` has the table, made from this one by a test, and `etc/pppoed.catalog` longer texts for what asks for
//! something.

/// One kind of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Short, of lower-case words with hyphens between them.
    pub name: &'static str,
    /// `MESSAGE_ID` of systemd's journal (sd-id128(3)): random, and never given to another message.
    pub id: u128,
    /// The words of its lines.
    pub words: &'static str,
    /// What it means.
    pub meaning: &'static str,
}

macro_rules! messages {
    ($($constant:ident $name:literal $id:literal $words:literal $meaning:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $constant: Message = Message { name: $name, id: $id, words: $words, meaning: $meaning };
        )*

        /// All of them.
        pub const ALL: &[Message] = &[$($constant),*];
    };
}

messages! {
    SESSION_STARTED "session-started" 0x1ef7ae7ce73b4399b8e1cba6d0f64d70
        "session started" "The client has a session id (PADS)";
    SESSION_AUTHENTICATED "session-authenticated" 0x34c079595f024f5cad711391be36300d
        "authenticated" "The subscriber has logged in";
    SESSION_UNAUTHENTICATED "session-unauthenticated" 0xce3b904a891e470888e41ae2ea0db948
        "no authentication required (noauth)" "The option noauth is set";
    SESSION_UP "session-up" 0xeaf13e95def747a0a3f945be89f2c600
        "session up" "Packets flow";
    SESSION_ENDED "session-ended" 0x53176f6b2dd5434396c8db7a19c89425
        "session ended" "With reason, duration and traffic";
    SESSION_TAKEN_OVER "session-taken-over" 0x6418fc409f2f45099725a7ea5ae9fa9f
        "session taken over" "From an earlier pppoed";
    SESSION_LOST "session-lost" 0xe63b1986f06341bbaaef08e6c9b07797
        "session of the previous pppoed lost" "It cannot be taken over; with the reason";
    SESSION_NOT_RECORDED "session-not-recorded" 0x7ee08aab051e44a09dde460cbf8c66a0
        "session record not written; the next pppoed cannot take this session over" "With the reason";
    AUTH_REFUSED "auth-refused" 0x2ec1e100d1264c9493a33d08bdcd133c
        "authentication refused" "With the reason: file and line, or hook";
    DIAL_REFUSED "dial-refused" 0x00e94c0b37ad4099a9d4ec1a6dfca03e
        "refused" "PADR refused: no free slot, unknown service, or a system error; at most once a minute per cause";
    DIALS_LEFT_OUT "dials-left-out" 0xafa116609b3e4b4a9607fd7d6dff6329
        "suppressed repeated failed dials" "With the number of dials since the last line";
    DIALS_MUTED "dials-muted" 0x7d1f52c6a5e94b7fa0b2d8c14e6f3a91
        "repeated failed dials of this client; suppressing further ones"
        "Three failed or short dials of a MAC address, or ten of a user, within a minute; for a minute";
    IPV6_LEFT_OUT "ipv6-left-out" 0x60dfa81ff76e4808bf8c55626001fce7
        "continuing without IPv6" "The session continues with IPv4";
    PROXY_ARP_LEFT_OUT "proxy-arp-left-out" 0xbebf481b5ae0499ea9343f628dfaf78c
        "proxyarp has no effect" "The session continues without it";
    PROTECTION_MISSING "protection-missing" 0xb7d6340c372e43debbae6bb4e422d3e6
        "session protection not in force (--missing-protection)" "With the protection and the reason; at most once \
         an hour per protection";
    PROTECTION_RESTORED "protection-restored" 0x5f47ef17fb1b4078a7403d3ba2f71ef5
        "session protection restored" "It had been disabled by another program";
    COUNTERS_DOUBTFUL "counters-doubtful" 0xf8bb34b29e634ae9bc81dbe790d4108f
        "worker reports less traffic than its interface" "The larger counters are used, for limits and accounting";
    COUNTERS_STAY "counters-stay" 0xb26706e0630a435191a602c7a2350009
        "cannot take over counters (CAP_SYS_PTRACE required); keeping last known values"
        "The session continues, but its traffic is not counted";
    HOOK_FAILED "hook-failed" 0x578be33c735c40e78cd73dd9c2a707eb
        "hook failed" "With script, function and reason";
    SERVER_READY "server-ready" 0xd91578b952644187b2c4cb07ce948299
        "ready" "The interfaces are served";
    SERVER_STOPPING "server-stopping" 0x88fd52c19c944fc4943d52b63e5c5abe
        "stopping" "All sessions end";
    SERVER_LEAVING "server-leaving" 0x45b58ef5188a4636b6eddce2f46a7241
        "exiting; sessions continue until the next pppoed takes them over" "pppoed exits without ending sessions";
    SERVER_STOPPED "server-stopped" 0xba313b082e9748aa8ed3ca71478e8af2
        "stopped" "The last line";
    SERVICE_CHANGED "service-changed" 0x551ee10b515e4eb2a2de035d2b33800a
        "console: service state changed" "Drained, serving again, or shutting down";
    CONSOLE_COMMAND "console-command" 0x258a856af96e4cafa2c1e1ef78ba0235
        "console" "A change by pppctl, with its user and command";
    RELOADED "reloaded" 0x348ffac1c0054c21a40b56d07d48a75e
        "reloaded" "With the number of changed settings";
    RELOAD_REFUSED "reload-refused" 0xb9b25de27ee64fe0bc05ec047c2eea97
        "reload failed; nothing changed" "Errors in files, each logged in a line before";
    INTERFACE_GONE "interface-gone" 0x03f1d1c34b2d40fdaa3a81dbb3a268ab
        "access interface removed; ending its sessions, discovery paused" "An access interface no longer exists";
    INTERFACE_BACK "interface-back" 0x39a66a4b1adb483789f263c137f3510f
        "access interface present; discovery resumed" "An access interface was created";
    INTERFACE_DOWN "interface-down" 0xea0012f58a674fa4ba98926b6ca3103d
        "access interface down; its sessions are interrupted" "It was set down";
    INTERFACE_UP "interface-up" 0x229dd82c5ed64aefb651eb330497f045
        "access interface up" "It is up again";
    RIVAL_SERVER "rival-server" 0x8bb8fe083d854eb492619a8f3170b4b8
        "another PPPoE server answers on this interface; clients connect to the one that answers first" "With its \
         MAC address and name";
    RIVAL_PROGRAM "rival-program" 0x5f1c8e0b7d2a4c6396e1a07b48d3f2c5
        "another program on this machine receives PPPoE discovery frames; clients may get its answers, too" "With \
         process and interface";
    LIMIT_REACHED "limit-reached" 0xcbd63cfa1ab24071938e4d0f82227f2b
        "discovery: limit reached" "With the limit and the number of dropped frames; at most once a minute per limit";
    LOOP_STALLED "loop-stalled" 0xd4e6b6f0f2bf4e7bb5806116cbbd9270
        "event loop stalled" "With the kind of event and the duration (--stall-limit); at most once a minute per \
         kind";
    WORKERS_UNAVAILABLE "workers-unavailable" 0x6b3b181da42545db9e4b7142c7750d0f
        "cannot start the worker template; new sessions are refused" "With the failed sandbox step";
    DEGRADED "degraded" 0x1feac205c1d0496da5e776b0f44d204c
        "started with errors, to take over sessions" "An error that would have prevented the start without sessions to take over";
    GHOST_ENDED "ghost-ended" 0x8da59782853e43a79a86496dd24f2b1b
        "worker of an unknown session ended" "It had no record, or could not reconnect; its address and interface \
         are released";
    RUN_DIRECTORY_REPAIRED "run-directory-repaired" 0x6c1e9c2d5b8b4bd2a6a07c4e5df1a913
        "run directory recreated" "It, or files in it, were removed while the server was running";
    SESSION_REPAIRED "session-repaired" 0x3504790c907f41d59769a91934fceb70
        "kernel state of a session repaired" "Its address, route or eBPF map entry had been removed; see the field \
         kind";
    LEFTOVER_REMOVED "leftover-removed" 0x1fd2953c225c49fb8109f0f5563f5bf9
        "stale state of ended sessions removed" "Records or eBPF map entries of sessions that no longer exist; see \
         the fields kind and count";
    MENDED "mended" 0xae25ffb4d2504dd6a14b55ff4688aa88
        "works again" "A problem of the start is resolved";
}

/// The message of this name.
pub fn by_name(name: &str) -> Option<&'static Message> {
    ALL.iter().find(|message| message.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_and_numbers_are_unique_and_well_formed() {
        assert_eq!(ALL.iter().map(|it| it.id).collect::<BTreeSet<_>>().len(), ALL.len());
        assert_eq!(ALL.iter().map(|it| it.name).collect::<BTreeSet<_>>().len(), ALL.len());
        for message in ALL {
            assert!(
                message.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                message.name
            );
            assert_eq!(message.id >> 76 & 0xf, 4, "{} is no random UUID (RFC 9562)", message.name);
            assert_eq!(by_name(message.name), Some(message));
        }
        assert_eq!(by_name("event src/lib.rs:1"), None);
    }
}
