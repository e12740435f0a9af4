//! Attempts of which nobody knows whether they reached the provider, and their money.

use acm2_domain::call::{CostSource, ErrorClass};
use acm2_domain::ids::{AttemptId, WorkerId};
use acm2_domain::money::Usd;
use acm2_domain::run::EventType;
use acm2_store::runs::{self, AttemptOutcome, Change, StoredAnswer};

use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, new_attempt, stored, task, two_models};

on_both!(
    an_intent_that_commits_while_the_run_is_claimed_is_in_doubt,
    a_failure_that_comes_late_takes_its_doubt_away,
    a_doubt_of_unknown_amount_is_not_nothing,
    open_attempts_of_a_lost_worker_become_in_doubt_with_their_money,
    a_late_answer_is_kept_and_its_money_moved,
    a_late_answer_of_unknown_cost_keeps_its_worst_case,
    a_late_answer_of_no_use_is_found_until_the_run_is_retried,
);

async fn an_intent_that_commits_while_the_run_is_claimed_is_in_doubt(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let seen = bench.find(run.id).await;
    let tx = bench.begin().await;
    runs::write(&tx, first.fence, Change { reserved: 500, ..Change::default() }, &[], now()).await.unwrap();
    runs::open_attempts(&tx, first.fence, &[new_attempt(AttemptId::generate(), &task(0), Some(500))], now())
        .await
        .unwrap();
    let steal = async {
        let tx = bench.begin().await;
        let claimed = runs::claim(&tx, &seen, WorkerId::generate(), true, now()).await.unwrap();
        tx.commit().await.unwrap();
        claimed
    };
    let commit = async {
        // The thief is at the run's row by now, and waits.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        tx.commit().await.unwrap();
    };
    let (stolen, ()) = tokio::join!(steal, commit);
    assert!(stolen.is_some());
    let attempts = runs::list_attempts(&bench.begin().await, run.id).await.unwrap();
    assert_eq!(attempts[0].status, "in_doubt");
    let row = bench.find(run.id).await;
    assert_eq!((row.reserved, row.in_doubt), (Usd::ZERO, Usd::from_pico(500)));
}

async fn a_failure_that_comes_late_takes_its_doubt_away(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let attempt = bench.open(first.fence, &task(0), 500).await;
    bench.claim(run.id, true).await;
    assert_eq!(bench.find(run.id).await.in_doubt, Usd::from_pico(500));
    let outcome = AttemptOutcome { error_class: Some(ErrorClass::ProviderAuth), ..AttemptOutcome::default() };
    let tx = bench.begin().await;
    assert!(runs::settle_late_failure(&tx, run.id, attempt, &outcome, now()).await.unwrap());
    assert!(!runs::settle_late_failure(&tx, run.id, attempt, &outcome, now()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(bench.find(run.id).await.in_doubt, Usd::ZERO);
}

async fn a_doubt_of_unknown_amount_is_not_nothing(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let tx = bench.begin().await;
    let id = AttemptId::generate();
    runs::write(&tx, first.fence, Change::default(), &[], now()).await.unwrap();
    runs::open_attempts(&tx, first.fence, &[new_attempt(id, &task(0), None)], now()).await.unwrap();
    tx.commit().await.unwrap();
    bench.claim(run.id, true).await;
    assert_eq!(runs::assemble(&bench.find(run.id).await, None).in_doubt_usd, None);
    let tx = bench.begin().await;
    assert!(runs::settle_late(&tx, run.id, id, &stored(300), None, now()).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(runs::assemble(&bench.find(run.id).await, None).in_doubt_usd, Some(Usd::ZERO));
}

async fn open_attempts_of_a_lost_worker_become_in_doubt_with_their_money(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    bench.open(first.fence, &task(0), 500).await;
    bench.open(first.fence, &task(1), 700).await;
    assert_eq!(bench.find(run.id).await.reserved, Usd::from_pico(1_200));
    let second = bench.claim(run.id, true).await;
    assert_eq!((second.run.reserved, second.run.in_doubt), (Usd::ZERO, Usd::from_pico(1_200)));
    assert_eq!(bench.find(run.id).await, second.run);
    let tx = bench.begin().await;
    let attempts = runs::list_attempts(&tx, run.id).await.unwrap();
    assert!(attempts.iter().all(|attempt| attempt.status == "in_doubt"), "{attempts:?}");
    let events = runs::list_events(&tx, run.id, 3, 100).await.unwrap();
    let types: Vec<EventType> = events.iter().map(|event| event.event_type).collect();
    assert_eq!(types, [EventType::RunResumed, EventType::AttemptInDoubt, EventType::AttemptInDoubt]);
}

async fn a_late_answer_is_kept_and_its_money_moved(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let attempt = bench.open(first.fence, &task(0), 500).await;
    let second = bench.claim(run.id, true).await;

    let tx = bench.begin().await;
    assert!(runs::settle_late(&tx, run.id, attempt, &stored(300), None, now()).await.unwrap());
    assert!(!runs::settle_late(&tx, run.id, attempt, &stored(300), None, now()).await.unwrap());
    tx.commit().await.unwrap();
    let row = bench.find(run.id).await;
    assert_eq!((row.spent, row.in_doubt, row.claim), (Usd::from_pico(300), Usd::ZERO, second.fence.claim));
    let tx = bench.begin().await;
    let (_, number, answer) = runs::find_late_answer(&tx, run.id, &task(0), None, 0).await.unwrap().unwrap();
    assert_eq!((number, answer), (1, stored(300)));
    assert!(runs::find_late_answer(&tx, run.id, &task(1), None, 0).await.unwrap().is_none());
}

async fn a_late_answer_of_unknown_cost_keeps_its_worst_case(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let attempt = bench.open(first.fence, &task(0), 500).await;
    bench.claim(run.id, true).await;
    let tx = bench.begin().await;
    let unknown = StoredAnswer { cost: None, cost_source: CostSource::Unknown, ..stored(0) };
    assert!(runs::settle_late(&tx, run.id, attempt, &unknown, None, now()).await.unwrap());
    tx.commit().await.unwrap();
    let row = bench.find(run.id).await;
    assert_eq!((row.spent, row.in_doubt, row.unknown_costs), (Usd::ZERO, Usd::from_pico(500), 1));
}

async fn a_late_answer_of_no_use_is_found_until_the_run_is_retried(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    let first = bench.claim(run.id, false).await;
    let attempt = bench.open(first.fence, &task(0), 500).await;
    bench.claim(run.id, true).await;
    let tx = bench.begin().await;
    let defect = AttemptOutcome {
        error_class: Some(ErrorClass::UnusableAnswer),
        error_message: Some("no score".to_owned()),
        ..AttemptOutcome::default()
    };
    assert!(runs::settle_late(&tx, run.id, attempt, &stored(300), Some(&defect), now()).await.unwrap());
    tx.commit().await.unwrap();
    let tx = bench.begin().await;
    let attempts = runs::list_attempts(&tx, run.id).await.unwrap();
    // What it cost is found by its class.
    assert_eq!((&*attempts[0].status, attempts[0].error_class), ("late", Some(ErrorClass::UnusableAnswer)));
    for (retried, is_found) in [(0, true), (first.fence.claim - 1, true), (first.fence.claim, false)] {
        let found = runs::find_late_answer(&tx, run.id, &task(0), None, retried).await.unwrap();
        assert_eq!(found.is_some(), is_found, "{retried}");
        let told = runs::find_defect(&tx, run.id, &task(0), retried).await.unwrap();
        assert_eq!(told.as_deref(), is_found.then_some("no score"), "{retried}");
    }
    assert_eq!(runs::find_defect(&tx, run.id, &task(1), 0).await.unwrap(), None);
}
