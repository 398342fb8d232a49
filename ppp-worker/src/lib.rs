//! One PPP session of `pppoed`, in a sandbox.
//!
//! `pppoed` executes the program once, as the template ([`template::run`]), and has it fork a worker for each dial.
//! A worker ([`Newborn`]) closes its sandbox before it reads a byte of the peer, and exits when the session is over.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

mod control;
mod convert;
mod grant;
mod lifeline;
mod narration;
mod newborn;
mod relay;
mod session;
mod solitude;
pub mod template;

pub use self::newborn::Newborn;

/// Says why the program ends. Nobody may be there any more to read it, which is no reason to fail.
fn say_last_words(error: &dyn std::error::Error) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "ppp-worker: {error}");
}

/// An error with its causes in one line.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
