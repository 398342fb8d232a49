//! What a scenario gets: a directory whose logs are shown when it fails, and the makers of everything else.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use ppp_wire::MacAddr;
use tempfile::TempDir;

use crate::capture::{self, Capture, Frame};
use crate::guest::Guest;
use crate::world::{ACCESS_MAC, Uplink, Wiring, World, name_of};

/// The capture of the access interface, in the scenario's directory.
const ACCESS_CAPTURE: &str = "access.pcap";

/// One scenario's workplace.
#[derive(Debug)]
pub(crate) struct Lab {
    directory: TempDir,
}

/// How many lines of one log are shown when a scenario fails.
const LOG_LINES: usize = 120;
/// How many frames are shown when a scenario fails.
const FRAMES: usize = 150;

impl Lab {
    /// # Errors
    /// When no temporary directory can be made.
    pub(crate) fn new(scenario: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix(&name_of(&format!("{scenario}-"))).tempdir()?;
        Ok(Lab { directory })
    }

    /// Where the scenario's files live.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Builds the world and starts recording the PPPoE frames on the access interface.
    ///
    /// # Errors
    /// When the kernel or tcpdump refuses.
    pub(crate) fn world(&self, wiring: Wiring, uplink: Uplink) -> Result<(World, Capture)> {
        let world = World::build("lab", wiring, uplink)?;
        let capture = Capture::start(
            &world.srv,
            wiring.access(),
            "ether proto 0x8863 or ether proto 0x8864",
            &self.capture_file(),
        )?;
        Ok((world, capture))
    }

    /// Copies what was recorded on the access interface, if anything was.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub(crate) fn keep_capture(&self, to: &Path) -> Result<()> {
        let file = self.capture_file();
        if file.exists() {
            fs::copy(&file, to).with_context(|| format!("keep {}", to.display()))?;
        }
        Ok(())
    }

    /// Boots guests side by side on the first access segment.
    ///
    /// # Errors
    /// When one does not boot.
    pub(crate) fn guests<const N: usize>(&self, world: &World, names: [&str; N]) -> Result<[Guest; N]> {
        let mut guests = Vec::with_capacity(N);
        for (number, name) in (1..).zip(names) {
            guests.push(Guest::start(world, "br1", name, number, self.path())?);
        }
        guests.iter().try_for_each(Guest::ready)?;
        guests.try_into().map_err(|_| anyhow::anyhow!("as many guests as names"))
    }

    /// Ends the recording and checks that tshark has nothing against the frames that the server sent.
    ///
    /// # Errors
    /// When the server sent a frame that is malformed or too short for Ethernet, or sent none at all.
    pub(crate) fn check_sent_frames(&self, mut capture: Capture) -> Result<Vec<Frame>> {
        capture.stop()?;
        let frames = capture.frames()?;
        check_frames_from(&frames, &mac(ACCESS_MAC))?;
        check_sessions_begin_with_pads(&frames, &mac(ACCESS_MAC))?;
        Ok(frames)
    }

    fn capture_file(&self) -> PathBuf {
        self.path().join(ACCESS_CAPTURE)
    }

    /// Prints every log of the scenario and the decoded capture.
    pub(crate) fn show(&self) {
        if let Err(error) = self.try_show() {
            println!("    (cannot show the logs: {error:#})");
        }
    }

    fn try_show(&self) -> Result<()> {
        for log in logs_below(self.path())? {
            let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            if !lines.is_empty() {
                println!("    ---- {}", log.strip_prefix(self.path()).unwrap_or(&log).display());
                let skipped = lines.len().saturating_sub(LOG_LINES);
                lines.iter().skip(skipped).for_each(|line| println!("    | {line}"));
            }
        }
        if self.capture_file().exists() {
            println!("    ---- frames on the access interface");
            capture::read(&self.capture_file())?
                .iter()
                .take(FRAMES)
                .for_each(|frame| println!("    | {frame}"));
        }
        Ok(())
    }
}

fn check_frames_from(frames: &[Frame], server: &str) -> Result<()> {
    let mut sent = frames.iter().filter(|frame| frame.source == server).peekable();
    sent.peek().with_context(|| format!("no frame from {server} in the capture"))?;
    for frame in sent {
        if let Some(complaint) = &frame.complaint {
            bail!("tshark objects to a frame of ours ({complaint}): {frame}");
        }
        if frame.len < 60 {
            bail!("a frame of ours has {} bytes, less than Ethernet's 60: {frame}", frame.len);
        }
    }
    Ok(())
}

/// A client that gets a session's frame before the PADS throws it away, and the repetition costs it seconds.
fn check_sessions_begin_with_pads(frames: &[Frame], server: &str) -> Result<()> {
    let mut confirmed = BTreeSet::new();
    for frame in frames.iter().filter(|frame| frame.source == server) {
        let session = (&frame.destination, &frame.session);
        if frame.info.contains("(PADS)") {
            confirmed.insert(session);
        } else if frame.info.contains("(PADT)") {
            confirmed.remove(&session);
        } else if !frame.protocol.is_empty() {
            ensure!(confirmed.contains(&session), "a session's frame without or before its PADS: {frame}");
        }
    }
    Ok(())
}

/// A hardware address as tshark and pppd write it.
pub(crate) fn mac(address: [u8; 6]) -> String {
    MacAddr(address).to_string()
}

fn logs_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(logs_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "log") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
