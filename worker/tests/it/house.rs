//! What every test begins with: stores, a queue, a master key, prices and a sandbox provider.

use std::sync::Arc;
use std::time::Duration;

use acm2_broker::Broker;
use acm2_broker::dispatch::Depth;
use acm2_domain::call::{Call, Message, Role, Sampling};
use acm2_domain::clock::{Clock, SystemClock};
use acm2_domain::ids::{AttemptId, TenantId};
use acm2_domain::job::Queue;
use acm2_domain::prices::Prices;
use acm2_domain::timing::Timing;
use acm2_outbound::{Outbound, OutboundOptions, Target};
use acm2_sandbox::{CallRecord, Event, Sandbox, Wire};
use acm2_store::Store;
use acm2_store::control::StoredDataKey;
use acm2_vault::data_key::DataKey;
use acm2_vault::keyring::Keyring;
use acm2_vault::master_keys::MasterKeys;
use chrono::{DateTime, Utc};

use crate::account::Account;
use crate::back_ends::BackEnds;
use crate::process::{Start, Worker};

/// Runs each of the named functions, which take a `&House`, over both pairs of back-ends.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod over_files {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let house = crate::house::House::of(crate::back_ends::BackEnds::files()).await;
                super::$name(&house).await;
            })+
        }
        mod over_servers {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                if let Some(back_ends) = crate::back_ends::BackEnds::servers(stringify!($name)).await {
                    let house = crate::house::House::of(back_ends).await;
                    super::$name(&house).await;
                    house.store.close().await;
                    house.back_ends.remove().await;
                }
            })+
        }
    };
}
pub(crate) use on_both;

/// Models of the sandbox that the tests want a price for, so that what is in doubt has an amount.
const PRICED: [&str; 7] =
    ["echo", "fast", "hang", "slow-6s", "slow-8s", "slow-1s+fail-429-then-ok", "slow-1001ms+fail-429-then-ok"];

pub(crate) struct House {
    pub(crate) back_ends: BackEnds,
    pub(crate) store: Store,
    pub(crate) broker: Broker,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) prices: Arc<Prices>,
    pub(crate) timing: Timing,
    pub(crate) sandbox: Sandbox,
}

pub(crate) fn now() -> DateTime<Utc> {
    SystemClock.now()
}

impl House {
    pub(crate) async fn of(back_ends: BackEnds) -> Self {
        let timing = Timing::default().faster(5);
        let store = Store::open(back_ends.store_options()).await.unwrap();
        store.migrate_control().await.unwrap();
        let broker = back_ends.open_broker(&timing);
        let bind = "127.0.0.1:0".parse().unwrap();
        let sandbox = Sandbox::start(acm2_sandbox::Options { bind, log_file: None }).await.unwrap();
        Self {
            back_ends,
            store,
            broker,
            keyring: Arc::new(Keyring::new(MasterKeys::generate("a").unwrap().0)),
            prices: Arc::new(prices()),
            timing,
            sandbox,
        }
    }

    /// A usual worker.
    pub(crate) fn worker(&self) -> Worker {
        Worker::start(self, Start::of(self))
    }

    /// A new tenant.
    pub(crate) async fn account(&self) -> Account<'_> {
        let (id, data_key) = (TenantId::generate(), DataKey::generate());
        let wrapped = self.keyring.master_keys().wrap(&data_key, id);
        let stored = StoredDataKey { master_key_id: wrapped.master_key_id, bytes: wrapped.bytes };
        self.store.tenants().create(id, "somebody", stored, now()).await.unwrap();
        Account { house: self, id, data_key }
    }

    /// A new tenant with a provider key for the sandbox.
    pub(crate) async fn account_with_key(&self) -> Account<'_> {
        let account = self.account().await;
        account.add_key("sk-of-the-tests-0123456789").await;
        account
    }

    /// A call of the sandbox that no worker makes.
    pub(crate) async fn call_beside(&self, model: &str, secret: &str) {
        let provider = acm2_domain::providers::find_provider("sandbox").unwrap();
        let target = Target { provider, base_url: None, private_hosts: Vec::new() };
        let call = Call {
            provider: "sandbox".to_owned(),
            model: model.to_owned(),
            provider_key: None,
            system: None,
            messages: vec![Message { role: Role::User, content: "hi".to_owned() }],
            sampling: Sampling::default(),
            max_output_tokens: None,
            timeout: Duration::from_secs(10),
            max_retries: 0,
            expects: None,
            question: None,
            image: None,
        };
        let outbound = Outbound::new(self.outbound_options()).unwrap();
        outbound.call(&target, secret.into(), &call, AttemptId::generate(), call.timeout).await.unwrap();
    }

    /// Every wire speaks to the sandbox. As provider `sandbox` or `openrouter` it reports its cost.
    pub(crate) fn outbound_options(&self) -> OutboundOptions {
        let at = |path: &str| format!("http://{}/{path}", self.sandbox.address()).parse().unwrap();
        let models = ["sandbox", "openrouter"].map(|slug| (slug.to_owned(), at("openrouter/api/v1")));
        let searches = ["exa", "tavily", "serper"].map(|slug| (slug.to_owned(), at(slug)));
        let base_urls = models.into_iter().chain(searches).collect();
        OutboundOptions { base_urls, ..OutboundOptions::default() }
    }

    /// The calls of a model that reached the sandbox.
    pub(crate) fn calls_of(&self, model: &str) -> Vec<CallRecord> {
        self.records(Event::Received).into_iter().filter(|call| call.model.as_deref() == Some(model)).collect()
    }

    /// The lines of one kind that the sandbox wrote.
    pub(crate) fn records(&self, event: Event) -> Vec<CallRecord> {
        let calls = self.sandbox.calls().into_iter();
        calls.filter(|call| call.event == event && call.wire != Wire::KeyTest).collect()
    }

    /// How many calls reached the sandbox.
    pub(crate) fn calls(&self) -> usize {
        self.records(Event::Received).len()
    }

    /// Waits until a call of the model has reached the sandbox.
    pub(crate) async fn called(&self, model: &str) {
        eventually(&format!("{model} is called"), async || !self.calls_of(model).is_empty()).await;
    }

    /// Waits until neither queue holds anything.
    pub(crate) async fn idle(&self) {
        eventually("the queues are empty", async || {
            let runs = self.broker.dispatch.depth(Queue::Runs).await.unwrap();
            let deliveries = self.broker.dispatch.depth(Queue::Deliveries).await.unwrap();
            (runs, deliveries) == (Depth::default(), Depth::default())
        })
        .await;
    }
}

/// Prices of the sandbox's models: 1 dollar per million input tokens, 2 per million output tokens,
/// which is what it reports.
fn prices() -> Prices {
    let header = "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,max_output,per_request";
    let rows = PRICED.map(|model| format!("sandbox,{model},1,2,0.1,128000,4096")).join("\n");
    let searches = "exa,search,0,0,,,0,0.007\ntavily,search,0,0,,,0,0.008\nserper,search,0,0,,,0,0.001";
    Prices::parse(&format!("{header}\n{rows}\n{searches}\n"), "2026-11-20").unwrap()
}

/// Tries until it holds, for what happens after a while.
pub(crate) async fn eventually<F: AsyncFnMut() -> bool>(what: &str, mut holds: F) {
    for _ in 0..1_200 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("not within 30 s: {what}");
}
