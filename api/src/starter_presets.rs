//! The three presets that a new tenant finds: compare, the full pipeline, a council. They are the tenant's own from then on. Called
//! by `tenants`.

use acm2_domain::ids::{PresetId, TenantId};
use acm2_domain::providers::find_provider;
use acm2_domain::run::NewRun;
use acm2_outbound::Target;
use acm2_store::StoreError;
use acm2_store::library::items::{self, ItemKind, NewItem};
use acm2_store::library::versions;
use serde_json::{Value, json};

use crate::app::App;
use crate::preset_body::{KeptSpec, PresetBody};

/// What is asked until somebody asks something else.
const QUESTION: &str = "Why is the sky blue? Answer in five sentences that a child understands.";

/// Who answers and who judges.
struct Cast {
    models: [&'static str; 3],
    judges: &'static [&'static str],
    chair: &'static str,
}

/// One of each of the three large providers, small enough that a first run costs little.
const PROVIDERS: Cast = Cast {
    models: ["openai/gpt-5.6-luna", "anthropic/claude-haiku-5-5", "google/gemini-3.8-flash"],
    judges: &["openai/gpt-5.6-luna", "anthropic/claude-haiku-5-5", "google/gemini-3.8-flash"],
    chair: "anthropic/claude-haiku-5-5",
};

/// Where the sandbox is offered: whoever has no key yet sees whole runs.
const SANDBOX: Cast = Cast {
    models: ["sandbox/echo", "sandbox/size-1k", "sandbox/judge"],
    judges: &["sandbox/judge", "sandbox/judge-2"],
    chair: "sandbox/echo",
};

/// Stores them; all or none.
pub(crate) async fn add(app: &App, tenant: TenantId) -> Result<(), StoreError> {
    let sandbox =
        find_provider("sandbox").map(|provider| Target { provider, base_url: None, private_hosts: Vec::new() });
    let cast = if sandbox.is_some_and(|target| app.outbound.base_url(&target).is_ok()) { SANDBOX } else { PROVIDERS };
    let tx = app.store.tenant(tenant).begin().await?;
    // The newest stands first in lists.
    for (name, description, body) in presets(&cast).into_iter().rev() {
        let spec: NewRun = serde_json::from_value(body).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let body = &PresetBody { spec: KeptSpec::from(&spec) };
        let new = NewItem { kind: ItemKind::Preset, id: PresetId::generate().uuid(), name, description, body };
        let row = items::insert(&tx, new, app.clock.now()).await?;
        versions::add(&tx, &row, 1).await?;
    }
    tx.commit().await
}

fn presets(cast: &Cast) -> [(&'static str, &'static str, Value); 3] {
    let Cast { models, judges, chair } = cast;
    [
        (
            "Compare",
            "Three models answer; judges score all answers by criteria and compare them in pairs.",
            json!({
                "prompt": QUESTION, "models": models,
                "stages": {"evaluate": {"judges": judges}, "pairwise": {}},
            }),
        ),
        (
            "Full pipeline",
            "Three models answer twice; judges score all answers and compare the best four; one model merges the best two, and \
             judges compare what it wrote with these.",
            json!({
                "prompt": QUESTION, "models": models, "iterations": 2,
                "stages": {
                    "evaluate": {"judges": judges},
                    "pairwise": {"top_n": 4},
                    "combine": {"models": [chair]},
                    "final_pairwise": {},
                },
            }),
        ),
        (
            "Council",
            "Three models answer; reviewers rank the answers without being told who wrote them; a chair speaks for all.",
            json!({
                "prompt": QUESTION, "models": models,
                "stages": {"review": {"reviewers": judges}}, "council": {"chair": chair},
            }),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use acm2_domain::prices::Prices;

    use super::*;

    #[test]
    fn each_can_be_run_and_has_a_known_cost() {
        for (name, description, body) in presets(&PROVIDERS).into_iter().chain(presets(&SANDBOX)) {
            assert!(description.len() < 2_000);
            let spec: NewRun = serde_json::from_value(body).unwrap();
            let spec = spec.compile(&Prices::built_in()).unwrap_or_else(|errors| panic!("{name}: {errors:?}"));
            let estimate = acm2_domain::estimate::estimate(&spec, &Prices::built_in());
            assert!(estimate.high_usd.is_some(), "{name}: {estimate:?}");
        }
    }
}
