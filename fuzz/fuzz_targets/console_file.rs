//! See `src/targets/console_file.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::console_file::run(bytes));
