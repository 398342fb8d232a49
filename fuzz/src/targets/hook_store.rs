//! The file of the hooks' store.

/// The bytes are the file.
pub fn run(bytes: &[u8]) {
    let is_same = pppoed::supervisor::fuzzing::hook_store(bytes);
    assert_ne!(is_same, Some(false), "written and read again it says something else");
}
