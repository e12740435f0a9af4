//! One cell of a table. Spreadsheets take a cell that begins with certain letters for a formula, and a formula can call out: in
//! texts of others an apostrophe goes before them (OWASP, "CSV Injection"). Numbers of ours stay numbers, also below 0.

use std::borrow::Cow;

use crate::Failed;

/// What is nearer to 0 comes of rounding, and is written as 0.
const NOISE: f64 = 1e-12;

/// A cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'a> {
    /// What somebody wrote.
    Text(&'a str),
    /// A word, an id or a time of ours.
    Word(String),
    /// A count.
    Count(u64),
    /// A figure.
    Figure(f64),
    /// No value.
    None,
}

impl<'a> Cell<'a> {
    /// A text, or nothing.
    pub(super) fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::None, Cell::Text)
    }

    /// A figure, or nothing.
    pub(super) fn figure(value: Option<f64>) -> Self {
        value.map_or(Self::None, Cell::Figure)
    }

    /// A count.
    pub(super) const fn count(count: usize) -> Self {
        Self::Count(count as u64)
    }

    /// How serde writes it: the word of an enum, a time.
    pub(super) fn word<T: serde::Serialize>(value: Option<T>) -> Self {
        match value.map(|value| serde_json::to_value(value)) {
            Some(Ok(serde_json::Value::String(word))) => Self::Word(word),
            Some(Ok(serde_json::Value::Null) | Err(_)) | None => Self::None,
            Some(Ok(other)) => Self::Word(other.to_string()),
        }
    }

    fn written(&self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => harmless(text),
            Self::Word(word) => Cow::Owned(harmless(word).into_owned()),
            Self::Count(count) => Cow::Owned(count.to_string()),
            Self::Figure(value) if value.abs() < NOISE => Cow::Borrowed("0"),
            Self::Figure(value) => Cow::Owned(value.to_string()),
            Self::None => Cow::Borrowed(""),
        }
    }
}

/// The text with an apostrophe in front where a spreadsheet would compute it. Space in front of such a letter does not help: some
/// programs strip it. The wide forms are those of East Asian keyboards.
fn harmless(text: &str) -> Cow<'_, str> {
    let begins = text.starts_with(['\t', '\r', '\n'])
        || text
            .trim_start_matches(|letter: char| letter.is_whitespace() || is_unseen(letter))
            .starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    if begins { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Letters that are not seen: marks of direction, joiners, the byte order mark.
const fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\0'..='\u{1f}')
}

/// The table. Every text is quoted, so that programs that split at semicolons do not make cells of their own.
pub(super) fn write(head: &[&str], rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, Failed> {
    let mut writer = writer();
    writer.write_record(head)?;
    finish(writer, rows)
}

/// Lines of a table whose head was written before.
pub(super) fn write_lines(rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, Failed> {
    finish(writer(), rows)
}

fn writer() -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::NonNumeric)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new())
}

fn finish(mut writer: csv::Writer<Vec<u8>>, rows: &[Vec<Cell<'_>>]) -> Result<Vec<u8>, Failed> {
    for row in rows {
        writer.write_record(row.iter().map(|cell| cell.written().into_owned()))?;
    }
    writer.into_inner().map_err(|error| Failed::Bytes(error.into_error()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_spreadsheet_would_compute_is_a_text() {
        for hostile in [
            "=cmd()",
            "+1",
            "-1",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "\n=1",
            " =1",
            "\u{202e}=1",
            "\u{feff}=1",
            "\u{ad}=1",
            "＝1",
        ] {
            assert_eq!(harmless(hostile), format!("'{hostile}"));
        }
        for fine in ["", "a=b", "1", "'=1", "<script>", "é", "a\n=b"] {
            assert_eq!(harmless(fine), fine);
        }
    }

    #[test]
    fn numbers_stay_numbers_and_texts_are_quoted() {
        let row = vec![Cell::Figure(-0.5), Cell::Count(3), Cell::Text("a;=cmd()\n\"b\""), Cell::None];
        let table = String::from_utf8(write(&["a", "b", "c", "d"], &[row]).unwrap()).unwrap();
        assert_eq!(table, "\"a\",\"b\",\"c\",\"d\"\r\n-0.5,3,\"a;=cmd()\n\"\"b\"\"\",\"\"\r\n");
    }

    #[test]
    fn what_comes_of_rounding_is_written_as_zero() {
        let row = [2.929e-20, -2.929e-20, -0.0, 0.0, 1e-9, -1e-9].map(Cell::Figure).to_vec();
        let table = String::from_utf8(write_lines(&[row]).unwrap()).unwrap();
        assert_eq!(table, "0,0,0,0,0.000000001,-0.000000001\r\n");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_begins_harmlessly(text in ".*") {
            let bytes = write(&["text"], &[vec![Cell::Text(&text)]]).unwrap();
            let mut reader = csv::Reader::from_reader(&*bytes);
            let back = reader.records().next().unwrap().unwrap()[0].to_owned();
            let neutral = format!("'{text}");
            prop_assert!(back == text || back == neutral);
            prop_assert!(!back.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
        }
    }
}
