//! One command, from its parsed form to its output.

use std::io::Write;

use ppp_ipc::control::{Password, Request};

use crate::{
    answer::Answer,
    capture,
    command::{Auth, Command, Show},
    console::Console,
    error::Error,
    failure,
    format::Format,
    hooks::{self, Hooks},
    metrics, output, password,
    policy::{self, Wanted},
    question, sessions, stream,
    terminal::Screen,
    top,
};

/// How answers are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Display {
    pub(crate) format: Format,
    pub(crate) screen: Screen,
}

/// Carries out one command and writes its answer to `out`.
pub(crate) fn run(
    command: &mut Command,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    // A number is a session's id, and only if there is no such session anything else.
    let is_number = match command.one_session() {
        None => return carry_out(command, display, console, out),
        Some(session) => session.is_number(),
    };
    if is_number {
        match carry_out(command, display, console, out) {
            Err(error @ Error::Answer(failure::Error::NoSuchSession { .. })) => {
                if let Ok(true) = sessions::resolve(command, display, console, out) {
                    return Ok(());
                }
                if command.one_session().is_none_or(|session| session.is_number()) {
                    return Err(error);
                }
            }
            outcome => return outcome,
        }
    } else if sessions::resolve(command, display, console, out)? {
        return Ok(());
    }
    carry_out(command, display, console, out)
}

fn carry_out(
    command: &Command,
    display: Display,
    console: &mut Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    question::ask(command, console)?;
    if let Some(wanted) = Wanted::by(command) {
        return policy::run(&wanted, display, console, out);
    }
    let output = output::new(display.format, display.screen);
    if let Command::Show(Show::Sessions { session: None, query }) = command {
        return sessions::show(query, display, console, out);
    }
    if let Command::Hooks(Hooks::Check { paths }) = command {
        return hooks::check(paths);
    }
    if let Command::Top(top) = command {
        return top::run(top, display, console, out);
    }
    if let Command::Capture(what) = command {
        return capture::run(console, what.request(), &what.write, out);
    }
    if command.is_lasting() {
        if display.format == Format::Csv {
            return Err(Error::Line("what has no end has no CSV: use --output json".to_owned()));
        }
        return match command {
            Command::Monitor(monitor) if !monitor.no_reconnect => {
                stream::run_on(console, &command.into(), &*output, out)
            }
            _ => stream::run(console, &command.into(), &*output, out),
        };
    }
    if let Command::Show(Show::Metrics) = command {
        return metrics::show(console, out);
    }
    let mut request = Request::from(command);
    if let (Command::Auth(Auth::Test { password: true, .. }), Request::AuthTest(test)) =
        (command, &mut request)
    {
        test.password = Some(Password(password::read()?));
    }
    let mut answer = console.call(request)?;
    if let (Command::Show(Show::Config { pattern: Some(pattern), .. }), Answer::Info(info)) =
        (command, &mut answer)
    {
        info.keep_settings(pattern);
    }
    output.write(&answer, out).map_err(Error::Output)?;
    match answer {
        Answer::Info(info) if info.is_refused_login() => Err(Error::LoginRefused),
        _ => Ok(()),
    }
}
