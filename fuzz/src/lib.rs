//! Fuzz targets: one for every decoder of bytes that others made, and for every machine behind one.
//!
//! A target is a function of bytes that panics when something is wrong. libFuzzer calls it by way of `fuzz_targets`
//! (README.md), and the smoke run with the [`seeds`] and a few thousand mutants of them, as an ordinary test.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod mutate;
pub mod seeds;
pub mod targets;

use targets::{
    adoption_records, authentication, config_file, console_changes, console_file, console_words,
    control_socket, cp_options, describe, discovery_client, discovery_server, escaping, framing,
    hook_messages, hook_store, ip_mss, lcp_bodies, link_client, link_server, mac_list, name_text, offload,
    options_file, pool_file, pppoe_frame, secrets_file, template_socket, user_options, users_file, words,
    worker_socket,
};

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its module, and of its program in `fuzz_targets`.
    pub name: &'static str,
    /// What is done with an input.
    pub run: fn(&[u8]),
    /// Inputs of the smoke run, so that a debug build takes some seconds at most.
    pub smoke_runs: u32,
}

const fn target(name: &'static str, run: fn(&[u8]), smoke_runs: u32) -> Target {
    Target { name, run, smoke_runs }
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    target("adoption_records", adoption_records::run, 20_000),
    target("authentication", authentication::run, 20_000),
    target("config_file", config_file::run, 6000),
    target("console_changes", console_changes::run, 1500),
    target("console_file", console_file::run, 1500),
    target("console_words", console_words::run, 20_000),
    target("control_socket", control_socket::run, 20_000),
    target("cp_options", cp_options::run, 20_000),
    target("describe", describe::run, 20_000),
    target("discovery_client", discovery_client::run, 20_000),
    target("discovery_server", discovery_server::run, 20_000),
    target("escaping", escaping::run, 20_000),
    target("framing", framing::run, 20_000),
    target("hook_messages", hook_messages::run, 20_000),
    target("hook_store", hook_store::run, 20_000),
    target("ip_mss", ip_mss::run, 20_000),
    target("lcp_bodies", lcp_bodies::run, 20_000),
    target("link_client", link_client::run, 6000),
    target("link_server", link_server::run, 6000),
    target("mac_list", mac_list::run, 20_000),
    target("name_text", name_text::run, 20_000),
    target("offload", offload::run, 10_000),
    target("options_file", options_file::run, 1000),
    target("pool_file", pool_file::run, 2000),
    target("pppoe_frame", pppoe_frame::run, 20_000),
    target("secrets_file", secrets_file::run, 1500),
    target("template_socket", template_socket::run, 20_000),
    target("user_options", user_options::run, 1500),
    target("users_file", users_file::run, 6000),
    target("words", words::run, 6000),
    target("worker_socket", worker_socket::run, 20_000),
];
