//! `pppoed.toml`: the server's settings in one file.
//!
//! ```toml
//! interface = "eth1"          # keys are the long flags
//! local = "10.0.0.1"
//!
//! [ppp]                       # and pppd's options
//! ms-dns = ["1.1.1.1", "9.9.9.9"]
//! ```
//!
//! A key is a long flag of the command line, and in `[ppp]` an option of pppd: both have their one owner elsewhere
//! (`flags::keys` and `options`), and values go through the same parsers. Relative paths start from the directory
//! that the file is in. Nothing is passed over: what is unknown, misplaced or of the wrong kind is an error with file,
//! line and column.

mod section;

use std::io;
use std::path::{Path, PathBuf};

pub(in crate::config) use section::sections;

use super::layer::Layer;
use super::{ConfigError, Notice};
use crate::files;
use crate::flags::keys::ServerKey;
use crate::origin::Place;
use crate::spelling;
use crate::toml_file::{
    FileError, Item, Node, Problem, Unreadable, Value, parse, ppp_assignment, server_assignment,
};

/// The file that is read if `-c` is not given and it exists.
pub const DEFAULT_FILE: &str = "/etc/pppoed/pppoed.toml";
/// Most bytes of it.
const MAX_FILE: u64 = 1 << 20;

/// The tables that it can have.
const TABLES: [&str; 3] = ["ppp", "interface", "pool"];

/// Reads `pppoed.toml` at `path`, which starts from `directory` if it is relative. May block.
///
/// Returns what could be read, all mistakes, and what there is to say beside. A file that is not there is an empty
/// one, unless it `must_exist`.
pub fn read(path: &Path, directory: &Path, must_exist: bool) -> (Layer, Vec<ConfigError>, Vec<Notice>) {
    let opened = files::open_regular(&directory.join(path));
    let read =
        opened.and_then(|(file, metadata)| Ok((files::read_text(file, &metadata, MAX_FILE)?, metadata)));
    let (contents, metadata) = match read {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => {
            return (Layer::default(), Vec::new(), Vec::new());
        }
        Err(source) => {
            let unreadable = Unreadable { what: "configuration file", path: path.to_owned(), source };
            return (Layer::default(), vec![ConfigError::Unreadable(unreadable)], Vec::new());
        }
    };
    let exposure = files::exposure_to_change(&directory.join(path), &metadata);
    let notice = exposure.map(|exposure| Notice::Exposed { path: path.to_owned(), exposure });
    let (layer, errors) = layer(path, &contents);
    (layer, errors.into_iter().map(ConfigError::File).collect(), notice.into_iter().collect())
}

/// The settings in the text of a `pppoed.toml`, and everything that is wrong with it. `path` is its name in messages, and
/// relative paths in it start from its directory.
pub fn layer(path: &Path, contents: &[u8]) -> (Layer, Vec<FileError>) {
    let root = match parse(path, contents) {
        Ok(root) => root,
        Err(errors) => return (Layer::default(), errors),
    };
    let mut section =
        Sections { directory: path.parent().unwrap_or(Path::new("")).into(), ..Sections::default() };
    for item in root.items {
        section.add(item);
    }
    (section.layer, section.errors)
}

#[derive(Default)]
struct Sections {
    layer: Layer,
    errors: Vec<FileError>,
    directory: PathBuf,
}

impl Sections {
    /// Takes one key of the whole file: a setting, or a table.
    fn add(&mut self, item: Item) {
        match (item.key.as_str(), item.value.value) {
            ("ppp", Value::Table(table)) => {
                for option in &table.items {
                    match ppp_assignment(option, &self.directory) {
                        Ok(option) => self.layer.ppp.push(option),
                        Err(error) => self.errors.push(error),
                    }
                }
            }
            ("pool", Value::Table(table)) => {
                for pool in table.items {
                    match pool.value.value {
                        Value::Table(table) => self.layer.pools.push((pool.key, table)),
                        other => self.wrong_type("pool", pool.place, "tables: [pool.NAME]", &other),
                    }
                }
            }
            ("interface", Value::Array(nodes)) if holds_tables(&nodes) => {
                for node in nodes {
                    match node.value {
                        Value::Table(table) => self.layer.interfaces.push(table),
                        other => {
                            self.wrong_type("interface", node.place, "only tables or only strings", &other)
                        }
                    }
                }
            }
            ("interface", other @ Value::Table(_)) => {
                let wanted =
                    "a string, a list of strings, or tables: [[interface]] with name = \"…\" below it";
                self.wrong_type("interface", item.place, wanted, &other);
            }
            ("ppp" | "pool", other) => {
                let wanted = if item.key == "ppp" { "a table: [ppp]" } else { "tables: [pool.NAME]" };
                self.wrong_type(&item.key, item.place, wanted, &other);
            }
            (key, Value::Table(_)) if ServerKey::find(key).is_none() => {
                let suggestion = spelling::nearest(key, TABLES);
                let hint = Some("the tables are [ppp], [[interface]] and [pool.NAME]");
                let problem = Problem::Unknown { key: item.key, suggestion, hint };
                self.errors.push(FileError { place: item.place, problem });
            }
            (_, value) => {
                let item = Item { value: Node { value, place: item.value.place }, ..item };
                match server_assignment(&item, &self.directory) {
                    Ok(assignment) => self.layer.server.push(assignment),
                    Err(error) => self.errors.push(error),
                }
            }
        }
    }

    fn wrong_type(&mut self, key: &str, place: Place, wanted: &'static str, found: &Value) {
        let problem = Problem::WrongType { key: key.to_owned(), wanted, found: found.kind() };
        self.errors.push(FileError { place, problem });
    }
}

fn holds_tables(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| matches!(node.value, Value::Table(_)))
}

#[cfg(test)]
mod tests;
