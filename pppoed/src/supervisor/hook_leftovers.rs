//! What programs of hooks leave running in the background when they end.
//!
//! Such processes are in the process group of their program, and nobody waits for them: without an end, each dial could leave
//! one for ever. So a group gets a time after its program's end, then SIGTERM, then SIGKILL. Whoever wants to stay makes a
//! session of its own (setsid(2)), as daemons do.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep_until};
use tracing::info;

use crate::turns;

/// Groups that may have time at once; for another one, the oldest is killed at once.
const MAX_GROUPS: usize = 256;
/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// The groups that have time. A clone is the same list.
#[derive(Clone, Debug)]
pub(super) struct Leftovers(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Time after the program's end; `None` for ever.
    time: Option<Duration>,
    list: RefCell<List>,
}

#[derive(Debug, Default)]
struct List {
    groups: VecDeque<Group>,
    /// Somebody waits for the end of the first one's time.
    is_watched: bool,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    id: Pid,
    until: Instant,
    /// When that time is over.
    signal: Signal,
}

impl Leftovers {
    /// Groups get `time` after the ends of their programs (`--hook-leftovers`).
    pub(super) fn new(time: Option<Duration>) -> Self {
        Self(Rc::new(Shared { time, list: RefCell::default() }))
    }

    /// The program with this process id, which led a group, has ended.
    pub(super) fn program_ended(&self, program: u32) {
        let Some(id) = i32::try_from(program).ok().filter(|id| *id > 1).map(Pid::from_raw) else { return };
        let Some(time) = self.0.time.filter(|_| has_members(id)) else { return };
        let mut list = self.0.list.borrow_mut();
        list.groups.push_back(Group { id, until: Instant::now() + time, signal: Signal::SIGTERM });
        if list.groups.len() > MAX_GROUPS
            && let Some(oldest) = list.groups.pop_front()
        {
            end(Group { signal: Signal::SIGKILL, ..oldest });
        }
        if !std::mem::replace(&mut list.is_watched, true) {
            turns::spawn("hook leftovers", watch(self.clone()));
        }
    }
}

impl Drop for Shared {
    /// With the server: scripts that a reload replaces leave the list to whoever waits for its groups.
    fn drop(&mut self) {
        for group in self.list.borrow_mut().groups.drain(..) {
            end(Group { signal: Signal::SIGKILL, ..group });
        }
    }
}

/// Waits for each group's time, until there are none.
async fn watch(leftovers: Leftovers) {
    loop {
        let next = {
            let mut list = leftovers.0.list.borrow_mut();
            let next = list.groups.iter().map(|group| group.until).min();
            list.is_watched = next.is_some();
            next
        };
        let Some(next) = next else { return };
        sleep_until(next).await;
        let mut list = leftovers.0.list.borrow_mut();
        for _ in 0..list.groups.len() {
            let Some(group) = list.groups.pop_front() else { break };
            match (group.until <= Instant::now(), group.signal) {
                (false, _) => list.groups.push_back(group),
                (true, Signal::SIGTERM) if end(group) => {
                    info!(
                        group = group.id.as_raw(),
                        "ending leftover processes of a hook (--hook-leftovers)"
                    );
                    let until = Instant::now() + GRACE;
                    list.groups.push_back(Group { until, signal: Signal::SIGKILL, ..group });
                }
                (true, _) => {
                    end(group);
                }
            }
        }
    }
}

/// Whether a group whose leader has ended still has members. The kernel gives its number to nobody else as long as it has.
fn has_members(group: Pid) -> bool {
    // A process of this number is not the leader, which has been waited for: the group was empty, and its number given away.
    let is_taken = Path::new("/proc").join(group.to_string()).exists();
    !is_taken && killpg(group, None::<Signal>).is_ok()
}

/// Sends a group its signal; false if it is empty.
fn end(group: Group) -> bool {
    has_members(group.id) && killpg(group.id, group.signal).is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use tokio::task::LocalSet;

    use super::*;

    /// A program that ends at once, and the process that it leaves behind in its group; a line of the latter's output is its end.
    fn leave(script: &str) -> (u32, BufReader<std::process::ChildStdout>) {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).process_group(0).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        assert!(child.wait().unwrap().success());
        (child.id(), BufReader::new(output))
    }

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, test)
    }

    /// Reads until the last process that has the pipe has ended.
    async fn ended(mut output: BufReader<std::process::ChildStdout>) -> String {
        let reading = tokio::task::spawn_blocking(move || {
            let mut said = String::new();
            while output.read_line(&mut said).unwrap() > 0 {}
            said
        });
        reading.await.unwrap()
    }

    #[test]
    fn what_is_left_behind_has_its_time_and_then_an_end() {
        run(async {
            let leftovers = Leftovers::new(Some(Duration::from_millis(200)));
            let (program, output) =
                leave("(trap 'echo told; exit' TERM; while :; do sleep 0.05; done) & exit 0");
            let started = Instant::now();
            leftovers.program_ended(program);
            assert!(has_members(Pid::from_raw(program.try_into().unwrap())));
            assert_eq!(ended(output).await, "told\n");
            assert!(started.elapsed() >= Duration::from_millis(200));
        });
    }

    #[test]
    fn whoever_does_not_listen_is_killed() {
        run(async {
            let leftovers = Leftovers::new(Some(Duration::ZERO));
            let (program, output) = leave("(trap '' TERM; exec sleep 600) & exit 0");
            leftovers.program_ended(program);
            ended(output).await;
        });
    }

    #[test]
    fn a_group_without_members_is_not_kept() {
        run(async {
            let leftovers = Leftovers::new(Some(Duration::ZERO));
            let (program, _) = leave("exit 0");
            leftovers.program_ended(program);
            assert!(leftovers.0.list.borrow().groups.is_empty());
        });
    }

    #[test]
    fn the_end_of_the_server_is_theirs_and_their_number_is_bounded() {
        let left = run(async {
            let leftovers = Leftovers::new(Some(Duration::from_secs(600)));
            let left: Vec<_> = (0..=MAX_GROUPS).map(|_| leave("sleep 600 & exit 0")).collect();
            for (program, _) in &left {
                leftovers.program_ended(*program);
            }
            assert_eq!(leftovers.0.list.borrow().groups.len(), MAX_GROUPS);
            let mut left = left.into_iter().map(|(_, output)| output);
            ended(left.next().unwrap()).await;
            left
        });
        for mut output in left {
            assert_eq!(output.read_line(&mut String::new()).unwrap(), 0, "it has ended");
        }
    }
}
