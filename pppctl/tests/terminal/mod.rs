//! The real program in a terminal of its own, which is looked at as its user would.

use std::{
    ffi::OsStr,
    io::{Read, Write},
    num::NonZeroU16,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::Child,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pty_process::{Size, blocking::Pty};
use tempfile::TempDir;

/// Longest wait for anything to be shown. A busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    seen: Arc<Mutex<Seen>>,
    /// Home of the program's user.
    pub(crate) home: TempDir,
}

/// What the program wrote.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

impl Terminal {
    /// Starts `pppctl` with this socket and these arguments, without colours and with its own pager.
    pub(crate) fn start(socket: &Path, arguments: &[&str]) -> Self {
        Self::with(socket, arguments, (24, 80), &[("NO_COLOR", "1"), ("PAGER", "/nonexistent")])
    }

    /// The same in a terminal of so many lines and columns, with this environment.
    pub(crate) fn with(
        socket: &Path,
        arguments: &[&str],
        (rows, columns): (u16, u16),
        environment: &[(&str, &str)],
    ) -> Self {
        let pppctl = env!("CARGO_BIN_EXE_pppctl");
        let arguments: Vec<&OsStr> = [OsStr::new("--socket"), socket.as_os_str()]
            .into_iter()
            .chain(arguments.iter().map(OsStr::new))
            .collect();
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self::of(Path::new(pppctl), &arguments, (rows, columns), &path, environment)
    }

    /// A bash that has the completion of pppctl, which it finds by its name, and nothing else of its user's.
    pub(crate) fn bash() -> Self {
        let mut path = Path::new(env!("CARGO_BIN_EXE_pppctl")).parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let environment = [("PS1", "$ "), ("LC_ALL", "C.UTF-8"), ("NO_COLOR", "1")];
        let bash = Path::new("/bin/bash");
        let arguments = ["--norc", "--noprofile", "-i"].map(OsStr::new);
        let terminal = Self::of(bash, &arguments, (24, 200), &path, &environment);
        terminal.wait_for_prompt("$");
        terminal
    }

    fn of(
        program: &Path,
        arguments: &[&OsStr],
        (rows, columns): (u16, u16),
        path: &OsStr,
        environment: &[(&str, &str)],
    ) -> Self {
        let home = tempfile::tempdir().unwrap();
        let (pty, other_side) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let child = pty_process::blocking::Command::new(program)
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", path)
            .env("TERM", "xterm")
            .envs(environment.iter().copied())
            .args(arguments)
            .spawn(other_side)
            .unwrap();
        let seen = Seen { parser: vt100::Parser::new(nonzero(rows), nonzero(columns), 0), bytes: Vec::new() };
        let (pty, seen) = (Arc::new(pty), Arc::new(Mutex::new(seen)));
        let (reader, writer) = (Arc::clone(&pty), Arc::clone(&seen));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The terminal ends with EIO once the last holder of its other side has gone.
            while let Ok(len @ 1..) = (&*reader).read(&mut buffer) {
                let mut seen = writer.lock().unwrap();
                seen.parser.process(&buffer[..len]);
                seen.bytes.extend_from_slice(&buffer[..len]);
            }
        });
        Self { pty, child, seen, home }
    }

    /// Types.
    pub(crate) fn send(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// What can be seen now.
    pub(crate) fn screen(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        self.seen.lock().unwrap().parser.screen_mut().set_size(nonzero(rows), nonzero(columns));
        self.pty.resize(Size::new(rows, columns)).unwrap();
    }

    /// Whether the other screen is shown, as for a full-screen program, or the cursor hidden.
    pub(crate) fn is_taken(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        seen.parser.screen().alternate_screen() || seen.parser.screen().hide_cursor()
    }

    /// Sends a signal to the program.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Everything that was ever written, control characters and all.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen shows something, and gives the screen.
    #[track_caller]
    pub(crate) fn wait_until(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "in vain; there is:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a text is shown, and gives the screen.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_until(|screen| screen.contains(text))
    }

    /// Waits until the last line that is not empty ends with this.
    #[track_caller]
    pub(crate) fn wait_for_prompt(&self, prompt: &str) -> String {
        self.wait_until(|screen| screen.trim_end().lines().last().is_some_and(|line| line == prompt))
    }

    /// Waits for the program's end: its exit status, or -1 and less for the signal that ended it.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| -status.signal().unwrap());
            }
            assert!(Instant::now() < deadline, "it goes on; there is:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether keys are echoed and lines are edited by the terminal, as they are between programs.
    pub(crate) fn is_cooked(&self) -> bool {
        use nix::sys::termios::{LocalFlags, tcgetattr};
        let settings = tcgetattr(&*self.pty).unwrap();
        settings.local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON | LocalFlags::ISIG)
    }
}

fn nonzero(size: u16) -> NonZeroU16 {
    NonZeroU16::new(size).unwrap()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
