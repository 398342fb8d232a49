//! Keys with values as the assignments of a layer.

use std::path::Path;

use super::{FileError, Item, Node, Problem, Value};
use crate::flags::keys::{Kind, ServerKey};
use crate::options::{self, OptionKind};
use crate::origin::{Assignment, Origin};
use crate::spelling;

/// A setting of the server, by long flag. Whether its value is possible is not looked at, only of what kind it is: the
/// command line's parsers do the rest when the layers are put together. Relative paths start from `directory`.
///
/// # Errors
/// When there is no such key, when it has no place in a file, or when its value is of another kind.
pub fn server_assignment(item: &Item, directory: &Path) -> Result<Assignment, FileError> {
    let Some(key) = ServerKey::find(&item.key) else {
        let (suggestion, hint) = (ServerKey::nearest(&item.key), hint_for_server(&item.key));
        return Err(problem(item, |key| Problem::Unknown { key, suggestion, hint }));
    };
    if let Some(why) = key.not_in_file {
        return Err(problem(item, |key| Problem::Refused { key, why }));
    }
    let values = values(item, key.kind, directory)?;
    Ok(assignment(item, values))
}

/// An option of `[ppp]`. Whether its value is possible is not looked at, only of what kind it is: the reader of
/// options files does the rest when the layers are put together. Relative paths start from `directory`.
///
/// # Errors
/// When there is no such option, or when its value is of another kind.
pub fn ppp_assignment(item: &Item, directory: &Path) -> Result<Assignment, FileError> {
    let Some(kind) = options::kind_of(&item.key) else {
        if ServerKey::find(&item.key).is_some_and(|key| key.not_in_file.is_none()) {
            let belongs = "it is no option of pppd; put it above the first line in [brackets]";
            return Err(problem(item, |key| Problem::Misplaced { key, belongs }));
        }
        let suggestion = options::nearest_option(&item.key, |_| true);
        return Err(problem(item, |key| Problem::Unknown { key, suggestion, hint: None }));
    };
    let kind = match (kind, &item.value.value) {
        // `ipv6 = true` for the option +ipv6
        (OptionKind::Text, Value::Boolean(_)) if item.key == "ipv6" => Kind::Switch,
        // `auth = ["chap", "pap"]`, as an interface has it
        (OptionKind::Switch, Value::Text(_) | Value::Array(_)) if item.key == "auth" => Kind::List,
        (OptionKind::Switch, _) => Kind::Switch,
        (OptionKind::Number, _) => Kind::Number,
        (OptionKind::Quantity, _) => Kind::Quantity,
        (OptionKind::Text, _) => Kind::Text,
        (OptionKind::List, _) => Kind::List,
        (OptionKind::Path, _) => Kind::Path,
    };
    let values = values(item, kind, directory)?;
    Ok(assignment(item, values))
}

fn assignment(item: &Item, values: Vec<String>) -> Assignment {
    Assignment { key: item.key.clone(), values, origin: Origin::File(item.value.place.clone()) }
}

/// The values of a key as text.
///
/// # Errors
/// When its value is of another kind. Paths start from `directory`.
pub fn values(item: &Item, kind: Kind, directory: &Path) -> Result<Vec<String>, FileError> {
    let wrong = |node: &Node| FileError {
        place: node.place.clone(),
        problem: Problem::WrongType {
            key: item.key.clone(),
            wanted: kind.wanted(),
            found: node.value.kind(),
        },
    };
    let value = &item.value;
    Ok(match (kind, &value.value) {
        (Kind::Switch, Value::Boolean(value)) => vec![value.to_string()],
        (Kind::Number | Kind::Quantity, Value::Integer(number)) => vec![number.to_string()],
        (Kind::Text | Kind::List | Kind::Quantity, Value::Text(text)) => vec![text.to_string()],
        (Kind::Path, Value::Text(path)) => vec![located(path, directory)],
        (Kind::List, Value::Array(nodes)) => {
            let text = |node: &Node| match &node.value {
                Value::Text(text) => Ok(text.to_string()),
                _ => Err(wrong(node)),
            };
            nodes.iter().map(text).collect::<Result<_, _>>()?
        }
        _ => return Err(wrong(value)),
    })
}

/// A path as seen from the working directory. The empty one stays: it is a mistake that others tell.
fn located(path: &str, directory: &Path) -> String {
    match directory.join(path).into_os_string().into_string() {
        Ok(path_from_here) if !path.is_empty() => path_from_here,
        _ => path.to_owned(),
    }
}

fn problem(item: &Item, problem: impl FnOnce(String) -> Problem) -> FileError {
    FileError { place: item.place.clone(), problem: problem(item.key.clone()) }
}

/// A key of a table that has only the keys of `names`.
pub fn unknown_key(item: &Item, names: impl IntoIterator<Item = &'static str>) -> FileError {
    let suggestion = spelling::nearest(&item.key, names);
    problem(item, |key| Problem::Unknown { key, suggestion, hint: None })
}

/// A key that is none of the whole file's: perhaps one of `[ppp]`.
fn hint_for_server(key: &str) -> Option<&'static str> {
    options::is_accepted(key).then_some("it is an option of pppd: put it below [ppp]")
}
