//! A run never costs more than its ceiling.

use acm2_domain::call::ErrorClass;
use acm2_domain::money::Usd;
use acm2_domain::run::RunStatus;
use acm2_sandbox::Event;
use serde_json::json;

use crate::house::{House, eventually, on_both};

on_both!(
    models_share_a_ceiling_and_stay_under_it,
    a_ceiling_that_pays_for_nothing_calls_nothing,
    an_attempt_that_is_repeated_leaves_the_others_their_share,
);

async fn models_share_a_ceiling_and_stay_under_it(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/fast"], "max_cost_usd": "0.0004"});
    let run = account.run(body).await;
    let ceiling: Usd = "0.0004".parse().unwrap();
    assert_eq!(run.status, RunStatus::Completed);
    assert!(run.cost_usd.unwrap() <= ceiling);
    let reserved: Vec<Usd> = account.attempts(run.id).await.iter().map(|attempt| attempt.reserved.unwrap()).collect();
    assert_eq!(reserved.len(), 2);
    assert!(reserved.iter().all(|reserved| *reserved > Usd::ZERO && *reserved <= ceiling), "{reserved:?}");
    let least = reserved.iter().min().unwrap();
    assert!(*least <= Usd::from_pico(ceiling.pico() / 2), "the first takes no more than its share");
    let row = account.row(run.id).await;
    assert_eq!((row.reserved, row.in_doubt), (Usd::ZERO, Usd::ZERO));
}

async fn a_ceiling_that_pays_for_nothing_calls_nothing(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo", "sandbox/fast"], "max_cost_usd": "0.00001"});
    let run = account.run(body).await;
    assert_eq!(run.status, RunStatus::Failed);
    let missing = run.missing.unwrap();
    assert!(missing.iter().all(|missing| missing.class == Some(ErrorClass::CostCeiling)), "{missing:?}");
    assert_eq!((missing.len(), run.cost_usd, house.calls()), (2, Some(Usd::ZERO), 0));
    assert!(account.attempts(run.id).await.is_empty());
}

/// Both models fail once; then another worker begins both anew, at the same time.
async fn an_attempt_that_is_repeated_leaves_the_others_their_share(house: &House) {
    let first = house.worker();
    let account = house.account_with_key().await;
    let models = ["sandbox/slow-1s+fail-429-then-ok", "sandbox/slow-1001ms+fail-429-then-ok"];
    let run = account.submit(json!({"prompt": "hi", "models": models, "max_cost_usd": "0.0004"})).await;
    eventually("both have failed once", async || house.records(Event::Answered).len() >= 2).await;
    first.stop().await;
    assert_eq!(account.row(run).await.reserved, Usd::ZERO);
    let _second = house.worker();
    let view = account.ended(run).await;
    assert_eq!(view.status, RunStatus::Completed, "{:?}", view.missing);
    assert!(view.cost_usd.unwrap() <= "0.0004".parse().unwrap());
    assert_eq!(house.calls(), 4);
}
