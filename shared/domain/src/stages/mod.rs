//! The stages of a run's pipeline. A stage is one file and two lines here: its `mod`, and its row in `STAGES`.

mod generate;

use futures_util::future::BoxFuture;

use crate::journal::{Journal, Stopped, TaskKey};
use crate::run::RunSpec;

/// A task that a stage will ask for, known before the run starts.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTask {
    /// Its key.
    pub key: TaskKey,
    /// Which of the run's documents it is about, where the run has any.
    pub document_index: Option<usize>,
    /// Which of the run's models it asks.
    pub model_index: usize,
    /// Counted from 1.
    pub iteration: u32,
}

/// One stage: what it will ask for, and how it runs.
pub struct Stage {
    /// Its name, the first part of its tasks' keys.
    pub name: &'static str,
    /// The tasks that it consists of, in the order that people see.
    pub plan: fn(&RunSpec) -> Vec<PlannedTask>,
    /// Runs it: pure orchestration against the journal.
    pub run: for<'a> fn(&'a dyn Journal, &'a RunSpec) -> BoxFuture<'a, Result<(), Stopped>>,
}

/// All stages, in the order of the pipeline.
pub const STAGES: &[Stage] = &[generate::STAGE];

/// Every task of a run, in the order that people see.
pub fn plan(spec: &RunSpec) -> Vec<PlannedTask> {
    STAGES.iter().flat_map(|stage| (stage.plan)(spec)).collect()
}

/// Runs all stages, one after the other.
pub async fn run(journal: &dyn Journal, spec: &RunSpec) -> Result<(), Stopped> {
    for stage in STAGES {
        (stage.run)(journal, spec).await?;
    }
    Ok(())
}
