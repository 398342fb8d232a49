//! The prompt: which server, and how it is.

use std::time::Duration;

use ppp_ipc::control::{Request, ServerStats, ServiceState};
use ppp_wire::escape::harmless;

use crate::{
    answer::Answer, connection::ConnectionOptions, console::Console, error::Error, output,
    output::style::Style,
};

/// Longest wait for each message: the prompt comes without figures rather than late.
const PATIENCE: Duration = Duration::from_millis(300);

/// Asks the server what the prompt shows, over a connection of its own.
pub(crate) struct Prompt {
    console: Console,
}

impl Prompt {
    pub(crate) fn new(options: &ConnectionOptions) -> Self {
        let timeout = options.timeout.min(PATIENCE);
        Self { console: Console::new(ConnectionOptions { timeout, ..options.clone() }) }
    }

    /// The prompt of now, without and with colours.
    pub(crate) fn text(&mut self, colour: bool) -> (String, String) {
        let Ok((host, stats)) = self.ask() else {
            let plain = "pppctl (not connected)> ".to_owned();
            let coloured = format!("pppctl ({})> ", Style::Bad.paint("not connected", colour));
            return (plain, coloured);
        };
        let host = harmless(&host).into_owned();
        let sessions = output::count(stats.sessions.into(), "session");
        // Told of in full by `show stats`.
        let sessions = match stats.problems.len() {
            0 => sessions,
            count => {
                format!("{sessions}, {}", output::count(count.try_into().unwrap_or(u64::MAX), "problem"))
            }
        };
        let state = match stats.state {
            ServiceState::Serving => "",
            ServiceState::Draining => "draining",
            ServiceState::ShutdownSoft => "shutting down",
            ServiceState::Stopping => "stopping",
            ServiceState::Leaving => "leaving",
        };
        let comma = if state.is_empty() { "" } else { ", " };
        let plain = format!("{host} ({sessions}{comma}{state})> ");
        let host = Style::Heading.paint(&host, colour);
        let coloured = format!("{host} ({sessions}{comma}{})> ", Style::Pending.paint(state, colour));
        (plain, coloured)
    }

    fn ask(&mut self) -> Result<(String, ServerStats), Error> {
        let Answer::Stats(stats) = self.console.call(Request::ShowStats)? else {
            return Err(Error::Declined);
        };
        Ok((self.console.server()?.host, *stats))
    }
}
