//! How long an answer is waited for.

/// How long to wait for each piece of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// As long as the user said.
    Timeout,
    /// As long as the user said, but no less than `pppoed` takes for reading its files at most, by default.
    Patiently,
    /// Until it comes: the answer has no end.
    Forever,
}
