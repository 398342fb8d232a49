//! Segmentation and coalescing in software, for a TUN whose packets have virtio headers (`IFF_VNET_HDR`).
//!
//! The kernel hands such a device TCP and UDP packets of up to 64 kB and leaves to it to cut them
//! ([`Segments`]), and takes packets that were made of several ones of a flow ([`Coalescer`]). Either way one
//! pass through the kernel's network stack stands for dozens. Neither copies payload or allocates memory, and
//! `segment(coalesce(x)) == x`: nobody can tell from the packets that this was done to them, but by the
//! identification of those that say that it means nothing (RFC 6864 §4.1).

mod checksum;
mod coalesce;
mod headers;
mod segment;
mod vnet;

pub use checksum::Sum;
pub use coalesce::{Coalesced, Coalescer, MAX_PACKETS, Mergeable};
pub use segment::Segments;
pub use vnet::{GsoType, PartialChecksum, VnetHeader};
