//! The words of options and secrets files.

use pppoed_config::words::{Flaw, MAX_WORD, Words};

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    let words: Vec<_> = Words::new(bytes).collect();
    assert!(words.len() <= bytes.len());
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
    let mut last = (0, 0);
    let mut written = Vec::new();
    for word in &words {
        assert!((word.line, word.column) > last, "they go on");
        last = (word.line, word.column);
        assert!(usize::try_from(word.line).is_ok_and(|line| line <= lines));
        assert!(word.bytes().len() <= MAX_WORD && !word.bytes().contains(&0));
        assert!(word.flaw != Some(Flaw::TooLong) || word.bytes().len() <= MAX_WORD);
        if word.starts_line {
            written.push(b'\n');
        }
        for byte in word.bytes() {
            written.extend(format!("\\x{byte:02x}").bytes());
        }
        written.extend(b"'' ");
    }
    written.push(b'\n');
    // Written in another way, they are the same.
    let again: Vec<_> = Words::new(&written).collect();
    let told = |words: &[pppoed_config::words::Word]| {
        words.iter().map(|word| (word.bytes().to_vec(), word.starts_line)).collect::<Vec<_>>()
    };
    assert_eq!(told(&again), told(&words));
}
