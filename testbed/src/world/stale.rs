//! Leftovers of a test bed that died without cleaning up.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::netns::{NETNS_DIR, remove};

/// What every namespace of ours is called: the prefix, the owner's pid, then a name.
const PREFIX: &str = "pppoed-test";

/// The full name of a namespace of this process.
pub(super) fn name_of(label: &str) -> String {
    format!("{PREFIX}-{}-{label}", std::process::id())
}

/// Removes the namespaces of test beds that no longer run, with everything in them.
///
/// # Errors
/// When one cannot be removed.
pub(crate) fn sweep() -> Result<()> {
    let Ok(entries) = fs::read_dir(NETNS_DIR) else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(owner) = name.to_str().and_then(owner_of)
            && !Path::new("/proc").join(owner.to_string()).exists()
        {
            eprintln!("testbed: removing {}, its owner is gone", entry.path().display());
            remove(&entry.path())?;
        }
    }
    Ok(())
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
