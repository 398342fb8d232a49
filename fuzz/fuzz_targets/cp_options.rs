//! See `src/targets/cp_options.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::cp_options::run(bytes));
