//! See `src/targets/hook_messages.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::hook_messages::run(bytes));
