//! Where the lines of before are kept.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// File of the history, in a directory that is there: `$XDG_STATE_HOME/pppctl/history`, by default below
/// `~/.local/state`. rustyline keeps the file to its owner (0600). `None` when there is no home.
pub(crate) fn path() -> Option<PathBuf> {
    let directory = directory(env::var_os("XDG_STATE_HOME").map(PathBuf::from), env::home_dir())?;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.ok().map(|()| directory.join("history"))
}

/// The specification of base directories wants relative paths ignored.
fn directory(state: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    let absolute = |path: &PathBuf| Path::is_absolute(path);
    let state = state.filter(absolute).or_else(|| Some(home.filter(absolute)?.join(".local/state")))?;
    Some(state.join("pppctl"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_directory() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(directory(path("/s"), path("/home/a")), path("/s/pppctl"));
        assert_eq!(directory(path("s"), path("/home/a")), path("/home/a/.local/state/pppctl"));
        assert_eq!(directory(None, path("/root")), path("/root/.local/state/pppctl"));
        assert_eq!(directory(None, path("")), None);
        assert_eq!(directory(None, None), None);
    }
}
