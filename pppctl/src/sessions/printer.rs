//! Lists of sessions in each format, written as they come.

use std::io::{self, Write};

use super::{Entry, field::Field};
use crate::{
    format::Format,
    output::{
        csv,
        grid::{Column, Grid},
        json,
    },
    run::Display,
    terminal::Screen,
};

/// Rows that a table's columns are fitted to. Longer lists are written as they come, in these columns.
const FITTED_ROWS: usize = 256;

/// Writes a list.
pub(crate) trait Printer {
    /// The next entries.
    fn add(&mut self, entries: Vec<Entry>, out: &mut dyn Write) -> io::Result<()>;

    /// There are no more. To be called once, at the end of a list that is whole.
    fn finish(self: Box<Self>, out: &mut dyn Write) -> io::Result<()>;
}

/// The implementation of a format. JSON always has every field.
pub(crate) fn new(display: Display, columns: Vec<Field>) -> Box<dyn Printer> {
    match display.format {
        Format::Table => {
            let fields = columns.iter().map(|field| field.column()).collect();
            Box::new(Table { screen: display.screen, columns, fields, grid: None, rows: Vec::new() })
        }
        Format::Json => Box::new(Json { has_begun: false, is_first: true }),
        Format::Csv => Box::new(Csv { columns, has_begun: false }),
    }
}

struct Table {
    screen: Screen,
    columns: Vec<Field>,
    fields: Vec<Column>,
    /// Once there were enough rows.
    grid: Option<Grid>,
    /// Rows that wait for it.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Fits the columns to the rows that there are, and writes those.
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let grid = Grid::fit(&self.fields, &self.rows, self.screen);
        grid.heading(out)?;
        self.rows.drain(..).try_for_each(|row| grid.row(&row, out))?;
        self.grid = Some(grid);
        // Whoever waits for a long list sees that it comes.
        out.flush()
    }
}

impl Printer for Table {
    fn add(&mut self, entries: Vec<Entry>, out: &mut dyn Write) -> io::Result<()> {
        for entry in &entries {
            let row: Vec<String> = self.columns.iter().map(|field| field.cell(entry)).collect();
            match &self.grid {
                Some(grid) => grid.row(&row, out)?,
                None => self.rows.push(row),
            }
        }
        if self.grid.is_none() && self.rows.len() >= FITTED_ROWS {
            self.begin(out)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        match &self.grid {
            Some(_) => Ok(()),
            None if self.rows.is_empty() => Grid::note("no sessions", self.screen, out),
            None => self.begin(out),
        }
    }
}

struct Json {
    has_begun: bool,
    is_first: bool,
}

impl Json {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if !self.has_begun {
            write!(out, "{{\"schema\":{},\"sessions\":[", json::SCHEMA)?;
            self.has_begun = true;
        }
        Ok(())
    }
}

impl Printer for Json {
    fn add(&mut self, entries: Vec<Entry>, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        for entry in &entries {
            if !self.is_first {
                out.write_all(b",")?;
            }
            self.is_first = false;
            let rate = entry.rate.map(|rate| (rate.rx, rate.tx));
            json::write_value(&json::ListedSession::new(&entry.session, rate), out)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        writeln!(out, "]}}")
    }
}

struct Csv {
    columns: Vec<Field>,
    has_begun: bool,
}

impl Csv {
    fn begin(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        csv::write_row(self.columns.iter().map(|field| field.key().to_owned()), out)
    }
}

impl Printer for Csv {
    fn add(&mut self, entries: Vec<Entry>, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)?;
        entries
            .iter()
            .try_for_each(|entry| csv::write_row(self.columns.iter().map(|field| field.raw(entry)), out))
    }

    fn finish(mut self: Box<Self>, out: &mut dyn Write) -> io::Result<()> {
        self.begin(out)
    }
}

#[cfg(test)]
mod tests {
    use ppp_ipc::name::Name;

    use super::*;
    use crate::output::samples;

    fn render(format: Format, screen: Screen, columns: &[Field], entries: &[Entry]) -> String {
        let mut out = Vec::new();
        let mut printer = new(Display { format, screen }, columns.to_vec());
        for entry in entries {
            printer.add(vec![entry.clone()], &mut out).unwrap();
        }
        printer.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn entries() -> Vec<Entry> {
        [samples::summary(1), samples::young(2)].map(|session| Entry { session, rate: None }).to_vec()
    }

    fn table(width: Option<usize>, entries: &[Entry]) -> String {
        let screen = Screen { width, ..Screen::default() };
        render(Format::Table, screen, &super::super::field::DEFAULT, entries)
    }

    #[test]
    fn tables() {
        assert_eq!(
            table(None, &entries()),
            "\
ID  USER   IP        IFNAME  STATE      UPTIME  MAC                     RX       TX  ON    SERVICE
 1  alice  10.0.0.2  ppp0    open        1h02m  02:00:5e:10:00:01  1.5 KiB  4.7 MiB  eth1  -
 2  -      -         ppp1    establish      2s  02:00:5e:10:00:01      0 B      0 B  eth1  -
"
        );
        assert_eq!(
            table(Some(80), &entries()),
            "\
ID  USER   IP        IFNAME  STATE      UPTIME  MAC                     TX
 1  alice  10.0.0.2  ppp0    open        1h02m  02:00:5e:10:00:01  4.7 MiB
 2  -      -         ppp1    establish      2s  02:00:5e:10:00:01      0 B
"
        );
        assert_eq!(table(None, &[]), "no sessions\n");
    }

    #[test]
    fn a_table_cannot_be_forged() {
        let mut session = samples::summary(1);
        session.username = Some(Name::new("x\n99  root"));
        let table = table(None, &[Entry { session, rate: None }]);
        assert_eq!(table.lines().count(), 2, "{table}");
        assert!(table.contains(r"x\x0a99  root"), "{table}");
    }

    #[test]
    fn a_long_list_comes_as_it_comes() {
        let mut printer = new(
            Display { format: Format::Table, screen: Screen::default() },
            super::super::field::DEFAULT.to_vec(),
        );
        let mut out = Vec::new();
        let entries: Vec<Entry> =
            (1..=300).map(|id| Entry { session: samples::summary(id), rate: None }).collect();
        printer.add(entries.clone(), &mut out).unwrap();
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 301);
        printer.add(entries[..2].to_vec(), &mut out).unwrap();
        printer.finish(&mut out).unwrap();
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 303);
    }

    #[test]
    fn comma_separated_values() {
        let mut entries = entries();
        entries[0].session.username = Some(Name::new("Smith, \"J\""));
        entries[1].rate = Some(super::super::rate::Rate { rx: 1, tx: 2 });
        let columns = [Field::Id, Field::User, Field::Ip, Field::Rx, Field::Rate];
        assert_eq!(
            render(Format::Csv, Screen::default(), &columns, &entries),
            "id,username,ip,traffic.rx_bytes,rate.bit_per_s\r\n1,\"Smith, \\x22J\\x22\",10.0.0.2,1536,\r\n2,,,0,3\r\n"
        );
        let heading = "id,username,ip,traffic.rx_bytes,rate.bit_per_s\r\n";
        assert_eq!(render(Format::Csv, Screen::default(), &columns, &[]), heading);
    }

    #[test]
    fn json() {
        const SUMMARY: &str = r#""id":1,"ifname":"ppp0","username":"alice","ip":"10.0.0.2","mac":"02:00:5e:10:00:01","interface":"eth1","service":"","state":"open","uptime_s":3725,"traffic":{"rx_packets":12,"rx_bytes":1536,"tx_packets":9,"tx_bytes":5000000}"#;
        let young = r#""id":2,"ifname":"ppp1","username":null,"ip":null,"mac":"02:00:5e:10:00:01","interface":"eth1","service":"","state":"establish","uptime_s":2,"traffic":{"rx_packets":0,"rx_bytes":0,"tx_packets":0,"tx_bytes":0}"#;
        let mut entries = entries();
        let shown = render(Format::Json, Screen::default(), &[], &entries);
        assert_eq!(shown, format!("{{\"schema\":1,\"sessions\":[{{{SUMMARY}}},{{{young}}}]}}\n"));
        assert_eq!(render(Format::Json, Screen::default(), &[], &[]), "{\"schema\":1,\"sessions\":[]}\n");
        entries[0].rate = Some(super::super::rate::Rate { rx: 8, tx: 16 });
        let shown = render(Format::Json, Screen::default(), &[], &entries[..1]);
        assert!(shown.contains(r#","rate":{"rx_bit_per_s":8,"tx_bit_per_s":16}}"#), "{shown}");
        // The words of the document that users read.
        let documentation = include_str!("../../../docs/json-schema.md");
        for field in ["rate", "rx_bit_per_s", "tx_bit_per_s"] {
            assert!(documentation.contains(&format!("`{field}`")), "{field}");
        }
    }
}
