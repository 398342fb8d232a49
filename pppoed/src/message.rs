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
        "session started" "The peer has its session id (PADS)";
    SESSION_AUTHENTICATED "session-authenticated" 0x34c079595f024f5cad711391be36300d
        "authenticated" "The peer has proved who it is";
    SESSION_UNAUTHENTICATED "session-unauthenticated" 0xce3b904a891e470888e41ae2ea0db948
        "no authentication required (noauth)" "Nobody asks who the peer is";
    SESSION_UP "session-up" 0xeaf13e95def747a0a3f945be89f2c600
        "session up" "Packets flow";
    SESSION_ENDED "session-ended" 0x53176f6b2dd5434396c8db7a19c89425
        "session ended" "With the reason, how long it lasted, and its traffic";
    SESSION_TAKEN_OVER "session-taken-over" 0x6418fc409f2f45099725a7ea5ae9fa9f
        "session taken over" "From an earlier pppoed";
    SESSION_LOST "session-lost" 0xe63b1986f06341bbaaef08e6c9b07797
        "a session of the last pppoed is given up" "It cannot be taken over, for the reason that is told";
    SESSION_NOT_RECORDED "session-not-recorded" 0x7ee08aab051e44a09dde460cbf8c66a0
        "the next pppoed will not be able to take this session over" "Its record cannot be made";
    AUTH_REFUSED "auth-refused" 0x2ec1e100d1264c9493a33d08bdcd133c
        "authentication refused" "With the reason: which line of which file decided, or which hook";
    DIAL_REFUSED "dial-refused" 0x00e94c0b37ad4099a9d4ec1a6dfca03e
        "refused" "No session for a PADR: no free slot, no such service, or the system's refusal; once a minute for each cause";
    DIALS_LEFT_OUT "dials-left-out" 0xafa116609b3e4b4a9607fd7d6dff6329
        "dials were left out of the log" "A peer dialled again and again; how often since its last lines";
    DIALS_MUTED "dials-muted" 0x7d1f52c6a5e94b7fa0b2d8c14e6f3a91
        "this peer dials again and again: its next dials are left out of the log"
        "Three dials of one MAC address, or ten of one user, came to little within a minute; until a minute has passed";
    IPV6_LEFT_OUT "ipv6-left-out" 0x60dfa81ff76e4808bf8c55626001fce7
        "IPv6 is left out" "The session goes on with IPv4";
    PROXY_ARP_LEFT_OUT "proxy-arp-left-out" 0xbebf481b5ae0499ea9343f628dfaf78c
        "proxyarp has no effect" "The session goes on without";
    PROTECTION_MISSING "protection-missing" 0xb7d6340c372e43debbae6bb4e422d3e6
        "a protection of sessions is not in force (--missing-protection)" "Which one, and why; once an hour for each, whatever the number of sessions";
    PROTECTION_RESTORED "protection-restored" 0x5f47ef17fb1b4078a7403d3ba2f71ef5
        "a protection of a session was missing, and is in force again" "Somebody had switched it off";
    COUNTERS_DOUBTFUL "counters-doubtful" 0xf8bb34b29e634ae9bc81dbe790d4108f
        "the worker claims less traffic than its interface has carried" "The larger numbers count, for limits and in accounting";
    COUNTERS_STAY "counters-stay" 0xb26706e0630a435191a602c7a2350009
        "the counters of a session that is taken over cannot be read (CAP_SYS_PTRACE is needed): they stay as they were"
        "The session goes on, and its traffic is not counted";
    HOOK_FAILED "hook-failed" 0x578be33c735c40e78cd73dd9c2a707eb
        "a hook failed" "With the script, the function, and why";
    SERVER_READY "server-ready" 0xd91578b952644187b2c4cb07ce948299
        "ready" "The interfaces are served";
    SERVER_STOPPING "server-stopping" 0x88fd52c19c944fc4943d52b63e5c5abe
        "stopping" "All sessions end";
    SERVER_LEAVING "server-leaving" 0x45b58ef5188a4636b6eddce2f46a7241
        "leaving: the sessions go on, for the next pppoed to take over" "pppoed ends, and no session does";
    SERVER_STOPPED "server-stopped" 0xba313b082e9748aa8ed3ca71478e8af2
        "stopped" "The last line";
    SERVICE_CHANGED "service-changed" 0x551ee10b515e4eb2a2de035d2b33800a
        "console: the service has changed" "Draining, serving again, or ending";
    CONSOLE_COMMAND "console-command" 0x258a856af96e4cafa2c1e1ef78ba0235
        "console" "Who changed what with pppctl";
    RELOADED "reloaded" 0x348ffac1c0054c21a40b56d07d48a75e
        "reloaded" "All files were read again; how many settings changed";
    RELOAD_REFUSED "reload-refused" 0xb9b25de27ee64fe0bc05ec047c2eea97
        "reload: nothing was changed" "There are mistakes in the files; a line before tells each";
    INTERFACE_GONE "interface-gone" 0x03f1d1c34b2d40fdaa3a81dbb3a268ab
        "the access interface is gone: its sessions end, discovery waits until it returns" "An access interface was removed";
    INTERFACE_BACK "interface-back" 0x39a66a4b1adb483789f263c137f3510f
        "the access interface is there: discovery goes on" "An access interface has come, or come back";
    INTERFACE_DOWN "interface-down" 0xea0012f58a674fa4ba98926b6ca3103d
        "the access interface is down: its sessions wait for it" "Somebody took it down";
    INTERFACE_UP "interface-up" 0x229dd82c5ed64aefb651eb330497f045
        "the access interface is up" "It is up again";
    RIVAL_SERVER "rival-server" 0x8bb8fe083d854eb492619a8f3170b4b8
        "another PPPoE server answers on this interface: hosts will dial the one that answers first" "Its MAC address and name are told";
    RIVAL_PROGRAM "rival-program" 0x5f1c8e0b7d2a4c6396e1a07b48d3f2c5
        "another program on this machine takes PPPoE discovery frames: clients get its answers, too" "Its process, and the interface";
    LIMIT_REACHED "limit-reached" 0xcbd63cfa1ab24071938e4d0f82227f2b
        "discovery: a limit was reached" "Which one, and how many frames were dropped; once a minute for each";
    LOOP_STALLED "loop-stalled" 0xd4e6b6f0f2bf4e7bb5806116cbbd9270
        "the event loop was held up" "By which kind of event, and how long (--stall-limit); once a minute for each kind";
    WORKERS_UNAVAILABLE "workers-unavailable" 0x6b3b181da42545db9e4b7142c7750d0f
        "the workers' template cannot be started: no session can begin" "With the step of the sandbox that failed";
    DEGRADED "degraded" 0x1feac205c1d0496da5e776b0f44d204c
        "started for its sessions although something does not work" "A mistake in a file, or something that is missing, which would have ended the start if there were no sessions to take over";
    GHOST_ENDED "ghost-ended" 0x8da59782853e43a79a86496dd24f2b1b
        "a worker whose session nobody knows was ended" "It had no record, or could not come back; its address and interface are free now";
    RUN_DIRECTORY_REPAIRED "run-directory-repaired" 0x6c1e9c2d5b8b4bd2a6a07c4e5df1a913
        "the run directory was made again" "Somebody removed it, or something in it, while the server ran";
    SESSION_REPAIRED "session-repaired" 0x3504790c907f41d59769a91934fceb70
        "what the kernel has of a session was put right" "Somebody removed its address, or its place in the maps of the kernel's programs; the field kind says which";
    LEFTOVER_REMOVED "leftover-removed" 0x1fd2953c225c49fb8109f0f5563f5bf9
        "what sessions left behind was removed" "Records, or places in the maps of the kernel's programs, of sessions that there are not; the fields kind and count say which and how many";
    MENDED "mended" 0xae25ffb4d2504dd6a14b55ff4688aa88
        "works again" "What did not work at the start";
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
