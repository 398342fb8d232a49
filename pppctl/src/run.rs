//! One command from its line to its output.

use std::io::{self, BufRead, BufWriter, IsTerminal, Write};

use ppp_ipc::control::Request;

use crate::{
    answer::{Answer, Collector},
    command::{Cli, Command, Shutdown, Terminate},
    error::Error,
    output, stream,
    transport::Client,
};

/// Carries out one command and writes its answer to standard output.
pub(crate) fn run(cli: &Cli) -> Result<(), Error> {
    let question = question(&cli.command);
    if question.is_some() && !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Error::NeedsYes);
    }
    let mut client = Client::connect(&cli.options.socket, cli.options.timeout)?;
    if let Some(question) = question {
        confirm(&mut client, question)?;
    }
    let output = output::new(cli.options.format(), output::terminal_width());
    if let Command::Monitor(_) = cli.command {
        return stream::run(&mut client, (&cli.command).into(), &*output);
    }
    let answer = call(&mut client, (&cli.command).into())?;

    let mut out = BufWriter::new(io::stdout().lock());
    output.write(&answer, &mut out).and_then(|()| out.flush()).map_err(Error::Output)
}

/// Sends a request and collects its answer.
fn call(client: &mut Client, request: Request) -> Result<Answer, Error> {
    client.send(&request)?;
    let mut collector = Collector::new(request);
    loop {
        if let Some(answer) = collector.push(client.receive()?)? {
            return Ok(answer);
        }
    }
}

/// What to ask before a command that everybody feels.
fn question(command: &Command) -> Option<&'static str> {
    match command {
        Command::Terminate(Terminate::All { yes: false }) => Some("Terminate all sessions"),
        Command::Shutdown(Shutdown::Hard { yes: false }) => Some("End pppoed and all sessions"),
        _ => None,
    }
}

fn confirm(client: &mut Client, question: &str) -> Result<(), Error> {
    let Answer::Stats(stats) = call(client, Request::ShowStats)? else {
        return Err(Error::Declined);
    };
    let host = output::printable(&client.server().host);
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} on {host} ({} now)? [y/N] ", stats.sessions)
        .and_then(|()| stderr.flush())
        .map_err(Error::Ask)?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).map_err(Error::Ask)?;
    match line.trim() {
        "y" | "Y" | "yes" | "YES" | "Yes" => Ok(()),
        _ => Err(Error::Declined),
    }
}
