//! See `src/targets/ip_mss.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::ip_mss::run(bytes));
