//! See `src/targets/pppoe_frame.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::pppoe_frame::run(bytes));
