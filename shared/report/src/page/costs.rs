//! What the run has cost, by model and stage.

use acm2_domain::money::Usd;
use acm2_domain::run::{Task, TaskStatus, display_cost};

use super::grid::{Cell, Grid, GridRow};
use super::progress;
use super::scale::Scale;
use super::words::NONE;

/// The part of one model, drawn.
#[derive(Debug)]
pub(super) struct Share {
    /// The model.
    pub(super) name: String,
    /// What it cost, in words.
    pub(super) said: String,
    /// The width of its bar.
    pub(super) width: String,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    known: Usd,
    answered: usize,
    unknown: usize,
}

impl Sum {
    fn of<'a>(tasks: impl Iterator<Item = &'a Task>) -> Self {
        let mut sum = Self::default();
        for task in tasks.filter(|task| {
            task.status == TaskStatus::Completed || task.cost_usd.is_some() || task.cost_source.is_some()
        }) {
            sum.answered += 1;
            match task.cost_usd {
                Some(cost) => sum.known += cost,
                None => sum.unknown += 1,
            }
        }
        sum
    }

    fn said(self) -> String {
        match (self.answered, self.unknown) {
            (0, _) => NONE.to_owned(),
            (answered, unknown) if answered == unknown => "unknown".to_owned(),
            _ => display_cost(Some(self.known)).unwrap_or_default(),
        }
    }

    fn cell(self) -> Cell {
        let small =
            if self.unknown > 0 { format!("{} of {} unknown", self.unknown, self.answered) } else { String::new() };
        Cell { small, ..Cell::plain(self.said()) }
    }
}

/// The models, in the order of the run.
fn models(tasks: &[Task]) -> Vec<&str> {
    let mut models: Vec<&str> = Vec::new();
    for task in tasks {
        if !models.contains(&&*task.model) {
            models.push(&task.model);
        }
    }
    models
}

/// Models × stages.
pub(super) fn grid(tasks: &[Task]) -> Grid {
    let stages = progress::names(tasks);
    let row = |name: &str, wanted: &dyn Fn(&Task) -> bool| {
        let of_stage = |stage: &&str| Sum::of(tasks.iter().filter(|task| wanted(task) && task.stage == *stage));
        let mut cells: Vec<Cell> = stages.iter().map(|stage| of_stage(stage).cell()).collect();
        let all = || tasks.iter().filter(|task| wanted(task));
        cells.push(Sum::of(all()).cell());
        let usage = all().filter_map(|task| task.usage);
        let (tokens_in, tokens_out) = usage.fold((0, 0), |(tokens_in, tokens_out), usage| {
            (tokens_in + usage.input_tokens, tokens_out + usage.output_tokens)
        });
        cells.push(Cell::plain(tokens_in.to_string()));
        cells.push(Cell::plain(tokens_out.to_string()));
        GridRow::plain(name, cells)
    };
    let mut rows: Vec<GridRow> =
        models(tasks).into_iter().map(|model| row(model, &|task: &Task| task.model == model)).collect();
    rows.push(row("all", &|_: &Task| true));
    let mut columns: Vec<String> = stages.iter().map(|stage| (*stage).to_owned()).collect();
    columns.extend(["all", "tokens in", "tokens out"].map(str::to_owned));
    Grid { corner: "Model", columns, rows }
}

/// The part of each model.
pub(super) fn shares(tasks: &[Task]) -> Vec<Share> {
    let sums: Vec<(&str, Sum)> = models(tasks)
        .into_iter()
        .map(|model| (model, Sum::of(tasks.iter().filter(|task| task.model == model))))
        .collect();
    let most = sums.iter().map(|(_, sum)| sum.known.pico()).max().unwrap_or_default();
    let scale = Scale::new(0.0, most as f64);
    sums.into_iter()
        .map(|(model, sum)| Share {
            name: model.to_owned(),
            said: sum.said(),
            width: scale.place(sum.known.pico() as f64),
        })
        .collect()
}
