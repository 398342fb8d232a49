//! A page in mdoc(7), and clap's tables in it.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

/// Longest line of the page's source, as mandoc wants it, with room for an escape.
const LINE_LEN: usize = 76;

/// A page, or a part of one, that grows.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

impl Page {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The source.
    pub fn into_source(self) -> String {
        self.0
    }

    /// Appends lines of mdoc.
    pub fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    /// Appends paragraphs of plain text, each sentence on a line of its own, as mdoc wants it.
    pub fn text(&mut self, text: &str) {
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
    pub fn optional(&mut self, arg: &Arg) {
        let flag = arg.get_short().map_or_else(|| format!("-{}", arg.get_long().unwrap()), String::from);
        let value = if takes_value(arg) { format!(" Ar {}", quote(&value_name(arg))) } else { String::new() };
        self.line(&format!(".Op Fl {}{value}", flag.replace('-', "\\-")));
    }

    /// An argument in a list, with its help, possible values and default.
    pub fn option(&mut self, arg: &Arg) {
        if arg.is_positional() {
            self.line(&format!(".It Ar {}", quote(&value_name(arg))));
        } else {
            let short = arg.get_short().map(|short| format!("Fl {short}"));
            let longs = arg.get_long().into_iter().chain(arg.get_visible_aliases().into_iter().flatten());
            let longs = longs.map(|long| format!("Fl \\-{}", long.replace('-', "\\-")));
            let flags: Vec<String> = short.into_iter().chain(longs).collect();
            let value =
                if takes_value(arg) { format!(" Ar {}", quote(&value_name(arg))) } else { String::new() };
            self.line(&format!(".It {}{value}", flags.join(" , ")));
        }
        let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
        let (help, told_default) = match help.split_once("[default:") {
            Some((help, default)) => (help, default.trim_end_matches([']', '\n', ' ']).trim()),
            None => (help.as_str(), ""),
        };
        self.text(&sentence(help));
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
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            self.text(&format!("{}: {}", value.get_name(), sentence(&help)));
        }
        let defaults: Vec<String> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
        if !defaults.is_empty() && takes_value(arg) {
            self.text(&format!("By default {}.", defaults.join(",")));
        } else if !told_default.is_empty() {
            self.text(&format!("By default {told_default}."));
        }
    }

    /// Every command that can be carried out, below this one.
    pub fn commands(&mut self, root: &Command) {
        self.commands_below(root, root, &mut Vec::new());
    }

    fn commands_below(&mut self, root: &Command, command: &Command, path: &mut Vec<String>) {
        for inner in command.get_subcommands().filter(|it| !it.is_hide_set() && it.get_name() != "help") {
            path.push(inner.get_name().to_owned());
            if !inner.has_subcommands() || inner.get_positionals().next().is_some() {
                self.command(root, inner, path);
            }
            self.commands_below(root, inner, path);
            path.pop();
        }
    }

    fn command(&mut self, root: &Command, command: &Command, path: &[String]) {
        let everywhere = |arg: &Arg| root.get_arguments().any(|global| global.get_id() == arg.get_id());
        let arguments: Vec<&Arg> =
            command.get_arguments().filter(|arg| Self::is_shown(arg) && !everywhere(arg)).collect();
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
        self.text(&styled(command.get_long_about().or(command.get_about())));
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

    /// Whether an argument has a place in a page.
    pub fn is_shown(arg: &Arg) -> bool {
        !arg.is_hide_set() && !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version)
    }
}

fn takes_value(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Set | ArgAction::Append)
}

fn value_name(arg: &Arg) -> String {
    arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default()
}

fn styled(help: Option<&StyledStr>) -> String {
    let text = help.map(ToString::to_string).unwrap_or_default();
    sentence(text.split(" [default:").next().unwrap_or_default())
}

/// Help as a sentence.
fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

/// An argument of a macro.
pub fn quote(text: &str) -> String {
    if text.contains(' ') { format!("\"{text}\"") } else { text.to_owned() }
}

/// Text that is neither a macro nor an escape.
pub fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_into_lines_and_made_safe() {
        let mut page = Page::new();
        page.text(".one \\ two. Three\n\n'four");
        assert_eq!(page.into_source(), "\\&.one \\e two.\nThree\n.Pp\n\\&'four\n");
    }

    #[test]
    fn an_option_tells_its_default_and_its_values() {
        let mut page = Page::new();
        let arg = Arg::new("x").short('x').long("ex-it").value_name("COUNT").help("How many [default: 3]");
        page.option(&arg.action(ArgAction::Set));
        page.option(&Arg::new("y").long("y").help("It is").action(ArgAction::SetTrue));
        let expected = ".It Fl x , Fl \\-ex\\-it Ar COUNT\nHow many.\nBy default 3.\n.It Fl \\-y\nIt is.\n";
        assert_eq!(page.into_source(), expected);
    }
}
