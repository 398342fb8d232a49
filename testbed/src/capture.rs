//! Frames on the access interface, recorded by tcpdump and read by tshark: somebody else's decoder.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;

use crate::packages;
use crate::process::Process;
use crate::wait;
use crate::world::Netns;

/// What tshark prints of every frame, in this order.
const FIELDS: [&str; 11] = [
    "frame.number",
    "frame.time_relative",
    "frame.len",
    "eth.src",
    "eth.dst",
    "pppoe.session_id",
    "ppp.protocol",
    "_ws.malformed",
    "_ws.expert.severity",
    "_ws.expert.message",
    "_ws.col.Info",
];

/// tshark's number for an expert remark of the severity "error" (PI_ERROR).
const SEVERITY_ERROR: &str = "8388608";

/// A running tcpdump.
#[derive(Debug)]
pub(crate) struct Capture {
    tcpdump: Process,
    file: PathBuf,
}

/// One recorded frame, as tshark reads it.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Its place in the capture, from 1.
    pub(crate) number: String,
    /// Seconds since the first frame.
    pub(crate) time: String,
    /// Length on the wire in bytes, without the frame check sequence.
    pub(crate) len: usize,
    /// Source hardware address.
    pub(crate) source: String,
    /// Destination hardware address.
    pub(crate) destination: String,
    /// PPPoE session id as tshark writes it, such as `0x0001`; empty for other frames.
    pub(crate) session: String,
    /// PPP protocol as tshark writes it, such as `0xc021`; empty for discovery.
    pub(crate) protocol: String,
    /// tshark's one-line summary.
    pub(crate) info: String,
    /// Why tshark takes it for malformed, if it does.
    pub(crate) complaint: Option<String>,
}

impl Capture {
    /// Starts recording what `filter` (in tcpdump's language) selects on an interface.
    ///
    /// # Errors
    /// When tcpdump does not start.
    pub(crate) fn start(namespace: &Netns, interface: &str, filter: &str, file: &Path) -> Result<Self> {
        let mut command = packages::command("tcpdump")?;
        command.args(["-i", interface, "-n", "-U", "-s", "0", "--immediate-mode", "-Z", "root", "-w"]);
        command.arg(file).arg(filter);
        let mut tcpdump = Process::start(namespace, &mut command, &file.with_extension("tcpdump.log"))?;
        tcpdump.wait_for_output("listening on", Duration::from_secs(10))?;
        Ok(Capture { tcpdump, file: file.to_owned() })
    }

    /// The file that is written.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The frames recorded so far.
    ///
    /// # Errors
    /// When tshark cannot read them.
    pub(crate) fn frames(&self) -> Result<Vec<Frame>> {
        read(&self.file)
    }

    /// Waits until the recording satisfies `enough`.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub(crate) fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        mut enough: impl FnMut(&[Frame]) -> bool,
    ) -> Result<Vec<Frame>> {
        // tshark takes most of a second, so look again only when there is more to see.
        let mut seen = 0;
        wait::until(what, limit, || {
            let size = fs::metadata(&self.file).map_or(0, |file| file.len());
            if size == seen {
                return Ok(None);
            }
            seen = size;
            let frames = self.frames()?;
            Ok(enough(&frames).then_some(frames))
        })
    }

    /// Ends the recording; every frame is in the file when this returns.
    ///
    /// # Errors
    /// When tcpdump does not end.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.tcpdump.stop(Signal::SIGINT, Duration::from_secs(10)).map(drop)
    }
}

/// The values of one of tshark's fields in the frames of a capture file that `filter` selects.
///
/// # Errors
/// When tshark fails.
pub(crate) fn field(file: &Path, filter: &str, field: &str) -> Result<Vec<String>> {
    let output = packages::command("tshark")?
        .args(["-n", "-r"])
        .arg(file)
        .args(["-Y", filter, "-T", "fields", "-e", field])
        .output()
        .context("run tshark")?;
    if !output.status.success() {
        bail!("tshark: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Has tshark decode a capture file.
///
/// # Errors
/// When there is no such file, or tshark prints what we do not understand.
pub(crate) fn read(file: &Path) -> Result<Vec<Frame>> {
    let mut command = packages::command("tshark")?;
    command.args(["-n", "-r"]).arg(file).args(["-T", "fields", "-E", "separator=/t", "-E", "occurrence=a"]);
    for field in FIELDS {
        command.args(["-e", field]);
    }
    let output = command.output().context("run tshark")?;
    let text = String::from_utf8_lossy(&output.stdout);
    // A capture that still runs may end within a frame: tshark says so with status 2 and prints what is whole.
    if !output.status.success() && text.is_empty() {
        bail!("tshark: {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    text.lines().map(|line| frame(line).with_context(|| format!("tshark printed {line:?}"))).collect()
}

fn frame(line: &str) -> Result<Frame> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [number, time, len, source, destination, session, protocol, malformed, severity, message, info] =
        <[&str; FIELDS.len()]>::try_from(fields)
            .map_err(|fields| anyhow::anyhow!("{} fields instead of {}", fields.len(), FIELDS.len()))?;
    let complains = !malformed.is_empty() || severity.split(',').any(|one| one == SEVERITY_ERROR);
    Ok(Frame {
        number: number.to_owned(),
        time: time.to_owned(),
        len: len.parse().context("frame length")?,
        source: source.to_owned(),
        destination: destination.to_owned(),
        session: session.to_owned(),
        protocol: protocol.to_owned(),
        info: info.to_owned(),
        complaint: complains.then(|| format!("{malformed} {message}").trim().to_owned()),
    })
}

impl Frame {
    /// Its PPP protocol and tshark's summary, such as `0xc021 Echo Request`.
    pub(crate) fn summary(&self) -> String {
        format!("{} {}", self.protocol, self.info).trim_start().to_owned()
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>4} {:>10.10} {} > {} {} {}",
            self.number,
            self.time,
            self.source,
            self.destination,
            self.session,
            self.summary()
        )?;
        if let Some(complaint) = &self.complaint {
            write!(f, "   [{complaint}]")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_tshark_becomes_a_frame() {
        let line = "7\t0.25\t60\t02:00:00:00:00:01\t02:00:00:00:00:02\t0x0001\t0xc021\t\t\t\tEcho Request";
        let frame = frame(line).unwrap();
        assert_eq!((frame.len, frame.protocol.as_str(), frame.info.as_str()), (60, "0xc021", "Echo Request"));
        assert_eq!(frame.complaint, None);
    }

    #[test]
    fn errors_are_complaints_and_notes_are_not() {
        let with = |malformed: &str, severity: &str| {
            frame(&format!("1\t0\t60\ta\tb\t\t\t{malformed}\t{severity}\twhy\tinfo")).unwrap().complaint
        };
        assert_eq!(with("", "4194304"), None);
        assert_eq!(with("", "4194304,8388608").as_deref(), Some("why"));
        assert_eq!(with("_ws.malformed", "").as_deref(), Some("_ws.malformed why"));
        assert!(frame("1\t2").is_err());
    }
}
