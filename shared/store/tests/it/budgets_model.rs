//! Random submissions, calls, deaths, ends and late answers over a few budgets: at every moment each budget holds exactly what the
//! runs say, never more than its limit, nothing negative; when all runs have ended, nothing is reserved.

use acm2_domain::budget::BudgetPeriod;
use acm2_domain::call::CostSource;
use acm2_domain::ids::{ApiKeyId, AttemptId, RunId};
use acm2_domain::money::Usd;
use acm2_store::budgets::BudgetRow;
use acm2_store::runs::{self, AttemptOutcome, Change, Ending, Fence, StoredAnswer};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::budgets::{make, pico, standing, submit};
use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, stored, task};

on_both!(budgets_hold_what_runs_say_and_never_more_than_their_limit);

/// A step. The numbers choose among what there is; amounts are in parts of a hundred of what there may be.
#[derive(Debug, Clone)]
enum Step {
    Submit { bound: bool, amount: i64 },
    Call { run: usize, part: i64 },
    Answer { attempt: usize, part: i64, known: bool },
    Fail { attempt: usize, in_doubt: bool },
    Steal { run: usize },
    Cancel { run: usize },
    Late { attempt: usize, part: i64, how: Late },
    NextDay,
}

#[derive(Debug, Clone, Copy)]
enum Late {
    Known,
    Unknown,
    Failure,
}

fn step() -> impl Strategy<Value = Step> {
    let choice = 0_usize..1_000;
    let part = 0_i64..=100;
    let late = prop_oneof![Just(Late::Known), Just(Late::Unknown), Just(Late::Failure)];
    prop_oneof![
        4 => (any::<bool>(), 0_i64..400).prop_map(|(bound, amount)| Step::Submit { bound, amount }),
        5 => (choice.clone(), part.clone()).prop_map(|(run, part)| Step::Call { run, part }),
        3 => (choice.clone(), part.clone(), prop::bool::weighted(0.8))
            .prop_map(|(attempt, part, known)| Step::Answer { attempt, part, known }),
        1 => (choice.clone(), any::<bool>()).prop_map(|(attempt, in_doubt)| Step::Fail { attempt, in_doubt }),
        1 => choice.clone().prop_map(|run| Step::Steal { run }),
        2 => choice.clone().prop_map(|run| Step::Cancel { run }),
        2 => (choice, part, late).prop_map(|(attempt, part, how)| Step::Late { attempt, part, how }),
        1 => Just(Step::NextDay),
    ]
}

struct Run {
    id: RunId,
    bound: bool,
    at: DateTime<Utc>,
    amount: i64,
    fence: Option<Fence>,
    ended: bool,
}

#[derive(Clone, Copy)]
struct Attempt {
    id: AttemptId,
    run: usize,
    reserved: i64,
    /// Under a claim that stands no more.
    lost: bool,
}

struct World<'a> {
    bench: Bench<'a>,
    bound: ApiKeyId,
    free: ApiKeyId,
    budgets: Vec<BudgetRow>,
    now: DateTime<Utc>,
    first_day: DateTime<Utc>,
    runs: Vec<Run>,
    /// Attempts that nobody has settled.
    open: Vec<Attempt>,
}

impl<'a> World<'a> {
    async fn new(fixture: &'a Fixture) -> Self {
        let bench = Bench::new(fixture).await;
        let (bound, free) = (ApiKeyId::generate(), ApiKeyId::generate());
        let budgets = vec![
            make(&bench, None, BudgetPeriod::Day, 1_000).await,
            make(&bench, None, BudgetPeriod::Month, 1_800).await,
            make(&bench, Some(bound), BudgetPeriod::Day, 500).await,
        ];
        let first_day = "2026-11-29T23:00:00Z".parse().unwrap();
        Self { bench, bound, free, budgets, now: first_day, first_day, runs: Vec::new(), open: Vec::new() }
    }

    /// One of the runs that have not ended.
    fn alive(&self, choice: usize) -> Option<usize> {
        let alive: Vec<usize> = (0..self.runs.len()).filter(|run| !self.runs[*run].ended).collect();
        (!alive.is_empty()).then(|| alive[choice % alive.len()])
    }

    fn take(&mut self, choice: usize, lost: bool) -> Option<Attempt> {
        let fitting: Vec<usize> = (0..self.open.len()).filter(|at| self.open[*at].lost == lost).collect();
        (!fitting.is_empty()).then(|| self.open.swap_remove(fitting[choice % fitting.len()]))
    }

    async fn claim(&mut self, run: usize) -> Fence {
        let theft = self.runs[run].fence.is_some();
        let fence = self.bench.claim(self.runs[run].id, theft).await.fence;
        self.runs[run].fence = Some(fence);
        for attempt in self.open.iter_mut().filter(|attempt| attempt.run == run) {
            attempt.lost = true;
        }
        fence
    }

    async fn end(&mut self, run: usize) {
        let fence = match self.runs[run].fence {
            Some(fence) => fence,
            None => self.claim(run).await,
        };
        self.bench.end(fence, Ending::Cancelled).await;
        self.runs[run].ended = true;
        for attempt in self.open.iter_mut().filter(|attempt| attempt.run == run) {
            attempt.lost = true;
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Submit { bound, amount } => {
                let api_key = if bound { self.bound } else { self.free };
                if let Ok(row) = submit(&self.bench, Some(api_key), amount, self.now).await {
                    self.runs.push(Run { id: row.id, bound, at: self.now, amount, fence: None, ended: false });
                }
            }
            Step::Call { run, part } => {
                let Some(run) = self.alive(run) else { return };
                let fence = match self.runs[run].fence {
                    Some(fence) => fence,
                    None => self.claim(run).await,
                };
                let tx = self.bench.begin().await;
                let room = runs::write(&tx, fence, Change::default(), &[], now()).await.unwrap().room.unwrap();
                drop(tx);
                let reserved = room.pico() * part / 100;
                let id = self.bench.open(fence, &task(0), reserved).await;
                self.open.push(Attempt { id, run, reserved, lost: false });
            }
            Step::Answer { attempt, part, known } => {
                let Some(Attempt { id, run, reserved, .. }) = self.take(attempt, false) else { return };
                let change = if known {
                    Change { spent: reserved * part / 100, reserved: -reserved, ..Change::default() }
                } else {
                    Change { in_doubt: reserved, reserved: -reserved, unknown_costs: 1, ..Change::default() }
                };
                self.settle(run, id, change, AttemptOutcome::default()).await;
            }
            Step::Fail { attempt, in_doubt } => {
                let Some(Attempt { id, run, reserved, .. }) = self.take(attempt, false) else { return };
                let doubt = if in_doubt { reserved } else { 0 };
                let change = Change { in_doubt: doubt, reserved: -reserved, ..Change::default() };
                let class = Some(acm2_domain::call::ErrorClass::ProviderTimeout);
                let outcome = AttemptOutcome { error_class: class, in_doubt, ..AttemptOutcome::default() };
                self.settle(run, id, change, outcome).await;
            }
            Step::Steal { run } => {
                let Some(run) = self.alive(run) else { return };
                self.claim(run).await;
            }
            Step::Cancel { run } => {
                let Some(run) = self.alive(run) else { return };
                self.end(run).await;
            }
            Step::Late { attempt, part, how } => {
                let Some(Attempt { id, run, reserved, .. }) = self.take(attempt, true) else { return };
                let run = self.runs[run].id;
                let answer = match how {
                    Late::Known => stored(reserved * part / 100),
                    _ => StoredAnswer { cost: None, cost_source: CostSource::Unknown, ..stored(0) },
                };
                let tx = self.bench.begin().await;
                let settled = match how {
                    Late::Failure => {
                        runs::settle_late_failure(&tx, run, id, &AttemptOutcome::default(), now()).await.unwrap()
                    }
                    _ => runs::settle_late(&tx, run, id, &answer, None, now()).await.unwrap(),
                };
                assert!(settled);
                tx.commit().await.unwrap();
            }
            Step::NextDay => self.now += TimeDelta::days(1),
        }
    }

    async fn settle(&self, run: usize, attempt: AttemptId, change: Change, outcome: AttemptOutcome) {
        let tx = self.bench.begin().await;
        runs::write(&tx, self.runs[run].fence.unwrap(), change, &[], now()).await.unwrap();
        assert!(runs::settle_attempt(&tx, attempt, &outcome, now()).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// Each budget in each of its periods against what the runs say.
    async fn check(&self) -> Result<(), TestCaseError> {
        let mut consumed = Vec::new();
        for run in &self.runs {
            let row = self.bench.find(run.id).await;
            prop_assert!(row.consumed() + row.reserved <= pico(run.amount), "a run costs more than it has reserved");
            consumed.push(row.consumed());
        }
        for budget in &self.budgets {
            let mut day = self.first_day;
            while day <= self.now {
                let stands = standing(&self.bench, budget, day).await;
                let (mut spent, mut reserved) = (Usd::ZERO, Usd::ZERO);
                let counted = |run: &Run| {
                    (budget.api_key.is_none() || run.bound) && budget.period.starts_at(run.at) == stands.starts_at
                };
                for (run, consumed) in self.runs.iter().zip(&consumed).filter(|(run, _)| counted(run)) {
                    if run.ended { spent += *consumed } else { reserved += pico(run.amount) }
                }
                prop_assert_eq!((stands.spent, stands.reserved), (spent, reserved), "{:?} at {}", budget, day);
                prop_assert!(spent >= Usd::ZERO && reserved >= Usd::ZERO);
                prop_assert!(spent + reserved <= budget.limit, "{:?} at {}", budget, day);
                day += TimeDelta::days(1);
            }
        }
        Ok(())
    }
}

async fn budgets_hold_what_runs_say_and_never_more_than_their_limit(fixture: &Fixture) {
    let mut runner = TestRunner::new(Config { cases: 5, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 15..45);
    let tested = runner.run(&steps, |steps| {
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                let mut world = World::new(fixture).await;
                for step in steps {
                    world.step(step).await;
                    world.check().await?;
                }
                for run in 0..world.runs.len() {
                    if !world.runs[run].ended {
                        world.end(run).await;
                    }
                }
                world.check().await
            })
        })
    });
    tested.unwrap();
}
