//! Lists of sessions: which ones, what of them, in which order; and how much traffic they have now.

pub(crate) mod field;
pub(crate) mod filter;
mod list;
mod one;
pub(crate) mod printer;
pub(crate) mod rate;

use clap::Args;
use ppp_ipc::control::{Request, Response, SessionSummary};

pub(crate) use self::list::show;
pub(crate) use self::one::resolve;
use self::{
    field::{Field, SortKey},
    filter::Filter,
    rate::Rate,
};
use crate::{command::values, console::Console, error::Error, failure, wait::Wait};

/// More sessions than session ids (RFC 2516 §4) are no list of sessions.
const MAX_SESSIONS: usize = 0xfffe;

/// A session in a list.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) session: SessionSummary,
    /// Its traffic now, where that was measured.
    pub(crate) rate: Option<Rate>,
}

/// What to list.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Query {
    /// Columns to show: a list such as id,user,ip (rates take a second to measure)
    #[arg(long, value_name = values::FIELDS, value_delimiter = ',')]
    pub(crate) columns: Vec<Field>,
    /// Sort order: a list of fields, with a trailing - for descending order, such as rate-,user
    #[arg(long, value_name = values::SORT, value_delimiter = ',')]
    pub(crate) sort: Vec<SortKey>,
    /// Show at most this many
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) filter: Filter,
}

impl Query {
    /// Names of its arguments, for commands that take it or something else.
    pub(crate) const ARGUMENTS: [&str; 9] =
        ["columns", "sort", "limit", "user", "mac", "ip", "interface", "state", "pattern"];

    /// Whether the traffic of now has to be measured.
    fn needs_rates(&self) -> bool {
        self.columns.iter().chain(self.sort.iter().map(|key| &key.field)).any(|field| field.is_rate())
    }
}

/// Hands out the sessions that a request is answered with, piece by piece.
pub(crate) fn fetch(
    request: &Request,
    console: &mut Console,
    mut take: impl FnMut(Vec<SessionSummary>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut count = 0;
    console.exchange(request, Wait::Timeout, |response| match response {
        Response::Sessions(sessions) => {
            count += sessions.len();
            if count > MAX_SESSIONS {
                return Err(failure::Error::TooManySessions.into());
            }
            take(sessions).map(|()| false)
        }
        Response::Done => Ok(true),
        Response::Failed(failure) => Err(failure::Error::new(failure, request).into()),
        other => Err(failure::Error::unexpected(request, &other).into()),
    })
}
