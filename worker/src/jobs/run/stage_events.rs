//! What the timeline tells of a run's stages. Whoever writes a transaction that opens intents or settles tasks takes the turn before
//! it is begun, so that no two tell the same; of one that was not plainly committed the store is asked before the next.

use acm2_domain::journal::TaskKey;
use acm2_domain::run::{NewEvent, RunSpec};
use acm2_domain::stages::StageProgress;
use acm2_store::TenantTx;
use acm2_store::runs::{self, Change, FenceError};
use tokio::sync::{Mutex, MutexGuard};

use super::claim::Past;
use super::journal::RunCalls;

/// How far the stages of one run are, as far as its timeline tells.
pub(super) struct StageEvents(Mutex<State>);

struct State {
    progress: StageProgress,
    /// Whether the store may have it otherwise.
    is_stale: bool,
    /// How many tasks were known to be left out when it was read: a command that leaves out more may bring a stage to its end.
    skips: usize,
}

impl StageEvents {
    /// Those of a run that was just claimed. `skips`: how many of its tasks are left out.
    pub(super) fn of(spec: &RunSpec, past: &Past, skips: usize) -> Self {
        let mut progress = StageProgress::of(spec);
        let told = past.stage_events.iter().map(|(event, stage)| (*event, stage.as_str()));
        progress.read(past.tasks.keys().map(String::as_str), told);
        Self(Mutex::new(State { progress, is_stale: false, skips }))
    }

    /// The turn to tell; to be taken before the transaction is begun.
    pub(super) async fn turn(&self) -> StageTurn<'_> {
        StageTurn { state: self.0.lock().await, is_told: false }
    }
}

/// The turn to tell of stages, for one transaction. Dropped before `committed`, it leaves open what the store has.
pub(super) struct StageTurn<'a> {
    state: MutexGuard<'a, State>,
    /// Whether the transaction has anything to tell.
    is_told: bool,
}

/// What a transaction is about.
#[derive(Default)]
pub(super) struct About<'a> {
    /// Tasks that it settles.
    pub(super) settled: Vec<&'a TaskKey>,
    /// Tasks that are asked for.
    pub(super) asked: Vec<&'a TaskKey>,
    /// Whether it ends the run.
    pub(super) ends: bool,
}

impl StageTurn<'_> {
    /// All events of the transaction: `told`, and what begins and is through with what it is about.
    pub(super) async fn tell(
        &mut self,
        run: &RunCalls,
        tx: &TenantTx,
        told: Vec<NewEvent>,
        about: About<'_>,
    ) -> Result<Vec<NewEvent>, FenceError> {
        self.read_if_stale(run, tx).await?;
        let before = self.state.progress.clone();
        let About { settled, asked, ends } = about;
        let settled = || settled.iter().map(|key| key.as_str());
        let progress = &mut self.state.progress;
        let mut events = progress.start(settled());
        events.extend(told);
        events.extend(progress.settle(settled()));
        events.extend(progress.start(asked.iter().map(|key| key.as_str())));
        if ends {
            events.extend(progress.end());
        }
        self.is_told = before != *progress;
        Ok(events)
    }

    /// The answer of this task is taken away.
    pub(super) fn reopen(&mut self, key: &TaskKey) {
        self.is_told = true;
        self.state.progress.reopen(key.as_str());
    }

    /// The transaction is committed.
    pub(super) fn committed(mut self) {
        self.is_told = false;
    }

    async fn read_if_stale(&mut self, run: &RunCalls, tx: &TenantTx) -> Result<(), FenceError> {
        let skips = run.control.skips.count();
        if !self.state.is_stale && skips == self.state.skips {
            return Ok(());
        }
        let fence = run.control.fence;
        // The row is locked before it is read: the commit of an earlier transaction may be on the way.
        runs::lock(tx, fence, Change::default(), 0).await?;
        let settled = runs::list_settled(tx, fence.run).await?;
        let told = runs::list_stage_events(tx, fence.run).await?;
        let told = told.iter().map(|(event, stage)| (*event, stage.as_str()));
        self.state.progress.read(settled.iter().map(String::as_str), told);
        (self.state.is_stale, self.state.skips) = (false, skips);
        Ok(())
    }
}

impl Drop for StageTurn<'_> {
    fn drop(&mut self) {
        self.state.is_stale |= self.is_told;
    }
}
