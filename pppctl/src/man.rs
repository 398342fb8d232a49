//! The man page pppctl(8), in mdoc(7), from the command table.
//!
//! `UPDATE_MAN=1 cargo test -p pppctl man` writes it; the test fails while the page in `man` is another. And the command lines
//! that all documents show, against the same table.

use clap::{Arg, CommandFactory, Parser};
use manual::{Example, Page, escape};

use crate::{
    program::{Cli, EXAMPLES, Line},
    shell::{filter::FILTERS, help},
};

/// Date of the page: when it was last changed by more than its table.
const DATE: &str = "November 21, 2026";

const DESCRIPTION: &str = "\
pppctl is the console of pppoed, the PPPoE access concentrator. It connects to the running pppoed over a Unix socket, and \
lists, monitors and terminates sessions, and changes the settings of the server.

With a command, pppctl runs it and exits. Without one it starts an interactive shell, or reads commands from standard input \
if that is not a terminal. Commands may be abbreviated as long as they are unambiguous.";

const SHELL: &str = "\
The shell reads lines with one command each, without the word pppctl. Its prompt shows the host name and the number of \
sessions. It starts even if pppoed is not running, and reconnects when pppoed is restarted. Output that is longer than the \
terminal is shown in a pager.

Commands from a file, a pipe or the option -c use the same syntax, without completion and pager. Execution stops at the \
first error, whose exit status is returned.

Quotes (' and \") and backslashes keep white space together, almost as in sh(1) (see USER NAMES). Output may be filtered \
with | and one of:";

const OUTPUT: &str = "\
On a terminal, tables are fitted to its width: long values are truncated, and then the least important columns are omitted. \
Colours are used on terminals only.

JSON output is one document, with a schema number that is increased when a field is removed or changes its meaning; \
streaming output, such as that of monitor, has one document per line. CSV is as in RFC 4180, with the names and values of \
JSON.

Text chosen by peers is escaped in all formats, so that it cannot control the terminal.";

const NAMES: &str = "\
The names of users and services are bytes. They are compared byte by byte, as in logins: case matters, also in patterns. \
Tables, JSON and CSV show the text form of a name, which is accepted by every command, in users files and in console files:

In the text form, \\xHH with two hexadecimal digits is one byte. Any other character stands for itself, including a \
backslash: DOM\\bob is DOM\\bob. Escaped are bytes that are not UTF-8, control characters and invisible characters; double \
quotes; * and ?, which would make it a pattern; a leading -, which would make it an option; leading and trailing spaces; a \
backslash that would start such a sequence; and, in CSV only, a leading =, + or @, which would make it a formula. On input, \
a byte may be given as it is, or escaped: 'a\\x2a' is the name that the pattern 'a*' also matches.

In the shell and in sh(1), names with a space, a quote or one of | ; # must be quoted. Completion does that. In the shell, \
a backslash outside quotes stands for itself, unless it precedes one of these characters.

SESSION identifies one session by its id, its interface (ppp0), its MAC address, its IP address, or its user. An access \
interface stands for its sessions. The first match in this order is used, so a user name is never mistaken for an id. If \
several sessions match, show session lists them; commands that need one session print an error that names them.";

const ENVIRONMENT: [(&str, &str); 5] = [
    ("NO_COLOR", "If set and not empty, disables colours."),
    ("PAGER", "Pager of the shell, with arguments; cat disables it. By default less, or a built-in pager."),
    ("LESS", "Options of less. By default FRX."),
    ("TERM", "Terminal type. dumb disables colours."),
    ("XDG_STATE_HOME", "Directory for the history of the shell."),
];

const FILES: [(&str, &str); 2] = [
    ("/run/pppoed/control.sock", "Control socket, accessible to root and members of the group pppoed."),
    ("~/.local/state/pppctl/history", "History of the shell. Lines that start with a space are not saved."),
];

/// The whole page.
fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut page = Page::new();
    page.line(".\\\" Made from the command table of pppctl by its tests. Do not edit.");
    page.line(&format!(".Dd {DATE}\n.Dt PPPCTL 8\n.Os"));
    page.line(".Sh NAME\n.Nm pppctl\n.Nd console of pppoed");
    page.line(".Sh SYNOPSIS");
    for rest in [".Op Ar command ...", ".Fl c Ar commands"] {
        page.line(".Nm");
        let short = |arg: &&Arg| arg.get_short() != Some('c');
        root.get_arguments()
            .filter(|arg| Page::is_shown(arg))
            .filter(short)
            .for_each(|arg| page.optional(arg));
        page.line(rest);
    }
    page.line(".Sh DESCRIPTION");
    page.text(DESCRIPTION);
    page.line(".Pp\nThe options are:\n.Bl -tag -width Ds");
    root.get_arguments().filter(|arg| Page::is_shown(arg)).for_each(|arg| page.option(arg));
    page.line(".El\n.Sh COMMANDS\n.Bl -tag -width Ds");
    page.commands(&root);
    page.line(".El\n.Sh THE SHELL");
    page.text(SHELL);
    page.line(".Bl -tag -width Ds");
    for (name, argument, about) in FILTERS {
        let argument = if argument.is_empty() { String::new() } else { format!(" Ar {argument}") };
        page.line(&format!(".It Ic {name}{argument}"));
        page.text(&format!("{about}."));
    }
    page.line(".El\n.Pp");
    page.text(&help::FEATURES.replace('\n', " "));
    page.line(".Sh OUTPUT");
    page.text(OUTPUT);
    page.line(".Sh USER NAMES");
    page.text(NAMES);
    page.line(".Sh ENVIRONMENT\n.Bl -tag -width Ds");
    for (name, about) in ENVIRONMENT {
        page.line(&format!(".It Ev {name}"));
        page.text(about);
    }
    page.line(".El\n.Sh FILES\n.Bl -tag -width Ds");
    for (path, about) in FILES {
        page.line(&format!(".It Pa {path}"));
        page.text(about);
    }
    page.line(".El");
    // The paragraphs of the help: examples, a remark, exit status.
    let paragraph = |heading: &str| {
        let found = EXAMPLES.split("\n\n").find_map(|it| it.strip_prefix(heading)).unwrap();
        found.trim_start_matches('\n').lines().map(|line| line.strip_prefix("  ").unwrap_or(line))
    };
    page.line(".Sh EXIT STATUS\n.Bl -tag -width Ds");
    for line in paragraph("Exit status:") {
        let (status, about) = line.split_once("  ").unwrap();
        page.line(&format!(".It {status}"));
        page.text(&format!("{about}."));
    }
    page.line(".El\n.Sh EXAMPLES\n.Bd -literal");
    paragraph("Examples:").for_each(|line| page.line(&escape(line)));
    page.line(".Ed\n.Sh SEE ALSO\n.Xr pppoed 8");
    page.into_source()
}

#[test]
fn the_page_is_that_of_the_table() {
    manual::check_page("pppctl.8", &page(), "pppctl");
}

#[test]
fn mandoc_has_nothing_to_say_about_the_page() {
    manual::lint("pppctl.8");
}

#[test]
fn command_lines_in_documents_are_taken() {
    let examples = manual::command_lines("pppctl");
    assert!(examples.len() > 20, "{examples:?}");
    for Example { place, words } in examples {
        if let Err(error) = Cli::try_parse_from(["pppctl".to_owned()].into_iter().chain(words)) {
            assert!(!error.use_stderr(), "{place}: {error}");
        }
    }
}

/// What stands behind a prompt such as `bras1 (812 sessions)>`.
#[test]
fn lines_of_the_shell_in_documents_are_taken() {
    let mut count = 0;
    for (path, text) in manual::documents() {
        for (number, line) in manual::code_blocks(&path, &text) {
            let Some((_, line)) = line.split_once(" sessions)> ") else { continue };
            let command = line.split(" | ").next().unwrap();
            if let Err(error) = Line::try_parse_from(command.split_whitespace()) {
                assert!(!error.use_stderr(), "{}:{number}: {error}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 3);
}
