//! What documents say of all options.

use super::OptionKind;
use super::assign::kind_of;
use super::table::{Action, TABLE};

/// An option that pppd knows, for who describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionInfo {
    /// Its name.
    pub name: &'static str,
    /// What its value is in `pppoed.toml`.
    pub kind: OptionKind,
    /// What becomes of it.
    pub use_: OptionUse,
}

/// What the server does with an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionUse {
    /// It holds for the whole server.
    Server,
    /// An interface, and a user, can have it of their own.
    Session,
    /// It names another options file.
    Include,
    /// It says what is the case anyway.
    AlreadyTrue,
    /// It is accepted, and changes nothing, for this reason.
    NoEffect(&'static str),
    /// It is a mistake, for this reason.
    Refused(&'static str),
}

/// All options, in the order of the table.
pub fn all_options() -> impl Iterator<Item = OptionInfo> {
    TABLE.iter().filter_map(|row| {
        let use_ = match row.action(&[]) {
            Action::Global(_) => OptionUse::Server,
            Action::Session(_) => OptionUse::Session,
            Action::Include => OptionUse::Include,
            Action::AlreadyTrue => OptionUse::AlreadyTrue,
            Action::NoEffect(why) => OptionUse::NoEffect(why),
            Action::Refused(why) => OptionUse::Refused(why),
            // Which is never the outcome of a decision.
            Action::ByArgument(_) => return None,
        };
        Some(OptionInfo { name: row.name, kind: kind_of(row.name)?, use_ })
    })
}
