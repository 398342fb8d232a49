//! The file of the hooks' store.

use std::path::Path;

use pppoed_state::hook_store::Store;

/// The bytes are the file.
pub fn run(bytes: &[u8]) {
    let path = Path::new("store");
    let Ok(store) = Store::parse(path, bytes) else { return };
    let written = store.contents();
    let again = Store::parse(path, &written).map(|store| store.contents());
    assert_eq!(again, Ok(written), "written and read again it says something else");
}
