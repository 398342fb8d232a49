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
pppctl is the console of pppoed, the PPPoE access concentrator. It talks to the pppoed that runs, over a Unix socket, and \
lists, watches and ends sessions, and changes what pppoed does.

With a command it carries that out. Without one it is an interactive shell, or carries out the lines that it reads when \
standard input is no terminal. Words of commands may be cut short while they stay unique.";

const SHELL: &str = "\
The shell reads lines with a command each, without the word pppctl in front. Its prompt shows the host and how many sessions \
there are. It is there before pppoed is, and finds it again when that was restarted. Answers that are longer than the \
terminal go through a pager.

Lines from a file, a pipe or the option -c are the same, without completion and pager. The first that fails is the \
last: what follows is not carried out, and the exit status is that of the failure.

Quotes (' and \") and backslashes keep white space together, almost as in sh(1) (see USER NAMES). What stands behind a | is a filter over the \
lines of the answer:";

const OUTPUT: &str = "\
Tables are for people. On a terminal they fit its width: long values are cut short, and then the least important columns \
are left out. Colours are used on terminals only.

JSON is one document, with a number schema that is raised when a field goes or changes its meaning; what goes on and on, \
such as monitor, has a document in each line. CSV is as in RFC 4180, with the names and values of the JSON.

Text that peers chose is escaped in all of them: nothing in it reaches a terminal that it would act on.";

const NAMES: &str = "\
The names of users and services are bytes, and are compared byte by byte, as logins are: upper and lower case differ, also \
in patterns. What pppctl shows of a name, as a table, JSON or CSV, is its text, which every command, users files and console \
files take for the name again:

In a text, \\xHH with two hexadecimal digits is one byte. Everything else stands for itself, a backslash too: DOM\\bob is \
DOM\\bob. Written so are bytes that are not UTF-8, control characters and what cannot be seen; a double quote; * and ?, \
which would make a pattern of it; a - at the beginning, which would make an option of it; spaces at the beginning and the \
end; a backslash that would begin such a sequence; and, in CSV only, =, + or @ at the beginning, which would make a formula \
of it. A byte may also be given as it is, and any byte in this way: 'a\\x2a' is the name of which 'a*' is a pattern.

In lines of the shell and of sh(1), names with a space, a quote or one of | ; # stand between quotes. Completion adds them. In \
the shell, a backslash outside of quotes stands for itself, but before one of these.

SESSION is any word for one session: its id, its interface (ppp0), its MAC address, its IP address, or its user. An access \
interface stands for its sessions. The first of these that there is counts, so that no user\'s name is taken for an id. If \
there are several sessions, show session lists them, and what needs one is refused and names them.";

const ENVIRONMENT: [(&str, &str); 5] = [
    ("NO_COLOR", "If it is set and not empty, there are no colours."),
    (
        "PAGER",
        "The pager of the shell, with its arguments. cat is none. By default less, or one that is built in.",
    ),
    ("LESS", "Options of less. FRX, if there are none."),
    ("TERM", "The kind of terminal. dumb has no colours."),
    ("XDG_STATE_HOME", "Where the shell keeps its history."),
];

const FILES: [(&str, &str); 2] = [
    ("/run/pppoed/control.sock", "The control socket. Root may use it, and the members of the group pppoed."),
    ("~/.local/state/pppctl/history", "The lines of the shell. Those that begin with a space are not kept."),
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
