//! What the tests of the documentation share: man pages in mdoc(7) from tables of the code, and what pages say that a
//! program can check.
//!
//! Only tests use this crate. It panics where a test is to fail.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod examples;
mod files;
mod page;

pub use examples::{Example, Place, code_blocks, command_lines};
pub use files::{check_page, check_region, documents, lint, root};
pub use page::{Page, escape, quote};
