//! See `src/targets/lcp_bodies.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::lcp_bodies::run(bytes));
