//! See `src/targets/pool_file.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::pool_file::run(bytes));
