//! Descriptors that are kept back, so that a console gets in when all others are taken: whoever looks for the reason, or is to end
//! sessions, must not be locked out by it.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::rc::Rc;

use nix::errno::Errno;

/// Consoles that get in beyond the limit of descriptors, at once.
pub(super) const RESERVED: usize = 2;

/// The descriptors that are kept back for one socket.
#[derive(Clone, Debug)]
pub(super) struct Reserve(Rc<RefCell<Vec<File>>>);

impl Reserve {
    pub(super) fn new() -> Self {
        let new = Self(Rc::default());
        new.refill();
        new
    }

    /// Keeps as many as are to be kept, as far as they can be had.
    pub(super) fn refill(&self) {
        let Ok(mut kept) = self.0.try_borrow_mut() else { return };
        while kept.len() < RESERVED {
            match File::open("/dev/null") {
                Ok(file) => kept.push(file),
                Err(_) => return,
            }
        }
    }

    /// Gives one free for whoever is waiting, if a lack of descriptors is in the way and there is one.
    pub(super) fn helps(&self, error: &io::Error) -> bool {
        let is_lack =
            matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EMFILE | Errno::ENFILE));
        is_lack && self.0.try_borrow_mut().is_ok_and(|mut kept| kept.pop().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_once_and_only_when_there_is_need() {
        let reserve = Reserve::new();
        assert!(!reserve.helps(&io::ErrorKind::ConnectionAborted.into()));
        let lack = || io::Error::from_raw_os_error(Errno::EMFILE as i32);
        let helped = std::iter::repeat_with(|| reserve.helps(&lack())).take_while(|helps| *helps).count();
        assert_eq!(helped, RESERVED);
        reserve.refill();
        assert!(reserve.helps(&io::Error::from_raw_os_error(Errno::ENFILE as i32)));
    }
}
