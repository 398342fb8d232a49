//! See `src/targets/console_words.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::console_words::run(bytes));
