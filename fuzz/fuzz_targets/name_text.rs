//! See `src/targets/name_text.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::name_text::run(bytes));
