//! The caller of a request: an API key whose row was read for this very request, so that revocation, expiry and scopes are
//! exact at once. Only the right answer of argon2 is remembered (`VerifyCache`).

use std::marker::PhantomData;

use acm2_domain::error::{Error, Kind};
use acm2_domain::ids::{ApiKeyId, TenantId};
use acm2_store::Tenant;
use acm2_store::control::ApiKeyRow;
use acm2_vault::api_key::ApiKeyToken;
use chrono::{DateTime, TimeDelta, Utc};
use poem::http::HeaderMap;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use secrecy::ExposeSecret;

use super::credential;
use super::scope::{Needs, Scope, Scopes};
use crate::app::App;
use crate::middleware::{InFlightPermit, RequestContext};
use crate::problem::Failure;

/// `last_used_at` of a key is exact to this.
const LAST_USED_STEP: TimeDelta = TimeDelta::minutes(1);

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The process's parts.
    pub app: App,
    /// Whose data it may see.
    pub tenant: TenantId,
    /// The key that it came with.
    pub api_key: ApiKeyId,
    /// What that key may do.
    pub scopes: Scopes,
    /// From when on that key is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// The request's place among those that are answered.
    pub in_flight: InFlightPermit,
}

impl Caller {
    /// The door to the caller's own data, the only data that it can reach.
    pub fn store(&self) -> Tenant {
        self.app.store.tenant(self.tenant)
    }

    /// Whose conversations it sees; `None` for those of every key.
    pub(crate) fn conversations_of(&self) -> Option<ApiKeyId> {
        (!self.scopes.allow(Scope::All)).then_some(self.api_key)
    }

    async fn of(request: &Request) -> Result<Self, Failure> {
        let app = request.data::<App>().ok_or_else(crate::app::missing)?.clone();
        let key = find_key(&app, request.headers()).await?;
        let now = app.clock.now();
        if let Err(error) = app.store.api_keys().touch_last_used(&key, now, LAST_USED_STEP).await {
            tracing::warn!(%error, "the last use of an API key was not noted");
        }
        // Already set only where a request is authenticated twice, and then to the same tenant.
        let _ = RequestContext::of(request).tenant.set(key.tenant);
        Ok(Self {
            app,
            tenant: key.tenant,
            api_key: key.id,
            scopes: Scopes::from_words(&key.scopes),
            expires_at: key.expires_at,
            in_flight: InFlightPermit::of(request),
        })
    }
}

/// The tenant of the key in a request's headers, before anything of the request is taken.
///
/// # Errors
/// Those of every request whose key does not hold.
pub async fn tenant_of(app: &App, headers: &HeaderMap) -> Result<TenantId, Failure> {
    find_key(app, headers).await.map(|key| key.tenant)
}

/// The row of the key in a request's headers, if that key holds now.
async fn find_key(app: &App, headers: &HeaderMap) -> Result<ApiKeyRow, Failure> {
    let secret = credential::find(headers)?;
    let token = ApiKeyToken::parse(secret.expose_secret()).map_err(|_| credential::invalid())?;
    let found = app.store.api_keys().find_by_public_id(token.public_id()).await?;
    let key = found.ok_or_else(credential::invalid)?;
    let now = app.clock.now();
    let holds = key.revoked_at.is_none() && key.expires_at.is_none_or(|expires_at| now < expires_at);
    if !app.verified.verify(&token, &key.hash) || !holds {
        return Err(credential::invalid().into());
    }
    Ok(key)
}

/// A caller whose key has the scope `S`. As an argument of a handler it stands first: who may not do a thing learns nothing
/// about how it is done.
#[derive(Debug)]
pub struct Allowed<S> {
    caller: Caller,
    scope: PhantomData<S>,
}

impl<S> std::ops::Deref for Allowed<S> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<'a, S: Needs> ApiExtractor<'a> for Allowed<S> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let header = |name, description| MetaSecurityScheme {
            ty: "apiKey",
            description: Some(description),
            name: Some(name),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme("ApiKey", header("X-ACM2-API-Key", "An API key, `acm2_…`."));
        registry.create_security_scheme("ApiKeyAlias", header("X-API-Key", "The same under a common name."));
        let bearer = MetaSecurityScheme {
            ty: "http",
            description: Some("The same as a bearer token."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: Some("acm2_…"),
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme("Bearer", bearer);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec!["ApiKey", "ApiKeyAlias", "Bearer"]
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let caller = Caller::of(request).await?;
        if !caller.scopes.allow(S::SCOPE) {
            let detail = format!("the API key lacks the scope {}", S::SCOPE);
            return Err(Failure::from(Error::new(Kind::Forbidden, "scope_missing", detail)).into());
        }
        Ok(Self { caller, scope: PhantomData })
    }
}
