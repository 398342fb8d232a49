//! Segmentation and coalescing, against packets that are made one by one, and against each other.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod coalesce;
mod packets;
mod segment;
