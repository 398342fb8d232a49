//! Completion for bash, zsh and fish.
//!
//! In bash, `pppctl` itself is asked what may stand at the end of a line (`__complete`), so that bash completes users, ids and
//! settings as the [`shell`](crate::shell) does. zsh and fish get a script with the words of the table.

mod bash;

use std::io::Write;

use clap::CommandFactory;

use crate::{
    console::Console,
    error::Error,
    program::{Cli, Shell},
    shell::{Completion, Live, Wanted},
};

/// What is installed for bash.
const BASH: &[u8] = include_bytes!("../../etc/bash-completion/pppctl");

/// Writes what a shell has to read.
pub(crate) fn write(shell: Shell, out: &mut dyn Write) -> Result<(), Error> {
    let generator = match shell {
        Shell::Bash => return out.write_all(BASH).map_err(Error::Output),
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "pppctl", &mut script);
    out.write_all(&script).map_err(Error::Output)
}

/// Writes what may stand at the end of a line of bash: `space`, `nospace` or `files`, and then a candidate to a line.
/// `breaks` is `COMP_WORDBREAKS`.
pub(crate) fn complete(
    line: &str,
    breaks: &str,
    console: &Console,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let typed = bash::typed(line, breaks);
    let words: Vec<&str> = typed.words.iter().map(String::as_str).collect();
    let options = connection(&words, console);
    let mut table = Cli::command();
    table.build();
    let completion = Completion::of(table, Live::new(&options));
    let answer = match completion.after(&words, &typed.word) {
        Wanted::File => "files\n".to_owned(),
        Wanted::Word { candidates, goes_on } => {
            let mut answer = String::from(if goes_on { "nospace\n" } else { "space\n" });
            for text in candidates.iter().filter_map(|candidate| typed.insert(candidate)) {
                answer += &text;
                answer.push('\n');
            }
            answer
        }
    };
    out.write_all(answer.as_bytes()).map_err(Error::Output)
}

/// The server that the line is about: it may name another socket.
fn connection(words: &[&str], console: &Console) -> crate::connection::ConnectionOptions {
    let mut options = console.options().clone();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match (*word, word.strip_prefix("--socket=")) {
            ("--socket", _) => options.socket = words.next().map_or(options.socket, |path| (*path).into()),
            (_, Some(path)) => options.socket = path.into(),
            _ => {}
        }
    }
    options
}
