//! See `src/targets/control_socket.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::control_socket::run(bytes));
