//! What is compared with a secret is compared in constant time. The time cannot be tested, but the way can be looked up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::fs;
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Functions that compare what somebody sends with what only `pppoed` should know.
const COMPARISONS: [(&str, &str); 8] = [
    ("crates/ppp-proto/src/auth/chap.rs", "verify"),
    ("crates/ppp-proto/src/discovery/cookie.rs", "verify"),
    ("crates/pppoed-config/src/secrets/candidate.rs", "verify_pap"),
    ("crates/pppoed-config/src/secrets/md5_crypt.rs", "verify"),
    ("crates/pppoed-config/src/secrets/explain.rs", "verdict"),
    ("pppoed/src/supervisor/adopt/key.rs", "verify"),
    ("pppoed/src/supervisor/adopt/take_over.rs", "believe"),
    ("pppoed/src/supervisor/auth.rs", "fits"),
];

/// The first function of this name, from its line to the bracket below it.
fn function<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let at = source.find(&format!("fn {name}("))?;
    let start = source[..at].rfind('\n').map_or(0, |line_end| line_end + 1);
    let line = &source[start..];
    let indent = line.len() - line.trim_start().len();
    let end = line.find(&format!("\n{}}}\n", &line[..indent]))?;
    Some(&line[..end])
}

#[test]
fn proofs_are_compared_in_constant_time() {
    for (path, name) in COMPARISONS {
        let source = fs::read_to_string(workspace().join(path)).unwrap();
        let function = function(&source, name).unwrap_or_else(|| panic!("{path} has no function {name}"));
        assert!(function.contains("ct_eq("), "{path}: {name} compares some other way");
        for secret in ["password", "response", "tag", "code"] {
            for compared in [format!("== {secret}"), format!("== *{secret}"), format!("{secret} ==")] {
                assert!(!function.contains(&compared), "{path}: {name} has {compared:?}");
            }
        }
    }
}
