//! The one table: each figure with its base of the same run and the ratio.

use std::fmt::Write as _;

use crate::say;

/// The rows so far.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Row>,
    bases: Vec<(&'static str, f64)>,
}

#[derive(Debug)]
struct Row {
    figure: String,
    value: f64,
    unit: &'static str,
    base: Option<(&'static str, f64)>,
}

impl Table {
    /// Remembers a base, and shows it as a figure of its own.
    pub(super) fn base(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.bases.push((name, value));
        self.add(&format!("*base:* {name}"), value, unit, None);
    }

    /// A figure, beside a base where there is one.
    pub(super) fn add(&mut self, figure: &str, value: f64, unit: &'static str, base: Option<&'static str>) {
        let base = base.and_then(|name| self.bases.iter().find(|(known, _)| *known == name)).copied();
        let row = Row { figure: figure.to_owned(), value, unit, base };
        // Whoever waits sees that it goes on.
        say::line(&row.text());
        self.rows.push(row);
    }

    /// All of it as Markdown.
    pub(super) fn text(&self) -> String {
        let mut text = "| figure | value | base of the same run | ratio |\n|---|---:|---|---:|\n".to_owned();
        for row in &self.rows {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{}", row.text());
        }
        text
    }
}

impl Row {
    fn text(&self) -> String {
        let base = self.base.map_or_else(String::new, |(name, value)| format!("{name}: {}", number(value)));
        let ratio = match self.base {
            Some((_, base)) if base > 0.0 => number(self.value / base),
            _ => String::new(),
        };
        format!("| {} | {} {} | {base} | {ratio} |", self.figure, number(self.value), self.unit)
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_its_base() {
        let mut table = Table::default();
        table.base("pgbench", 200.0, "/s");
        table.add("submits", 100.0, "/s", Some("pgbench"));
        assert!(table.text().ends_with("| submits | 100 /s | pgbench: 200 | 0.50 |\n"), "{}", table.text());
    }
}
