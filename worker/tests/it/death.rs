//! Workers that die, and workers that lose a run without dying.

use std::time::Duration;

use acm2_domain::call::ErrorClass;
use acm2_domain::ids::{ApiKeyId, ConversationId, WorkerId};
use acm2_domain::money::Usd;
use acm2_domain::run::machine::Command;
use acm2_domain::run::{EventType, NewRun, RunSpec, RunStatus};
use acm2_domain::timing::Timing;
use acm2_store::conversations::{self, NewConversation, UNTITLED};
use serde_json::json;

use crate::back_ends::BackEnds;
use crate::house::{House, eventually, now, on_both};
use crate::judging::charged;
use crate::outcomes::events_have_no_gap;
use crate::process::{Start, Worker};

on_both!(
    a_dead_workers_run_is_taken_over_and_nothing_answered_is_asked_again,
    a_run_is_not_stolen_from_a_worker_that_lives,
    an_answer_of_a_worker_that_lost_the_run_is_used,
    an_answer_that_comes_after_the_next_claim_is_used_too,
    an_answer_that_a_filter_took_is_not_asked_for_again_after_a_loss,
    a_judge_that_failed_twice_is_not_asked_again_after_a_loss,
    a_judge_is_told_what_was_wrong_by_the_next_worker_too,
    a_worker_that_dies_before_the_title_leaves_it_to_the_next,
);

async fn a_dead_workers_run_is_taken_over_and_nothing_answered_is_asked_again(house: &House) {
    let first = house.worker();
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/slow-8s"]})).await;
    house.called("slow-8s").await;
    eventually("the quick one is written down", async || account.row(run).await.tasks_completed == 1).await;
    let dead = first.id;
    first.kill();
    let second = house.worker();
    assert_eq!(account.row(run).await.claimed_by, Some(dead));
    let view = account.ended(run).await;

    assert_eq!(view.status, RunStatus::Completed);
    assert_eq!((house.calls_of("echo").len(), house.calls_of("slow-8s").len()), (1, 2));
    assert_eq!(account.attempts_of(run, 0).await, ["answered"]);
    assert_eq!(account.attempts_of(run, 1).await, ["in_doubt", "answered"]);
    let attempts = account.attempts(run).await;
    let doubted = attempts.iter().find(|attempt| attempt.status == "in_doubt").unwrap().reserved.unwrap();
    assert!(doubted > Usd::ZERO);
    assert_eq!(view.in_doubt_usd, Some(doubted));
    let results = view.results.as_ref().unwrap();
    let costs: Usd = results.iter().map(|task| task.cost_usd.unwrap()).sum();
    assert_eq!((view.cost_usd, results[1].attempts), (Some(costs), 2));
    let resumed = account.events(run).await.into_iter().find(|event| event.event_type == EventType::RunResumed);
    assert_eq!(resumed.unwrap().data["holder_was_lost"], true);
    assert!(account.event_types(run).await.contains(&EventType::AttemptInDoubt));
    events_have_no_gap(&account, run).await;
    account.no_jobs(run).await;
    house.idle().await;
    second.stop().await;
}

async fn a_run_is_not_stolen_from_a_worker_that_lives(house: &House) {
    let (first, _second) = (house.worker(), house.worker());
    let account = house.account_with_key().await;
    let (run, job) = account.record(json!({"prompt": "hi", "models": ["sandbox/slow-6s"]})).await;
    account.push(job).await;
    house.called("slow-6s").await;
    // Long enough for the other to be asked several times, and to trust its view of the first.
    for _ in 0..4 {
        tokio::time::sleep(house.timing.claim_retry).await;
        let twin = acm2_domain::job::Job { id: acm2_domain::ids::JobId::generate(), ..job };
        account.push(twin).await;
    }
    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls()), (RunStatus::Completed, 1));
    assert_eq!(account.row(run).await.claim, 1);
    house.idle().await;
    first.stop().await;
}

async fn an_answer_of_a_worker_that_lost_the_run_is_used(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.submit(json!({"prompt": "hi", "models": ["sandbox/slow-6s"]})).await;
    house.called("slow-6s").await;
    account.steal(run).await;
    assert!(account.row(run).await.in_doubt > Usd::ZERO);

    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls()), (RunStatus::Completed, 1));
    assert_eq!(account.attempts_of(run, 0).await, ["late"]);
    let task = &view.results.as_ref().unwrap()[0];
    assert_eq!(task.text.as_deref(), Some("Echo: hi"));
    assert!(task.cost_usd.unwrap() > Usd::ZERO);
    assert_eq!((view.cost_usd, view.in_doubt_usd), (task.cost_usd, Some(Usd::ZERO)));
    let completed = account.events(run).await.into_iter().find(|event| event.event_type == EventType::TaskCompleted);
    assert_eq!(completed.unwrap().data["late"], true);
    events_have_no_gap(&account, run).await;
}

async fn an_answer_that_a_filter_took_is_not_asked_for_again_after_a_loss(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let model = "filter+slow-6s";
    let run = account.submit(json!({"prompt": "hi", "models": [format!("sandbox/{model}")]})).await;
    house.called(model).await;
    account.steal(run).await;

    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls()), (RunStatus::Failed, 1));
    assert_eq!(view.missing.as_ref().unwrap()[0].class, Some(ErrorClass::UnusableAnswer));
    let attempts = account.attempts(run).await;
    let told: Vec<_> = attempts.iter().map(|attempt| (&*attempt.status, attempt.error_class)).collect();
    assert_eq!(told, [("failed", Some(ErrorClass::UnusableAnswer))]);
    assert!(attempts[0].cost > Some(Usd::ZERO), "{attempts:?}");
    assert_eq!((view.cost_usd, view.in_doubt_usd), (attempts[0].cost, Some(Usd::ZERO)));
    let failed = account.events(run).await.into_iter().find(|event| event.event_type == EventType::TaskFailed).unwrap();
    assert_eq!((&failed.data["late"], &failed.data["cost_usd"]), (&json!(true), &json!(attempts[0].cost)));
    events_have_no_gap(&account, run).await;
    // Whoever asks for another try gets one.
    account.command(run, Command::Retry).await;
    account.ended(run).await;
    assert_eq!(house.calls(), 2);
}

async fn a_judge_that_failed_twice_is_not_asked_again_after_a_loss(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let judge = "judge-malformed+slow-6s";
    let evaluate = json!({"judges": [format!("sandbox/{judge}")]});
    let run =
        account.submit(json!({"prompt": "hi", "models": ["sandbox/echo"], "stages": {"evaluate": evaluate}})).await;
    eventually("it is asked once more", async || house.calls_of(judge).len() == 2).await;
    account.steal(run).await;

    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls_of(judge).len()), (RunStatus::CompletedWithErrors, 2));
    let judged = |key: &str| key.starts_with("evaluate");
    let attempts = account.attempts(run).await.into_iter().filter(|attempt| judged(&attempt.task_key));
    let told: Vec<_> = attempts.map(|attempt| (attempt.status, attempt.error_class)).collect();
    assert_eq!(told, vec![("failed".to_owned(), Some(ErrorClass::UnusableAnswer)); 2]);
    assert_eq!(view.cost_usd, Some(charged(house, &account, run).await));
    events_have_no_gap(&account, run).await;
}

async fn a_judge_is_told_what_was_wrong_by_the_next_worker_too(house: &House) {
    let first = house.worker();
    let account = house.account_with_key().await;
    let judge = "judge-malformed-until-told+slow-6s";
    let evaluate = json!({"judges": [format!("sandbox/{judge}")]});
    let run = account
        .submit(json!({"prompt": "hi", "models": ["sandbox/echo"], "max_retries": 0, "stages": {"evaluate": evaluate}}))
        .await;
    eventually("it is asked once more", async || house.calls_of(judge).len() == 2).await;
    first.kill();

    let _second = house.worker();
    let view = account.ended(run).await;
    assert_eq!((view.status, house.calls_of(judge).len()), (RunStatus::Completed, 3));
    let attempts = account.attempts(run).await.into_iter().filter(|attempt| attempt.task_key.starts_with("evaluate"));
    let told: Vec<_> = attempts.map(|attempt| (attempt.status, attempt.error_class)).collect();
    let expected = [("failed", Some(ErrorClass::UnusableAnswer)), ("in_doubt", None), ("answered", None)];
    assert_eq!(told, expected.map(|(status, class)| (status.to_owned(), class)));
    events_have_no_gap(&account, run).await;
}

/// The next claimant has no permit for a call until the answer is there.
async fn an_answer_that_comes_after_the_next_claim_is_used_too(house: &House) {
    let (slow, other) = (house.account_with_key().await, house.account_with_key().await);
    let mut start = Start::of(house);
    start.permits.calls = 1;
    let first = house.worker();
    let run = slow.submit(json!({"prompt": "hi", "models": ["sandbox/slow-13s"]})).await;
    house.called("slow-13s").await;
    let busy = Worker::start(house, start);
    // Nobody else can take what comes now: the first worker takes nothing more.
    first.shutdown.soft.cancel();
    let blocking = other.submit(json!({"prompt": "hi", "models": ["sandbox/slow-26s"]})).await;
    house.called("slow-26s").await;

    let stolen = slow.steal(run).await;
    let job = acm2_domain::job::Job {
        id: acm2_domain::ids::JobId::generate(),
        tenant: slow.id,
        work: acm2_domain::job::Work::RunV1(run),
        priority: 0,
        weight: None,
    };
    slow.push(job).await;
    eventually("the second claims", async || slow.row(run).await.claim > stolen.fence.claim).await;
    assert_eq!(slow.row(run).await.claimed_by, Some(busy.id));
    assert_eq!(slow.attempts_of(run, 0).await, ["in_doubt"], "the answer has not come yet");
    first.stop().await;
    let view = slow.ended(run).await;
    assert_eq!(view.status, RunStatus::Completed);
    assert_eq!((house.calls_of("slow-13s").len(), slow.attempts_of(run, 0).await), (1, vec!["late".to_owned()]));
    other.ended(blocking).await;
}

/// The last text is there, and the title waits for the one permit, which another tenant's call holds.
async fn a_worker_that_dies_before_the_title_leaves_it_to_the_next(house: &House) {
    let mut start = Start::of(house);
    start.permits.calls = 1;
    let first = Worker::start(house, start);
    let (account, other) = (house.account_with_key().await, house.account_with_key().await);
    let id = ConversationId::generate();
    let new = NewConversation { id, api_key: ApiKeyId::generate(), title: UNTITLED.to_owned() };
    let tx = account.begin().await;
    conversations::insert(&tx, new, now()).await.unwrap();
    tx.commit().await.unwrap();
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-6s"], "stages": {"title": {"model": "sandbox/fast"}}});
    let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&house.prices).unwrap();
    let (run, job) = account.record_spec(RunSpec { conversation: Some(id), ..spec }, &[]).await;
    account.push(job).await;
    house.called("slow-6s").await;
    other.submit(json!({"prompt": "hi", "models": ["sandbox/slow-10s"]})).await;
    house.called("slow-10s").await;
    eventually("the text is written down", async || account.row(run).await.tasks_completed == 1).await;
    first.kill();
    assert_eq!((account.attempts(run).await.len(), house.calls_of("fast").len()), (1, 0), "no title is asked for yet");

    let _second = house.worker();
    let view = account.ended(run).await;
    assert_eq!((view.status, account.row(run).await.claim), (RunStatus::Completed, 2));
    assert_eq!((house.calls_of("slow-6s").len(), house.calls_of("fast").len()), (1, 1));
    let attempts = account.attempts(run).await;
    assert!(attempts.len() == 2 && attempts.iter().all(|attempt| attempt.status == "answered"), "{attempts:?}");
    let conversation = conversations::get(&account.begin().await, None, id).await.unwrap();
    let given = "Echo: Give the task below a title of three to five words,…";
    assert_eq!((&*conversation.title, conversation.last_message), (given, 2));
    events_have_no_gap(&account, run).await;
}

/// The one process of a data folder dies and is started again, with an empty queue and the same id.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_alone_takes_up_its_runs_at_once() {
    let house = House::of(BackEnds::files()).await;
    // Neither staleness nor the sweeper can be what helps.
    let long = Duration::from_hours(1);
    let timing = Timing {
        heartbeat_stale: long,
        steal_hold: long,
        job_due: long,
        lease: long,
        sweep: long,
        ..house.timing.clone()
    };
    for same_id in [true, false] {
        let start = Start { alone: true, new_broker: true, timing: timing.clone(), ..Start::of(&house) };
        let account = house.account_with_key().await;
        let model = if same_id { "slow-8s" } else { "slow-8001ms" };
        let (run, _) =
            account.record(json!({"prompt": "hi", "models": ["sandbox/echo", format!("sandbox/{model}")]})).await;
        let first = Worker::start(&house, start.clone());
        house.called(model).await;
        eventually("the quick one is written down", async || account.row(run).await.tasks_completed == 1).await;
        first.kill();
        let id = if same_id { start.id } else { WorkerId::generate() };
        let second = Worker::start(&house, Start { id, ..start });
        let view = account.ended(run).await;
        assert_eq!(view.status, RunStatus::Completed);
        assert_eq!(house.calls_of(model).len(), 2);
        assert_eq!(account.attempts_of(run, 0).await, ["answered"]);
        assert_eq!(account.attempts_of(run, 1).await, ["in_doubt", "answered"]);
        second.stop().await;
    }
}
