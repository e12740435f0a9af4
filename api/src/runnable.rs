//! What stands in the way of a run that a preset would start: everything that a submission would be refused for, and the
//! provider keys without which its calls would fail. Called by `presets`; `submit` asks for the key of a search.

use std::collections::BTreeSet;

use acm2_domain::error::FieldError;
use acm2_domain::ids::ProviderKeyId;
use acm2_domain::providers::find_provider;
use acm2_domain::run::ModelSpec;
use acm2_store::{TenantTx, provider_keys};

use crate::app::App;
use crate::material;
use crate::preset_body::KeptSpec;
use crate::problem::Failure;

/// The most that is told of one preset: whoever mends these sees the rest.
const MOST: usize = 20;

/// What is missing, 20 at most; empty for a request that can be run as it is.
pub(crate) async fn missing(tx: &TenantTx, app: &App, spec: &KeptSpec) -> Result<Vec<FieldError>, Failure> {
    let mut missing = all_missing(tx, app, spec).await?;
    missing.truncate(MOST);
    Ok(missing)
}

async fn all_missing(tx: &TenantTx, app: &App, spec: &KeptSpec) -> Result<Vec<FieldError>, Failure> {
    let Some(spec) = &spec.read() else { return Ok(vec![FieldError::new("", KeptSpec::UNREADABLE)]) };
    let found = material::find(tx, spec).await?;
    let compiled = match spec.compile_with(&app.prices, &found) {
        Ok(compiled) => compiled,
        Err(errors) => return Ok(errors),
    };
    let mut missing = compiled.check_prices(&app.prices).err().map(|error| error.fields).unwrap_or_default();
    let mut seen: BTreeSet<(&str, Option<ProviderKeyId>)> = BTreeSet::new();
    for (pointer, model) in compiled.asked_models() {
        if seen.insert((&model.provider, model.provider_key_id)) && !has_key(tx, model).await? {
            missing.push(FieldError::new(pointer, no_key(model)));
        }
    }
    Ok(spec.places_of(&compiled, missing))
}

/// Whether there is a key that a call to the model would be made with.
pub(crate) async fn has_key(tx: &TenantTx, model: &ModelSpec) -> Result<bool, Failure> {
    Ok(provider_keys::find_for_call(tx, &model.provider, model.provider_key_id).await?.is_some())
}

/// What is told where there is none.
pub(crate) fn no_key(model: &ModelSpec) -> String {
    let name = find_provider(&model.provider).map_or(&*model.provider, |provider| provider.name);
    match model.provider_key_id {
        Some(_) => format!("there is no such active key for {name}; name another or activate it"),
        None => format!(
            "there is no active default key for {name}; add one with PUT /api/v1/settings/provider-keys/{}, or make one that is \
             there the default",
            model.provider
        ),
    }
}
