//! A session's frames into a file that Wireshark and tcpdump read (pcapng, draft-ietf-opsawg-pcapng).

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use ppp_ipc::control::{CaptureEnd, CaptureRequest, CapturedFrame, Request, Response};
use ppp_wire::escape::harmless;

use crate::{console::Console, error::Error, failure, output, transport, wait::Wait};

/// Captures into `path`, or to standard output for `-`, until a limit is reached, the session ends, or Ctrl-C.
pub(crate) fn run(
    console: &mut Console,
    capture: CaptureRequest,
    path: &Path,
    out: &mut dyn Write,
) -> Result<(), Error> {
    if path.as_os_str() == "-" {
        return copy(console, capture, out).map(|_| ());
    }
    // What subscribers do is nobody else's business.
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = BufWriter::new(file.map_err(Error::File)?);
    let end = copy(console, capture, &mut file)?;
    writeln!(out, "{end}").map_err(Error::Output)
}

/// Returns what there is to say about it.
fn copy(console: &mut Console, capture: CaptureRequest, file: &mut dyn Write) -> Result<String, Error> {
    let request = Request::Capture(capture);
    let mut end: Option<CaptureEnd> = None;
    let mut written = 0_u64;
    write_header(capture.snaplen, file).map_err(Error::File)?;
    let outcome = console.exchange(&request, Wait::Forever, |response| {
        match response {
            Response::Frames(frames) => {
                for frame in &frames {
                    write_frame(frame, file).map_err(Error::File)?;
                    written += 1;
                }
                // So that somebody else may look on.
                file.flush().map_err(Error::File)?;
            }
            Response::CaptureEnd(how) => end = Some(how),
            Response::Done => return Ok(true),
            Response::Failed(failure) => return Err(failure::Error::new(failure, &request).into()),
            other => return Err(failure::Error::unexpected(&request, &other).into()),
        }
        Ok(false)
    });
    match outcome {
        Ok(()) => {}
        // That is how most captures end.
        Err(Error::Transport(transport::Error::Interrupted)) => {}
        Err(error) => return Err(error),
    }
    let packets = output::count(written, "packet");
    Ok(match end {
        Some(CaptureEnd { lost: 0, why, .. }) => format!("{packets} captured: {}", harmless(&why)),
        Some(CaptureEnd { lost, why, .. }) => {
            format!("{packets} captured, {lost} lost: {}", harmless(&why))
        }
        None => format!("{packets} captured"),
    })
}

/// Section Header Block and Interface Description Block (§4.1, §4.2).
fn write_header(snaplen: u16, out: &mut dyn Write) -> io::Result<()> {
    const LINKTYPE_ETHERNET: u16 = 1;
    const IF_TSRESOL: u16 = 9;
    let mut section = Vec::new();
    section.extend(0x1a2b_3c4d_u32.to_le_bytes());
    section.extend([1_u16, 0].map(u16::to_le_bytes).concat());
    // Nobody knows how long it will be.
    section.extend(u64::MAX.to_le_bytes());
    write_block(0x0a0d_0d0a, &section, out)?;
    let mut interface = Vec::new();
    interface.extend([LINKTYPE_ETHERNET, 0].map(u16::to_le_bytes).concat());
    interface.extend(u32::from(snaplen).to_le_bytes());
    // Nanoseconds.
    write_option(IF_TSRESOL, &[9], &mut interface);
    write_option(0, &[], &mut interface);
    write_block(1, &interface, out)
}

/// Enhanced Packet Block (§4.3).
fn write_frame(frame: &CapturedFrame, out: &mut dyn Write) -> io::Result<()> {
    const EPB_FLAGS: u16 = 2;
    let [a, b, c, d, e, f, g, h] = frame.time_ns.to_le_bytes();
    let mut packet = Vec::with_capacity(frame.bytes.len() + 48);
    packet.extend(0_u32.to_le_bytes());
    // The upper half of the time comes first.
    packet.extend([e, f, g, h, a, b, c, d]);
    packet.extend(u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    packet.extend(frame.wire_len.to_le_bytes());
    packet.extend(&frame.bytes);
    pad(&mut packet);
    let direction: u32 = if frame.is_from_peer { 1 } else { 2 };
    write_option(EPB_FLAGS, &direction.to_le_bytes(), &mut packet);
    write_option(0, &[], &mut packet);
    write_block(6, &packet, out)
}

fn write_option(code: u16, value: &[u8], body: &mut Vec<u8>) {
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    body.extend(value);
    pad(body);
}

/// Everything is a multiple of 32 bits long.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

fn write_block(kind: u32, body: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let len = u32::try_from(body.len() + 12).unwrap_or(u32::MAX).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&len)?;
    out.write_all(body)?;
    out.write_all(&len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_byte_by_byte() {
        let mut file = Vec::new();
        write_header(2048, &mut file).unwrap();
        let expected: &[&[u8]] = &[
            &[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0],
            &[0xff; 8],
            &[28, 0, 0, 0],
            &[
                1, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 8, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0,
                0, 0,
            ],
        ];
        assert_eq!(file, expected.concat());
        let mut packet = Vec::new();
        let frame = CapturedFrame {
            time_ns: 0x0102_0304_0506_0708,
            is_from_peer: false,
            wire_len: 60,
            bytes: vec![0xaa; 5],
        };
        write_frame(&frame, &mut packet).unwrap();
        let expected: &[&[u8]] = &[
            &[6, 0, 0, 0, 52, 0, 0, 0, 0, 0, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 5, 0, 0, 0, 60, 0, 0, 0],
            &[0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0, 0, 0],
            &[2, 0, 4, 0, 2, 0, 0, 0, 0, 0, 0, 0, 52, 0, 0, 0],
        ];
        assert_eq!(packet, expected.concat());
    }
}
