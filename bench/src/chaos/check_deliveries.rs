//! Each event that a webhook endpoint is owed was received at least once as it was written, or was tried in vain and will be tried
//! again.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::check::END;
use super::evidence::{Books, Evidence};
use super::verdict::{Line, Verdict};
use crate::ids::uuid_of;

/// Which event of which run to which endpoint; to the run's own URL where there is none.
type What<'a> = (Uuid, &'a str, Option<Uuid>);

/// Compares the events of a tenant with its deliveries, and these with what was received.
pub(super) fn check(books: &Books, evidence: &Evidence, verdict: &mut Verdict) {
    let mut written: BTreeMap<What<'_>, usize> = BTreeMap::new();
    for delivery in &books.deliveries {
        if let Some(run) = delivery.run_id {
            *written.entry((run, &delivery.event_type, delivery.endpoint_id)).or_default() += 1;
        }
    }
    for (what, owed) in owed(books, evidence) {
        let there = written.remove(&what).unwrap_or_default();
        if there != owed {
            verdict.broken(Line::Deliveries, format!("{there} written, {owed} owed: {what:?}"));
        }
    }
    for what in written.into_keys() {
        verdict.broken(Line::Deliveries, format!("written and not owed: {what:?}"));
    }
    received(books, evidence, verdict);
}

/// How many deliveries there must be: for each webhook event of a run one to each endpoint, for its end one to its own URL.
fn owed<'a>(books: &'a Books, evidence: &Evidence) -> BTreeMap<What<'a>, usize> {
    let with_url: BTreeSet<&str> =
        evidence.submissions.iter().filter(|line| line.has_url).map(|line| line.name.as_str()).collect();
    let own: BTreeSet<Uuid> =
        books.runs.iter().filter(|run| with_url.contains(run.name().as_str())).map(|run| run.id).collect();
    let mut owed = BTreeMap::new();
    for event in &books.events {
        let kind = event.event_type.as_str();
        let is_end = END.contains(&kind);
        if is_end || kind == "run.started" {
            for endpoint in &books.endpoints {
                *owed.entry((event.run_id, kind, Some(endpoint.id))).or_default() += 1;
            }
        }
        if is_end && own.contains(&event.run_id) {
            *owed.entry((event.run_id, kind, None)).or_default() += 1;
        }
    }
    owed
}

fn received(books: &Books, evidence: &Evidence, verdict: &mut Verdict) {
    let mut taken: BTreeMap<Uuid, &str> = BTreeMap::new();
    for webhook in evidence.received.iter().filter(|webhook| webhook.status == 204) {
        if let Some(id) = uuid_of(&webhook.id) {
            taken.insert(id, &webhook.body);
        }
    }
    let attempted: BTreeSet<Uuid> = books.delivery_attempts.iter().map(|attempt| attempt.delivery_id).collect();
    for delivery in &books.deliveries {
        let body = taken.get(&delivery.id);
        let shown =
            format!("{} ({} of run {:?}, {})", delivery.id, delivery.event_type, delivery.run_id, delivery.status);
        if body.is_some_and(|body| *body != delivery.payload) {
            verdict.broken(Line::Deliveries, format!("received otherwise than written: {shown}"));
        }
        // One that is to be tried again says so by its job: without that nobody ever will.
        let waits = delivery.status == "pending" && evidence.jobs.iter().any(|job| job.id == delivery.id);
        let excused = waits && attempted.contains(&delivery.id);
        if body.is_none() && !excused {
            verdict.broken(Line::Deliveries, format!("never received: {shown}"));
        }
    }
}
