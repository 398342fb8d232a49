//! Writes the seeds of every target to `DIRECTORY/TARGET/`, where cargo-fuzz looks for a corpus.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use pppoed_fuzz::{TARGETS, seeds};

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: fuzz-seeds DIRECTORY");
        return ExitCode::FAILURE;
    };
    for target in TARGETS {
        let directory = directory.join(target.name);
        let seeds = seeds::of(target.name);
        let written = fs::create_dir_all(&directory).and_then(|()| {
            let mut seeds = seeds.iter().enumerate();
            seeds.try_for_each(|(number, seed)| fs::write(directory.join(format!("seed-{number:03}")), seed))
        });
        if let Err(error) = written {
            eprintln!("{}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
        println!("{}: {} seeds", directory.display(), seeds.len());
    }
    ExitCode::SUCCESS
}
