//! See `src/targets/hook_store.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::hook_store::run(bytes));
