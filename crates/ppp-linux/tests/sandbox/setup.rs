//! What the parent and the child agree on.

/// First argument of a child.
pub(crate) const CHILD: &str = "--as-child";

/// The template's descriptors.
pub(crate) const SOCKET_FD: i32 = 3;
pub(crate) const NETNS_FD: i32 = 4;

/// How many descriptors a worker is born with: control socket, packet socket, TUN, counters, standard error.
pub(crate) const BORN_WITH: usize = 5;
/// Where the first four of them are, of which a worker knows nothing: the first numbers that the template has free.
pub(crate) const KEPT_FDS: [i32; 4] = [4, 5, 6, 7];

/// Where the next supervisor listens, in the root directory.
pub(crate) const SOCKET_NAME: &str = "next.sock";
/// Where somebody else listens, in the network namespace of the test.
pub(crate) const ABSTRACT_NAME: &[u8] = b"pppoed's test of the sandbox";

/// Numbers that need no entry in the user database.
pub(crate) const UID: u32 = 64_123;
pub(crate) const GID: u32 = 64_124;
pub(crate) const ADDRESS_SPACE: u64 = 64 << 20;

/// What is good or bad about the sandbox that the template and its worker shall enter.
#[derive(Clone, Copy)]
pub(crate) struct Parameters {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// `empty`, or what is wrong with the namespace.
    pub(crate) netns: &'static str,
    /// `empty`, or what is special about the directory.
    pub(crate) root: &'static str,
    /// The worker keeps a directory.
    pub(crate) keep_directory: bool,
    pub(crate) second_thread: bool,
    /// The template has some descriptors that are not to be kept.
    pub(crate) leak: bool,
    /// Become an ordinary user before entering.
    pub(crate) drop_root: bool,
    pub(crate) stderr_is_file: bool,
}

impl Parameters {
    pub(crate) const GOOD: Self = Self {
        uid: UID,
        gid: GID,
        netns: "empty",
        root: "empty",
        keep_directory: false,
        second_thread: false,
        leak: false,
        drop_root: false,
        stderr_is_file: false,
    };

    /// What the child has to know, as an argument; `root` is the directory's path.
    pub(crate) fn encode(&self, root: &str) -> String {
        let Self { uid, gid, keep_directory, second_thread, leak, drop_root, .. } = self;
        format!("{uid},{gid},{keep_directory},{second_thread},{leak},{drop_root},{root}")
    }

    pub(crate) fn decode(argument: &str) -> Decoded {
        let fields: Vec<&str> = argument.splitn(7, ',').collect();
        let flag = |index: usize| fields[index] == "true";
        Decoded {
            uid: fields[0].parse().unwrap(),
            gid: fields[1].parse().unwrap(),
            keep_directory: flag(2),
            second_thread: flag(3),
            leak: flag(4),
            drop_root: flag(5),
            root: fields[6].to_owned(),
        }
    }
}

/// [`Parameters`] at the child's end.
pub(crate) struct Decoded {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The worker keeps a directory.
    pub(crate) keep_directory: bool,
    pub(crate) second_thread: bool,
    pub(crate) leak: bool,
    pub(crate) drop_root: bool,
    pub(crate) root: String,
}
