//! THE sender: one attempt of a call, from the neutral call to the neutral answer or error. The worker's Journal calls it and
//! owns the retries; the API tests keys and checks base URLs with it. It never sees a run, a tenant or a lane.

use std::fmt;
use std::time::{Duration, Instant};

use acm2_domain::artifact::MOST_ARTIFACT_BYTES;
use acm2_domain::call::{Answer, Call, CallError, ErrorClass};
use acm2_domain::error::Error;
use acm2_domain::ids::AttemptId;
use acm2_domain::providers::{BaseUrl, Provider, Wire};
use http::HeaderValue;
use reqwest::Client;
use secrecy::SecretString;
use url::Url;

use crate::base_url::{self, Target, Trust};
use crate::clients::{Clients, OpenError};
use crate::exchange::{Bounds, Received, exchange};
use crate::key_test::KeyTest;
use crate::providers::{self, HttpRequest};
use crate::redact::Redactor;
use crate::web::{Fetch, FetchedPage, HostsPace, PageLimits, RobotsCache, Unavailable};
use crate::webhooks::{self, WebhookOutcome, WebhookRequest};
use crate::{OutboundOptions, key_test};

/// The most bytes of an answer of a host that a tenant has chosen: such a host may be hostile, and no text is longer.
const MOST_BYTES_OF_TENANTS_HOSTS: usize = 4 * 1024 * 1024;

/// The most bytes of an answer that holds an image: the largest artifact in base64, and what stands around it.
const MOST_BYTES_WITH_AN_IMAGE: usize = MOST_ARTIFACT_BYTES.div_ceil(3) * 4 + 256 * 1024;

/// Where a call goes, and what is believed of its answer.
struct Place<'a> {
    base_url: Url,
    client: &'a Client,
    /// The most bytes of the answer.
    bytes: usize,
    /// An error that is not JSON keeps its status and loses its text: a tenant has chosen the host, it is a private one, and what
    /// stands there may not be an LLM server.
    withholds_text: bool,
}

/// The door to the outside. One per process: it holds the pools of connections.
pub struct Outbound {
    clients: Clients,
    options: OutboundOptions,
    robots: RobotsCache,
    pace: HostsPace,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Outbound {
    /// Makes the HTTP clients. Fails where no root certificates can be loaded.
    pub fn new(options: OutboundOptions) -> Result<Self, OpenError> {
        let clients = Clients::open(&options)?;
        Ok(Self { clients, options, robots: RobotsCache::default(), pace: HostsPace::default() })
    }

    /// ONE attempt, no retry. It ends within `deadline` or the call's own timeout, whichever is shorter. Dropping the future
    /// closes the connection. The key is used for this attempt and zeroized; no text of the result holds it.
    pub async fn call(
        &self,
        target: &Target,
        key: SecretString,
        call: &Call,
        attempt: AttemptId,
        deadline: Duration,
    ) -> Result<Answer, CallError> {
        let provider = target.provider;
        let redactor = Redactor::new(&key);
        let started = Instant::now();
        let prepared = self.place_of(target, call).map(|(place, wire)| {
            let mut request = providers::encode(provider, wire, call, &place.base_url);
            if let (Some(name), Ok(id)) = (provider.quirks.attempt_header, HeaderValue::from_str(&attempt.to_string()))
            {
                request.headers.insert(name, id);
            }
            (place, wire, request)
        });
        let answer = match prepared {
            Ok((place, wire, request)) => {
                let deadline = deadline.min(call.timeout);
                self.exchange(&place, provider, request, &key, deadline).await.and_then(|received| {
                    providers::decode(provider, wire, received.status, &received.headers, &received.body)
                })
            }
            Err(error) => Err(error),
        };
        let latency = started.elapsed();
        let duration_ms = latency.as_millis() as u64;
        match answer {
            Ok(answer) => {
                tracing::debug!(attempt.id = %attempt, provider = provider.slug, duration_ms, "provider answered");
                Ok(Answer { latency, ..redactor.answer(answer) })
            }
            Err(error) => {
                let class = error.class;
                let status = error.http_status;
                tracing::debug!(attempt.id = %attempt, provider = provider.slug, duration_ms, ?class, ?status, "attempt failed");
                Err(redactor.error(error))
            }
        }
    }

    /// Asks the provider, by a cheap call, whether it accepts a key.
    pub async fn test_key(&self, target: &Target, key: SecretString) -> KeyTest {
        let started = Instant::now();
        let tested = match self.place(target) {
            Ok(place) => {
                let request = providers::encode_key_test(target.provider, &place.base_url);
                let deadline = self.options.key_test_timeout;
                self.exchange(&place, target.provider, request, &key, deadline)
                    .await
                    .and_then(|received| providers::decode_key_test(received.status, &received.headers, &received.body))
            }
            Err(error) => Err(error),
        };
        key_test::verdict(tested.map_err(|error| Redactor::new(&key).error(error)), started.elapsed())
    }

    /// Where calls of a target go. Refused where a key brings a base URL that the operator's lists do not allow
    /// (`base_url_refused`), and where the operator has set none (`provider_not_offered`).
    pub fn base_url(&self, target: &Target) -> Result<Url, Error> {
        base_url::resolve(&self.options, target).map(|(url, _)| url)
    }

    /// Checks a base URL that a tenant wants to store with a key. `private_hosts` are the ones that the operator allows this
    /// tenant. The error completes "the base URL …" and never echoes the value. What a name resolves to is checked when a call
    /// connects.
    pub fn check_tenant_base_url(&self, text: &str, private_hosts: &[String]) -> Result<Url, String> {
        base_url::resolve_tenant_url(&self.options, text, private_hosts).map(|(url, _)| url)
    }

    /// One attempt to deliver a webhook, signed and guarded.
    pub async fn send_webhook(&self, request: WebhookRequest<'_>) -> WebhookOutcome {
        webhooks::send(&self.clients, request).await
    }

    /// Reads a page of the web, from a public address or a host that `private_hosts` list for pages. A page that cannot be read is
    /// nobody's fault, so the error is a reason and no more.
    pub async fn fetch_page(
        &self,
        url: &str,
        private_hosts: &[String],
        limits: PageLimits,
    ) -> Result<FetchedPage, Unavailable> {
        let until = tokio::time::Instant::now() + limits.deadline;
        let (clients, robots, pace) = (&self.clients, &self.robots, &self.pace);
        Fetch { clients, robots, pace, private_hosts, until, patience: limits.deadline, bytes: limits.bytes }
            .page(url)
            .await
    }

    /// Where a call goes, and over which wire.
    fn place_of(&self, target: &Target, call: &Call) -> Result<(Place<'_>, Wire), CallError> {
        let place = self.place(target)?;
        let wire = providers::wire_of(target.provider, call)
            .ok_or_else(|| CallError::unsent(ErrorClass::ProviderRequest, "this provider is not asked for images"))?;
        let most = if call.image.is_some() { MOST_BYTES_WITH_AN_IMAGE } else { usize::MAX };
        Ok((Place { bytes: place.bytes.min(most), ..place }, wire))
    }

    fn place(&self, target: &Target) -> Result<Place<'_>, CallError> {
        let (base_url, trust) = base_url::resolve(&self.options, target)
            .map_err(|error| CallError::unsent(ErrorClass::ProviderRequest, error.detail))?;
        let client = match trust {
            Trust::Fixed => &self.clients.fixed,
            Trust::Exempt => &self.clients.exempt,
            Trust::Guarded => &self.clients.guarded,
        };
        let by_tenant = target.provider.base_url == BaseUrl::PerKey;
        let bytes = self.options.max_response_bytes;
        Ok(Place {
            base_url,
            client,
            bytes: if by_tenant { bytes.min(MOST_BYTES_OF_TENANTS_HOSTS) } else { bytes },
            withholds_text: by_tenant && trust == Trust::Exempt,
        })
    }

    async fn exchange(
        &self,
        place: &Place<'_>,
        provider: &Provider,
        mut request: HttpRequest,
        key: &SecretString,
        deadline: Duration,
    ) -> Result<Received, CallError> {
        providers::authorize(provider.wire, &mut request.headers, key)
            .map_err(|error| CallError::unsent(ErrorClass::ProviderAuth, error.to_string()))?;
        let bounds = Bounds { deadline, idle: self.options.idle_read_timeout, bytes: place.bytes };
        let mut received = exchange(place.client, request, bounds).await?;
        if place.withholds_text && !received.status.is_success() && !providers::is_json(&received.body) {
            received.body.clear();
        }
        Ok(received)
    }
}
