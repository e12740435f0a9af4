//! Each event that a webhook endpoint is owed was received at least once as it was written, or its attempts say why not.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::evidence::{Books, Evidence, Run};
use super::verdict::{Line, Verdict};
use crate::ids::uuid_of;

/// The end of a run as an event.
fn end_of(run: &Run) -> String {
    format!("run.{}", run.status)
}

/// Compares the events of a tenant with its deliveries, and these with what was received.
pub(super) fn check(books: &Books, evidence: &Evidence, verdict: &mut Verdict) {
    let mut there: BTreeSet<(Uuid, &str, Option<Uuid>)> = BTreeSet::new();
    for delivery in &books.deliveries {
        if let Some(run) = delivery.run_id
            && !there.insert((run, &delivery.event_type, delivery.endpoint_id))
        {
            verdict.broken(Line::Deliveries, format!("written twice: {} of run {run}", delivery.event_type));
        }
    }
    let with_url: BTreeSet<&str> =
        evidence.submissions.iter().filter(|line| line.has_url).map(|line| line.name.as_str()).collect();
    for run in books.runs.iter().filter(|run| run.has_ended()) {
        let started = books.events.iter().any(|event| event.run_id == run.id && event.event_type == "run.started");
        let end = end_of(run);
        let mut owed: Vec<(&str, Option<Uuid>)> = Vec::new();
        for endpoint in &books.endpoints {
            owed.push((&end, Some(endpoint.id)));
            if started {
                owed.push(("run.started", Some(endpoint.id)));
            }
        }
        if with_url.contains(run.name().as_str()) {
            owed.push((&end, None));
        }
        for (event, endpoint) in
            owed.into_iter().filter(|(event, endpoint)| !there.contains(&(run.id, event, *endpoint)))
        {
            verdict.broken(Line::Deliveries, format!("never written: {event} of run {} to {endpoint:?}", run.id));
        }
    }
    received(books, evidence, verdict);
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
        let excused = delivery.status != "delivered" && attempted.contains(&delivery.id);
        if body.is_none() && !excused {
            verdict.broken(Line::Deliveries, format!("never received: {shown}"));
        }
    }
}
