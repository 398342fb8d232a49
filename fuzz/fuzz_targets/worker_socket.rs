//! See `src/targets/worker_socket.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pppoed_fuzz::targets::worker_socket::run(bytes));
