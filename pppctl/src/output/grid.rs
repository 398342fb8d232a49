//! Aligned columns that fit a width.

use std::io::{self, Write};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::Style;
use crate::terminal::Screen;

/// First byte of a line that is a heading, where [`crate::terminal::Screen::mark_headings`] asks for it. No other line
/// begins with it: control characters of the server's text are escaped. It is never shown.
pub(crate) const HEADING_MARK: u8 = 1;

/// Space between two columns.
const GAP: usize = 2;

/// Where a cell's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A column and how it gives way when there is no room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) align: Align,
    /// Width down to which long cells may be cut short; `None` never.
    shrink_to: Option<usize>,
    /// The column with the highest number is left out first; 0 always stays.
    sacrifice: u8,
    /// How a cell looks, by its text.
    style: fn(&str) -> Style,
}

impl Column {
    pub(crate) const fn new(heading: &'static str, align: Align, sacrifice: u8) -> Self {
        Self { heading, align, shrink_to: None, sacrifice, style: |_| Style::Plain }
    }

    /// Long cells may be cut down to this width.
    pub(crate) const fn shrink_to(self, width: usize) -> Self {
        Self { shrink_to: Some(width), ..self }
    }

    pub(crate) const fn styled(self, style: fn(&str) -> Style) -> Self {
        Self { style, ..self }
    }
}

/// Writes the headings and `rows`, in at most the screen's columns while there is a way to.
///
/// Columns give way in this order: shrinkable ones are cut short, then the least important one is left out,
/// and so on with the rest.
pub(crate) fn write(
    columns: &[Column],
    rows: &[Vec<String>],
    screen: Screen,
    out: &mut dyn Write,
) -> io::Result<()> {
    let grid = Grid::fit(columns, rows, screen);
    grid.heading(out)?;
    rows.iter().try_for_each(|row| grid.row(row, out))
}

/// Columns with their widths.
pub(crate) struct Grid {
    /// Index, column and width of those that are shown.
    layout: Vec<(usize, Column, usize)>,
    screen: Screen,
}

impl Grid {
    /// Columns for these rows. Rows that come later may have cells that are wider, and stand out then.
    pub(crate) fn fit(columns: &[Column], rows: &[Vec<String>], screen: Screen) -> Self {
        Self { layout: fit(columns, rows, screen.width.unwrap_or(usize::MAX)), screen }
    }

    pub(crate) fn heading(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.screen.mark_headings {
            out.write_all(&[HEADING_MARK])?;
        }
        self.line(|_, column| (column.heading, Style::Heading), out)
    }

    /// Instead of a table without rows: counts as little as a heading.
    pub(crate) fn note(text: &str, screen: Screen, out: &mut dyn Write) -> io::Result<()> {
        if screen.mark_headings {
            out.write_all(&[HEADING_MARK])?;
        }
        writeln!(out, "{text}")
    }

    /// One cell for each column, shown or not.
    pub(crate) fn row(&self, row: &[String], out: &mut dyn Write) -> io::Result<()> {
        self.line(
            |index, column| {
                let text = row.get(index).map(String::as_str).unwrap_or_default();
                (text, (column.style)(text))
            },
            out,
        )
    }

    fn line<'a>(
        &self,
        cell: impl Fn(usize, &Column) -> (&'a str, Style),
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut line = String::new();
        // Spaces that something has to follow: none stand at the end of a line.
        let mut spaces = 0;
        for &(index, column, width) in &self.layout {
            let (text, style) = cell(index, &column);
            let text = if column.shrink_to.is_some() { shorten(text, width) } else { text.to_owned() };
            let padding = width.saturating_sub(text.width());
            let (before, after) = match column.align {
                Align::Left => (0, padding),
                Align::Right => (padding, 0),
            };
            if !text.is_empty() {
                line.extend(std::iter::repeat_n(' ', spaces + before));
                style.push(&text, self.screen.colour, &mut line);
                spaces = after + GAP;
            } else {
                spaces += width + GAP;
            }
        }
        writeln!(out, "{line}")
    }
}

/// Columns that are shown: index, column, width.
fn fit(columns: &[Column], rows: &[Vec<String>], room: usize) -> Vec<(usize, Column, usize)> {
    let mut layout: Vec<(usize, Column, usize)> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            let widest = cells.map(|cell| cell.width()).max().unwrap_or(0);
            (index, *column, widest.max(column.heading.width()))
        })
        .collect();
    loop {
        let gaps = GAP * layout.len().saturating_sub(1);
        let total = gaps + layout.iter().map(|&(.., width)| width).sum::<usize>();
        let mut excess = total.saturating_sub(room);
        let slack: usize = layout.iter().map(|(_, column, width)| width - narrowest(column, *width)).sum();
        if excess <= slack {
            for (_, column, width) in &mut layout {
                let cut = excess.min(*width - narrowest(column, *width));
                *width -= cut;
                excess -= cut;
            }
            return layout;
        }
        let least = layout.iter().map(|(_, column, _)| column.sacrifice).max().unwrap_or(0);
        if least == 0 {
            return layout;
        }
        layout.retain(|(_, column, _)| column.sacrifice != least);
    }
}

/// Width below which a column of this width may not be cut.
fn narrowest(column: &Column, width: usize) -> usize {
    column.shrink_to.map_or(width, |least| least.max(column.heading.width()).min(width))
}

/// `text` in at most `room` terminal columns, with an ellipsis where it was cut.
pub(crate) fn shorten(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut left = room.saturating_sub(1);
    for character in text.chars() {
        let width = character.width().unwrap_or(0);
        if width > left {
            break;
        }
        left -= width;
        short.push(character);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::new("ID", Align::Right, 0),
        Column::new("USER", Align::Left, 0).shrink_to(6),
        Column::new("SERVICE", Align::Left, 1),
    ];

    fn render(width: Option<usize>) -> String {
        let rows = [("1", "alice", "any"), ("12345", "bartholomew@example", "x")]
            .map(|(id, user, service)| vec![id.to_owned(), user.to_owned(), service.to_owned()]);
        let mut out = Vec::new();
        write(&COLUMNS, &rows, Screen { width, ..Screen::default() }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn everything_fits_without_a_width() {
        let expected = "   ID  USER                 SERVICE\n    1  alice                any\n12345  bartholomew@example  x\n";
        assert_eq!(render(None), expected);
        assert_eq!(render(Some(35)), expected);
    }

    #[test]
    fn a_long_cell_is_cut_before_a_column_is_left_out() {
        assert_eq!(
            render(Some(30)),
            "   ID  USER            SERVICE\n    1  alice           any\n12345  bartholomew@e…  x\n"
        );
    }

    #[test]
    fn the_least_important_column_is_left_out() {
        assert_eq!(render(Some(21)), "   ID  USER\n    1  alice\n12345  bartholomew@e…\n");
    }

    #[test]
    fn what_must_stay_stays() {
        assert_eq!(render(Some(1)), render(Some(2)));
        assert!(render(Some(1)).contains("12345"));
    }

    #[test]
    fn wide_characters_keep_the_columns_aligned() {
        let rows =
            [vec!["1".into(), "日本語".into(), "a".into()], vec!["2".into(), "abcdef".into(), "b".into()]];
        let mut out = Vec::new();
        write(&COLUMNS, &rows, Screen::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "ID  USER    SERVICE\n 1  日本語  a\n 2  abcdef  b\n");
        assert_eq!(shorten("日本語", 4), "日…");
    }
}
