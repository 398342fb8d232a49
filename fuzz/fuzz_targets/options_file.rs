//! See `src/targets/options_file.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::options_file::run(bytes));
