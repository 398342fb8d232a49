//! Errors in one line.

use std::error::Error;

/// An error with its causes. A cause that an error's own words have already is not said again.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("{0} (-I)")]
        Told(#[source] Inner),
        #[error("cannot start")]
        Untold(#[source] Inner),
    }

    #[derive(Debug, thiserror::Error)]
    #[error("no such name")]
    struct Inner(#[source] std::io::Error);

    #[test]
    fn each_cause_once() {
        let inner = || Inner(std::io::Error::other("denied"));
        assert_eq!(chain(&Outer::Told(inner())), "no such name (-I): denied");
        assert_eq!(chain(&Outer::Untold(inner())), "cannot start: no such name: denied");
    }
}
