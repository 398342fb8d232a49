//! The workspace's own programs: building them, and where cargo puts them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The programs that the scenarios run.
const PROGRAMS: [&str; 3] = ["pppoed", "ppp-worker", "pppctl"];

/// The top of the workspace that this test bed was built from.
pub(crate) fn workspace() -> &'static Path {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir)
}

/// This very program.
///
/// # Errors
/// When the kernel does not tell.
pub(crate) fn testbed() -> Result<PathBuf> {
    env::current_exe().context("find my own program")
}

/// The path of one of the workspace's programs, which lies beside this one.
///
/// # Errors
/// When it has not been built.
pub(crate) fn path(name: &str) -> Result<PathBuf> {
    let path = testbed()?.with_file_name(name);
    if !path.exists() {
        bail!("{} has not been built", path.display());
    }
    Ok(path)
}

/// Builds the programs that scenarios run, with the profile and target directory that this program was built with.
///
/// # Errors
/// When cargo fails.
pub(crate) fn build() -> Result<()> {
    build_these(&PROGRAMS)
}

/// Builds some of the workspace's programs in the same way.
///
/// # Errors
/// When cargo fails.
pub(crate) fn build_these(programs: &[&str]) -> Result<()> {
    let mut cargo = cargo("build")?;
    for program in programs {
        if cfg!(debug_assertions) {
            // Of the crates that the test bed and the tests are of: with -p, cargo chooses features for the packages alone.
            cargo.args(["--bin", program]);
        } else {
            cargo.args(["-p", program]);
        }
    }
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let status = cargo.status().context("run cargo")?;
    if !status.success() {
        bail!("cargo build: {status}");
    }
    programs.iter().try_for_each(|program| path(program).map(drop))
}

/// A cargo command in the workspace that uses the target directory that this program is in.
///
/// # Errors
/// When that directory is not to be found.
pub(crate) fn cargo(verb: &str) -> Result<Command> {
    // TARGET/PROFILE/testbed
    let own = testbed()?;
    let target = own.ancestors().nth(2).context("find the target directory")?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg(verb).arg("--target-dir").arg(target).current_dir(workspace());
    Ok(cargo)
}
