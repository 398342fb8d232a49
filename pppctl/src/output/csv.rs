//! Comma-separated values (RFC 4180).

use std::borrow::Cow;
use std::io::{self, Write};

use ppp_ipc::name::Name;
use ppp_wire::escape::harmless;
use serde_json::Value;

use super::{Output, config, json::Json};
use crate::answer::{Answer, Piece};
use crate::clock::Zone;
use crate::info::Info;

/// A heading, then a row for each thing; where there is one thing only, a row for each of its fields. The names and
/// values are those of the JSON.
pub(super) struct Csv {
    /// Whose time is written.
    pub(super) zone: Zone,
}

impl Output for Csv {
    fn write(&self, answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
        if let Answer::Info(Info::Config(settings)) = answer {
            return config::write_csv(settings, out);
        }
        let mut document = Vec::new();
        Json { zone: self.zone }.write(answer, &mut document)?;
        let document: Value = serde_json::from_slice(&document)?;
        let bodies = document.as_object().into_iter().flatten().filter(|(name, _)| *name != "schema");
        for (name, body) in bodies {
            write_row(["field".to_owned(), "value".to_owned()], out)?;
            let mut rows = Vec::new();
            match body {
                Value::Object(fields) => {
                    fields.iter().for_each(|(name, value)| flatten(name, value, &mut rows));
                }
                scalar => flatten(name, scalar, &mut rows),
            }
            rows.into_iter().try_for_each(|(name, value)| write_row([name, value], out))?;
        }
        Ok(())
    }

    /// The pieces have no fields in common.
    fn write_piece(&self, _: &Piece, _: &mut dyn Write) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Names of inner fields have those of the outer ones in front, with a dot between them.
fn flatten(name: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Null => rows.push((name.to_owned(), String::new())),
        Value::String(text) if is_name(name) => rows.push((name.to_owned(), name_text(text))),
        Value::String(text) => rows.push((name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => rows.push((name.to_owned(), value.to_string())),
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                flatten(&format!("{name}.{index}"), value, rows);
            }
        }
        Value::Object(fields) => {
            for (inner, value) in fields {
                flatten(&format!("{name}.{inner}"), value, rows);
            }
        }
    }
}

/// Whether a field holds the name of a user, a service or an access concentrator.
fn is_name(field: &str) -> bool {
    let is_number = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
    let last = field.rsplit('.').find(|part| !is_number(part));
    last.is_some_and(|last| ["username", "service", "services", "ac_name"].contains(&last))
}

/// A text that is no formula to a spreadsheet, which takes any that begins so for one: with an apostrophe before it.
fn without_formula(value: Cow<'_, str>) -> Cow<'_, str> {
    match value.starts_with(['=', '+', '-', '@']) && value.parse::<f64>().is_err() {
        true => Cow::Owned(format!("'{value}")),
        false => value,
    }
}

/// The text of a name that is no formula either: what would begin one is written `\xHH`, so that it is still the name.
pub(crate) fn name(name: &Name) -> String {
    name_text(&name.to_string())
}

fn name_text(text: &str) -> String {
    match text.as_bytes().split_first() {
        Some((first @ (b'=' | b'+' | b'@'), _)) => {
            format!("\\x{first:02x}{}", text.get(1..).unwrap_or_default())
        }
        _ => text.to_owned(),
    }
}

/// Writes a row. RFC 4180 §2: rows end with CRLF; values with a comma, a quote or a line end stand between quotes.
pub(crate) fn write_row(values: impl IntoIterator<Item = String>, out: &mut dyn Write) -> io::Result<()> {
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            out.write_all(b",")?;
        }
        // What a terminal would act on is escaped here too, line ends with it.
        let value = without_formula(harmless(&value));
        if value.contains([',', '"']) {
            write!(out, "\"{}\"", value.replace('"', "\"\""))?;
        } else {
            out.write_all(value.as_bytes())?;
        }
    }
    out.write_all(b"\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::samples;

    #[test]
    fn one_thing_has_a_row_for_each_field() {
        let mut out = Vec::new();
        Csv { zone: Zone::Utc }.write(&Answer::Session(Box::new(samples::detail())), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("field,value\r\n"), "{text}");
        for row in ["id,1", "traffic.rx_bytes,1536", "dns.1,198.51.100.53", "history.1.event,IPCP opened"] {
            assert!(text.split("\r\n").any(|line| line == row), "{row}: {text}");
        }
        let mut out = Vec::new();
        Csv { zone: Zone::Utc }.write(&Answer::Terminated(3), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "field,value\r\nterminated,3\r\n");
    }

    #[test]
    fn rows() {
        let mut out = Vec::new();
        let values = ["a", "", "b,c", "say \"hi\"", "d\r\ne", "f g"].map(str::to_owned);
        write_row(values, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a,,\"b,c\",\"say \"\"hi\"\"\",d\\r\\ne,f g\r\n");
    }

    #[test]
    fn no_value_is_a_formula() {
        for (value, expected) in [
            ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
            ("@SUM(1,2)", "\"'@SUM(1,2)\""),
            ("+49 30", "'+49 30"),
            ("-x", "'-x"),
            ("-1.5", "-1.5"),
            ("a=b", "a=b"),
        ] {
            let mut out = Vec::new();
            write_row([value.to_owned()], &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("{expected}\r\n"));
        }
    }
}
