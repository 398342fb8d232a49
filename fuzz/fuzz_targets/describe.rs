//! See `src/targets/describe.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::describe::run(bytes));
