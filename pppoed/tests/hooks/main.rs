//! The hook host as a process of its own: what scripts can do, and what comes of their mistakes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api;
mod failures;
mod host;
mod manual;
mod many;
mod shipped;
