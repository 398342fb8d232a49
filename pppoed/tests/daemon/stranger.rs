//! Somebody with the workers' user who is no worker: this program once more, under another name.

use std::env;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use super::lab::Lab;

const NAME: &str = "stranger";

/// User and group `nobody`, as which the workers run here.
pub(crate) const NOBODY: u32 = 65534;

pub(crate) fn was_started_as_stranger() -> bool {
    env::args_os().next().is_some_and(|name| Path::new(&name).file_name() == Some(NAME.as_ref()))
}

/// Sends its standard input to the socket that its argument names, and says what comes back until the end.
pub(crate) fn run() -> ExitCode {
    let mut message = Vec::new();
    std::io::stdin().read_to_end(&mut message).unwrap();
    let Ok(mut stream) = UnixStream::connect(env::args().nth(1).unwrap()) else {
        println!("refused");
        return ExitCode::SUCCESS;
    };
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let _ = stream.write_all(&message);
    let mut answer = Vec::new();
    // It may hang up before it has read everything.
    let _ = stream.read_to_end(&mut answer);
    println!("{} bytes", answer.len());
    ExitCode::SUCCESS
}

/// What somebody with this user and group hears on the workers' socket after this message.
pub(crate) fn says(lab: &Lab, id: u32, message: &[u8]) -> String {
    let path = lab.path(NAME);
    if !path.exists() {
        symlink(env::current_exe().unwrap(), &path).unwrap();
    }
    let mut command = Command::new(&path);
    command.arg(lab.path("run/empty/supervisor.sock")).uid(id).gid(id);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
