//! Names that tell their owner, and leftovers of a test bed that died without cleaning up.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::netns::{NETNS_DIR, remove};

/// What every namespace and temporary directory of ours is called: the prefix, the owner's pid, then a name.
const PREFIX: &str = "pppoed-test";

/// The full name of a namespace or directory of this process.
pub(crate) fn name_of(label: &str) -> String {
    format!("{PREFIX}-{}-{label}", std::process::id())
}

/// Removes what test beds have left that no longer run: namespaces with everything in them, and directories.
///
/// # Errors
/// When one cannot be removed.
pub(crate) fn sweep() -> Result<()> {
    for orphan in orphans(Path::new(NETNS_DIR))? {
        eprintln!("testbed: removing {}, its owner is gone", orphan.display());
        remove(&orphan)?;
    }
    for orphan in orphans(&env::temp_dir())? {
        eprintln!("testbed: removing {}, its owner is gone", orphan.display());
        fs::remove_dir_all(&orphan).with_context(|| format!("remove {}", orphan.display()))?;
    }
    Ok(())
}

fn orphans(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(directory) else { return Ok(found) };
    for entry in entries {
        let entry = entry?;
        if let Some(owner) = entry.file_name().to_str().and_then(owner_of)
            && !Path::new("/proc").join(owner.to_string()).exists()
        {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_have_an_owner() {
        assert_eq!(owner_of(&name_of("srv")), Some(std::process::id()));
        assert_eq!(owner_of("pppoed-test-17-a-b"), Some(17));
        assert_eq!(owner_of("pppoed-test-x-srv"), None);
        assert_eq!(owner_of("pppoed-testing-17-srv"), None);
        assert_eq!(owner_of("blue"), None);
    }
}
