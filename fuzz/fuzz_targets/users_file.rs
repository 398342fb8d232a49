//! See `src/targets/users_file.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::users_file::run(bytes));
