//! See `src/targets/discovery_client.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::discovery_client::run(bytes));
