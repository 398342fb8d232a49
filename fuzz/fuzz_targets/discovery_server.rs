//! See `src/targets/discovery_server.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::discovery_server::run(bytes));
