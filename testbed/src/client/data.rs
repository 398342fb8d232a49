//! The data path of a dialled session.
//!
//! It works as the worker's does at the other end, so that a benchmark compares like with like: a batch of frames from
//! the line in one call, packets of a flow to the kernel in one, what the kernel hands out uncut is cut where it was
//! read to. Without offloads it is one packet per call, each way, as the worker's with `--no-offloads`.

use std::io::{self, IoSlice};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ppp_linux::packet::{FrameBatch, MAX_BATCH, Pace};
use ppp_linux::tun::{MAX_READ, Tun, VNET_HEADER_LEN};
use ppp_wire::ethernet::MIN_FRAME_LEN;
use ppp_wire::offload::{Coalescer, MAX_PACKETS, Mergeable, Segments, VnetHeader};

use super::dial::Count;
use super::port::{FRAME_LEN, Port};
use super::session::{DATA_HEADER_LEN, Session};

/// Frames or packets of the kernel that are moved one way before the other gets its turn.
const MAX_MOVED: usize = 64;
/// Where the kernel's header is read to, so that there is room for a frame's headers in front of the packet.
const READ_OFFSET: usize = DATA_HEADER_LEN - VNET_HEADER_LEN;

/// Buffers of both ways, and what went through them.
#[derive(Debug)]
pub(super) struct DataPath {
    frames: FrameBatch,
    coalescer: Coalescer,
    pace: Pace,
    read: Vec<u8>,
    /// From the server.
    pub(super) received: Count,
    /// To the server.
    pub(super) sent: Count,
}

impl DataPath {
    /// With `offloads` many packets per call, without one; `gather` is how long frames of a stream may gather.
    ///
    /// # Errors
    /// When there is no memory.
    pub(super) fn new(offloads: bool, gather: Duration) -> Result<Self> {
        let capacity = if offloads { MAX_BATCH } else { 1 };
        let mergeable = Mergeable { tcp: offloads, udp: offloads };
        Ok(Self {
            frames: FrameBatch::new(capacity, FRAME_LEN)?,
            coalescer: Coalescer::new(mergeable, capacity.min(MAX_PACKETS)),
            pace: Pace::new(gather),
            read: vec![0; READ_OFFSET + VNET_HEADER_LEN + MAX_READ],
            received: Count::default(),
            sent: Count::default(),
        })
    }

    /// Takes session frames of the line: packets go to the TUN, if there is one, everything else to the session.
    ///
    /// # Errors
    /// When the line or the TUN is gone.
    pub(super) fn receive(
        &mut self,
        port: &Port,
        session: &mut Session,
        tun: Option<&Tun>,
        now: Instant,
    ) -> Result<()> {
        let mut moved = 0;
        while moved < MAX_MOVED {
            let count = port.receive_batch(&mut self.frames)?;
            self.pace.note_received(count, self.frames.capacity());
            for number in 0..count {
                self.take_frame(number, session, now);
            }
            self.flush(tun)?;
            moved += count;
            if count < self.frames.capacity() {
                break;
            }
        }
        Ok(())
    }

    /// How long to leave the server's frames alone, for more of them to be fetched at once.
    pub(super) fn take_pause(&mut self) -> Option<Duration> {
        self.pace.take_pause()
    }

    fn take_frame(&mut self, number: usize, session: &mut Session, now: Instant) {
        let Some(place) = self.frames.frame(number).filter(|frame| !frame.is_truncated()) else { return };
        let start = place.bytes.start;
        let frame = self.frames.storage().get(place.bytes).unwrap_or_default();
        let Some(packet) = session.handle_session_frame(frame, now) else { return };
        self.received.add(packet);
        let start = start + (packet.as_ptr().addr() - frame.as_ptr().addr());
        let packet = start..start + packet.len();
        // There is room for as many packets as there are frames.
        let _ = self.coalescer.push(self.frames.storage(), packet);
    }

    fn flush(&mut self, tun: Option<&Tun>) -> Result<()> {
        let mut outcome = Ok(());
        self.coalescer.drain(self.frames.storage(), |storage, write| {
            let Some(tun) = tun else { return };
            let header = write.header.emit();
            let parts = write.parts.iter().map(|part| storage.get(part.clone()).unwrap_or_default());
            let mut slices = [IoSlice::new(&[]); 1 + MAX_PACKETS];
            let mut count = 0;
            for (slice, part) in slices.iter_mut().zip(std::iter::once(&header[..]).chain(parts)) {
                *slice = IoSlice::new(part);
                count += 1;
            }
            match tun.write(slices.get(..count).unwrap_or_default()) {
                // The kernel takes no packet with a wrong header; what the server relays may be anything.
                Err(error) if error.kind() != io::ErrorKind::InvalidInput => outcome = Err(error),
                _ => {}
            }
        });
        outcome.context("write to the TUN")
    }

    /// Sends the server what waits in the TUN.
    ///
    /// # Errors
    /// When the line or the TUN is gone.
    pub(super) fn transmit(&mut self, port: &mut Port, session: &Session, tun: &Tun) -> Result<()> {
        for _ in 0..MAX_MOVED {
            let room = self.read.get_mut(READ_OFFSET..).unwrap_or_default();
            let len = match tun.read(room) {
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("read from the TUN"),
            };
            self.pace.note_sent(len);
            let header = room.first_chunk().map(VnetHeader::parse).unwrap_or_default();
            let mut segments = Segments::new(&mut self.read, DATA_HEADER_LEN..READ_OFFSET + len, &header)?;
            while let Some(packet) = segments.next_packet(&mut self.read) {
                let len = packet.len();
                let Some(header) = session.data_header(len) else { continue };
                let start = packet.start.checked_sub(DATA_HEADER_LEN).context("no room for the header")?;
                let frame = self.read.get_mut(start..packet.end).unwrap_or_default();
                if let Some(place) = frame.first_chunk_mut() {
                    *place = header;
                }
                if frame.len() < MIN_FRAME_LEN {
                    // Behind it there may be the next packet.
                    let mut padded = [0; MIN_FRAME_LEN];
                    padded.iter_mut().zip(&*frame).for_each(|(to, from)| *to = *from);
                    port.send(&padded)?;
                } else {
                    port.send(frame)?;
                }
                self.sent.packets += 1;
                self.sent.bytes += u64::try_from(len).unwrap_or(u64::MAX);
            }
        }
        Ok(())
    }
}
