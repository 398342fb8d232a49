//! A disk that is full, and a log that nobody reads: the log loses lines, and the sessions nothing.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::lab::{self, Lab, until, with_wire};
use super::peer::Subscriber;
use super::worker::good_mac;

pub(crate) fn tests() -> Vec<super::Test> {
    let tests: [(&str, fn()); 4] = [
        ("a full disk costs lines of the log", full),
        ("a full disk has no room for a pid file", no_pid_file),
        ("a log that nobody reads stops nothing", unread),
        ("a log whose reader is gone stops nothing", reader_gone),
    ];
    let test =
        |(name, test): (&str, fn())| -> super::Test { (name.to_owned(), Box::new(move || with_wire(test))) };
    tests.into_iter().map(test).collect()
}

/// Mounts a disk of 64 KiB for the calling thread and its children.
fn small_disk(at: &Path) {
    let none: Option<&str> = None;
    fs::create_dir(at).unwrap();
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("small"), at, Some("tmpfs"), MsFlags::empty(), Some("size=64k")).unwrap();
}

/// Leaves no byte on the disk.
fn fill(disk: &Path) {
    let mut file = fs::File::options().create(true).append(true).open(disk.join("filler")).unwrap();
    while file.write(&[b'x'; 512]).is_ok() {}
    assert_eq!(file.write(b"x").unwrap_err().kind(), io::ErrorKind::StorageFull);
}

fn log_to(directory: &Path, file: &Path) {
    let options = format!("require-chap\nlcp-restart 1\nlcp-max-terminate 1\nlogfile {}\n", file.display());
    fs::write(directory.join("options"), options).unwrap();
}

fn full() {
    let directory = lab::directory();
    let disk = directory.path().join("small");
    small_disk(&disk);
    log_to(directory.path(), &disk.join("log"));
    let stderr = fs::File::create(directory.path().join("log")).unwrap();
    let lab = Lab::start_logging_to(
        directory,
        &["-X", "{lab}/small/pid", "--log-level", "debug"],
        &[],
        stderr.into(),
    );
    let mut first = Subscriber::open(good_mac(1));
    lab.logged(&["session up"]);
    fill(&disk);
    // The rest of the page that the log has already.
    let reached = |word: &str| fs::read_to_string(disk.join("log")).unwrap().contains(word);
    let mut dials = 0;
    until("the log to be full", || {
        dials += 1;
        let mut again = Subscriber::open_again(good_mac(2), dials);
        again.assert_alive();
        lab.logged(&["session up", &good_mac(2).to_string()]);
        again.host.hang_up();
        thread::sleep(Duration::from_millis(100));
        fs::metadata(disk.join("log")).unwrap().len().is_multiple_of(4096)
    });
    first.assert_alive();
    // The other log has everything, the small one begins again when there is room, and says what is missing.
    fs::remove_file(disk.join("filler")).unwrap();
    let mut last = Subscriber::open(good_mac(3));
    until("the small log to go on", || reached(&good_mac(3).to_string()));
    let log = fs::read_to_string(disk.join("log")).unwrap();
    let complaint = log.lines().find(|line| line.contains("lines of the log were lost here")).unwrap();
    assert!(complaint.contains("No space left on device"), "{complaint}");
    assert!(!lab.log().contains("lost here"), "{}", lab.log());
    last.assert_alive();
    lab.stop_with(&mut [&mut first, &mut last]);
}

/// Nothing runs without the file that was asked for; the message says which.
fn no_pid_file() {
    let directory = lab::directory();
    let disk = directory.path().join("small");
    small_disk(&disk);
    fill(&disk);
    let pid = disk.join("pid");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pppoed"));
    command
        .args(["-F", "-I", lab::ACCESS, "--worker-user", "nobody", "-X"])
        .arg(&pid)
        .env_remove("JOURNAL_STREAM");
    for (flag, file) in [("-O", "options"), ("--common-options", "empty"), ("--chap-secrets", "secrets")] {
        command.arg(flag).arg(directory.path().join(file));
    }
    command.arg("--run-dir").arg(directory.path().join("run"));
    command.arg("--worker").arg(directory.path().join(super::worker::NAME));
    let output = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains(&pid.display().to_string()), "{complaint}");
    assert!(complaint.contains("No space left on device"), "{complaint}");
}

/// A pipe with no room.
fn unread() {
    let directory = lab::directory();
    log_to(directory.path(), &directory.path().join("log"));
    let (reader, mut writer) = io::pipe().unwrap();
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).unwrap();
    let lab = Lab::start_logging_to(directory, &["--log-level", "trace"], &[], writer.into());
    let mut subscriber = Subscriber::open(good_mac(1));
    for _ in 0..3000 {
        // Each is a line of the log.
        lab.console().terminate(ppp_ipc::control::Selector::Id(99));
    }
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
    drop(reader);
}

fn reader_gone() {
    let directory = lab::directory();
    log_to(directory.path(), &directory.path().join("log"));
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let lab = Lab::start_logging_to(directory, &[], &[], Stdio::from(writer));
    let mut subscriber = Subscriber::open(good_mac(1));
    lab.logged(&["session up"]);
    subscriber.assert_alive();
    lab.stop_with(&mut [&mut subscriber]);
}
