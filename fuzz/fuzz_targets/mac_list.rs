//! See `src/targets/mac_list.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::mac_list::run(bytes));
