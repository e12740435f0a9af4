//! Random sequences of commands and worker's steps on runs in the store, against the state machine of `domain`.

use std::collections::BTreeSet;

use acm2_domain::ids::{RunId, WorkerId};
use acm2_domain::run::machine::{Command, Standing, Step};
use acm2_domain::run::{Requested, RunStatus};
use acm2_store::runs::{self, Commanded, Ending, Fence, FenceError, Released, Skipped};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, new_run, task};

on_both!(random_commands_and_steps_follow_the_state_machine);

#[derive(Debug, Clone, Copy)]
enum Move {
    Command(Command),
    Claim,
    Release,
    /// Settles the first task that is open: with an answer, or without.
    Settle(bool),
    Skip(usize),
    End,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let command = prop::sample::select(vec![Command::Pause, Command::Resume, Command::Cancel, Command::Retry]);
    let one = prop_oneof![
        4 => command.prop_map(Move::Command),
        3 => Just(Move::Claim),
        2 => Just(Move::Release),
        3 => any::<bool>().prop_map(Move::Settle),
        1 => (0_usize..3).prop_map(Move::Skip),
        1 => Just(Move::End),
    ];
    prop::collection::vec(one, 1..25)
}

/// What must be true of the run besides its standing.
#[derive(Debug, Default)]
struct Model {
    answered: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    skipped: BTreeSet<usize>,
    /// The claim of the worker that has the run.
    fence: Option<Fence>,
}

impl Model {
    fn open(&self) -> Option<usize> {
        (0..3).find(|index| ![&self.answered, &self.failed, &self.skipped].iter().any(|set| set.contains(index)))
    }
}

async fn random_commands_and_steps_follow_the_state_machine(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let mut runner = TestRunner::deterministic();
    for _ in 0..60 {
        let moves = moves().new_tree(&mut runner).unwrap().current();
        let body = serde_json::json!({"prompt": "hi", "models": ["sandbox/a", "sandbox/b", "sandbox/c"]});
        let run = new_run(body);
        bench.submit(&run).await;
        let mut model = Model::default();
        for one in &moves {
            let before = bench.find(run.id).await.standing();
            let expected = make(&bench, run.id, &mut model, before, *one).await;
            let row = bench.find(run.id).await;
            let stands = row.standing();
            let counts = (row.tasks_completed as usize, row.tasks_failed as usize, row.skips as usize);
            let of_model = (model.answered.len(), model.failed.len() + model.skipped.len(), model.skipped.len());
            assert_eq!((stands.status, stands.requested), expected, "{one:?} of {moves:?} after {before:?}");
            assert_eq!(counts, of_model, "{one:?} of {moves:?} after {before:?}");
        }
        bench.event_types(run.id).await;
    }
}

/// Makes a move in the store; where the run must stand then.
async fn make(
    bench: &Bench<'_>,
    run: RunId,
    model: &mut Model,
    before: Standing,
    one: Move,
) -> (RunStatus, Option<Requested>) {
    let unchanged = (before.status, before.requested);
    let held = model.fence.filter(|_| before.status == RunStatus::Running);
    match one {
        Move::Command(command) => {
            let expected = before.command(command);
            match bench.command(run, command).await {
                Commanded::Done(effect, _) => {
                    assert_eq!(Ok(effect), expected);
                    if command == Command::Retry {
                        model.failed.clear();
                    }
                    let after = before.after(effect);
                    (after.status, after.requested)
                }
                Commanded::Refused(refusal) => {
                    assert_eq!(Err(refusal), expected);
                    unchanged
                }
                Commanded::Missing => panic!("the run is gone"),
            }
        }
        Move::Claim => {
            let tx = bench.begin().await;
            let seen = bench.find_in(&tx, run).await;
            let theft = seen.status == RunStatus::Running;
            let claimed = runs::claim(&tx, &seen, WorkerId::generate(), theft, now()).await.unwrap();
            tx.commit().await.unwrap();
            let expected = before.step(Step::Claim);
            assert_eq!(claimed.is_some(), expected.is_ok());
            let Ok(status) = expected else { return unchanged };
            model.fence = claimed.map(|claimed| claimed.fence);
            (status, before.after_step(status).requested)
        }
        Move::Release => {
            let Some(fence) = model.fence else { return unchanged };
            let tx = bench.begin().await;
            let released = runs::release(&tx, fence, now()).await;
            if held.is_none() {
                assert!(matches!(released, Err(FenceError::Lost)), "{released:?}");
                return unchanged;
            }
            let Ok(status) = before.step(Step::Release) else {
                assert_eq!(released.unwrap(), Released::ToBeCancelled);
                return unchanged;
            };
            released.unwrap();
            tx.commit().await.unwrap();
            model.fence = None;
            (status, None)
        }
        Move::Settle(answered) => {
            let Some((fence, index)) = held.zip(model.open()) else { return unchanged };
            if answered {
                let attempt = bench.open(fence, &task(index), 1).await;
                bench.answer(fence, attempt, &task(index), 1, 1).await;
                model.answered.insert(index);
            } else {
                bench.fail(fence, index).await;
                model.failed.insert(index);
            }
            unchanged
        }
        Move::Skip(index) => {
            if bench.skip(run, &[task(index).to_string()]).await == Skipped::Done(1) {
                assert!(!before.status.is_terminal());
                model.skipped.insert(index);
            }
            unchanged
        }
        Move::End => {
            let Some(fence) = held else { return unchanged };
            let counts = RunStatus::of_counts(3, model.answered.len() as u32, !model.answered.is_empty());
            let expected = before.step(Step::End(counts)).unwrap();
            assert_eq!(bench.end(fence, Ending::Settled).await.status, expected);
            model.fence = None;
            (expected, None)
        }
    }
}
