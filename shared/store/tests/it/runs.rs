//! The run protocol's writes: fence, claims, money, events, end, deliveries.

use std::collections::BTreeMap;

use acm2_domain::call::{Answer, Cost, CostSource, FinishReason};
use acm2_domain::ids::{ApiKeyId, AttemptId, JobId, ProviderKeyId, RunId, TenantId, WorkerId};
use acm2_domain::journal::TaskKey;
use acm2_domain::money::Usd;
use acm2_domain::prices::Prices;
use acm2_domain::run::machine::{Command, Refusal};
use acm2_domain::run::{EventType, NewEvent, NewRun, RunStatus};
use acm2_store::runs::{
    self, AttemptOutcome, Change, Claimed, Commanded, DeleteOutcome, Ending, Fence, FenceError, Filter, NewAttempt,
    NewRunRow, RunRow, StoredAnswer, TaskOutcome,
};
use acm2_store::{TenantTx, deliveries};
use serde_json::json;

use crate::fixture::{Fixture, now, on_both};

on_both!(
    a_run_goes_from_submission_to_its_end,
    a_worker_that_lost_the_run_writes_nothing,
    of_two_claims_at_once_one_wins,
    a_settled_attempt_is_settled_once,
    events_are_numbered_without_gaps,
    a_ceiling_leaves_room_until_it_is_reserved,
    an_ended_run_takes_no_command_and_can_be_deleted,
    a_theft_counts_towards_the_poison_and_an_answer_clears_it,
    runs_are_listed_newest_first_by_tag_and_status,
    the_end_writes_a_delivery_with_its_bytes,
    a_deleted_run_takes_the_text_of_finished_deliveries_with_it,
);

fn spec(body: serde_json::Value) -> acm2_domain::run::RunSpec {
    serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
}

pub(crate) fn new_run(body: serde_json::Value) -> NewRunRow {
    NewRunRow {
        id: RunId::generate(),
        job: JobId::generate(),
        api_key: Some(ApiKeyId::generate()),
        spec: spec(body),
        metadata: BTreeMap::from([("order".to_owned(), "7".to_owned())]),
        tags: vec!["100%".to_owned(), "a_b".to_owned()],
        reserved: None,
    }
}

pub(crate) fn two_models() -> NewRunRow {
    new_run(json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/fast"]}))
}

pub(crate) struct Bench<'a> {
    fixture: &'a Fixture,
    tenant: TenantId,
}

impl<'a> Bench<'a> {
    pub(crate) async fn new(fixture: &'a Fixture) -> Self {
        Self { fixture, tenant: fixture.new_tenant().await }
    }

    pub(crate) async fn begin(&self) -> TenantTx {
        self.fixture.store.tenant(self.tenant).begin().await.unwrap()
    }

    pub(crate) async fn submit(&self, run: &NewRunRow) -> RunRow {
        let tx = self.begin().await;
        let row = runs::insert(&tx, run, now()).await.unwrap();
        tx.commit().await.unwrap();
        row
    }

    pub(crate) async fn find(&self, run: RunId) -> RunRow {
        runs::find(&self.begin().await, run).await.unwrap().unwrap()
    }

    pub(crate) async fn claim(&self, run: RunId, theft: bool) -> Claimed {
        let tx = self.begin().await;
        let seen = runs::find(&tx, run).await.unwrap().unwrap();
        let claimed = runs::claim(&tx, &seen, WorkerId::generate(), theft, now()).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        claimed
    }

    pub(crate) async fn open(&self, fence: Fence, task: &TaskKey, reserved: i64) -> AttemptId {
        let id = AttemptId::generate();
        let tx = self.begin().await;
        let change = Change { reserved, ..Change::default() };
        runs::write(&tx, fence, change, &[], now()).await.unwrap();
        let attempt = new_attempt(id, task, Some(reserved));
        runs::open_attempts(&tx, fence, &[attempt], now()).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn answer(&self, fence: Fence, attempt: AttemptId, task: &TaskKey, reserved: i64, cost: i64) {
        let tx = self.begin().await;
        let change = Change { spent: cost, reserved: -reserved, completed: 1, ..Change::default() };
        let event = NewEvent::new(EventType::TaskCompleted, json!({"task_key": task.as_str()}));
        runs::write(&tx, fence, change, &[event], now()).await.unwrap();
        assert!(runs::settle_attempt(&tx, attempt, &AttemptOutcome::default(), now()).await.unwrap());
        runs::insert_task(&tx, fence.run, task, &TaskOutcome::Answered(stored(cost)), 1, now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn end(&self, fence: Fence, ending: Ending) -> runs::Ended {
        let tx = self.begin().await;
        let ended = runs::end(&tx, fence, ending, now()).await.unwrap();
        tx.commit().await.unwrap();
        ended
    }
}

pub(crate) fn new_attempt(id: AttemptId, task: &TaskKey, reserved: Option<i64>) -> NewAttempt {
    NewAttempt {
        id,
        task: task.clone(),
        number: 1,
        provider: "sandbox".to_owned(),
        model: "echo".to_owned(),
        provider_key: ProviderKeyId::generate(),
        key_source: "tenant",
        reserved: reserved.map(Usd::from_pico),
    }
}

pub(crate) fn stored(cost: i64) -> StoredAnswer {
    let answer = Answer {
        text: "he\0llo".to_owned(),
        artifacts: Vec::new(),
        finish_reason: FinishReason::Stop,
        usage: None,
        reported_cost: None,
        provider_model: None,
        provider_request_id: Some("req-1".to_owned()),
        latency: std::time::Duration::from_millis(12),
        rates: None,
    };
    // What a stage sees of it is what will be read.
    let seen = StoredAnswer::of(&answer, Cost { amount: Some(Usd::from_pico(cost)), source: CostSource::Estimated });
    assert_eq!(seen.text, "he\u{fffd}llo");
    StoredAnswer { text: "hello".to_owned(), ..seen }
}

pub(crate) fn task(model_index: usize) -> TaskKey {
    TaskKey::new("generate", "prompt", model_index, 1)
}

async fn a_run_goes_from_submission_to_its_end(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    let row = bench.submit(&run).await;
    assert_eq!((row.status, row.tasks_expected, row.last_event), (RunStatus::Queued, 2, 1));
    assert_eq!(bench.find(run.id).await, row);
    let claimed = bench.claim(run.id, false).await;
    assert!(claimed.first);
    assert_eq!(bench.find(run.id).await, claimed.run);
    for index in 0..2 {
        let attempt = bench.open(claimed.fence, &task(index), 500).await;
        bench.answer(claimed.fence, attempt, &task(index), 500, 300).await;
    }
    let ended = bench.end(claimed.fence, Ending::Settled).await;
    assert_eq!(ended.status, RunStatus::Completed);
    let tx = bench.begin().await;
    let tasks = runs::list_tasks(&tx, run.id).await.unwrap();
    let row = runs::find(&tx, run.id).await.unwrap().unwrap();
    let view = runs::assemble(&row, Some(&tasks.into()));
    assert_eq!(
        (view.cost_usd, view.in_doubt_usd, row.reserved),
        (Some(Usd::from_pico(600)), Some(Usd::ZERO), Usd::ZERO)
    );
    assert_eq!(view.missing, Some(Vec::new()));
    assert_eq!(view.results.unwrap()[1].text.as_deref(), Some("hello"));
    assert_eq!(view.metadata["order"], "7");
}

async fn a_worker_that_lost_the_run_writes_nothing(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let loser = bench.claim(run.id, false).await.fence;
    let attempt = bench.open(loser, &task(0), 500).await;
    let winner = bench.claim(run.id, true).await.fence;
    let before = bench.find(run.id).await;

    let tx = bench.begin().await;
    let lost = runs::write(&tx, loser, Change { spent: 1, ..Change::default() }, &[], now()).await;
    assert!(matches!(lost, Err(FenceError::Lost)));
    assert!(matches!(runs::end(&tx, loser, Ending::Settled, now()).await, Err(FenceError::Lost)));
    assert!(matches!(runs::release(&tx, loser, now()).await, Err(FenceError::Lost)));
    assert!(runs::find_orders(&tx, loser).await.unwrap().is_none());
    assert!(runs::find_orders(&tx, winner).await.unwrap().is_some());
    assert!(!runs::settle_attempt(&tx, attempt, &AttemptOutcome::default(), now()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(bench.find(run.id).await, before);
}

async fn of_two_claims_at_once_one_wins(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    let seen = bench.submit(&run).await;
    let claim = || async {
        let tx = bench.begin().await;
        let claimed = runs::claim(&tx, &seen, WorkerId::generate(), false, now()).await.unwrap();
        tx.commit().await.unwrap();
        claimed.is_some()
    };
    let won = tokio::join!(claim(), claim(), claim(), claim());
    assert_eq!([won.0, won.1, won.2, won.3].into_iter().filter(|won| *won).count(), 1);
    assert_eq!(bench.find(run.id).await.claim, 1);
}

async fn a_settled_attempt_is_settled_once(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let attempt = bench.open(fence, &task(0), 500).await;
    bench.answer(fence, attempt, &task(0), 500, 300).await;
    let tx = bench.begin().await;
    assert!(!runs::settle_attempt(&tx, attempt, &AttemptOutcome::default(), now()).await.unwrap());
    assert_eq!(runs::find_reserved(&tx, attempt).await.unwrap(), Some(Some(Usd::from_pico(500))));
    assert_eq!(runs::find_reserved(&tx, AttemptId::generate()).await.unwrap(), None);
    let again = runs::insert_task(&tx, run.id, &task(0), &TaskOutcome::Answered(stored(1)), 1, now()).await;
    assert!(again.is_err(), "an answer can never be replaced");
}

async fn events_are_numbered_without_gaps(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = new_run(json!({"prompt": "hi", "models": ["sandbox/echo"], "iterations": 10}));
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let write = |number: u32| {
        let bench = &bench;
        async move {
            let tx = bench.begin().await;
            let event = || NewEvent::new(EventType::TaskCompleted, json!({"n": number}));
            runs::write(&tx, fence, Change::default(), &[event(), event()], now()).await.unwrap();
            // Every third writer dies before it commits.
            if !number.is_multiple_of(3) {
                tx.commit().await.unwrap();
            }
        }
    };
    tokio::join!(write(0), write(1), write(2), write(3), write(4), write(5));
    let events = runs::list_events(&bench.begin().await, run.id, 0, 100).await.unwrap();
    let numbers: Vec<u64> = events.iter().map(|event| event.number).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<u64>>());
    assert_eq!(bench.find(run.id).await.last_event, 11);
    let page = runs::list_events(&bench.begin().await, run.id, 3, 2).await.unwrap();
    assert_eq!(page.iter().map(|event| event.number).collect::<Vec<_>>(), [4, 5]);
}

async fn a_ceiling_leaves_room_until_it_is_reserved(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = new_run(json!({"prompt": "hi", "models": ["sandbox/echo"], "max_cost_usd": "0.000000001"}));
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let tx = bench.begin().await;
    let fenced = runs::write(&tx, fence, Change::default(), &[], now()).await.unwrap();
    assert_eq!(fenced.room, Some(Usd::from_pico(1_000)));
    assert_eq!(runs::reserve(&tx, fence, Usd::from_pico(800)).await.unwrap().room, Some(Usd::from_pico(200)));
    let change = Change { reserved: -800, in_doubt: 800, spent: 300, ..Change::default() };
    let fenced = runs::write(&tx, fence, change, &[], now()).await.unwrap();
    assert_eq!(fenced.room, Some(Usd::ZERO));
}

async fn an_ended_run_takes_no_command_and_can_be_deleted(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let tx = bench.begin().await;
    assert_eq!(runs::delete(&tx, run.id).await.unwrap(), DeleteOutcome::NotEnded(RunStatus::Running));
    drop(tx);
    bench.open(fence, &task(0), 5).await;
    bench.end(fence, Ending::Settled).await;
    let tx = bench.begin().await;
    let outcome = runs::command(&tx, run.id, Command::Cancel, JobId::generate(), now()).await.unwrap();
    assert_eq!(outcome, Commanded::Refused(Refusal::Ended(RunStatus::Failed)));
    assert_eq!(runs::delete(&tx, run.id).await.unwrap(), DeleteOutcome::Deleted);
    assert_eq!(runs::delete(&tx, run.id).await.unwrap(), DeleteOutcome::Missing);
    assert!(runs::list_attempts(&tx, run.id).await.unwrap().is_empty());
    assert!(runs::list_events(&tx, run.id, 0, 10).await.unwrap().is_empty());
}

async fn a_theft_counts_towards_the_poison_and_an_answer_clears_it(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    bench.claim(run.id, false).await;
    bench.claim(run.id, true).await;
    let third = bench.claim(run.id, true).await;
    assert_eq!(third.run.poison, 2);
    let attempt = bench.open(third.fence, &task(0), 1).await;
    bench.answer(third.fence, attempt, &task(0), 1, 1).await;
    assert_eq!(bench.find(run.id).await.poison, 0);
}

async fn runs_are_listed_newest_first_by_tag_and_status(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let all: Vec<RunRow> = [
        bench.submit(&two_models()).await,
        bench.submit(&NewRunRow { tags: vec!["axb".to_owned(), "100".to_owned()], ..two_models() }).await,
        bench.submit(&NewRunRow { tags: vec!["quo\"te".to_owned()], ..two_models() }).await,
    ]
    .into();
    bench.claim(all[1].id, false).await;
    let list = |filter: Filter| {
        let bench = &bench;
        async move {
            let rows = runs::list(&bench.begin().await, &filter, 10).await.unwrap();
            rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
        }
    };
    let tag = |tag: &str| Filter { tag: Some(tag.to_owned()), ..Filter::default() };
    assert_eq!(list(Filter::default()).await, [all[2].id, all[1].id, all[0].id]);
    assert_eq!(list(tag("a_b")).await, [all[0].id]);
    assert_eq!(list(tag("100%")).await, [all[0].id]);
    assert_eq!(list(tag("quo\"te")).await, [all[2].id]);
    assert_eq!(list(tag("100\",\"")).await, []);
    let running = Filter { status: Some(RunStatus::Running), ..Filter::default() };
    assert_eq!(list(running).await, [all[1].id]);
    assert_eq!(list(Filter { after: Some(all[1].id), ..Filter::default() }).await, [all[0].id]);
    let from = Filter { created_from: Some(all[1].created_at), ..Filter::default() };
    assert_eq!(list(from).await, [all[2].id, all[1].id]);
}

async fn the_end_writes_a_delivery_with_its_bytes(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = new_run(json!({"prompt": "hi", "models": ["sandbox/echo"], "webhook_url": "https://example.org/hook"}));
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let ended = bench.end(fence, Ending::Settled).await;
    let tx = bench.begin().await;
    assert_eq!(deliveries::pending_of_run(&tx, run.id).await.unwrap(), ended.deliveries);
    let row = deliveries::find(&tx, ended.deliveries[0]).await.unwrap().unwrap();
    let payload: serde_json::Value = serde_json::from_str(&row.payload).unwrap();
    assert_eq!((payload["type"].as_str(), row.url.as_str()), (Some("run.failed"), "https://example.org/hook"));
    assert_eq!(payload["data"]["id"], run.id.to_string());
    let me = WorkerId::generate();
    let claim = deliveries::claim(&tx, &row, me).await.unwrap().unwrap();
    assert!(deliveries::claim(&tx, &row, me).await.unwrap().is_none());
    let tried = deliveries::Tried { at: now(), status_code: Some(500), duration_ms: 3, excerpt: None, error: None };
    let later = now() + chrono::TimeDelta::seconds(5);
    assert!(deliveries::record(&tx, claim, &tried, deliveries::Next::RetryAt(later), now()).await.unwrap());
    let row = deliveries::find(&tx, row.id).await.unwrap().unwrap();
    assert_eq!((row.attempts, row.next_attempt_at, row.claimed_by), (1, later, None));
    let claim = deliveries::claim(&tx, &row, me).await.unwrap().unwrap();
    assert!(deliveries::redeliver(&tx, row.id, now()).await.unwrap());
    let stale = deliveries::record(&tx, claim, &tried, deliveries::Next::Failed, now()).await.unwrap();
    assert!(!stale, "a redelivery takes the claim away");
    assert_eq!(deliveries::list_attempts(&tx, row.id).await.unwrap().len(), 1);
    // A deleted run takes the text with it, but not from a delivery that is owed.
    runs::delete(&tx, run.id).await.unwrap();
    let row = deliveries::find(&tx, row.id).await.unwrap().unwrap();
    assert!(row.payload.contains(&run.id.to_string()));
    assert_eq!(deliveries::list(&tx, None, None, 9).await.unwrap()[0].payload, "", "lists are without texts");
    let claim = deliveries::claim(&tx, &row, me).await.unwrap().unwrap();
    assert!(deliveries::record(&tx, claim, &tried, deliveries::Next::Delivered, now()).await.unwrap());
    assert_eq!(deliveries::find(&tx, row.id).await.unwrap().unwrap().payload, "");
    assert!(!deliveries::redeliver(&tx, row.id, now()).await.unwrap(), "there is nothing left to send");
}

async fn a_deleted_run_takes_the_text_of_finished_deliveries_with_it(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = new_run(json!({"prompt": "hi", "models": ["sandbox/echo"], "webhook_url": "https://example.org/hook"}));
    bench.submit(&run).await;
    let fence = bench.claim(run.id, false).await.fence;
    let ended = bench.end(fence, Ending::Settled).await;
    let tx = bench.begin().await;
    let row = deliveries::find(&tx, ended.deliveries[0]).await.unwrap().unwrap();
    let claim = deliveries::claim(&tx, &row, WorkerId::generate()).await.unwrap().unwrap();
    let tried = deliveries::Tried { at: now(), status_code: Some(410), duration_ms: 3, excerpt: None, error: None };
    assert!(deliveries::record(&tx, claim, &tried, deliveries::Next::Failed, now()).await.unwrap());
    let row = deliveries::find(&tx, row.id).await.unwrap().unwrap();
    assert!(row.payload.contains(&run.id.to_string()));
    runs::delete(&tx, run.id).await.unwrap();
    let row = deliveries::find(&tx, row.id).await.unwrap().unwrap();
    assert_eq!((row.payload.as_str(), row.run), ("", Some(run.id)));
}

impl Bench<'_> {
    pub(crate) async fn find_in(&self, tx: &TenantTx, run: RunId) -> RunRow {
        runs::find(tx, run).await.unwrap().unwrap()
    }
}
