//! Lists of MAC addresses.

use std::path::Path;
use std::sync::Arc;

use pppoed_config::mac_list;

/// The bytes are a file.
pub fn run(bytes: &[u8]) {
    let path: Arc<Path> = Arc::from(Path::new("/etc/list"));
    match mac_list::parse(bytes, &path) {
        Ok(macs) => {
            assert!(macs.iter().all(|mac| mac.is_unicast()));
            let written: String = macs.iter().map(|mac| format!(" {mac}\t# x\r\n")).collect();
            assert_eq!(
                mac_list::parse(written.as_bytes(), &path).expect("what was read can be written"),
                macs
            );
        }
        Err(errors) => {
            assert!((1..=101).contains(&errors.len()));
            for message in errors.iter().map(ToString::to_string) {
                assert!(message.starts_with("/etc/list:") && message.len() < 1024, "{message}");
                assert!(!message.chars().any(char::is_control), "{message:?}");
            }
        }
    }
}
