//! See `src/targets/console_changes.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::console_changes::run(bytes));
