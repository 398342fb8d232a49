//! A TCP speed meter: a server thread beyond the uplink, and the client that a guest or a namespace runs.
//!
//! The client sends one byte, the direction. Upload: it sends until the time is over and closes its sending side; the
//! server answers with the number of bytes it got, eight bytes in network order. Download: the server sends until the
//! client hangs up.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::world::Netns;

/// The port of the speed meter.
pub(crate) const PORT: u16 = 5201;

const UPLOAD: u8 = b'u';
const DOWNLOAD: u8 = b'd';
const CHUNK: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// The way the bytes go, seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Direction {
    /// From the client to the far host.
    Up,
    /// From the far host to the client.
    Down,
}

/// The serving end. Dropping it stops the thread; transfers that still run end with their clients.
#[derive(Debug)]
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on every address of a namespace.
    ///
    /// # Errors
    /// When the port is taken.
    pub(crate) fn start(namespace: &Netns) -> Result<Self> {
        let listener = namespace
            .run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).context("bind the speed meter"))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread =
            thread::Builder::new().name("meter".into()).spawn(move || accept(&listener, &stopped))?;
        Ok(Server { stop, thread: Some(thread) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        match listener.accept() {
            // A client that goes away in the middle is its own affair: it reports the error.
            Ok((stream, _)) => drop(thread::spawn(move || serve(stream))),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut direction = [0];
    stream.read_exact(&mut direction)?;
    if direction == [UPLOAD] {
        let mut total = 0_u64;
        let mut chunk = vec![0; CHUNK];
        loop {
            match stream.read(&mut chunk)? {
                0 => return stream.write_all(&total.to_be_bytes()),
                n => total += n as u64,
            }
        }
    }
    let chunk = vec![0x5a; CHUNK];
    loop {
        stream.write_all(&chunk)?;
    }
}

/// Moves bytes for `time` and returns how many per second arrived, in Mbit/s.
///
/// # Errors
/// When the server cannot be reached or the connection stalls.
pub(crate) fn measure(server: Ipv4Addr, direction: Direction, time: Duration) -> Result<f64> {
    let address = SocketAddr::V4(SocketAddrV4::new(server, PORT));
    let mut stream =
        TcpStream::connect_timeout(&address, PATIENCE).with_context(|| format!("reach {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let start = Instant::now();
    let total = match direction {
        Direction::Up => {
            stream.write_all(&[UPLOAD])?;
            let chunk = vec![0xa5; CHUNK];
            while start.elapsed() < time {
                stream.write_all(&chunk)?;
            }
            stream.shutdown(Shutdown::Write)?;
            let mut total = [0; 8];
            stream.read_exact(&mut total)?;
            u64::from_be_bytes(total)
        }
        Direction::Down => {
            stream.write_all(&[DOWNLOAD])?;
            let mut chunk = vec![0; CHUNK];
            let mut total = 0;
            while start.elapsed() < time {
                match stream.read(&mut chunk)? {
                    0 => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
                    n => total += n as u64,
                }
            }
            total
        }
    };
    Ok(total as f64 * 8.0 / start.elapsed().as_secs_f64() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_move_bytes() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || accept(&listener, &stopped));
        for direction in [Direction::Up, Direction::Down] {
            let speed = measure(Ipv4Addr::LOCALHOST, direction, Duration::from_millis(100)).unwrap();
            assert!(speed > 1.0, "{direction:?}: {speed} Mbit/s");
        }
        stop.store(true, Ordering::SeqCst);
        thread.join().unwrap();
    }
}
