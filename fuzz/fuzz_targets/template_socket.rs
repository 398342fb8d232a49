//! See `src/targets/template_socket.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::template_socket::run(bytes));
