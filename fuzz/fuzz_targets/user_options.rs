//! See `src/targets/user_options.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::user_options::run(bytes));
