//! See `src/targets/secrets_file.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::secrets_file::run(bytes));
