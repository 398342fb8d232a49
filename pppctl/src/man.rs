//! The man page pppctl(8), in mdoc(7), from the command table.
//!
//! `UPDATE_MAN=1 cargo test -p pppctl man` writes it; the test fails while the page in `man` is another.

use clap::{Arg, ArgAction, Command, CommandFactory, builder::StyledStr};

use crate::{
    program::{Cli, EXAMPLES},
    shell::{filter::FILTERS, help},
};

/// Date of the page: when it was last changed by more than its table.
const DATE: &str = "November 21, 2026";

/// Longest line of the page's source, as mandoc wants it, with room for an escape.
const LINE_LEN: usize = 76;

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

Quotes (' and \") and backslashes keep white space together, as in sh(1). What stands behind a | is a filter over the \
lines of the answer:";

const OUTPUT: &str = "\
Tables are for people. On a terminal they fit its width: long values are cut short, and then the least important columns \
are left out. Colours are used on terminals only.

JSON is one document, with a number schema that is raised when a field goes or changes its meaning; what goes on and on, \
such as monitor, has a document in each line. CSV is as in RFC 4180, with the names and values of the JSON.

Text that peers chose is escaped in all of them: nothing in it reaches a terminal that it would act on.";

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
    let mut page = Page(String::new());
    page.line(".\\\" Made from the command table of pppctl by its tests. Do not edit.");
    page.line(&format!(".Dd {DATE}\n.Dt PPPCTL 8\n.Os"));
    page.line(".Sh NAME\n.Nm pppctl\n.Nd console of pppoed");
    page.line(".Sh SYNOPSIS");
    for rest in [".Op Ar command ...", ".Fl c Ar commands"] {
        page.line(".Nm");
        let short = |arg: &&Arg| arg.get_short() != Some('c');
        root.get_arguments().filter(|arg| is_shown(arg)).filter(short).for_each(|arg| page.optional(arg));
        page.line(rest);
    }
    page.line(".Sh DESCRIPTION");
    page.text(DESCRIPTION);
    page.line(".Pp\nThe options are:\n.Bl -tag -width Ds");
    root.get_arguments().filter(|arg| is_shown(arg)).for_each(|arg| page.option(arg));
    page.line(".El\n.Sh COMMANDS\n.Bl -tag -width Ds");
    page.commands(&root, &root, &mut Vec::new());
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
    page.0
}

/// A page that grows.
struct Page(String);

impl Page {
    /// Appends lines of mdoc.
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Appends paragraphs of plain text, each sentence on a line of its own, as mdoc wants it.
    fn text(&mut self, text: &str) {
        for (index, paragraph) in text.split("\n\n").enumerate() {
            if index > 0 {
                self.line(".Pp");
            }
            let words = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            for sentence in words.replace(". ", ".\n").lines() {
                self.sentence(sentence);
            }
        }
    }

    /// Appends a sentence, on as many lines as it takes.
    fn sentence(&mut self, sentence: &str) {
        let mut line = String::new();
        for word in sentence.split(' ') {
            if !line.is_empty() && line.len() + 1 + word.len() > LINE_LEN {
                self.line(&escape(&std::mem::take(&mut line)));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&escape(&line));
    }

    /// An argument in the synopsis.
    fn optional(&mut self, arg: &Arg) {
        let flag = arg.get_short().map_or_else(|| format!("-{}", arg.get_long().unwrap()), String::from);
        let value = if takes_value(arg) { format!(" Ar {}", quote(&value_name(arg))) } else { String::new() };
        self.line(&format!(".Op Fl {}{value}", flag.replace('-', "\\-")));
    }

    /// An argument in a list.
    fn option(&mut self, arg: &Arg) {
        if arg.is_positional() {
            self.line(&format!(".It Ar {}", quote(&value_name(arg))));
        } else {
            let short = arg.get_short().map(|short| format!("Fl {short}"));
            let long = arg.get_long().map(|long| format!("Fl \\-{}", long.replace('-', "\\-")));
            let flags: Vec<String> = short.into_iter().chain(long).collect();
            let value =
                if takes_value(arg) { format!(" Ar {}", quote(&value_name(arg))) } else { String::new() };
            self.line(&format!(".It {}{value}", flags.join(" , ")));
        }
        self.text(&sentence(arg.get_long_help().or(arg.get_help())));
        let values = arg.get_possible_values();
        let (plain, told): (Vec<_>, Vec<_>) = values
            .iter()
            .filter(|value| !value.is_hide_set() && takes_value(arg))
            .partition(|value| value.get_help().is_none());
        if !plain.is_empty() {
            let words: Vec<&str> = plain.iter().map(|value| value.get_name()).collect();
            self.text(&format!("One of {}.", words.join(", ")));
        }
        for value in told {
            self.text(&format!("{}: {}", value.get_name(), sentence(value.get_help())));
        }
        let defaults: Vec<String> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        if !defaults.is_empty() && takes_value(arg) {
            self.text(&format!("By default {}.", defaults.join(",")));
        }
    }

    /// Every command that can be carried out, below this one.
    fn commands(&mut self, root: &Command, command: &Command, path: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
            path.push(inner.get_name().to_owned());
            if !inner.has_subcommands() {
                self.command(root, inner, path);
            }
            self.commands(root, inner, path);
            path.pop();
        }
    }

    fn command(&mut self, root: &Command, command: &Command, path: &[String]) {
        let everywhere = |arg: &Arg| root.get_arguments().any(|global| global.get_id() == arg.get_id());
        let arguments: Vec<&Arg> =
            command.get_arguments().filter(|arg| is_shown(arg) && !everywhere(arg)).collect();
        let positionals: String = arguments
            .iter()
            .filter(|arg| arg.is_positional())
            .map(|arg| {
                let name = quote(&value_name(arg));
                if arg.is_required_set() { format!(" Ar {name}") } else { format!(" Op Ar {name}") }
            })
            .collect();
        let options = if arguments.iter().any(|arg| !arg.is_positional()) { " Oo Ar options Oc" } else { "" };
        self.line(&format!(".It Ic {}{options}{positionals}", path.join(" ")));
        self.text(&sentence(command.get_long_about().or(command.get_about())));
        let aliases: Vec<&str> = command.get_visible_aliases().collect();
        if !aliases.is_empty() {
            self.text(&format!("Also called {}.", aliases.join(", ")));
        }
        if !arguments.is_empty() {
            self.line(".Bl -tag -width Ds");
            arguments.iter().for_each(|arg| self.option(arg));
            self.line(".El");
        }
    }
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set() && !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version)
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn value_name(arg: &Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

/// Help as a sentence.
fn sentence(help: Option<&StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    let text = text.split(" [default:").next().unwrap_or_default().trim().to_owned();
    if text.is_empty() || text.ends_with('.') { text } else { format!("{text}.") }
}

/// An argument of a macro.
fn quote(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// Text that is neither a macro nor an escape.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[test]
fn the_page_is_that_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../man/pppctl.8");
    let page = page();
    if std::env::var_os("UPDATE_MAN").is_some() {
        std::fs::create_dir_all(std::path::Path::new(path).parent().unwrap()).unwrap();
        std::fs::write(path, &page).unwrap();
    }
    let there = std::fs::read_to_string(path).unwrap_or_default();
    assert!(there == page, "man/pppctl.8 is not of this table: UPDATE_MAN=1 cargo test -p pppctl man");
}

#[test]
fn mandoc_has_nothing_to_say_about_the_page() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../man/pppctl.8");
    let output = std::process::Command::new("mandoc")
        .args(["-Tlint", path])
        .output()
        .expect("mandoc is installed; `testbed setup` does that");
    let said = String::from_utf8_lossy(&output.stdout);
    // It looks for other pages among those that are installed.
    let complaints: Vec<&str> =
        said.lines().filter(|line| !line.contains("referenced manual not found")).collect();
    assert!(complaints.is_empty() && output.stderr.is_empty(), "{complaints:#?}");
}
