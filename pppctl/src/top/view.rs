//! What the screen of `top` shows, and what its keys change.

use ppp_wire::escape::harmless;

use crate::{
    output::{
        self, grid,
        grid::{Column, Grid},
        style::Style,
        units,
    },
    sessions::{
        Entry,
        field::{Field, SortKey, sort},
    },
    terminal::Screen,
};

/// Lines above the table's rows: two of the head, one empty, the headings.
const HEAD_LINES: usize = 4;

/// Used where the terminal does not tell its height.
const USUAL_HEIGHT: usize = 24;

/// What the keys do, for `h`.
const HELP: &str = "\
q      leave
s S    sort by the next column, by the one before
r      the other way round
j k    down, up (arrows, space and b: a page, g: to the top)
Enter  look now
h      this help";

/// What a key asks for beside another picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Stay,
    /// Look at the server now.
    Look,
    Leave,
}

/// The state of the screen.
pub(super) struct View {
    columns: Vec<Field>,
    keys: Vec<SortKey>,
    limit: Option<usize>,
    host: String,
    entries: Vec<Entry>,
    /// Sessions and bits per second of all that are shown.
    totals: Totals,
    /// Why the list is old.
    missed: Option<String>,
    /// First row that is shown.
    first: usize,
    /// Rows that were shown, for pages.
    page: std::cell::Cell<usize>,
    helps: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    sessions: usize,
    open: usize,
    rx: u64,
    tx: u64,
}

impl View {
    pub(super) fn new(columns: Vec<Field>, keys: Vec<SortKey>, limit: Option<usize>) -> Self {
        Self {
            columns,
            keys,
            limit,
            host: String::new(),
            entries: Vec::new(),
            totals: Totals::default(),
            missed: None,
            first: 0,
            page: std::cell::Cell::new(1),
            helps: false,
        }
    }

    /// Another list came.
    pub(super) fn show(&mut self, entries: Vec<Entry>, host: Option<String>) {
        let sum = |rate: fn(&Entry) -> u64| entries.iter().map(rate).fold(0, u64::saturating_add);
        self.totals = Totals {
            sessions: entries.len(),
            open: entries.iter().filter(|it| it.session.state.as_str() == "open").count(),
            rx: sum(|entry| entry.rate.map_or(0, |rate| rate.rx)),
            tx: sum(|entry| entry.rate.map_or(0, |rate| rate.tx)),
        };
        self.entries = entries;
        self.missed = None;
        if let Some(host) = host {
            self.host = harmless(&host).into_owned();
        }
        self.arrange();
    }

    /// No list came.
    pub(super) fn miss(&mut self, why: String) {
        self.missed = Some(why);
    }

    fn arrange(&mut self) {
        sort(&mut self.entries, &self.keys);
        self.entries.truncate(self.limit.unwrap_or(usize::MAX));
        self.first = self.first.min(self.entries.len().saturating_sub(1));
    }

    /// A key was pressed.
    pub(super) fn press(&mut self, key: u8) -> Action {
        if self.helps {
            self.helps = false;
            return if matches!(key, b'q' | 3) { Action::Leave } else { Action::Stay };
        }
        let page = self.page.get();
        match key {
            b'q' | b'Q' | 3 | 4 | 0x1b => return Action::Leave,
            b'\r' | b'\n' => return Action::Look,
            b'h' | b'?' => self.helps = true,
            b's' => self.sort_by(1),
            b'S' => self.sort_by(self.columns.len().saturating_sub(1)),
            b'r' => {
                if let Some(key) = self.keys.first_mut() {
                    key.descending = !key.descending;
                }
                self.arrange();
            }
            b'j' => self.first = self.first.saturating_add(1),
            b'k' => self.first = self.first.saturating_sub(1),
            b' ' => self.first = self.first.saturating_add(page),
            b'b' => self.first = self.first.saturating_sub(page),
            b'g' => self.first = 0,
            _ => {}
        }
        self.first = self.first.min(self.entries.len().saturating_sub(1));
        Action::Stay
    }

    /// Sorts by the column so many places further on, around the end.
    fn sort_by(&mut self, steps: usize) {
        let now = self.keys.first().map(|key| key.field);
        let at = self.columns.iter().position(|field| Some(*field) == now);
        let next = at.map_or(0, |at| (at + steps) % self.columns.len().max(1));
        if let Some(&field) = self.columns.get(next) {
            // What is much is looked for, and what is first by name.
            self.keys = vec![SortKey { field, descending: field.is_amount() }];
        }
        self.arrange();
    }

    /// The picture, as lines.
    pub(super) fn text(&self, screen: Screen) -> String {
        let width = screen.width.unwrap_or(usize::MAX);
        let height = screen.height.unwrap_or(USUAL_HEIGHT);
        let mut lines = self.head(screen, width);
        if self.helps {
            lines.extend(HELP.lines().map(str::to_owned));
        } else {
            lines.extend(self.table(screen, height.saturating_sub(HEAD_LINES)));
        }
        lines.truncate(height);
        lines.join("\n")
    }

    fn head(&self, screen: Screen, width: usize) -> Vec<String> {
        let Totals { sessions, open, rx, tx } = self.totals;
        let (rx, tx) = (units::bits_per_second(rx), units::bits_per_second(tx));
        let sessions = output::count(sessions as u64, "session");
        let first = format!("{}  {sessions}, {open} open  received {rx}  sent {tx}", self.host);
        let second = match &self.missed {
            Some(why) => Style::Bad.paint(&grid::shorten(&harmless(why), width), screen.colour),
            None => {
                let order = self.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
                let rest = match self.first {
                    0 => String::new(),
                    first => format!("  from row {}", first + 1),
                };
                grid::shorten(&format!("by {order}{rest}  (q: leave, s: sort, r: reverse, h: help)"), width)
            }
        };
        vec![Style::Heading.paint(&grid::shorten(&first, width), screen.colour), second, String::new()]
    }

    fn table(&self, screen: Screen, rows: usize) -> Vec<String> {
        self.page.set(rows.max(1));
        let columns: Vec<Column> = self.columns.iter().map(|field| field.column()).collect();
        let shown = self.entries.iter().skip(self.first).take(rows);
        let cells: Vec<Vec<String>> =
            shown.map(|entry| self.columns.iter().map(|field| field.cell(entry)).collect()).collect();
        if cells.is_empty() {
            return vec!["no sessions".to_owned()];
        }
        let grid = Grid::fit(&columns, &cells, screen);
        let mut text = Vec::new();
        // A Vec takes everything.
        let _ = grid.heading(&mut text);
        for row in &cells {
            let _ = grid.row(row, &mut text);
        }
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{output::samples, sessions::rate::Rate};

    const SCREEN: Screen = Screen { width: Some(60), height: Some(8), ..samples::UTC };

    fn view(count: u16) -> View {
        let columns = vec![Field::Id, Field::User, Field::Rate];
        let mut view = View::new(columns, vec!["rate-".parse().unwrap()], None);
        let entries = (1..=count)
            .map(|id| Entry {
                session: samples::summary(id),
                rate: Some(Rate { rx: u64::from(id) * 1000, tx: 0 }),
            })
            .collect();
        view.show(entries, Some("bras1".into()));
        view
    }

    fn ids(view: &View) -> Vec<u16> {
        view.text(SCREEN)
            .lines()
            .skip(HEAD_LINES)
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect()
    }

    #[test]
    fn the_picture() {
        assert_eq!(
            view(2).text(SCREEN),
            "\
bras1  2 sessions, 2 open  received 3.0 kbit/s  sent 0 bit/s
by rate-  (q: leave, s: sort, r: reverse, h: help)

ID  USER         RATE
 2  alice  2.0 kbit/s
 1  alice  1.0 kbit/s"
        );
        assert!(view(0).text(SCREEN).ends_with("\n\nno sessions"));
        // It fits, whatever there is.
        let tiny = Screen { width: Some(20), height: Some(5), ..SCREEN };
        let text = view(500).text(tiny);
        assert_eq!(text.lines().count(), 5);
        assert!(text.lines().take(3).all(|line| line.chars().count() <= 20), "{text}");
    }

    #[test]
    fn keys() {
        let mut view = view(9);
        assert_eq!(ids(&view), [9, 8, 7, 6]);
        view.press(b'j');
        assert_eq!(ids(&view), [8, 7, 6, 5]);
        view.press(b' ');
        assert_eq!(ids(&view), [4, 3, 2, 1]);
        view.press(b'b');
        view.press(b'k');
        view.press(b'k');
        assert_eq!(ids(&view), [9, 8, 7, 6]);
        view.press(b'r');
        assert_eq!(ids(&view), [1, 2, 3, 4]);
        // Behind the last column comes the first.
        view.press(b's');
        assert!(view.text(SCREEN).contains("by id  "));
        view.press(b'S');
        assert!(view.text(SCREEN).contains("by rate-  "));
        view.press(b'h');
        assert!(view.text(SCREEN).contains("leave\ns S"));
        assert_eq!(view.press(b'x'), Action::Stay);
        assert!(!view.text(SCREEN).contains("leave\ns S"));
        assert_eq!((view.press(b'\r'), view.press(b'q')), (Action::Look, Action::Leave));
        for _ in 0..50 {
            view.press(b'j');
        }
        assert_eq!(ids(&view), [1]);
    }

    #[test]
    fn a_list_that_does_not_come_leaves_the_last_one() {
        let mut view = view(3);
        view.miss("no answer from\x1b[2J pppoed".into());
        let text = view.text(SCREEN);
        assert!(text.contains(r"no answer from\u{1b}[2J pppoed") && ids(&view) == [3, 2, 1], "{text}");
    }
}
