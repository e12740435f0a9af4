//! A table: a name in front of each row, cells behind it, some of them coloured.

/// A table.
#[derive(Debug, Default)]
pub(super) struct Grid {
    /// What stands over the names.
    pub(super) corner: &'static str,
    /// What stands over the cells.
    pub(super) columns: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<GridRow>,
}

/// A row.
#[derive(Debug)]
pub(super) struct GridRow {
    /// The number of an answer; 0 where the row is about none.
    pub(super) number: usize,
    /// Its name.
    pub(super) name: String,
    /// Its cells.
    pub(super) cells: Vec<Cell>,
}

/// A cell.
#[derive(Debug, Default)]
pub(super) struct Cell {
    /// What stands in it.
    pub(super) text: String,
    /// Small print below it; empty for none.
    pub(super) small: String,
    /// How it looks: a class of the style sheet, or empty.
    pub(super) class: &'static str,
}

impl Cell {
    /// A plain one.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// One that holds a sentence.
    pub(super) fn wide(text: impl Into<String>) -> Self {
        Self { class: "wide", ..Self::plain(text) }
    }

    /// One that is coloured by a share from 0 to 1.
    pub(super) fn heat(text: String, share: f64) -> Self {
        const STEPS: [&str; 9] = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8"];
        let step = (share.clamp(0.0, 1.0) * (STEPS.len() - 1) as f64).round() as usize;
        Self { text, class: STEPS.get(step).copied().unwrap_or_default(), ..Self::default() }
    }
}

impl GridRow {
    /// A row about no answer.
    pub(super) fn plain(name: impl Into<String>, cells: Vec<Cell>) -> Self {
        Self { number: 0, name: name.into(), cells }
    }
}

/// The columns' heads.
pub(super) fn columns(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
