//! The configuration that holds, and where it differs from the files.

use std::io::{self, Write};

use ppp_ipc::control::{ConfigDiffEnd, ConfigDifference, ConfigSetting, Fate};
use ppp_ipc::reload::Setting;
use ppp_wire::escape::harmless;
use serde::Serialize;

use super::grid::{self, Align, Column};
use super::{NONE, csv};
use crate::terminal::Screen;

const SETTINGS: [Column; 4] = [
    Column::new("SETTING", Align::Left, 0),
    Column::new("VALUE", Align::Left, 0).shrink_to(20),
    Column::new("ORIGIN", Align::Left, 0).shrink_to(16),
    Column::new("CHANGES", Align::Left, 2),
];

/// All settings, as a table.
pub(super) fn write(settings: &[ConfigSetting], screen: Screen, out: &mut dyn Write) -> io::Result<()> {
    if settings.is_empty() {
        return writeln!(out, "no such setting");
    }
    let row = |one: &ConfigSetting| {
        let ConfigSetting { key, setting: Setting { value, origin }, effect } = one;
        let texts = [key, value, origin].map(|text| harmless(text).into_owned());
        texts.into_iter().chain([effect.as_str().to_owned()]).collect()
    };
    let rows: Vec<Vec<String>> = settings.iter().map(row).collect();
    grid::write(&SETTINGS, &rows, screen, out)
}

/// A row for each setting.
pub(super) fn write_csv(settings: &[ConfigSetting], out: &mut dyn Write) -> io::Result<()> {
    csv::write_row(["key", "value", "origin", "effect"].map(str::to_owned), out)?;
    settings.iter().try_for_each(|one| {
        let ConfigSetting { key, setting: Setting { value, origin }, effect } = one;
        csv::write_row([key.clone(), value.clone(), origin.clone(), effect.as_str().to_owned()], out)
    })
}

/// A line for each difference, and what there is to know beside.
pub(super) fn write_diff(
    differences: &[ConfigDifference],
    end: &ConfigDiffEnd,
    out: &mut dyn Write,
) -> io::Result<()> {
    for ConfigDifference { key, running, files, fate } in differences {
        let (running, files) = (shown(running.as_ref()), shown(files.as_ref()));
        let fate = match fate {
            Fate::Reload => "taken over by `reload`, and by a restart",
            Fate::Restart => "taken over by a restart only",
            Fate::Lost => "lost by a restart",
            Fate::Kept => "kept over a restart",
        };
        writeln!(out, "{}: running {running}, files {files}; {fate}", harmless(key))?;
    }
    if end.more > 0 {
        writeln!(out, "and {} more", end.more)?;
    }
    end.remarks.iter().try_for_each(|remark| writeln!(out, "note: {}", harmless(remark)))?;
    if differences.is_empty() {
        writeln!(out, "no differences")?;
    }
    Ok(())
}

fn shown(setting: Option<&Setting>) -> String {
    setting.map_or_else(
        || NONE.to_owned(),
        |setting| format!("{} ({})", harmless(&setting.value), harmless(&setting.origin)),
    )
}

/// A setting in JSON.
#[derive(Serialize)]
pub(super) struct Shown<'a> {
    key: &'a str,
    value: &'a str,
    origin: &'a str,
    effect: &'static str,
}

impl<'a> From<&'a ConfigSetting> for Shown<'a> {
    fn from(one: &'a ConfigSetting) -> Self {
        let ConfigSetting { key, setting: Setting { value, origin }, effect } = one;
        Self { key, value, origin, effect: effect.as_str() }
    }
}

/// Differences in JSON.
#[derive(Serialize)]
pub(super) struct Diff<'a> {
    pub(super) differences: &'a [ConfigDifference],
    #[serde(flatten)]
    pub(super) end: &'a ConfigDiffEnd,
}

#[cfg(test)]
mod tests {
    use ppp_ipc::reload::Effect;

    use super::*;

    fn setting(value: &str, origin: &str) -> Setting {
        Setting { value: value.into(), origin: origin.into() }
    }

    #[test]
    fn settings_are_a_table_and_rows() {
        let one = ConfigSetting {
            key: "idle".into(),
            setting: setting("60\u{1b}", "/etc/ppp/options:3"),
            effect: Effect::NewSessions,
        };
        let mut out = Vec::new();
        write(std::slice::from_ref(&one), Screen::default(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SETTING  VALUE     ORIGIN              CHANGES\n\
             idle     60\\u{1b}  /etc/ppp/options:3  new-sessions\n"
        );
        let mut out = Vec::new();
        write_csv(&[one], &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "key,value,origin,effect\r\nidle,60\\u{1b},/etc/ppp/options:3,new-sessions\r\n"
        );
        let mut out = Vec::new();
        write(&[], Screen::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "no such setting\n");
    }

    #[test]
    fn differences_read_like_sentences() {
        let difference = |key: &str, fate| ConfigDifference {
            key: key.into(),
            running: Some(setting("1", "-N")),
            files: None,
            fate,
        };
        let all = [
            difference("idle", Fate::Reload),
            difference("run-dir", Fate::Restart),
            difference("log-level", Fate::Lost),
            difference("service\n", Fate::Kept),
        ];
        let end = ConfigDiffEnd { more: 3, remarks: vec!["x:1: no effect".into()] };
        let mut out = Vec::new();
        write_diff(&all, &end, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "idle: running 1 (-N), files -; taken over by `reload`, and by a restart\n\
             run-dir: running 1 (-N), files -; taken over by a restart only\n\
             log-level: running 1 (-N), files -; lost by a restart\n\
             service\\n: running 1 (-N), files -; kept over a restart\n\
             and 3 more\n\
             note: x:1: no effect\n"
        );
        let mut out = Vec::new();
        write_diff(&[], &ConfigDiffEnd::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "no differences\n");
    }
}
