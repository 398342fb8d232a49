//! See `src/targets/authentication.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::authentication::run(bytes));
