//! See `src/targets/adoption_records.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::adoption_records::run(bytes));
