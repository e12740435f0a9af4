//! What calls tell of the provider keys that they were made with: that they are used, or that the provider refuses them, which
//! their owner should see. Written in the transaction that settles the calls.

use acm2_domain::call::ErrorClass;
use acm2_store::provider_keys::{self, KeyStatus, ProviderKeyRow};
use acm2_store::{StoreError, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};

use super::journal::RunCalls;
use super::settle::Settling;

/// What one call told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Note {
    Refused(KeyStatus),
    Used,
}

/// Writes it, key by key in the order of their ids, so that two such transactions cannot block each other.
pub(super) async fn write(
    run: &RunCalls,
    tx: &TenantTx,
    settlings: &[&Settling],
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let every = TimeDelta::from_std(run.context.timing.last_used).unwrap_or(TimeDelta::zero());
    let mut notes: Vec<(&ProviderKeyRow, Note, Option<&str>)> = settlings
        .iter()
        .filter_map(|settling| {
            let (key, outcome) = (&settling.attempt.key, &settling.outcome);
            Some((key, note(key, outcome.error_class, now - every)?, outcome.error_message.as_deref()))
        })
        .collect();
    notes.sort_by_key(|(key, ..)| key.id);
    // Of calls with the same secret one is enough.
    notes.dedup_by(|later, first| later.0.id == first.0.id && later.0.sealed == first.0.sealed && later.1 == first.1);
    for (key, note, message) in notes {
        match note {
            Note::Refused(status) => provider_keys::mark_status(tx, key, status, message, now).await?,
            Note::Used => {
                provider_keys::touch_last_used(tx, key.id, now, every).await?;
            }
        }
    }
    Ok(())
}

fn note(key: &ProviderKeyRow, error: Option<ErrorClass>, old: DateTime<Utc>) -> Option<Note> {
    match error {
        Some(ErrorClass::ProviderAuth) => Some(Note::Refused(KeyStatus::Invalid)),
        Some(ErrorClass::ProviderQuota) => Some(Note::Refused(KeyStatus::Quota)),
        Some(_) => None,
        // Written only where the time that stands there has grown old.
        None => key.last_used_at.is_none_or(|used| used <= old).then_some(Note::Used),
    }
}
