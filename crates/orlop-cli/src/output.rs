//! stdout: the result and nothing else.

use crate::environment::Stdout;
use orlop::layer::path::printable;
use orlop::spec::validate::Severity;
use orlop::spec::{Fault, MediaType};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};

/// Buffered stdout.
pub struct Output(BufWriter<Stdout>);

impl Output {
    pub fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, Stdout))
    }

    /// Writes what is still buffered; only now is the result known to be out.
    pub fn end(mut self) -> Result<(), Fault> {
        self.0.flush().map_err(failed)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What happened to the result on its way out.
pub fn failed(error: io::Error) -> Fault {
    Fault::io("write to the standard output", error)
}

/// On which side a column is flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A compact table: columns two spaces apart, a header in capitals, no lines.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One cell per column; what comes from outside is escaped.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell).into_owned()).collect());
    }

    /// The table as lines, without blanks at their ends.
    pub fn print(&self) -> String {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        let header: Vec<&str> = self.columns.iter().map(|(title, _)| *title).collect();
        let mut text = String::new();
        self.line(&mut text, &widths, &header);
        for row in &self.rows {
            self.line(&mut text, &widths, &row.iter().map(String::as_str).collect::<Vec<_>>());
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].chars().count());
        cells.chain([self.columns[column].0.len()]).max().unwrap_or(0)
    }

    fn line(&self, text: &mut String, widths: &[usize], cells: &[&str]) {
        let start = text.len();
        for ((cell, width), (_, align)) in cells.iter().zip(widths).zip(&self.columns) {
            match align {
                Align::Left => write!(text, "{cell:<width$}  "),
                Align::Right => write!(text, "{cell:>width$}  "),
            }
            .expect("a string takes everything");
        }
        text.truncate(start + text[start..].trim_end().len());
        text.push('\n');
    }
}

/// Named values, one per line; a value of several lines is continued under its first one.
#[derive(Default)]
pub struct Fields(Vec<(&'static str, String)>);

impl Fields {
    /// A value from outside; it is escaped. Nothing is shown for nothing.
    pub fn add(&mut self, name: &'static str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.0.push((name, printable(value.as_ref()).into_owned()));
        }
    }

    /// Values from outside under one name.
    pub fn all(&mut self, name: &'static str, values: impl IntoIterator<Item = impl AsRef<str>>) {
        let mut name = name;
        for value in values {
            self.add(name, Some(value));
            name = "";
        }
    }

    /// The fields as lines.
    pub fn print(&self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let line = |(name, value): &(&str, String)| format!("{name:<width$}  {value}\n");
        self.0.iter().map(line).collect::<Vec<_>>().concat()
    }
}

/// A size for eyes: `999 B`, `1.2 kB`, `345.6 MB`; powers of 1000, rounded down.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 {
        tenths /= 1000;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// As much of a digest in hex as tells it from others among few; the store finds an image by it.
pub fn short(hex: &str) -> String {
    hex.get(..12).unwrap_or(hex).to_owned()
}

/// How bad a finding is.
pub fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A list for programs, under the name of what is listed.
pub fn listing(name: &str, items: &[Value]) -> String {
    format!("{}\n", json!({ "version": 1, name: items }))
}

/// A media type as tables show it: without what all of them begin with.
pub fn short_type(media_type: &MediaType) -> String {
    let text = media_type.as_str();
    text.strip_prefix("application/vnd.").unwrap_or(text).to_owned()
}

/// `NAME` for text, `NAME_hex` for bytes that are none.
pub fn named(name: &str, bytes: &[u8]) -> Map<String, Value> {
    let (name, value) = match std::str::from_utf8(bytes) {
        Ok(text) => (name.to_owned(), text.to_owned()),
        Err(_) => (format!("{name}_hex"), hex(bytes)),
    };
    Map::from_iter([(name, value.into())])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sizes_are_rounded_down_in_powers_of_a_thousand() {
        let cases =
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "999.9 kB"), (1_000_000, "1.0 MB")];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "18.4 EB");
    }

    #[test]
    fn a_table_has_aligned_columns_and_no_blanks_at_the_end() {
        let mut table = Table::new(&[("NAME", Align::Left), ("SIZE", Align::Right), ("NOTE", Align::Left)]);
        table.row(["a".into(), "12".into(), String::new()]);
        table.row(["longer".into(), "3".into(), "x".into()]);
        assert_eq!(table.print(), "NAME    SIZE  NOTE\na         12\nlonger     3  x\n");
    }

    #[test]
    fn names_that_are_no_text_are_told_in_hex() {
        assert_eq!(Value::from(named("path", b"a")), json!({ "path": "a" }));
        assert_eq!(Value::from(named("path", b"\xff")), json!({ "path_hex": "ff" }));
    }
}
