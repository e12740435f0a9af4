//! `api-keys`: make (shown once), list, get, change, revoke.

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::ApiKeyId;
use acm2_store::control::{ApiKeyChange, ApiKeyRow};
use acm2_store::{TenantTx, budgets};
use chrono::{DateTime, Utc};
use poem_openapi::param::{Header, Path, Query};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::Tag;
use super::limits;
use super::listing::list_of;
use super::page::Page;
use crate::api_keys::{NewKey, mint};
use crate::app::App;
use crate::auth::{Allowed, ApiKeysRead, ApiKeysWrite, Caller, Scope};
use crate::body::{Body, Check};
use crate::idempotency::Idempotency;
use crate::problem::Failure;
use crate::reply::{Created, NoContent, Reply};

/// An API key that shall be made.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApiKey {
    /// For people, 1 to 100 characters.
    pub name: String,
    /// What it may do; what the key of this request may do where absent. Never more than that.
    #[oai(skip_serializing_if_is_none)]
    pub scopes: Option<Vec<Scope>>,
    /// From when on it is refused, not later than the key of this request; where absent, when that key is, or never.
    #[oai(skip_serializing_if_is_none)]
    pub expires_at: Option<DateTime<Utc>>,
}

/// A change of an API key; what is left out stays.
#[derive(Debug, Deserialize, Object)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyPatch {
    /// For people, 1 to 100 characters.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// What it may do; never more than the key of this request.
    #[oai(skip_serializing_if_is_none)]
    pub scopes: Option<Vec<Scope>>,
    /// From when on it is refused, not later than the key of this request; null for never. An expiry that has passed stays.
    #[serde(default)]
    #[oai(default, skip_serializing_if = "MaybeUndefined::is_undefined")]
    pub expires_at: MaybeUndefined<DateTime<Utc>>,
}

impl Check for NewApiKey {
    fn check(&self, app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        check_name(&mut errors, &self.name);
        check_scopes(&mut errors, self.scopes.as_deref());
        check_expiry(&mut errors, self.expires_at, app);
        errors
    }
}

impl Check for ApiKeyPatch {
    fn check(&self, app: &App) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(name) = &self.name {
            check_name(&mut errors, name);
        }
        check_scopes(&mut errors, self.scopes.as_deref());
        check_expiry(&mut errors, self.expires_at.as_ref().take().copied(), app);
        errors
    }
}

fn check_name(errors: &mut Vec<FieldError>, name: &str) {
    let long = name.chars().count() > 100;
    if name.trim().is_empty() || long || name.chars().any(char::is_control) {
        errors.push(FieldError::new("/name", "must have 1 to 100 characters, none of them control characters"));
    }
}

fn check_scopes(errors: &mut Vec<FieldError>, scopes: Option<&[Scope]>) {
    if scopes.is_some_and(<[Scope]>::is_empty) {
        errors.push(FieldError::new("/scopes", "must name at least one scope"));
    }
    if scopes.is_some_and(|scopes| scopes.len() > Scope::EVERY.len()) {
        errors.push(FieldError::new("/scopes", "must name each scope once"));
    }
}

fn check_expiry(errors: &mut Vec<FieldError>, expires_at: Option<DateTime<Utc>>, app: &App) {
    if expires_at.is_some_and(|at| at <= app.clock.now()) {
        errors.push(FieldError::new("/expires_at", "must be a time to come; revoke the key to end it now"));
    }
}

/// An API key, masked.
#[derive(Debug, Serialize, Object)]
pub(super) struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// For people.
    pub name: String,
    /// How it begins.
    pub prefix: String,
    /// How it ends.
    pub last4: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// From when on it is refused.
    #[oai(skip_serializing_if_is_none)]
    pub expires_at: Option<DateTime<Utc>>,
    /// Since when it is refused for good.
    #[oai(skip_serializing_if_is_none)]
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, exact to a minute.
    #[oai(skip_serializing_if_is_none)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl From<ApiKeyRow> for ApiKey {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            last4: row.last4,
            scopes: row.scopes,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        }
    }
}

list_of! {
    /// A page of API keys, newest first, revoked ones too.
    ApiKeyList of ApiKey
}

/// A new API key, which is shown only now.
#[derive(Debug, Serialize, Object)]
pub(super) struct ApiKeyWithSecret {
    /// The key as lists show it.
    pub api_key: ApiKey,
    /// `acm2_…`: keep it, it is not shown again.
    pub key: String,
}

/// `api-keys`.
pub(super) struct ApiKeys;

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::ApiKeys")]
impl ApiKeys {
    /// Make an API key.
    ///
    /// Needs the scope `api-keys:write`, and `budgets:write` too where the key of this request has a budget. The key is shown only in this answer. A tenant has at most 200 keys that hold.
    #[oai(path = "/api-keys", method = "post", operation_id = "apiKeys.create")]
    async fn create(
        &self,
        caller: Allowed<ApiKeysWrite>,
        /// Your own name for this request, 1 to 255 characters.
        #[oai(name = "Idempotency-Key")]
        idempotency_key: Header<Option<String>>,
        body: Body<NewApiKey>,
    ) -> Result<Created<ApiKeyWithSecret>, Failure> {
        let name = idempotency_key.0;
        let idempotency = Idempotency::of(&caller, "apiKeys.create", name.as_deref(), &body.digest).await?;
        let scopes = match body.value.scopes {
            Some(scopes) => scopes,
            None => Scope::EVERY.iter().copied().filter(|scope| caller.scopes.holds(*scope)).collect(),
        };
        refuse_beyond(&caller, &scopes)?;
        let expires_at = body.value.expires_at.or(caller.expires_at);
        refuse_outliving(&caller, expires_at)?;
        let tx = caller.store().begin().await?;
        let now = caller.app.clock.now();
        idempotency.begin(&tx, now).await?;
        refuse_unbound(&caller, &tx).await?;
        let present = caller.app.store.api_keys().count_active(caller.tenant, now).await?;
        limits::refuse_beyond(present, limits::API_KEYS, "API keys that hold")?;
        let new = NewKey { name: body.value.name, scopes, expires_at };
        let (row, token) = mint(&caller.app, caller.tenant, new).await?;
        idempotency.finish::<ApiKey>(&tx, row.id.uuid(), None).await?;
        tx.commit().await?;
        let location = format!("/api/v1/api-keys/{}", row.id);
        let key = token.expose_secret().to_owned();
        Ok(Created::new(ApiKeyWithSecret { api_key: row.into(), key }).location(&location))
    }

    /// List API keys.
    ///
    /// Needs the scope `api-keys:read`. Newest first, masked.
    #[oai(path = "/api-keys", method = "get", operation_id = "apiKeys.list")]
    async fn list(
        &self,
        caller: Allowed<ApiKeysRead>,
        /// `next_cursor` of the page before.
        cursor: Query<Option<String>>,
        /// How many keys a page has, 1 to 100; 20 where absent.
        limit: Query<Option<u32>>,
    ) -> Result<Reply<ApiKeyList>, Failure> {
        let page = Page::new(cursor.0.as_deref(), limit.0)?;
        let before = page.after.map(ApiKeyId::from);
        let mut rows = caller.app.store.api_keys().list(caller.tenant, before, page.fetch()).await?;
        let next_cursor = page.cut(&mut rows, |row| row.id.uuid());
        Ok(Reply::new(ApiKeyList { items: rows.into_iter().map(ApiKey::from).collect(), next_cursor }))
    }

    /// Get an API key.
    ///
    /// Needs the scope `api-keys:read`.
    #[oai(path = "/api-keys/:api_key_id", method = "get", operation_id = "apiKeys.get")]
    async fn get(&self, caller: Allowed<ApiKeysRead>, api_key_id: Path<ApiKeyId>) -> Result<Reply<ApiKey>, Failure> {
        Ok(Reply::new(caller.app.store.api_keys().get(caller.tenant, api_key_id.0).await?.into()))
    }

    /// Change an API key.
    ///
    /// Needs the scope `api-keys:write`, and every scope that the key has. Holds from the next request on.
    #[oai(path = "/api-keys/:api_key_id", method = "patch", operation_id = "apiKeys.update")]
    async fn update(
        &self,
        caller: Allowed<ApiKeysWrite>,
        api_key_id: Path<ApiKeyId>,
        body: Body<ApiKeyPatch>,
    ) -> Result<Reply<ApiKey>, Failure> {
        let patch = body.value;
        let api_keys = caller.app.store.api_keys();
        let present = api_keys.get(caller.tenant, api_key_id.0).await?;
        if present.revoked_at.is_some() {
            let detail = "the key is revoked and stays so; make another one";
            return Err(Error::new(Kind::Conflict, "api_key_revoked", detail).into());
        }
        refuse_stronger(&caller, &present)?;
        let wanted: Option<Option<DateTime<Utc>>> = patch.expires_at.into();
        if let Some(expires_at) = wanted {
            if present.expires_at.is_some_and(|at| at <= caller.app.clock.now()) {
                let detail = "the key has expired and stays so; make another one";
                return Err(Error::new(Kind::Conflict, "api_key_expired", detail).into());
            }
            refuse_outliving(&caller, expires_at)?;
        }
        if let Some(scopes) = &patch.scopes {
            refuse_beyond(&caller, scopes)?;
        }
        let change = ApiKeyChange {
            name: patch.name,
            scopes: patch.scopes.map(|scopes| scopes.iter().map(ToString::to_string).collect()),
            expires_at: wanted,
        };
        Ok(Reply::new(api_keys.update(caller.tenant, api_key_id.0, change).await?.into()))
    }

    /// Revoke an API key.
    ///
    /// Needs the scope `api-keys:write`, and every scope that the key has. The next request with it is refused, on every process,
    /// for good. It stays in lists.
    #[oai(path = "/api-keys/:api_key_id", method = "delete", operation_id = "apiKeys.revoke")]
    async fn revoke(&self, caller: Allowed<ApiKeysWrite>, api_key_id: Path<ApiKeyId>) -> Result<NoContent, Failure> {
        let present = caller.app.store.api_keys().get(caller.tenant, api_key_id.0).await?;
        refuse_stronger(&caller, &present)?;
        caller.app.store.api_keys().revoke(caller.tenant, api_key_id.0, caller.app.clock.now()).await?;
        Ok(NoContent)
    }
}

/// A key is changed and revoked only by those that may do all that it may.
fn refuse_stronger(caller: &Caller, key: &ApiKeyRow) -> Result<(), Failure> {
    // A word that this version does not know is beyond all but those who may do everything.
    let beyond = key.scopes.iter().find(|word| {
        !word.parse().map_or_else(|_| caller.scopes.holds(Scope::All), |scope| caller.scopes.allow(scope))
    });
    match beyond {
        None => Ok(()),
        Some(word) => {
            let detail = format!(
                "that key has the scope {word}, which the API key of this request lacks, so it cannot touch it"
            );
            Err(Error::new(Kind::Forbidden, "scope_missing", detail).into())
        }
    }
}

/// A key that has a budget and may not change it makes no key that has none.
async fn refuse_unbound(caller: &Caller, tx: &TenantTx) -> Result<(), Failure> {
    if caller.scopes.allow(Scope::BudgetsWrite) || !budgets::is_bound(tx, caller.api_key).await? {
        return Ok(());
    }
    let detail = "the API key of this request has a budget, which another key would not have: that needs the scope \
                  budgets:write";
    Err(Error::new(Kind::Forbidden, "scope_missing", detail).into())
}

/// A key makes and leaves none that holds longer than itself.
fn refuse_outliving(caller: &Caller, expires_at: Option<DateTime<Utc>>) -> Result<(), Failure> {
    let Some(own) = caller.expires_at else { return Ok(()) };
    if expires_at.is_some_and(|at| at <= own) {
        return Ok(());
    }
    let detail = "must not be later than the expiry of the API key of this request";
    Err(Error::invalid(vec![FieldError::new("/expires_at", detail)]).into())
}

fn refuse_beyond(caller: &Caller, scopes: &[Scope]) -> Result<(), Failure> {
    match caller.scopes.first_beyond(scopes) {
        None => Ok(()),
        Some(scope) => {
            let detail =
                format!("the API key of this request lacks the scope {scope}, so it cannot give it to another");
            Err(Error::new(Kind::Forbidden, "scope_missing", detail).into())
        }
    }
}
