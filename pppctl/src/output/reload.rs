//! What a reload changed, for people.

use std::io::{self, Write};

use ppp_ipc::reload::{Change, Effect, Setting, Summary};
use ppp_wire::escape::harmless;

use super::NONE;
use crate::answer::Reload;

/// A line for each change, and what there is to know beside.
pub(super) fn write(reload: &Reload, out: &mut dyn Write) -> io::Result<()> {
    let Reload { changes, summary } = reload;
    changes.iter().try_for_each(|change| write_change(change, out))?;
    let more = summary.changes.saturating_sub(u32::try_from(changes.len()).unwrap_or(u32::MAX));
    if more > 0 {
        writeln!(out, "and {more} more changes")?;
    }
    for remark in &summary.remarks {
        writeln!(out, "note: {}", harmless(remark))?;
    }
    writeln!(out, "{}{}", verdict(summary), keeping(summary))
}

pub(super) fn write_change(change: &Change, out: &mut dyn Write) -> io::Result<()> {
    let when = match change.effect {
        Effect::Now => "",
        Effect::NewSessions => ", for new sessions",
        Effect::Restart => ", after a restart",
    };
    let (old, new) = (setting(change.old.as_ref()), setting(change.new.as_ref()));
    writeln!(out, "{}: {old} -> {new}{when}", harmless(&change.key))
}

fn setting(setting: Option<&Setting>) -> String {
    setting.map_or_else(
        || NONE.to_owned(),
        |setting| format!("{} ({})", harmless(&setting.value), harmless(&setting.origin)),
    )
}

fn verdict(summary: &Summary) -> String {
    match (summary.changes, summary.applied) {
        (0, _) => "nothing has changed".to_owned(),
        (1, true) => "1 change was made".to_owned(),
        (count, true) => format!("{count} changes were made"),
        (1, false) => "1 change would be made".to_owned(),
        (count, false) => format!("{count} changes would be made"),
    }
}

fn keeping(summary: &Summary) -> String {
    let ids: Vec<String> = summary.keeping_ids.iter().map(ToString::to_string).collect();
    let dots = if ids.len() < usize::try_from(summary.keeping).unwrap_or(usize::MAX) { ", …" } else { "" };
    match summary.keeping {
        0 => String::new(),
        1 => format!("; 1 session keeps its old values until it ends: {}", ids.join(", ")),
        count => format!("; {count} sessions keep their old values until they end: {}{dots}", ids.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(reload: &Reload) -> String {
        let mut out = Vec::new();
        write(reload, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn changes_read_like_sentences() {
        let setting =
            |value: &str, origin: &str| Some(Setting { value: value.into(), origin: origin.into() });
        let change = |key: &str, old, new, effect| Change { key: key.into(), old, new, effect };
        let reload = Reload {
            changes: vec![
                change(
                    "idle",
                    setting("none", "default"),
                    setting("60", "/etc/ppp/options:3"),
                    Effect::NewSessions,
                ),
                change("mac-deny", None, setting("02:00:5e:10:00:01", "/etc/deny"), Effect::Now),
                change("run-dir", setting("/a", "x:1"), setting("/\u{7}", "x:1"), Effect::Restart),
            ],
            summary: Summary {
                applied: true,
                changes: 5,
                keeping: 3,
                keeping_ids: vec![1, 7],
                remarks: vec!["x:1: no effect".into()],
            },
        };
        let none = NONE;
        assert_eq!(
            render(&reload),
            format!(
                "idle: none (default) -> 60 (/etc/ppp/options:3), for new sessions\n\
                 mac-deny: {none} -> 02:00:5e:10:00:01 (/etc/deny)\n\
                 run-dir: /a (x:1) -> /\\u{{7}} (x:1), after a restart\n\
                 and 2 more changes\n\
                 note: x:1: no effect\n\
                 5 changes were made; 3 sessions keep their old values until they end: 1, 7, …\n"
            )
        );
    }

    #[test]
    fn few_changes_or_none() {
        let render = |changes, applied, keeping: &[u16]| {
            let summary = Summary {
                applied,
                changes,
                keeping: u32::try_from(keeping.len()).unwrap(),
                keeping_ids: keeping.to_vec(),
                remarks: Vec::new(),
            };
            let listed = Change { key: "x".into(), old: None, new: None, effect: Effect::Now };
            let changes = vec![listed; usize::try_from(changes).unwrap()];
            render(&Reload { changes, summary }).lines().last().unwrap().to_owned()
        };
        assert_eq!(render(0, true, &[]), "nothing has changed");
        assert_eq!(render(1, false, &[]), "1 change would be made");
        assert_eq!(
            render(1, true, &[9]),
            "1 change was made; 1 session keeps its old values until it ends: 9"
        );
        assert_eq!(
            render(2, false, &[3, 4]),
            "2 changes would be made; 2 sessions keep their old values until they end: 3, 4"
        );
    }
}
