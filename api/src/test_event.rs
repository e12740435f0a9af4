//! The payload of a test event: that of a run that completed, with made-up content. Called by `routes::webhook_endpoints`.

use std::collections::BTreeMap;

use acm2_domain::ids::RunId;
use acm2_domain::money::Usd;
use acm2_domain::run::{EventType, Priority, Progress, Run, RunStatus, Totals, display_cost};
use acm2_domain::webhook::{PayloadStyle, WebhookPayload};
use chrono::{DateTime, Utc};

/// The exact text of a test event.
pub(crate) fn payload(now: DateTime<Utc>, style: PayloadStyle) -> String {
    let run = Run {
        id: RunId::generate(),
        status: RunStatus::Completed,
        requested: None,
        priority: Priority::Normal,
        queue: None,
        models: vec!["sandbox/echo".to_owned()],
        progress: Progress { tasks_expected: 1, tasks_completed: 1, tasks_failed: 0 },
        results: Some(Vec::new()),
        final_answers: Some(Vec::new()),
        missing: Some(Vec::new()),
        totals: Some(Totals::default()),
        cost_usd: Some(Usd::ZERO),
        cost: display_cost(Some(Usd::ZERO)),
        known_cost_usd: Usd::ZERO,
        in_doubt_usd: Some(Usd::ZERO),
        max_cost_usd: None,
        preset: None,
        spec_hash: None,
        metadata: BTreeMap::from([("test".to_owned(), "true".to_owned())]),
        tags: vec!["test".to_owned()],
        problem: None,
        last_event: 1,
        created_at: now,
        started_at: Some(now),
        finished_at: Some(now),
        deadline_at: now,
        answers_of: None,
    };
    let payload = WebhookPayload::new(EventType::RunCompleted, now, style, run);
    serde_json::to_string(&payload).unwrap_or_default()
}
