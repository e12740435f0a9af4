//! Making the next try of a webhook delivery (PROTOCOL rule 11): claim, sign, send once, record, and come back when the
//! schedule says so.

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::ids::{DeliveryId, WebhookEndpointId};
use acm2_domain::job::Job;
use acm2_outbound::{WebhookOutcome, WebhookRequest};
use acm2_store::control::TenantRow;
use acm2_store::deliveries::{self, DeliveryClaim, DeliveryRow, DeliveryStatus, Next, Tried};
use acm2_store::runs::FenceError;
use acm2_store::webhook_endpoints::{self, PreviousSecret};
use acm2_store::{StoreError, TenantTx, webhook_secret};
use acm2_vault::places::Place;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use secrecy::SecretString;

use crate::consume::Outcome;
use crate::context::Context;
use crate::receivers::Turn;

/// Makes one try of the delivery, if it is due and no live worker makes one.
pub(super) async fn work(context: Arc<Context>, job: Job, delivery: DeliveryId) -> Outcome {
    let Some(_live) = context.live_deliveries.enter(delivery) else {
        return Outcome::GiveBack(context.timing.claim_retry);
    };
    match try_once(&context, job, delivery).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::warn!(%error, delivery.id = %delivery, tenant.id = %job.tenant, "the delivery waits");
            Outcome::GiveBack(context.timing.claim_retry)
        }
    }
}

async fn try_once(context: &Arc<Context>, job: Job, delivery: DeliveryId) -> Result<Outcome, StoreError> {
    let Some(tenant) = context.store.tenants().find(job.tenant).await? else { return forget(context, job).await };
    let tx = context.store.tenant(tenant.id).begin().await?;
    let Some(seen) = deliveries::find(&tx, delivery).await? else {
        // Its transaction may be on the way.
        context.store.jobs().delete_orphan(job.id, context.timing.job_due * 6).await?;
        return Ok(Outcome::Done);
    };
    drop(tx);
    if seen.status != DeliveryStatus::Pending {
        return done(context, job, delivery).await;
    }
    if let Ok(early) = (seen.next_attempt_at - context.clock.now()).to_std()
        && !early.is_zero()
    {
        return Ok(Outcome::GiveBack(early));
    }
    if let Some(holder) = seen.claimed_by
        && holder != context.me
        && !(context.liveness.may_steal()
            && context.store.workers().is_stale(holder, context.timing.heartbeat_stale).await?)
    {
        return Ok(Outcome::GiveBack(context.timing.claim_retry));
    }
    let _place = match context.receivers.enter(tenant.id, &seen.url) {
        Turn::Now(place) => place,
        Turn::In(delay) => return Ok(Outcome::GiveBack(delay)),
    };
    let Some((claim, prepared)) = prepare(context, &tenant, &seen).await? else {
        return Ok(Outcome::GiveBack(context.timing.claim_retry));
    };
    let at = context.clock.now();
    let sent = match prepared {
        Prepared::Send(secrets) => {
            context
                .outbound
                .send_webhook(WebhookRequest {
                    url: &seen.url,
                    delivery: seen.id,
                    timestamp: at,
                    secrets,
                    payload: seen.payload.clone(),
                    private_hosts: &tenant.private_hosts,
                    timeout: context.timing.delivery_timeout,
                    keep_body: true,
                })
                .await
        }
        Prepared::Hopeless(reason) => return give_up(context, job, &tenant, claim, at, reason).await,
    };
    record(context, job, &tenant, &seen, claim, at, sent).await
}

/// There is nothing that the job could be for.
async fn forget(context: &Arc<Context>, job: Job) -> Result<Outcome, StoreError> {
    context.store.jobs().delete(job.id).await?;
    Ok(Outcome::Done)
}

/// The job has done its part. A redelivery locks the delivery's row before it looks for a job, and so does this: either it sees what
/// the redelivery has committed and the job stays, or the redelivery finds no job and writes one of its own.
async fn done(context: &Arc<Context>, job: Job, delivery: DeliveryId) -> Result<Outcome, StoreError> {
    let tx = context.store.tenant(job.tenant).begin().await?;
    if deliveries::lock(&tx, delivery).await? == Some(DeliveryStatus::Pending) {
        return Ok(Outcome::GiveBack(Duration::ZERO));
    }
    context.store.jobs().delete(job.id).await?;
    drop(tx);
    Ok(Outcome::Done)
}

enum Prepared {
    Send(Vec<SecretString>),
    Hopeless(&'static str),
}

/// Claims the delivery and opens the secrets that sign it.
async fn prepare(
    context: &Arc<Context>,
    tenant: &TenantRow,
    seen: &DeliveryRow,
) -> Result<Option<(DeliveryClaim, Prepared)>, StoreError> {
    let tx = context.store.tenant(tenant.id).begin().await?;
    let Some(claim) = deliveries::claim(&tx, seen, context.me).await? else { return Ok(None) };
    let prepared = match seen.endpoint {
        Some(endpoint) => endpoint_secrets(context, tenant, &tx, endpoint).await?,
        None => tenant_secrets(context, tenant, &tx).await?,
    };
    tx.commit().await?;
    Ok(Some((claim, prepared)))
}

/// The tenant's default secret; made here if nobody has looked at it yet.
async fn tenant_secrets(context: &Arc<Context>, tenant: &TenantRow, tx: &TenantTx) -> Result<Prepared, StoreError> {
    let row = if let Some(row) = webhook_secret::find(tx).await? {
        row
    } else {
        let Ok(data_key) = context.data_key(tenant) else {
            return Ok(Prepared::Hopeless("the tenant's data key cannot be opened"));
        };
        let fresh = data_key.seal_at(tenant.id, Place::TenantWebhookSecret, &acm2_vault::webhook_secret::mint());
        webhook_secret::find_or_insert(tx, fresh.into_bytes(), context.clock.now()).await?
    };
    let places = (Place::TenantWebhookSecret, Place::PreviousTenantWebhookSecret);
    Ok(open(context, tenant, places, &row.sealed, row.previous.as_ref()))
}

async fn endpoint_secrets(
    context: &Arc<Context>,
    tenant: &TenantRow,
    tx: &TenantTx,
    id: WebhookEndpointId,
) -> Result<Prepared, StoreError> {
    let Some(endpoint) = webhook_endpoints::find(tx, id).await? else {
        return Ok(Prepared::Hopeless("the webhook endpoint was deleted"));
    };
    if !endpoint.is_enabled {
        return Ok(Prepared::Hopeless("the webhook endpoint is disabled"));
    }
    let places = (Place::WebhookSecret(id), Place::PreviousWebhookSecret(id));
    Ok(open(context, tenant, places, &endpoint.secret, endpoint.previous_secret.as_ref()))
}

/// The current secret first; the one before it too, while it still signs.
fn open(
    context: &Context,
    tenant: &TenantRow,
    (place, previous_place): (Place<'_>, Place<'_>),
    sealed: &[u8],
    previous: Option<&PreviousSecret>,
) -> Prepared {
    let Ok(secret) = context.open_secret(tenant, place, sealed) else {
        return Prepared::Hopeless("the webhook secret cannot be opened; rotate it");
    };
    let previous = previous
        .filter(|previous| previous.until > context.clock.now())
        .and_then(|previous| context.open_secret(tenant, previous_place, &previous.sealed).ok());
    Prepared::Send(std::iter::once(secret).chain(previous).collect())
}

async fn record(
    context: &Arc<Context>,
    job: Job,
    tenant: &TenantRow,
    seen: &DeliveryRow,
    claim: DeliveryClaim,
    at: DateTime<Utc>,
    sent: WebhookOutcome,
) -> Result<Outcome, StoreError> {
    let delivered = sent.is_success();
    let gone = sent.gone;
    let retry_in = delay(context, seen.attempts, sent.retry_after);
    let now = context.clock.now();
    let next = match retry_in {
        _ if delivered => Next::Delivered,
        Some(delay) if !gone => Next::RetryAt(now + TimeDelta::from_std(delay).unwrap_or(TimeDelta::MAX)),
        _ => Next::Failed,
    };
    let tried = Tried {
        at,
        status_code: sent.status,
        duration_ms: u64::try_from(sent.duration.as_millis()).unwrap_or(u64::MAX),
        excerpt: sent.excerpt,
        error: sent.error,
    };
    let recorded = context
        .stored(|_| {
            let tried = tried.clone();
            async move {
                let tx = context.store.tenant(tenant.id).begin().await?;
                let stood = deliveries::record(&tx, claim, &tried, next, now).await?;
                if stood {
                    note_on_endpoint(context, &tx, seen.endpoint, delivered, gone, now).await?;
                    tx.commit().await?;
                }
                Ok::<bool, FenceError>(stood)
            }
            .boxed()
        })
        .await;
    match recorded {
        Ok(true) => {}
        // The claim was taken, by a redelivery for example: the next look at the delivery says what is left.
        Ok(false) => return Ok(Outcome::GiveBack(Duration::ZERO)),
        Err(_) => return Ok(Outcome::GiveBack(context.timing.claim_retry)),
    }
    match (next, retry_in) {
        (Next::RetryAt(_), Some(delay)) => {
            context.store.jobs().reschedule(job.id, delay + context.timing.job_due).await?;
            // A redelivery that came in between has made it due at once.
            let tx = context.store.tenant(tenant.id).begin().await?;
            let due = deliveries::find(&tx, seen.id).await?.map(|row| row.next_attempt_at);
            drop(tx);
            let left = due.map_or(Duration::ZERO, |due| (due - context.clock.now()).to_std().unwrap_or_default());
            Ok(Outcome::GiveBack(left.min(delay)))
        }
        _ => done(context, job, seen.id).await,
    }
}

async fn note_on_endpoint(
    context: &Context,
    tx: &TenantTx,
    endpoint: Option<WebhookEndpointId>,
    delivered: bool,
    gone: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    if delivered {
        return webhook_endpoints::record_success(tx, endpoint).await;
    }
    if gone {
        webhook_endpoints::disable(tx, endpoint, "it answered 410 Gone", now).await?;
        return Ok(());
    }
    let disable_after = TimeDelta::from_std(context.timing.endpoint_disable).unwrap_or(TimeDelta::MAX);
    webhook_endpoints::record_failure(tx, endpoint, now, disable_after).await?;
    Ok(())
}

/// The delay after a failed try, with up to a tenth of jitter; `None` where the schedule is at its end. What the receiver asks
/// for counts where it is later.
fn delay(context: &Context, failed_before: u32, asked: Option<Duration>) -> Option<Duration> {
    let scheduled = *context.timing.delivery_delays.get(failed_before as usize)?;
    let jittered = scheduled.mul_f64(1.0 + rand::random::<f64>() / 10.0);
    let longest = context.timing.delivery_delays.iter().max().copied().unwrap_or(jittered);
    Some(asked.map_or(jittered, |asked| asked.min(longest).max(jittered)))
}

async fn give_up(
    context: &Arc<Context>,
    job: Job,
    tenant: &TenantRow,
    claim: DeliveryClaim,
    at: DateTime<Utc>,
    reason: &str,
) -> Result<Outcome, StoreError> {
    let tried = Tried { at, status_code: None, duration_ms: 0, excerpt: None, error: Some(reason.to_owned()) };
    let tx = context.store.tenant(tenant.id).begin().await?;
    deliveries::record(&tx, claim, &tried, Next::Failed, context.clock.now()).await?;
    tx.commit().await?;
    done(context, job, claim.delivery).await
}
