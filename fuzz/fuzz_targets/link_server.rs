//! See `src/targets/link_server.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::link_server::run(bytes));
