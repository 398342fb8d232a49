//! Bytes that are wiped when they are dropped, and when they move to where there is more room.

use std::io;

use zeroize::Zeroizing;

/// Adds bytes. By itself a vector that grows leaves what it had as it was, in memory that is free.
pub(crate) fn extend(buffer: &mut Zeroizing<Vec<u8>>, bytes: &[u8]) {
    let needed = buffer.len() + bytes.len();
    if needed > buffer.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.next_power_of_two()));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
    buffer.extend_from_slice(bytes);
}

/// Writes into such bytes.
pub(crate) struct Writer(pub(crate) Zeroizing<Vec<u8>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        extend(&mut self.0, bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
