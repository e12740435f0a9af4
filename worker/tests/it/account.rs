//! A tenant, and what the api would do for it: keys, submissions, commands, looks.

use std::collections::BTreeMap;
use std::time::Duration;

use acm2_domain::ids::{JobId, ProviderKeyId, RunId, TenantId, WebhookEndpointId, WorkerId};
use acm2_domain::job::{Job, Work};
use acm2_domain::run::machine::{Command, Effect};
use acm2_domain::run::{DocumentChoice, Event, EventType, NewRun, Run, RunSpec, RunStatus};
use acm2_domain::stages;
use acm2_domain::webhook::PayloadStyle;
use acm2_store::TenantTx;
use acm2_store::deliveries::{self, DeliveryAttemptRow, DeliveryRow};
use acm2_store::provider_keys::{self, NewProviderKey, ProviderKeyRow, SealedKey};
use acm2_store::runs::{self, AttemptRow, Claimed, Commanded, NewRunRow, RunRow};
use acm2_store::webhook_endpoints::{self, NewWebhookEndpoint};
use acm2_vault::data_key::DataKey;
use acm2_vault::places::Place;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::house::{House, eventually, now};

pub(crate) struct Account<'a> {
    pub(crate) house: &'a House,
    pub(crate) id: TenantId,
    pub(crate) data_key: DataKey,
}

impl Account<'_> {
    pub(crate) async fn begin(&self) -> TenantTx {
        self.house.store.tenant(self.id).begin().await.unwrap()
    }

    /// Stores a provider key for the sandbox; the first one is the default.
    pub(crate) async fn add_key(&self, secret: &str) -> ProviderKeyId {
        self.add_key_sealed_as(secret, |id| (self.id, id)).await
    }

    /// Stores a key of another provider.
    pub(crate) async fn add_key_of(&self, provider: &str, secret: &str) -> ProviderKeyId {
        let id = ProviderKeyId::generate();
        let secret = self.sealed_for(provider, secret, self.id, id);
        let key = NewProviderKey {
            id,
            provider: provider.to_owned(),
            label: "tests".to_owned(),
            secret,
            make_default: false,
        };
        let tx = self.begin().await;
        provider_keys::insert(&tx, key, now()).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Stores another secret in the place of one of another provider's.
    pub(crate) async fn replace_key_of(&self, provider: &str, id: ProviderKeyId, secret: &str) {
        let tx = self.begin().await;
        let secret = self.sealed_for(provider, secret, self.id, id);
        provider_keys::replace_secret(&tx, id, secret, now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// The same, but with a ciphertext that was made for the tenant and row that `place` tells.
    pub(crate) async fn add_key_sealed_as(
        &self,
        secret: &str,
        place: impl FnOnce(ProviderKeyId) -> (TenantId, ProviderKeyId),
    ) -> ProviderKeyId {
        let id = ProviderKeyId::generate();
        let (sealed_for, row) = place(id);
        let secret = self.sealed(secret, sealed_for, row);
        let label = "tests".to_owned();
        let key = NewProviderKey { id, provider: "sandbox".to_owned(), label, secret, make_default: false };
        let tx = self.begin().await;
        provider_keys::insert(&tx, key, now()).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// Stores another secret in the place of a key's.
    pub(crate) async fn replace_key(&self, id: ProviderKeyId, secret: &str) {
        let tx = self.begin().await;
        provider_keys::replace_secret(&tx, id, self.sealed(secret, self.id, id), now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    fn sealed(&self, secret: &str, tenant: TenantId, row: ProviderKeyId) -> SealedKey {
        self.sealed_for("sandbox", secret, tenant, row)
    }

    fn sealed_for(&self, provider: &str, secret: &str, tenant: TenantId, row: ProviderKeyId) -> SealedKey {
        let place = Place::ProviderKey { id: row, provider, base_url: None };
        let sealed = self.data_key.seal_at(tenant, place, &SecretString::from(secret)).into_bytes();
        SealedKey { sealed, prefix: "sk-".to_owned(), last4: "0000".to_owned(), base_url: None }
    }

    pub(crate) async fn key(&self, id: ProviderKeyId) -> ProviderKeyRow {
        provider_keys::get(&self.begin().await, id).await.unwrap()
    }

    /// Stores an endpoint; its signing secret.
    pub(crate) async fn add_endpoint(&self, url: &str, events: &[EventType]) -> (WebhookEndpointId, SecretString) {
        let (id, secret) = (WebhookEndpointId::generate(), acm2_vault::webhook_secret::mint());
        let sealed = self.data_key.seal_at(self.id, Place::WebhookSecret(id), &secret).into_bytes();
        let endpoint = NewWebhookEndpoint {
            id,
            url: url.to_owned(),
            description: String::new(),
            events: events.to_vec(),
            payload_style: PayloadStyle::Full,
            secret: sealed,
        };
        let tx = self.begin().await;
        webhook_endpoints::insert(&tx, endpoint, now()).await.unwrap();
        tx.commit().await.unwrap();
        assert!(secret.expose_secret().starts_with("whsec_"));
        (id, secret)
    }

    /// What the api does with a submission, but for the push.
    pub(crate) async fn record(&self, body: Value) -> (RunId, Job) {
        let new: NewRun = serde_json::from_value(body).unwrap();
        let texts: Vec<&str> = new
            .documents
            .iter()
            .filter_map(|document| match document {
                DocumentChoice::Inline(document) => Some(&*document.text),
                DocumentChoice::Stored(_) => None,
            })
            .collect();
        self.record_spec(new.compile(&self.house.prices).unwrap(), &texts).await
    }

    /// The same where it is known already what the run does.
    pub(crate) async fn record_spec(&self, spec: RunSpec, texts: &[&str]) -> (RunId, Job) {
        let row = NewRunRow {
            id: RunId::generate(),
            job: JobId::generate(),
            api_key: None,
            spec,
            metadata: BTreeMap::new(),
            tags: Vec::new(),
            reserved: None,
        };
        let job = Job { id: row.job, tenant: self.id, work: Work::RunV1(row.id), priority: 0, weight: None };
        let deadline = Some(row.deadline(now()));
        self.house.store.jobs().insert(&job, self.house.timing.job_due, deadline).await.unwrap();
        let tx = self.begin().await;
        runs::insert(&tx, &row, now()).await.unwrap();
        assert!(runs::name_texts(&tx, row.id, &row.spec.documents, texts).await.unwrap().is_empty());
        tx.commit().await.unwrap();
        (row.id, job)
    }

    pub(crate) async fn push(&self, job: Job) {
        self.house.broker.dispatch.push(&[job], Duration::ZERO).await.unwrap();
    }

    /// Submits a run as the api does.
    pub(crate) async fn submit(&self, body: Value) -> RunId {
        let (run, job) = self.record(body).await;
        self.push(job).await;
        run
    }

    /// Submits a run and waits for its end.
    pub(crate) async fn run(&self, body: Value) -> Run {
        let run = self.submit(body).await;
        self.ended(run).await
    }

    /// The run once it has ended.
    pub(crate) async fn ended(&self, run: RunId) -> Run {
        eventually("the run ends", async || self.row(run).await.status.is_terminal()).await;
        self.view(run).await
    }

    pub(crate) async fn row(&self, run: RunId) -> RunRow {
        runs::find(&self.begin().await, run).await.unwrap().unwrap()
    }

    /// The run as callers see it.
    pub(crate) async fn view(&self, run: RunId) -> Run {
        let tx = self.begin().await;
        let row = runs::find(&tx, run).await.unwrap().unwrap();
        let keys: Vec<String> = stages::plan(&row.spec).iter().map(|task| task.key.to_string()).collect();
        let settled = runs::list_settled_of(&tx, run, keys.iter().map(String::as_str)).await.unwrap();
        runs::assemble(&row, Some(&settled))
    }

    pub(crate) async fn attempts(&self, run: RunId) -> Vec<AttemptRow> {
        runs::list_attempts(&self.begin().await, run).await.unwrap()
    }

    /// How the attempts of a task stand, oldest first.
    pub(crate) async fn attempts_of(&self, run: RunId, model_index: usize) -> Vec<String> {
        let key = format!("generate/prompt/m{model_index}/1");
        let attempts = self.attempts(run).await.into_iter();
        attempts.filter(|attempt| attempt.task_key == key).map(|attempt| attempt.status).collect()
    }

    pub(crate) async fn events(&self, run: RunId) -> Vec<Event> {
        runs::list_events(&self.begin().await, run, 0, 1_000).await.unwrap()
    }

    pub(crate) async fn event_types(&self, run: RunId) -> Vec<EventType> {
        self.events(run).await.into_iter().map(|event| event.event_type).collect()
    }

    /// Gives a command, as the api does, but tells the worker nothing; where it queues the run, its job is pushed.
    pub(crate) async fn command(&self, run: RunId, command: Command) -> Effect {
        let job = Job { id: JobId::generate(), tenant: self.id, work: Work::RunV1(run), priority: 0, weight: None };
        let tx = self.begin().await;
        let outcome = runs::command(&tx, run, command, job.id, now()).await.unwrap();
        let Commanded::Done(effect, before) = outcome else { panic!("{outcome:?}") };
        tx.commit().await.unwrap();
        if effect == Effect::Become(RunStatus::Queued) {
            self.house.store.jobs().insert(&job, self.house.timing.job_due, None).await.unwrap();
            self.house.store.jobs().delete(before.job).await.unwrap();
            self.push(job).await;
        }
        effect
    }

    /// A claim of the run for a worker that nobody has heard of.
    pub(crate) async fn steal(&self, run: RunId) -> Claimed {
        let tx = self.begin().await;
        let seen = runs::find(&tx, run).await.unwrap().unwrap();
        let theft = seen.status == RunStatus::Running;
        let claimed = runs::claim(&tx, &seen, WorkerId::generate(), theft, now()).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        claimed
    }

    /// Waits until no job of the run is left.
    pub(crate) async fn no_jobs(&self, run: RunId) {
        let (store, work) = (&self.house.store, Work::RunV1(run));
        eventually("the run has no job", async || {
            store.jobs().list(None, 1_000).await.unwrap().iter().all(|job| job.work != work)
        })
        .await;
    }

    /// The tenant's deliveries, oldest first.
    pub(crate) async fn deliveries(&self) -> Vec<DeliveryRow> {
        let tx = self.begin().await;
        let mut rows = Vec::new();
        // A list goes without the payloads.
        for row in deliveries::list(&tx, None, None, 100).await.unwrap().iter().rev() {
            rows.push(deliveries::find(&tx, row.id).await.unwrap().unwrap());
        }
        rows
    }

    pub(crate) async fn delivery_attempts(&self, delivery: &DeliveryRow) -> Vec<DeliveryAttemptRow> {
        deliveries::list_attempts(&self.begin().await, delivery.id).await.unwrap()
    }
}
