//! When a run is suspected of killing its workers, and when it is given up (PROTOCOL rule 5). Deaths that come close together,
//! of whatever cause, must not end every run that was in flight: a suspect is left alone for a while after its last claim, each
//! for another while, so that the innocent and the guilty part.

use std::time::Duration;

use acm2_domain::timing::Timing;
use acm2_store::runs::RunRow;
use chrono::{DateTime, Utc};

/// Claims by theft without progress after which a run is given up.
pub(super) const POISONED_AFTER: u32 = 5;
/// Claims by theft without progress after which the next one is put off.
const SUSPECT_AFTER: u32 = 2;

/// Whether the next theft of the run is put off: not where it would only end the run.
pub(super) fn is_suspect(run: &RunRow, now: DateTime<Utc>) -> bool {
    run.poison >= SUSPECT_AFTER && run.requested.is_none() && now < run.deadline_at
}

/// How long the run is left alone after its last claim: a time of its own between half and one and a half of the average, the
/// same whoever asks.
pub(super) fn hold(run: &RunRow, timing: &Timing) -> Duration {
    let further = run.poison.saturating_sub(SUSPECT_AFTER).min(POISONED_AFTER);
    // The end of an id is random, and each hold uses another byte of it.
    let byte = run.id.uuid().as_bytes()[15 - further as usize];
    (timing.poison_hold * 2_u32.pow(further)).mul_f64(0.5 + f64::from(byte) / 255.0)
}
