//! The options of pppd's files as `[ppp]`.

use std::fmt::Write as _;
use std::path::Path;

use crate::config::{DEFAULT_OPTIONS_FILE, quoted};
use crate::flags::Flags;
use crate::options::{Applied, OptionKind, Presence, Reader, kind_of, number_in_c};

/// Options of which every one counts, not the last alone.
const ADD_UP: &[&str] = &["ipv6", "ms-dns", "ms-wins", "name", "set", "unset", "usehostname"];

/// `[ppp]` with the options of all files, and what cannot be written there. What is wrong in the files is told elsewhere.
pub(super) fn options(flags: &Flags, directory: &Path) -> (String, Vec<String>) {
    let mut reader = Reader::in_directory(directory);
    reader.read_file(&flags.common_options, Presence::Optional);
    let path = flags.options_file.as_deref().unwrap_or(Path::new(DEFAULT_OPTIONS_FILE));
    reader.read_file(path, Presence::Optional);
    let (applied, mut remarks) = (reader.applied().to_vec(), Vec::new());
    let mut written = String::new();
    let mut keys: Vec<(&'static str, Vec<&Applied>)> = Vec::new();
    for option in &applied {
        let group = crate::options::option_group(option.name).unwrap_or(option.name);
        let key = if ADD_UP.contains(&group) { option.name } else { group };
        let mut values = match keys.iter().position(|(known, _)| *known == key) {
            Some(at) => keys.remove(at).1,
            None => Vec::new(),
        };
        if kind_of(option.name) != Some(OptionKind::List) {
            values.clear();
        }
        values.push(option);
        // As for pppd, the last two count.
        if ["ms-dns", "ms-wins"].contains(&option.name) && values.len() > 2 {
            values.remove(0);
        }
        keys.push((key, values));
    }
    for (_, values) in keys {
        let Some(last) = values.last() else { continue };
        match toml(&values, directory) {
            Some(value) => {
                let key =
                    if last.name.starts_with(['+', '-']) { quoted(last.name) } else { last.name.to_owned() };
                // Writing to a text cannot fail.
                let place = super::comment_text(&last.place.to_string());
                let _ = writeln!(written, "{key} = {value}  # {place}");
            }
            None => remarks
                .push(format!("{}: {}: the value is not UTF-8, which TOML has to be", last.place, last.name)),
        }
    }
    if !written.is_empty() {
        written.insert_str(0, "\n[ppp]\n");
    }
    // pppd's word for both ends; the flags -L and -R beat it unless they are 0.0.0.0.
    let (options, ..) = reader.finish();
    for (flag, address, key) in
        [(flags.local, options.local_address, "local"), (flags.remote, options.remote_address, "remote")]
    {
        if let (Some(flag), Some(address)) = (flag, address)
            && flag.is_unspecified()
        {
            remarks.push(format!(
                "{}: {} as one end of every link: {key} in this file stays 0.0.0.0, so set it",
                address.origin, address.value
            ));
        }
    }
    (written, remarks)
}

/// The value of an option, given once or, for a list, more often.
fn toml(values: &[&Applied], directory: &Path) -> Option<String> {
    let texts: Option<Vec<&str>> =
        values.iter().map(|value| std::str::from_utf8(&value.argument).ok()).collect();
    let texts = texts?;
    let last = values.last()?;
    let text = texts.last()?;
    Some(match kind_of(last.name)? {
        OptionKind::Switch => "true".to_owned(),
        OptionKind::Number => number_in_c(text.as_bytes())?.to_string(),
        // With a leading zero it is octal for pppd.
        OptionKind::Quantity if text.parse().is_ok_and(|number: u64| number.to_string() == *text) => {
            (*text).to_owned()
        }
        OptionKind::Quantity | OptionKind::Text => quoted(text),
        OptionKind::Path => quoted(directory.join(text).to_str()?),
        OptionKind::List => {
            format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
        }
    })
}
