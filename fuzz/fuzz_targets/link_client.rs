//! See `src/targets/link_client.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::link_client::run(bytes));
