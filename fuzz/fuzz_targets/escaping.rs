//! See `src/targets/escaping.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::escaping::run(bytes));
