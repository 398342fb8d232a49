//! What the programs dropped, by cause.

/// The causes, in the order of `enum cause` of `bpf/session.bpf.c`, by the names that they are shown with.
pub const CAUSES: [&str; 12] = [
    "session_malformed",
    "session_super_frame",
    "worker_without_session",
    "data_before_open",
    "worker_ipv4_source",
    "worker_ipv6_source",
    "worker_checksum_request",
    "worker_segments",
    "worker_kind",
    "worker_flood",
    "worker_forged",
    "kernel_failed",
];

/// Frames and packets that were dropped, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops(pub(super) [u64; CAUSES.len()]);

impl Drops {
    /// Bytes of a value of the map.
    pub(super) const SIZE: usize = 8 * CAUSES.len();

    pub(super) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        let mut counts = [0; CAUSES.len()];
        for (count, bytes) in counts.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *count = u64::from_ne_bytes(*bytes);
        }
        Self(counts)
    }

    /// Each cause with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        CAUSES.into_iter().zip(self.0)
    }

    /// The count of a cause.
    #[must_use]
    pub fn of(&self, cause: &str) -> u64 {
        self.iter().find_map(|(name, count)| (name == cause).then_some(count)).unwrap_or(0)
    }
}
