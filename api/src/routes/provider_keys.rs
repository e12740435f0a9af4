//! `settings/provider-keys`: the tenant's own keys for LLM providers.

use std::sync::Arc;

use acm2_domain::error::{Error, FieldError};
use acm2_domain::ids::{ProviderKeyId, TenantId};
use acm2_domain::providers::{BaseUrl, Provider, find_provider};
use acm2_outbound::Target;
use acm2_store::provider_keys::{
    self as store, KeyStatus, NewProviderKey as NewRow, ProviderKeyChange, ProviderKeyRow,
};
use acm2_vault::data_key::DataKey;
use poem_openapi::OpenApi;
use poem_openapi::param::{Header, Path, Query};

use super::Tag;
use super::limits;
use super::page::Page;
use super::provider_key_bodies::{
    NewProviderKey, ProviderKey, ProviderKeyList, ProviderKeyPatch, ProviderKeyStatus, ProviderKeyTest,
    ProviderKeyUpsert, check_base_url,
};
use crate::auth::{Allowed, Caller, ProviderKeysRead, ProviderKeysWrite};
use crate::body::Body;
use crate::idempotency::Idempotency;
use crate::key_test;
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};
use crate::sealing;

/// `settings/provider-keys`.
pub(super) struct ProviderKeys;

#[OpenApi(prefix_path = "/api/v1/settings", tag = "Tag::ProviderKeys")]
impl ProviderKeys {
    /// Store a provider key.
    ///
    /// Needs the scope `provider-keys:write`. The key is sealed at once and never shown again.
    #[oai(path = "/provider-keys", method = "post", operation_id = "providerKeys.create")]
    async fn create(
        &self,
        caller: Allowed<ProviderKeysWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewProviderKey>,
    ) -> Result<Created<ProviderKey>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "providerKeys.create", name.as_deref(), &body.digest).await?;
        let new = body.value;
        let (tenant, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        check_place(&caller, &new.provider, new.base_url.as_deref(), &tenant.private_hosts)?;
        let id = ProviderKeyId::generate();
        let base_url = new.base_url.as_deref();
        let secret = sealing::provider_key(&data_key, caller.tenant, id, &new.provider, base_url, &new.key.0);
        let row = NewRow {
            id,
            provider: new.provider,
            label: new.label.unwrap_or_default(),
            secret,
            make_default: new.is_default.unwrap_or(false),
        };
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        if let Some(earlier) = idempotency.begin(&tx, now).await? {
            return Ok(Created::again(earlier.text).location(&path_of(earlier.subject.into())));
        }
        limits::refuse_beyond(store::count(&tx).await?, limits::PROVIDER_KEYS, "provider keys")?;
        let view = view(Some(&data_key), caller.tenant, store::insert(&tx, row, now).await?);
        idempotency.finish(&tx, id.uuid(), Some(&view)).await?;
        tx.commit().await?;
        Ok(Created::new(view).location(&path_of(id)))
    }

    /// Store or replace the key of a provider.
    ///
    /// Needs the scope `provider-keys:write`. Replaces the default key of the provider, or stores the first one.
    #[oai(path = "/provider-keys/:id", method = "put", operation_id = "providerKeys.put")]
    async fn put(
        &self,
        caller: Allowed<ProviderKeysWrite>,
        /// The provider's slug, such as `openai`.
        id: Path<String>,
        body: Body<ProviderKeyUpsert>,
    ) -> Result<Reply<ProviderKey>, Failure> {
        let provider = find_provider(&id.0).ok_or_else(unknown_provider)?;
        let new = body.value;
        refuse_wrong_base_url(provider, new.base_url.as_deref())?;
        let (tenant, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        check_place(&caller, provider.slug, new.base_url.as_deref(), &tenant.private_hosts)?;
        let seal = |id| {
            sealing::provider_key(&data_key, caller.tenant, id, provider.slug, new.base_url.as_deref(), &new.key.0)
        };
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        let present = store::list(&tx).await?.into_iter().find(|row| row.provider == provider.slug && row.is_default);
        let row = if let Some(row) = present {
            store::replace_secret(&tx, row.id, seal(row.id), now).await?;
            let change = ProviderKeyChange { label: new.label, is_active: Some(true), is_default: Some(true) };
            store::update(&tx, row.id, change, now).await?
        } else {
            limits::refuse_beyond(store::count(&tx).await?, limits::PROVIDER_KEYS, "provider keys")?;
            let id = ProviderKeyId::generate();
            let label = new.label.unwrap_or_default();
            let row = NewRow { id, provider: provider.slug.to_owned(), label, secret: seal(id), make_default: true };
            store::insert(&tx, row, now).await?
        };
        tx.commit().await?;
        Ok(Reply::new(view(Some(&data_key), caller.tenant, row)))
    }

    /// List provider keys.
    ///
    /// Needs the scope `provider-keys:read`. Newest first, masked.
    #[oai(path = "/provider-keys", method = "get", operation_id = "providerKeys.list")]
    async fn list(
        &self,
        caller: Allowed<ProviderKeysRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many keys a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<ProviderKeyList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let data_key = find_data_key(&caller).await?;
        let tx = caller.store().begin().await?;
        let mut rows = store::list(&tx).await?;
        tx.commit().await?;
        rows.retain(|row| page.after.is_none_or(|after| row.id.uuid() < after));
        rows.sort_by_key(|row| std::cmp::Reverse(row.id));
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        let items = rows.into_iter().map(|row| view(data_key.as_deref(), caller.tenant, row)).collect();
        Ok(Reply::new(ProviderKeyList { items, next_cursor }))
    }

    /// Get a provider key.
    ///
    /// Needs the scope `provider-keys:read`. Masked.
    #[oai(path = "/provider-keys/:id", method = "get", operation_id = "providerKeys.get")]
    async fn get(
        &self,
        caller: Allowed<ProviderKeysRead>,
        id: Path<ProviderKeyId>,
    ) -> Result<Reply<ProviderKey>, Failure> {
        let data_key = find_data_key(&caller).await?;
        let tx = caller.store().begin().await?;
        let row = store::get(&tx, id.0).await?;
        tx.commit().await?;
        Ok(Reply::new(view(data_key.as_deref(), caller.tenant, row)))
    }

    /// Change a provider key.
    ///
    /// Needs the scope `provider-keys:write`. Another base URL needs the key again, since a key is bound to the URL that it was
    /// given for.
    #[oai(path = "/provider-keys/:id", method = "patch", operation_id = "providerKeys.update")]
    async fn update(
        &self,
        caller: Allowed<ProviderKeysWrite>,
        id: Path<ProviderKeyId>,
        body: Body<ProviderKeyPatch>,
    ) -> Result<Reply<ProviderKey>, Failure> {
        let patch = body.value;
        let (tenant, data_key) = caller.app.tenant_and_key(caller.tenant).await?;
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        let row = store::get(&tx, id.0).await?;
        if let Some(key) = &patch.key {
            let base_url = patch.base_url.or(row.base_url.clone());
            let provider = find_provider(&row.provider).ok_or_else(unknown_provider)?;
            refuse_wrong_base_url(provider, base_url.as_deref())?;
            check_place(&caller, &row.provider, base_url.as_deref(), &tenant.private_hosts)?;
            let secret =
                sealing::provider_key(&data_key, caller.tenant, id.0, &row.provider, base_url.as_deref(), &key.0);
            store::replace_secret(&tx, id.0, secret, now).await?;
        }
        let change = ProviderKeyChange { label: patch.label, is_active: patch.is_active, is_default: patch.is_default };
        let row = store::update(&tx, id.0, change, now).await?;
        tx.commit().await?;
        Ok(Reply::new(view(Some(&data_key), caller.tenant, row)))
    }

    /// Delete a provider key.
    ///
    /// Needs the scope `provider-keys:write`. No other key becomes the default by it.
    #[oai(path = "/provider-keys/:id", method = "delete", operation_id = "providerKeys.delete")]
    async fn delete(&self, caller: Allowed<ProviderKeysWrite>, id: Path<ProviderKeyId>) -> Result<NoContent, Failure> {
        let tx = caller.store().begin().await?;
        store::delete(&tx, id.0).await?;
        tx.commit().await?;
        Ok(NoContent)
    }

    /// Test a provider key.
    ///
    /// Needs the scope `provider-keys:write`. Makes a real, cheap call to the provider and keeps what it says as the key's
    /// `status`.
    #[oai(path = "/provider-keys/:id/test", method = "post", operation_id = "providerKeys.test")]
    async fn test(
        &self,
        caller: Allowed<ProviderKeysWrite>,
        id: Path<ProviderKeyId>,
    ) -> Result<Reply<ProviderKeyTest>, Failure> {
        Ok(Reply::new(key_test::run(&caller, id.0).await?))
    }
}

fn path_of(id: ProviderKeyId) -> String {
    format!("/api/v1/settings/provider-keys/{id}")
}

fn unknown_provider() -> Failure {
    let field = FieldError::new("#path/id", "is not a provider; GET /api/v1/providers lists them");
    Failure::Domain(Error { fields: vec![field], ..Error::not_found("provider") })
}

fn refuse_wrong_base_url(provider: &Provider, base_url: Option<&str>) -> Result<(), Failure> {
    let mut errors = Vec::new();
    check_base_url(&mut errors, provider.base_url == BaseUrl::PerKey, base_url);
    if errors.is_empty() { Ok(()) } else { Err(Error::invalid(errors).into()) }
}

/// Whether this server offers the provider, and whether the operator allows the base URL.
fn check_place(
    caller: &Caller,
    provider: &str,
    base_url: Option<&str>,
    private_hosts: &[String],
) -> Result<(), Failure> {
    if let Some(text) = base_url {
        let checked = caller.app.outbound.check_tenant_base_url(text, private_hosts);
        return checked.map(|_| ()).map_err(|reason| Error::invalid(vec![FieldError::new("/base_url", reason)]).into());
    }
    let provider = find_provider(provider).ok_or_else(unknown_provider)?;
    let target = Target { provider, base_url: None, private_hosts: Vec::new() };
    Ok(caller.app.outbound.base_url(&target).map(|_| ())?)
}

/// The tenant's data key; `None` where this process does not hold its master key: lists must work all the same.
async fn find_data_key(caller: &Caller) -> Result<Option<Arc<DataKey>>, Failure> {
    let tenant = caller.app.store.tenants().get(caller.tenant).await?;
    Ok(caller.app.data_key(&tenant).ok())
}

/// The key as callers see it.
fn view(data_key: Option<&DataKey>, tenant: TenantId, row: ProviderKeyRow) -> ProviderKey {
    let decryptable = data_key.is_some_and(|data_key| sealing::open_provider_key(data_key, tenant, &row).is_some());
    ProviderKey {
        id: row.id,
        provider: row.provider,
        label: row.label,
        prefix: row.prefix,
        last4: row.last4,
        base_url: row.base_url,
        is_default: row.is_default,
        is_active: row.is_active,
        status: row.status.into(),
        status_detail: row.status_detail,
        tested_at: row.tested_at,
        last_used_at: row.last_used_at,
        decryptable,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

impl From<KeyStatus> for ProviderKeyStatus {
    fn from(status: KeyStatus) -> Self {
        match status {
            KeyStatus::Untested => Self::Untested,
            KeyStatus::Valid => Self::Valid,
            KeyStatus::Invalid => Self::Invalid,
            KeyStatus::Quota => Self::Quota,
        }
    }
}
