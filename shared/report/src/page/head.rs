//! The head of the page, and what is missing.

use acm2_domain::run::{Run, display_cost};

use super::grid::{self, Cell, Grid, GridRow};
use super::words;
use crate::Reported;

/// What the run is.
#[derive(Debug)]
pub(super) struct Head<'a> {
    /// Its id.
    pub(super) id: String,
    /// Its status in words.
    pub(super) status: String,
    /// Whether nothing is missing.
    pub(super) is_whole: bool,
    /// Whether it will change no more.
    pub(super) is_over: bool,
    /// Why it ended before its tasks did.
    pub(super) problem: Option<&'a str>,
    /// Particulars, by name.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Its tags.
    pub(super) tags: &'a [String],
    /// When the page was made.
    pub(super) made_at: String,
}

impl<'a> Head<'a> {
    pub(super) fn of(reported: Reported<'a>) -> Self {
        let run = reported.run;
        let mut facts = vec![("submitted", words::moment(run.created_at))];
        facts.extend(run.started_at.map(|at| ("started", words::moment(at))));
        facts.extend(run.finished_at.map(|at| ("ended", words::moment(at))));
        facts.extend(run.started_at.zip(run.finished_at).map(|(start, end)| ("took", words::duration(end - start))));
        facts.push(("tasks", tasks(run)));
        facts.push(("cost", cost(run)));
        facts.extend(
            run.in_doubt_usd
                .filter(|usd| usd.pico() > 0)
                .and_then(|usd| display_cost(Some(usd)))
                .map(|cost| ("in doubt, besides", cost)),
        );
        facts.extend(run.max_cost_usd.and_then(|usd| display_cost(Some(usd))).map(|cost| ("ceiling", cost)));
        facts.push(("models", run.models.join(", ")));
        facts.extend(run.metadata.iter().map(|(name, value)| ("note", format!("{name}: {value}"))));
        facts.extend(run.spec_hash.map(|hash| ("specification", hash.to_string())));
        Self {
            id: run.id.to_string(),
            status: run.status.as_str().replace('_', " "),
            is_whole: run.status == acm2_domain::run::RunStatus::Completed,
            is_over: run.status.is_terminal(),
            problem: run.problem.as_ref().map(|problem| &*problem.detail),
            facts,
            tags: &run.tags,
            made_at: words::moment(reported.made_at),
        }
    }
}

fn tasks(run: &Run) -> String {
    let progress = run.progress;
    let failed = if progress.tasks_failed > 0 { format!(", {} failed", progress.tasks_failed) } else { String::new() };
    format!("{} of {} answered{failed}", progress.tasks_completed, progress.tasks_expected)
}

fn cost(run: &Run) -> String {
    run.cost.clone().unwrap_or_else(|| {
        let known = display_cost(Some(run.known_cost_usd)).unwrap_or_default();
        format!("unknown; {known} of it is known")
    })
}

/// What the run ended without; none where nothing is missing.
pub(super) fn missing(run: &Run) -> Option<Grid> {
    let missing = run.missing.as_ref().filter(|missing| !missing.is_empty())?;
    let row = |missing: &acm2_domain::run::Missing| {
        let class = missing.class.and_then(|class| serde_json::to_value(class).ok());
        let class = class.as_ref().and_then(serde_json::Value::as_str).unwrap_or(words::NONE).replace('_', " ");
        let cells = vec![Cell::plain(missing.model.clone()), Cell::plain(class), Cell::wide(missing.reason.clone())];
        GridRow::plain(missing.key.clone(), cells)
    };
    let rows = missing.iter().map(row).collect();
    Some(Grid { corner: "Task", columns: grid::columns(&["model", "class", "why"]), rows })
}
