//! Who the tenants of the test are: provider keys, a webhook endpoint and, for some of them or of their API keys, budgets.
//! All of it is made over the HTTP API, before the first fault.

use serde_json::{Value, json};

use super::records::{BoundedKey, Customer};
use crate::outcome::Outcome;
use crate::place::house::{House, Tenant};
use crate::place::http::Http;

/// Providers that tell the sandbox the attempt's id.
const PROVIDERS: [&str; 2] = ["sandbox", "openai"];

/// Limits of a tenant in US dollars: a few runs with ceilings at once, and so much that what they really cost stops them late.
/// The month is the tighter one, so that what fits the day may still be refused.
const OF_TENANT: [(&str, &str); 2] = [("day", "0.80"), ("month", "0.60")];

/// The smallest limit of an API key, in millionths of a US dollar: a run at a time, and used up after some ten. Each further key has
/// twice as much, so that in a test of any length some keys are about to be used up.
const OF_KEY: u64 = 2_000;

/// What a tenant of the test has.
#[derive(Debug, Clone, Copy)]
struct Plan {
    has_budget: bool,
    bounded_keys: usize,
}

/// One row for each tenant.
const TENANTS: [Plan; 4] = [
    Plan { has_budget: false, bounded_keys: 0 },
    Plan { has_budget: true, bounded_keys: 0 },
    Plan { has_budget: false, bounded_keys: 8 },
    Plan { has_budget: true, bounded_keys: 2 },
];

/// Where the tenants reach the service, and where they are reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    /// The base URL of an api.
    pub(super) api: &'a str,
    /// The base URL of the receiver of webhooks.
    pub(super) receiver: &'a str,
}

/// Makes all of them.
pub(super) async fn open(house: &House, http: &Http, places: Places<'_>) -> Outcome<Vec<Customer>> {
    let mut customers = Vec::new();
    for (number, plan) in TENANTS.into_iter().enumerate() {
        let tenant = house.tenant(&format!("customer {number}")).await?;
        let owner = Owner { http, api: places.api, tenant: &tenant };
        let provider_keys = owner.provider_keys().await?;
        let host = places.receiver.trim_start_matches("http://");
        house.cli(&["tenants", "allow-host", &tenant.id, &format!("webhook:{host}")]).await?;
        let path = if number % 2 == 0 { "steady" } else { "flaky" };
        owner.make("webhook-endpoints", &json!({"url": format!("{}/{path}", places.receiver)})).await?;
        if plan.has_budget {
            for (period, limit) in OF_TENANT {
                owner.make("budgets", &json!({"period": period, "limit_usd": limit})).await?;
            }
        }
        let bounded_keys = owner.bounded_keys(plan.bounded_keys).await?;
        customers.push(Customer { tenant, provider_keys, has_budget: plan.has_budget, bounded_keys });
    }
    Ok(customers)
}

/// A tenant with its key that may do everything.
struct Owner<'a> {
    http: &'a Http,
    api: &'a str,
    tenant: &'a Tenant,
}

impl Owner<'_> {
    async fn make(&self, what: &str, body: &Value) -> Outcome<Value> {
        self.http.post(&format!("{}/api/v1/{what}", self.api), &self.tenant.key, body).await?.good()
    }

    async fn provider_keys(&self) -> Outcome<Vec<(String, String)>> {
        let mut keys = Vec::new();
        for provider in PROVIDERS {
            let key = format!("sk-{provider}-{:032x}", rand::random::<u128>());
            let url = format!("{}/api/v1/settings/provider-keys/{provider}", self.api);
            self.http.put(&url, &self.tenant.key, &json!({"key": key})).await?.good()?;
            keys.push((provider.to_owned(), key));
        }
        Ok(keys)
    }

    /// API keys with a budget for the day and one for the month, now the one and now the other the tighter.
    async fn bounded_keys(&self, count: usize) -> Outcome<Vec<BoundedKey>> {
        let mut keys = Vec::new();
        for number in 0..count {
            let scopes = ["runs:read", "runs:write"];
            let made = self.make("api-keys", &json!({"name": format!("bounded {number}"), "scopes": scopes})).await?;
            let id = made["api_key"]["id"].as_str().unwrap_or_default().to_owned();
            let key = made["key"].as_str().unwrap_or_default().to_owned();
            let tight = OF_KEY << number;
            let (day, month) = if number % 2 == 0 { (tight, tight * 5 / 4) } else { (tight * 5 / 4, tight) };
            for (period, limit) in [("day", day), ("month", month)] {
                let limit = format!("{}.{:06}", limit / 1_000_000, limit % 1_000_000);
                let body = json!({"api_key_id": id, "period": period, "limit_usd": limit});
                self.make("budgets", &body).await?;
            }
            keys.push(BoundedKey { id, key });
        }
        Ok(keys)
    }
}
