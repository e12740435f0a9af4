//! `Idempotency-Key` (PROTOCOL rule 13): the first request with a name writes it in the transaction that creates the thing; a
//! second one waits for that transaction and gets the same answer. Names and bodies are kept as keyed fingerprints only.

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_store::idempotency::{self, Begun, SavedAnswer};
use acm2_store::{StoreError, TenantTx};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::auth::Caller;
use crate::problem::Failure;

/// How many expired names a new one takes away: more than one, so that they grow fewer; not many, so that no caller waits.
const EXPIRED_AT_ONCE: u64 = 20;

/// The name of one request; does nothing where the caller gave none.
#[derive(Debug)]
pub struct Idempotency(Option<Named>);

#[derive(Debug)]
struct Named {
    key_hash: String,
    fingerprint: String,
    kept_for: TimeDelta,
}

/// What an earlier request with the same name led to.
#[derive(Debug)]
pub struct Earlier {
    /// The thing that it made.
    pub subject: Uuid,
    /// The JSON text that it was answered with.
    pub text: String,
}

impl Idempotency {
    /// From the header. `operation` keeps the names of different operations apart; `digest` is that of the body.
    pub async fn of(
        caller: &Caller,
        operation: &str,
        header: Option<&str>,
        digest: &[u8; 32],
    ) -> Result<Self, Failure> {
        let Some(name) = header else { return Ok(Self(None)) };
        if name.is_empty() || name.len() > 255 || !name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            let field = FieldError::new("#header/Idempotency-Key", "must have 1 to 255 visible ASCII characters");
            let detail = "a header of the request is not allowed; see errors";
            return Err(Error { fields: vec![field], ..Error::new(Kind::Malformed, "bad_parameter", detail) }.into());
        }
        let (_, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        let purpose = format!("idempotency {operation}");
        Ok(Self(Some(Named {
            key_hash: data_key.fingerprint(&format!("{purpose} name"), name.as_bytes()),
            fingerprint: data_key.fingerprint(&purpose, digest),
            kept_for: TimeDelta::from_std(caller.app.timing.idempotency).unwrap_or(TimeDelta::MAX),
        })))
    }

    /// Whether the caller gave a name.
    pub const fn is_named(&self) -> bool {
        self.0.is_some()
    }

    /// Takes the name. `Some` where an earlier request has it: then nothing more is to be done.
    pub async fn begin(&self, tx: &TenantTx, now: DateTime<Utc>) -> Result<Option<Earlier>, Failure> {
        let Some(named) = &self.0 else { return Ok(None) };
        let begun = idempotency::begin(tx, &named.key_hash, &named.fingerprint, now, now + named.kept_for).await;
        if matches!(begun, Ok(Begun::New)) {
            // Every new row takes some old ones away, so that nobody has to walk through the tenants for that.
            idempotency::purge(tx, now, EXPIRED_AT_ONCE).await?;
        }
        earlier(begun)
    }

    /// Looks without taking the name, before work that an earlier request may have done already. `None` is no promise: `begin`
    /// decides.
    pub async fn look_up(&self, tx: &TenantTx, now: DateTime<Utc>) -> Result<Option<Earlier>, Failure> {
        let Some(named) = &self.0 else { return Ok(None) };
        earlier(idempotency::look_up(tx, &named.key_hash, &named.fingerprint, now).await)
    }

    /// Keeps the answer; `None` for one that holds a secret.
    pub async fn finish<T: Serialize>(&self, tx: &TenantTx, subject: Uuid, answer: Option<&T>) -> Result<(), Failure> {
        let Some(named) = &self.0 else { return Ok(()) };
        let body = answer.map(serde_json::to_string).transpose().map_err(|error| {
            Error::new(Kind::Internal, "internal", format!("failed to keep an answer as JSON: {error}"))
        })?;
        Ok(idempotency::finish(tx, &named.key_hash, &SavedAnswer { body, subject }).await?)
    }
}

/// What follows from what a name stands for.
fn earlier(begun: Result<Begun, StoreError>) -> Result<Option<Earlier>, Failure> {
    match begun {
        Ok(Begun::New) => Ok(None),
        Ok(Begun::Replay(SavedAnswer { body: Some(text), subject })) => Ok(Some(Earlier { subject, text })),
        Ok(Begun::Replay(_)) => {
            let detail = "an earlier request with this Idempotency-Key did it; its answer held a secret that is \
                          shown once and is not given again";
            Err(Error::new(Kind::Conflict, "secret_not_replayed", detail).into())
        }
        Ok(Begun::Mismatch) => {
            let detail = "this Idempotency-Key was used with another body; use a new one";
            Err(Error::new(Kind::Invalid, "idempotency_key_reused", detail).into())
        }
        // The transaction began, so the database is there: what takes too long is the first request's.
        Ok(Begun::InProgress) | Err(StoreError::Unavailable(_)) => {
            let detail = "an earlier request with this Idempotency-Key is still being worked on";
            Err(Error::new(Kind::Conflict, "idempotency_in_progress", detail).retry_after(1).into())
        }
        Err(error) => Err(error.into()),
    }
}
