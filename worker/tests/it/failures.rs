//! Providers that fail: which failures are tried again, and what the run says of them.

use acm2_domain::call::ErrorClass::{
    self, ProviderDecode, ProviderModelNotFound, ProviderNetwork, ProviderOverloaded, ProviderRequest, ProviderTimeout,
};
use acm2_domain::run::{EventType, RunStatus, TaskStatus};
use acm2_sandbox::Event;
use acm2_store::provider_keys::KeyStatus;
use chrono::TimeDelta;
use serde_json::json;

use crate::house::{House, on_both};
use crate::outcomes::events_have_no_gap;

on_both!(
    a_rate_limit_is_waited_out,
    a_refused_key_is_not_tried_again_and_is_marked,
    each_failure_has_its_class_and_its_number_of_attempts,
    a_run_without_any_answer_has_failed,
);

async fn a_rate_limit_is_waited_out(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.run(json!({"prompt": "hi", "models": ["sandbox/fail-429-then-ok"]})).await;
    assert_eq!(run.status, RunStatus::Completed);
    assert_eq!(run.results.unwrap()[0].attempts, 2);
    assert_eq!(account.attempts_of(run.id, 0).await, ["failed", "answered"]);
    let refused = house.records(Event::Answered)[0].time;
    let again = house.calls_of("fail-429-then-ok")[1].time;
    assert!(again - refused >= TimeDelta::seconds(1), "it asked for a second: {}", again - refused);
    assert!(account.event_types(run.id).await.contains(&EventType::AttemptFailed));
    events_have_no_gap(&account, run.id).await;
}

async fn a_refused_key_is_not_tried_again_and_is_marked(house: &House) {
    let _worker = house.worker();
    let account = house.account().await;
    let key = account.add_key("sk-bad-0123456789").await;
    let other = account.add_key("sk-quota-0123456789").await;
    let run = account
        .run(json!({"prompt": "hi", "models": [
            "sandbox/echo", {"model": "sandbox/fast", "provider_key_id": other.to_string()}
        ]}))
        .await;
    assert_eq!(run.status, RunStatus::Failed);
    let results = run.results.unwrap();
    let class = |index: usize| results[index].error.as_ref().unwrap().class;
    assert_eq!((class(0), class(1)), (ErrorClass::ProviderAuth, ErrorClass::ProviderQuota));
    assert_eq!((results[0].attempts, results[1].attempts, house.calls()), (1, 1, 2));
    assert_eq!(account.key(key).await.status, KeyStatus::Invalid);
    assert_eq!(account.key(other).await.status, KeyStatus::Quota);
}

async fn each_failure_has_its_class_and_its_number_of_attempts(house: &House) {
    const CASES: [(&str, ErrorClass, u32); 7] = [
        ("fail-400", ProviderRequest, 1),
        ("fail-404", ProviderModelNotFound, 1),
        ("fail-500", ProviderOverloaded, 2),
        ("html", ProviderDecode, 2),
        ("malformed", ProviderDecode, 2),
        ("cut", ProviderNetwork, 2),
        ("hang", ProviderTimeout, 2),
    ];
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let mut models = vec!["sandbox/echo".to_owned()];
    models.extend(CASES.iter().map(|(model, ..)| format!("sandbox/{model}")));
    let body = json!({"prompt": "hi", "models": models, "max_retries": 1, "timeout_seconds": 5});
    let run = account.run(body).await;

    assert_eq!(run.status, RunStatus::CompletedWithErrors);
    assert_eq!((run.progress.tasks_completed, run.progress.tasks_failed), (1, 7));
    let results = run.results.unwrap();
    assert_eq!(results[0].status, TaskStatus::Completed);
    let missing = run.missing.unwrap();
    assert_eq!(missing.len(), CASES.len());
    for (index, (model, class, attempts)) in CASES.iter().enumerate() {
        let (task, missing) = (&results[index + 1], &missing[index]);
        assert_eq!(missing.key, format!("generate/prompt/m{}/1", index + 1));
        assert_eq!((missing.model.as_str(), missing.class), (models[index + 1].as_str(), Some(*class)), "{model}");
        assert_eq!((task.status, task.attempts), (TaskStatus::Failed, *attempts), "{model}");
        assert_eq!(house.calls_of(model).len(), *attempts as usize, "{model}");
        assert!(!missing.reason.is_empty());
    }
    // Whether the provider did the work is not known of those that were cut off; of a clean refusal it is.
    assert_eq!(account.attempts_of(run.id, 1).await, ["failed"]);
    assert_eq!(account.attempts_of(run.id, 6).await, ["in_doubt", "in_doubt"]);
    assert_eq!(account.attempts_of(run.id, 7).await, ["in_doubt", "in_doubt"]);
    events_have_no_gap(&account, run.id).await;
}

async fn a_run_without_any_answer_has_failed(house: &House) {
    let _worker = house.worker();
    let account = house.account_with_key().await;
    let run = account.run(json!({"prompt": "hi", "models": ["sandbox/fail-400", "sandbox/no-such-thing"]})).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.problem.unwrap().code, "all_tasks_failed");
    assert_eq!(run.missing.unwrap().len(), 2);
    account.no_jobs(run.id).await;
}
