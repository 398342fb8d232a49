//! What pppoed and its workers need of Linux: packet sockets, TUN devices, netlink, network namespaces,
//! shared counters, the worker's sandbox and the template that workers are forked from.
//!
//! This is the only crate of the project that contains `unsafe` code. Its interfaces are safe and typed;
//! every error names what was attempted and, where there is one, the interface. Nothing in here needs an
//! asynchronous runtime: descriptors are non-blocking and implement [`AsFd`](std::os::fd::AsFd), so that any
//! event loop can wait for them.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(feature = "programs")]
mod bpf;
pub mod child;
pub mod counters;
#[cfg(feature = "programs")]
pub mod device;
pub mod interface;
pub mod net_dev;
pub mod netlink;
pub mod netns;
pub mod packet;
pub mod pages;
pub mod peercred;
pub mod pidfd;
pub mod records;
mod rtnl;
pub mod sandbox;
pub mod spawn;
pub mod template;
pub mod tun;
