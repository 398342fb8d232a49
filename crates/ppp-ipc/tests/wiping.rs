//! What was a password is nowhere in memory once it was sent and read.
//!
//! This is the only test of its program: it looks through all memory that the program can write to.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;

use ppp_ipc::codec::{decode, encode};
use ppp_ipc::control::{AuthTest, Password, Request};
use ppp_ipc::frame::FrameDecoder;
use ppp_ipc::hooks::{Answer, AuthAnswer, Secret, Value};
use ppp_ipc::name::Name;
use ppp_ipc::worker::{FromWorker, Proof};

/// Longer than what the allocator writes into memory that is free.
const PIECE: usize = 48;

/// Length of a password.
const LEN: u8 = 200;

/// What no other memory holds: the number of a password is in each of its bytes.
fn byte(number: u8, index: u8) -> u8 {
    index.wrapping_mul(37) ^ number.wrapping_mul(91) ^ 0xa5
}

fn password(number: u8) -> Vec<u8> {
    (0..LEN).map(|index| byte(number, index)).collect()
}

/// Looks through the memory of this program, and takes none for it: what is free stays as it is.
struct Search {
    maps: Vec<u8>,
    buffer: Vec<u8>,
}

impl Search {
    fn new() -> Self {
        Self { maps: vec![0; 1 << 18], buffer: vec![0; 1 << 16] }
    }

    /// In how many places the middle of password `number` is.
    fn copies(&mut self, number: u8) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut maps = File::open("/proc/self/maps").unwrap();
        let mut len = 0;
        loop {
            match maps.read(&mut self.maps[len..]).unwrap() {
                0 => break,
                read => len += read,
            }
        }
        let mut count = 0;
        for line in std::str::from_utf8(&self.maps[..len]).unwrap().lines() {
            let mut columns = line.split(' ');
            let (start, end) = columns.next().unwrap().split_once('-').unwrap();
            if !columns.next().unwrap().starts_with("rw") {
                continue;
            }
            let [mut at, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
            while at < end {
                let wanted = self.buffer.len().min(usize::try_from(end - at).unwrap());
                let Ok(read) = memory.read_at(&mut self.buffer[..wanted], at) else { break };
                // What is looked for is made byte by byte, so that it is not found itself.
                let is_there =
                    |piece: &&[u8]| piece.iter().zip(100..).all(|(found, i)| *found == byte(number, i));
                count += self.buffer[..read].windows(PIECE).filter(is_there).count();
                self.buffer.fill(0);
                // A piece may begin in one part and end in the next.
                at += u64::try_from(read.saturating_sub(PIECE - 1).max(1)).unwrap();
            }
        }
        count
    }
}

/// Sends it, reads it as a socket would bring it, and forgets it.
fn there_and_back<T: serde::Serialize + serde::de::DeserializeOwned>(message: &T) {
    let bytes = encode(message).unwrap();
    let mut decoder = FrameDecoder::new();
    for chunk in bytes.chunks(64) {
        let mut buffer = [0; 64];
        let buffer = &mut buffer[..chunk.len()];
        buffer.copy_from_slice(chunk);
        decoder.take(buffer);
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
    drop(decode::<T>(decoder.next_frame().unwrap().unwrap()).unwrap());
}

#[test]
fn no_password_stays_in_memory() {
    let mut memory = Search::new();
    let mut copies = |number| memory.copies(number);
    // It is found where it is,
    let kept = password(0);
    assert!(copies(0) >= 1);
    drop(std::hint::black_box(kept));
    // and where it was, if it was not wiped.
    drop(std::hint::black_box(password(1)));
    assert!(copies(1) >= 1, "freed memory was not looked through");

    // The frame grows in the middle of it.
    let proof = Proof::Pap { name: vec![b'a'; 100], password: password(2) };
    there_and_back(&FromWorker::Authenticate(proof));
    assert_eq!(copies(2), 0, "of a proof");
    let test = AuthTest { user: Name::new("alice"), password: Some(Password(password(3))) };
    there_and_back(&Request::AuthTest(test));
    assert_eq!(copies(3), 0, "of a console");
    there_and_back(&Value::Secret(Secret(password(4))));
    assert_eq!(copies(4), 0, "for a hook");
    let answer = AuthAnswer { secret: Some(Secret(password(5))), ..AuthAnswer::default() };
    there_and_back(&Answer::Auth(Box::new(answer)));
    assert_eq!(copies(5), 0, "of a hook");
}
