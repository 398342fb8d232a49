//! What a page of the handbook asks to be done: commands with their output, files, clients that dial.
//!
//! ```text
//! <!-- file /etc/ppp/chap-secrets -->     the next block is that file
//! <!-- quiet /etc/ppp/options noauth -->  a file of one line that the page does not dwell upon
//! <!-- dial alice secret -->              a client dials and stays
//! <!-- refused alice wrong -->            a client dials and must not get in
//! <!-- interface eth1.10 -->              the server gets an Ethernet interface with nobody behind it
//! <!-- afresh -->                         another machine, with nothing configured
//! <!-- begin … -->, <!-- end … -->        what is between them is made by a test; nothing is to be done
//! ```
//!
//! In a block of the language `console`, a line that begins with `# ` is a command for the server, `client# ` one for the
//! client's machine, and a `\` at its end continues it. All other lines are output, see [`super::pattern`].

use anyhow::{Context, Result, bail, ensure};

/// Where a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    Server,
    Client,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Start over on another machine.
    Afresh,
    /// Write a file on the server.
    File { path: String, content: String },
    /// Dial, and stay if that is what should happen.
    Dial { user: String, password: String, succeeds: bool },
    /// Add an interface.
    Interface(String),
    /// Run a command and compare what it prints.
    Command { machine: Machine, command: String, output: Vec<String> },
}

/// A step and the line of the page that it begins at, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) line: usize,
    pub(super) step: Step,
}

/// Reads a page.
///
/// # Errors
/// When a directive is unknown or a block has no end.
pub(super) fn parse(text: &str) -> Result<Vec<Placed>> {
    let mut steps = Vec::new();
    let mut file: Option<(usize, String)> = None;
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!--").and_then(|rest| rest.strip_suffix("-->")) {
            // Between these stands what a test wrote.
            if comment.starts_with(" begin ") || comment.starts_with(" end ") {
                continue;
            }
            match directive(comment).with_context(|| format!("line {number}"))? {
                Directive::File(path) => file = Some((number, path)),
                Directive::Step(step) => steps.push(Placed { line: number, step }),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let mut block = Vec::new();
            loop {
                let (number, line) =
                    lines.next().with_context(|| format!("line {number}: a block without end"))?;
                if line.starts_with("```") {
                    break;
                }
                block.push((number, line));
            }
            if let Some((number, path)) = file.take() {
                let content = block.iter().map(|(_, line)| format!("{line}\n")).collect();
                steps.push(Placed { line: number, step: Step::File { path, content } });
            } else if language == "console" {
                console(&block, &mut steps)?;
            }
        }
    }
    if let Some((number, path)) = file {
        bail!("line {number}: no block follows for {path}");
    }
    Ok(steps)
}

enum Directive {
    File(String),
    Step(Step),
}

fn directive(comment: &str) -> Result<Directive> {
    let words: Vec<&str> = comment.split_ascii_whitespace().collect();
    let dial = |user: &str, password: &str, succeeds| {
        Directive::Step(Step::Dial { user: user.to_owned(), password: password.to_owned(), succeeds })
    };
    Ok(match words.as_slice() {
        ["file", path] => Directive::File((*path).to_owned()),
        ["quiet", path, content @ ..] => {
            let content = format!("{}\n", content.join(" "));
            Directive::Step(Step::File { path: (*path).to_owned(), content })
        }
        ["dial", user, password] => dial(user, password, true),
        ["refused", user, password] => dial(user, password, false),
        ["interface", name] => Directive::Step(Step::Interface((*name).to_owned())),
        ["afresh"] => Directive::Step(Step::Afresh),
        _ => bail!("unknown directive {comment:?}"),
    })
}

fn console(block: &[(usize, &str)], steps: &mut Vec<Placed>) -> Result<()> {
    let mut lines = block.iter().copied().peekable();
    let mut is_first = true;
    while let Some((number, line)) = lines.next() {
        let typed = line.strip_prefix("client# ").map(|command| (Machine::Client, command));
        match typed.or_else(|| line.strip_prefix("# ").map(|command| (Machine::Server, command))) {
            Some((machine, command)) => {
                let mut command = command.to_owned();
                while let Some(begun) = command.strip_suffix('\\') {
                    let (_, more) =
                        lines.next().with_context(|| format!("line {number}: no line follows"))?;
                    command = format!("{begun}{}", more.trim_start());
                }
                let step = Step::Command { machine, command, output: Vec::new() };
                steps.push(Placed { line: number, step });
            }
            None => {
                ensure!(!is_first, "line {number}: a block begins with output");
                if let Some(Placed { step: Step::Command { output, .. }, .. }) = steps.last_mut() {
                    output.push(line.to_owned());
                }
            }
        }
        is_first = false;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_steps() {
        let page = "# Title\n\n<!-- file /etc/x -->\n```toml\na = 1\n```\ntext\n<!-- dial alice pw -->\n<!-- quiet /etc/y b  c -->\n\
                    ```console\n# echo a \\\n    b\na b\nclient# true\n```\n```text\n# not run\n```\n<!-- afresh -->\n";
        let steps: Vec<_> =
            parse(page).unwrap().into_iter().map(|placed| (placed.line, placed.step)).collect();
        let command = |machine, command: &str, output: &[&str]| Step::Command {
            machine,
            command: command.to_owned(),
            output: output.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(
            steps,
            [
                (3, Step::File { path: "/etc/x".into(), content: "a = 1\n".into() }),
                (8, Step::Dial { user: "alice".into(), password: "pw".into(), succeeds: true }),
                (9, Step::File { path: "/etc/y".into(), content: "b c\n".into() }),
                (11, command(Machine::Server, "echo a b", &["a b"])),
                (14, command(Machine::Client, "true", &[])),
                (19, Step::Afresh),
            ]
        );
    }

    #[test]
    fn mistakes_name_the_line() {
        for (page, message) in [
            ("<!-- dail alice pw -->", "line 1"),
            ("x\n```console\n# true\n", "line 2: a block without end"),
            ("<!-- file /etc/x -->\ntext\n", "line 1: no block follows for /etc/x"),
            ("```console\noutput\n```\n", "line 2: a block begins with output"),
        ] {
            assert_eq!(parse(page).unwrap_err().to_string(), message, "{page}");
        }
    }
}
