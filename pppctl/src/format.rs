//! The forms in which answers can be shown.

use clap::ValueEnum;

/// How to show an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    /// Aligned columns with human-readable units
    Table,
    /// One document with raw numbers; one per line for streaming output
    Json,
    /// Comma-separated values with raw numbers (RFC 4180)
    Csv,
}
