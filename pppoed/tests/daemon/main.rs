//! The whole `pppoed` against hostile workers, hostile consoles and hasty hosts. Needs root.
//!
//! Each test has a network namespace, a veth and a `pppoed` of its own. The program that `pppoed` starts is
//! this one again, under another name: its workers are forked from the real template, and by the address of the peer
//! play a bad worker (see [`misbehaviour`]) or are real.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod adoption;
mod advice;
mod attacks;
mod bad_files;
mod capturing;
mod console;
mod consoles;
mod devices;
mod dialling;
mod emptied;
mod endings;
mod exhaustion;
mod failing;
mod first_process;
mod first_run;
mod full_disk;
mod heartbeat;
mod hook_trials;
mod hooks;
mod identity;
mod kept_back;
mod lab;
mod misbehaviour;
mod monitoring;
mod names;
mod nasty;
mod nasty_texts;
mod own_addresses;
mod peer;
mod policy;
mod random_ids;
mod reconciled;
mod reload;
mod returning;
mod rivals;
mod second_opinion;
mod showing;
mod spoofing;
mod stranger;
mod strays;
mod systemd;
mod template;
mod tracing;
mod worker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

/// Tests that run at once. Most of their time they wait.
const AT_ONCE: usize = 8;

/// A test and its name.
type Test = (String, Box<dyn Fn() + Send>);

fn main() -> ExitCode {
    if worker::was_started_as_worker() {
        return worker::run();
    }
    if stranger::was_started_as_stranger() {
        return stranger::run();
    }
    assert!(nix::unistd::geteuid().is_root(), "these tests need root: they make network namespaces");
    let filter = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));

    let mut tests: Vec<Test> = Vec::new();
    tests.extend(misbehaviour::tests());
    tests.extend(consoles::tests());
    tests.extend(monitoring::tests());
    tests.extend(second_opinion::tests());
    tests.extend(showing::tests());
    tests.extend(nasty::tests());
    tests.extend(nasty_texts::tests());
    tests.extend(names::tests());
    tests.extend(capturing::tests());
    tests.extend(tracing::tests());
    tests.extend(endings::tests());
    tests.extend(exhaustion::tests());
    tests.extend(kept_back::tests());
    tests.extend(failing::tests());
    tests.extend(dialling::tests());
    tests.extend(template::tests());
    tests.extend(systemd::tests());
    tests.extend(rivals::tests());
    tests.extend(first_process::tests());
    tests.extend(first_run::tests());
    tests.extend(advice::tests());
    tests.extend(adoption::tests());
    tests.extend(identity::tests());
    tests.extend(heartbeat::tests());
    tests.extend(hooks::tests());
    tests.extend(hook_trials::tests());
    tests.extend(random_ids::tests());
    tests.extend(strays::tests());
    tests.extend(devices::tests());
    tests.extend(own_addresses::tests());
    tests.extend(spoofing::tests());
    tests.extend(attacks::tests());
    tests.extend(reload::tests());
    tests.extend(returning::tests());
    tests.extend(policy::tests());
    tests.extend(full_disk::tests());
    tests.extend(bad_files::tests());
    tests.extend(emptied::tests());
    tests.extend(reconciled::tests());
    tests.retain(|(name, _)| filter.as_ref().is_none_or(|filter| name.contains(filter.as_str())));
    run(tests)
}

fn run(tests: Vec<Test>) -> ExitCode {
    let waiting = Mutex::new(tests.into_iter());
    let failed = Mutex::new(Vec::new());
    let passed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some((name, test)) = waiting.lock().unwrap().next() else { return };
                    let ok = catch_unwind(AssertUnwindSafe(test)).is_ok();
                    println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
                    let outcome = if ok { &passed } else { &failed };
                    outcome.lock().unwrap().push(name);
                }
            });
        }
    });
    let (passed, failed) = (passed.into_inner().unwrap().len(), failed.into_inner().unwrap());
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!("\nfailed: {failed:?}\ntest result: {verdict}. {passed} passed; {} failed\n", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
