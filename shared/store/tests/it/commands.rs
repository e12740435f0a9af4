//! Commands on runs as the store keeps them, each alone. `commands_model` has random sequences of them.

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::{JobId, RunId, WorkerId};
use acm2_domain::run::machine::{Command, Effect, Refusal};
use acm2_domain::run::{EventType, Requested, RunProblem, RunStatus, TaskError, TaskStatus};
use acm2_store::runs::{
    self, Change, Commanded, Ending, Fence, Orders, Released, Settled, Skipped, TaskOutcome, Unskippable,
};
use chrono::TimeDelta;

use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, new_run, task, two_models};

on_both!(
    a_run_that_waits_is_cancelled_at_once,
    a_running_run_is_asked_to_cancel,
    a_run_that_waits_is_paused_at_once_and_resumed_under_another_job,
    a_running_run_pauses_when_it_is_given_back,
    a_pause_that_was_taken_back_leaves_no_trace,
    a_cancellation_beats_the_end_that_comes_after_it,
    a_retry_forgets_what_failed_and_keeps_what_was_answered,
    a_skipped_task_is_settled_whoever_has_the_run,
    a_released_run_can_be_claimed_without_theft,
);

impl Bench<'_> {
    pub(crate) async fn command(&self, run: RunId, command: Command) -> Commanded {
        self.command_with(run, command, JobId::generate()).await
    }

    async fn command_with(&self, run: RunId, command: Command, job: JobId) -> Commanded {
        let tx = self.begin().await;
        let outcome = runs::command(&tx, run, command, job, now()).await.unwrap();
        tx.commit().await.unwrap();
        outcome
    }

    async fn effect(&self, run: RunId, command: Command) -> Effect {
        match self.command(run, command).await {
            Commanded::Done(effect, _) => effect,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn release(&self, fence: Fence) -> Released {
        let tx = self.begin().await;
        let released = runs::release(&tx, fence, now()).await.unwrap();
        tx.commit().await.unwrap();
        released
    }

    pub(crate) async fn skip(&self, run: RunId, keys: &[String]) -> Skipped {
        let tx = self.begin().await;
        let skipped = runs::skip(&tx, run, keys, now()).await.unwrap();
        tx.commit().await.unwrap();
        skipped
    }

    pub(crate) async fn fail(&self, fence: Fence, model_index: usize) {
        let tx = self.begin().await;
        runs::write(&tx, fence, Change { failed: 1, ..Change::default() }, &[], now()).await.unwrap();
        let error = TaskError {
            class: ErrorClass::ProviderRequest,
            message: "no".to_owned(),
            http_status: None,
            provider_code: None,
        };
        runs::insert_task(&tx, fence.run, &task(model_index), &TaskOutcome::Failed(error), 1, now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn event_types(&self, run: RunId) -> Vec<EventType> {
        let events = runs::list_events(&self.begin().await, run, 0, 1_000).await.unwrap();
        let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
        assert_eq!(numbers, (1..=self.find(run).await.last_event).collect::<Vec<_>>());
        events.into_iter().map(|event| event.event_type).collect()
    }
}

async fn a_run_that_waits_is_cancelled_at_once(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    let seen = bench.submit(&run).await;
    assert_eq!(bench.effect(run.id, Command::Cancel).await, Effect::Become(RunStatus::Cancelled));
    // The worker that read the run before comes too late.
    let tx = bench.begin().await;
    assert!(runs::claim(&tx, &seen, WorkerId::generate(), false, now()).await.unwrap().is_none());
    let view = runs::assemble(&bench.find_in(&tx, run.id).await, Some(&Settled::default()));
    assert_eq!((view.status, view.missing.unwrap().len()), (RunStatus::Cancelled, 2));
}

async fn a_running_run_is_asked_to_cancel(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    for effect in [Effect::Ask(Requested::Cancel), Effect::Nothing] {
        assert_eq!(bench.effect(run.id, Command::Cancel).await, effect);
    }
    for command in [Command::Pause, Command::Resume] {
        assert_eq!(bench.command(run.id, command).await, Commanded::Refused(Refusal::Cancelling));
    }
    let tx = bench.begin().await;
    let fenced = runs::write(&tx, fence, Change::default(), &[], now()).await.unwrap();
    assert_eq!(fenced.orders.requested, Some(Requested::Cancel));
    drop(tx);
    let ended = bench.end(fence, Ending::Cancelled).await;
    assert_eq!(ended.status, RunStatus::Cancelled);
    assert_eq!(bench.find(run.id).await.requested, None);
}

async fn a_run_that_waits_is_paused_at_once_and_resumed_under_another_job(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    let seen = bench.submit(&run).await;
    assert_eq!(bench.effect(run.id, Command::Pause).await, Effect::Become(RunStatus::Paused));
    assert_eq!(bench.effect(run.id, Command::Pause).await, Effect::Nothing);
    let tx = bench.begin().await;
    assert!(runs::claim(&tx, &seen, WorkerId::generate(), false, now()).await.unwrap().is_none());
    let paused = bench.find_in(&tx, run.id).await;
    assert!(runs::claim(&tx, &paused, WorkerId::generate(), false, now()).await.unwrap().is_none());
    drop(tx);
    let job = JobId::generate();
    let resumed = bench.command_with(run.id, Command::Resume, job).await;
    assert!(matches!(resumed, Commanded::Done(Effect::Become(RunStatus::Queued), before) if before.job == seen.job));
    assert_eq!(bench.find(run.id).await.job, job);
    assert!(bench.claim(run.id, false).await.first);
    assert_eq!(
        bench.event_types(run.id).await,
        [
            EventType::RunQueued,
            EventType::RunPaused,
            EventType::RunResumeRequested,
            EventType::RunStarted,
            EventType::StageStarted
        ]
    );
}

async fn a_running_run_pauses_when_it_is_given_back(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    assert_eq!(bench.effect(run.id, Command::Pause).await, Effect::Ask(Requested::Pause));
    assert_eq!(bench.release(fence).await, Released::Paused);
    let row = bench.find(run.id).await;
    assert_eq!((row.status, row.requested, row.claimed_by), (RunStatus::Paused, None, None));
    let types = bench.event_types(run.id).await;
    assert_eq!(types[3..], [EventType::RunPauseRequested, EventType::RunPaused]);
    // A paused run ends at its deadline all the same.
    let tx = bench.begin().await;
    let cut = Ending::Cut(RunProblem { code: "deadline_exceeded".to_owned(), detail: String::new() });
    assert!(runs::end_waiting_run(&tx, run.id, cut.clone(), now()).await.unwrap().is_some());
    assert!(runs::end_waiting_run(&tx, run.id, cut, now()).await.unwrap().is_none());
    tx.commit().await.unwrap();
    assert_eq!(bench.find(run.id).await.status, RunStatus::Failed);
}

async fn a_pause_that_was_taken_back_leaves_no_trace(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    bench.effect(run.id, Command::Pause).await;
    assert_eq!(bench.effect(run.id, Command::Resume).await, Effect::TakeBack);
    assert_eq!(bench.effect(run.id, Command::Resume).await, Effect::Nothing);
    let tx = bench.begin().await;
    assert_eq!(runs::find_orders(&tx, fence).await.unwrap(), Some(Orders::default()));
    drop(tx);
    // The worker had begun to drain.
    assert_eq!(bench.release(fence).await, Released::Queued);
}

async fn a_cancellation_beats_the_end_that_comes_after_it(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    for index in 0..2 {
        let attempt = bench.open(fence, &task(index), 1).await;
        bench.answer(fence, attempt, &task(index), 1, 1).await;
    }
    bench.effect(run.id, Command::Cancel).await;
    assert_eq!(bench.release(fence).await, Released::ToBeCancelled);
    assert_eq!(bench.end(fence, Ending::Settled).await.status, RunStatus::Cancelled);
    assert_eq!(bench.event_types(run.id).await.last(), Some(&EventType::RunCancelled));
    assert_eq!(bench.command(run.id, Command::Retry).await, Commanded::Refused(Refusal::NothingMissing));
}

async fn a_retry_forgets_what_failed_and_keeps_what_was_answered(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = new_run(serde_json::json!({
        "prompt": "hi", "models": ["sandbox/echo", "sandbox/fast", "sandbox/hang"], "deadline_seconds": 100
    }));
    let submitted = bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let attempt = bench.open(fence, &task(0), 1).await;
    bench.answer(fence, attempt, &task(0), 1, 7).await;
    bench.fail(fence, 1).await;
    assert_eq!(bench.skip(run.id, &[task(2).to_string()]).await, Skipped::Done(1));
    assert_eq!(bench.command(run.id, Command::Retry).await, Commanded::Refused(Refusal::NotEnded(RunStatus::Running)));
    assert_eq!(bench.end(fence, Ending::Settled).await.status, RunStatus::CompletedWithErrors);

    assert_eq!(bench.effect(run.id, Command::Retry).await, Effect::Become(RunStatus::Queued));
    let row = bench.find(run.id).await;
    assert_eq!((row.status, row.tasks_completed, row.tasks_failed, row.skips), (RunStatus::Queued, 1, 1, 1));
    assert_eq!((row.finished_at, row.problem.clone(), row.spent.pico()), (None, None, 7));
    assert!(row.deadline_at > submitted.deadline_at && row.deadline_at <= now() + TimeDelta::seconds(100));
    let claimed = bench.claim(run.id, false).await;
    assert!(!claimed.first && claimed.fence.claim > row.retry_claim);
    let tx = bench.begin().await;
    let left: Vec<String> = runs::list_tasks(&tx, run.id).await.unwrap().into_keys().collect();
    assert_eq!(left, [task(0).to_string(), task(2).to_string()]);
    drop(tx);
    let attempt = bench.open(claimed.fence, &task(1), 1).await;
    bench.answer(claimed.fence, attempt, &task(1), 1, 2).await;
    assert_eq!(bench.end(claimed.fence, Ending::Settled).await.status, RunStatus::CompletedWithErrors);
    assert_eq!(bench.command(run.id, Command::Retry).await, Commanded::Refused(Refusal::NothingMissing));
    bench.event_types(run.id).await;
}

async fn a_skipped_task_is_settled_whoever_has_the_run(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let keys = [0, 1].map(|index| task(index).to_string());
    assert_eq!(bench.skip(run.id, &keys[..1]).await, Skipped::Done(1));
    assert_eq!(bench.skip(run.id, &keys[..1]).await, Skipped::Done(0), "twice is once");
    let wrong = ["generate/prompt/m9/1".to_owned(), keys[1].clone()];
    assert_eq!(bench.skip(run.id, &wrong).await, Skipped::Refused(vec![(0, Unskippable::Unknown)]));
    let fence = bench.claim(run.id, false).await.fence;
    let attempt = bench.open(fence, &task(1), 1).await;
    bench.answer(fence, attempt, &task(1), 1, 1).await;
    assert_eq!(bench.skip(run.id, &keys).await, Skipped::Refused(vec![(1, Unskippable::Answered)]));
    // A worker that has not heard of it cannot settle the task another way.
    let tx = bench.begin().await;
    let orders = runs::write(&tx, fence, Change::default(), &[], now()).await.unwrap().orders;
    assert_eq!((orders.skips, runs::list_skipped(&tx, run.id).await.unwrap()), (1, vec![keys[0].clone()]));
    let outcome = TaskOutcome::Answered(crate::runs::stored(1));
    let refused = runs::insert_task(&tx, run.id, &task(0), &outcome, 1, now()).await;
    assert!(refused.unwrap_err().is_conflict());
    drop(tx);
    assert_eq!(bench.end(fence, Ending::Settled).await.status, RunStatus::CompletedWithErrors);
    let tx = bench.begin().await;
    let tasks = runs::list_tasks(&tx, run.id).await.unwrap();
    let view = runs::assemble(&bench.find_in(&tx, run.id).await, Some(&tasks.into()));
    assert_eq!(view.results.unwrap()[0].status, TaskStatus::Skipped);
    assert_eq!(view.missing.unwrap()[0].class, Some(ErrorClass::Skipped));
    let skipped = runs::skip(&tx, run.id, &keys, now()).await.unwrap();
    assert_eq!(skipped, Skipped::Ended(RunStatus::CompletedWithErrors));
}

async fn a_released_run_can_be_claimed_without_theft(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    assert_eq!(bench.release(fence).await, Released::Queued);
    let row = bench.find(run.id).await;
    assert_eq!((row.status, row.claimed_by), (RunStatus::Queued, None));
    let again = bench.claim(run.id, false).await;
    assert!(!again.first);
    assert_eq!(again.run.poison, 0);
}
