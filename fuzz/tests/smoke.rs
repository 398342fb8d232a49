//! Every fuzz target, for a moment: its seeds, and mutants of them, the same ones in every run. Needs no fuzzer.
//!
//! `FUZZ_RUNS=N` makes it N times as many. An input that panics is written to the target directory and named.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use pppoed_fuzz::mutate::{Numbers, mutate};
use pppoed_fuzz::{TARGETS, Target, seeds};

/// Longest input, in bytes: some frames, or a file of some lines.
const MAX_LEN: usize = 4096;

fn main() -> ExitCode {
    let only = std::env::args().nth(1).filter(|name| !name.starts_with('-'));
    let factor = std::env::var("FUZZ_RUNS").ok().and_then(|number| number.parse().ok()).unwrap_or(1);
    let (mut passed, mut failed, mut runs, start) = (0, 0, 0, Instant::now());
    for target in TARGETS.iter().filter(|target| only.as_deref().is_none_or(|only| target.name == only)) {
        let begun = Instant::now();
        match smoke(target, factor) {
            Ok(count) => {
                println!(
                    "fuzz {:<18} {count:>7} inputs, {:>4.1} s",
                    target.name,
                    begun.elapsed().as_secs_f32()
                );
                (passed, runs) = (passed + 1, runs + u64::from(count));
            }
            Err(input) => {
                failed += 1;
                println!("fuzz {:<18} FAILED: {}", target.name, keep(target, &input));
            }
        }
    }
    if only.is_none() {
        for check in [every_target_is_a_program, every_target_notices] {
            match catch_unwind(check) {
                Ok(()) => passed += 1,
                Err(_) => failed += 1,
            }
        }
    }
    println!("{} fuzz targets, {runs} inputs, {:.1} s", TARGETS.len(), start.elapsed().as_secs_f32());
    let verdict = if failed == 0 && passed > 0 { "ok" } else { "FAILED" };
    println!(
        "test result: {verdict}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out"
    );
    if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Number of inputs, or the one that made the target panic.
fn smoke(target: &Target, factor: u32) -> Result<u32, Vec<u8>> {
    let seeds = seeds::of(target.name);
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let run =
        |input: &Vec<u8>| catch_unwind(AssertUnwindSafe(|| (target.run)(input))).map_err(|_| input.clone());
    seeds.iter().chain([&Vec::new()]).try_for_each(run)?;
    let mut numbers = Numbers::new(0x5eed);
    let count = target.smoke_runs * factor;
    for _ in 0..count {
        let mut input = seeds[numbers.below(seeds.len())].clone();
        let other = &seeds[numbers.below(seeds.len())];
        mutate(&mut input, other, MAX_LEN, &mut numbers);
        run(&input)?;
    }
    Ok(u32::try_from(seeds.len()).unwrap() + 1 + count)
}

fn keep(target: &Target, input: &[u8]) -> String {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}", target.name));
    match std::fs::write(&path, input) {
        Ok(()) => format!("{} ({} bytes)", path.display(), input.len()),
        Err(error) => format!("{}: {error}", path.display()),
    }
}

/// What cargo-fuzz runs is what is run here.
fn every_target_is_a_program() {
    let manifest = include_str!("../Cargo.toml");
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    let programs = manifest.lines().filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let programs: BTreeSet<&str> = programs
        .map(|rest| rest.strip_suffix(".rs\"").unwrap())
        .filter(|name| *name != "any_target")
        .collect();
    assert_eq!(names, programs, "Cargo.toml and TARGETS differ");
    for name in names {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz_targets/{name}.rs"));
        let program = std::fs::read_to_string(path).unwrap();
        assert!(program.contains(&format!("targets::{name}::run(bytes)")), "{name}");
    }
}

/// A run that never panics would prove nothing: this one does.
fn every_target_notices() {
    let broken = Target { name: "pool_file", run: |bytes| assert!(bytes.len() < 40), smoke_runs: 1000 };
    std::panic::set_hook(Box::new(|_| {}));
    let found = smoke(&broken, 1);
    let _ = std::panic::take_hook();
    assert!(found.is_err_and(|input| input.len() >= 40));
}
