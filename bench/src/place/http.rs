//! A caller of the HTTP API.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::outcome::Outcome;

/// A client that keeps its connections.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// A text of the body; empty where it is not there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap_or_default()
    }

    /// The body, if the status says that all went well.
    pub(crate) fn good(self) -> Outcome<Value> {
        if (200..300).contains(&self.status) {
            return Ok(self.body);
        }
        Err(format!("{}: {}", self.status, self.body).into())
    }
}

impl Http {
    pub(crate) fn new(timeout: Duration) -> Outcome<Self> {
        // Fails where it was done before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().timeout(timeout).pool_max_idle_per_host(256).build()?;
        Ok(Self { client })
    }

    /// One request; an error is one of the connection.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: &str,
        key: &str,
        body: Option<&Value>,
        idempotency_key: Option<&str>,
    ) -> Outcome<Answer> {
        let mut request = self.client.request(method, url).header("X-ACM2-API-Key", key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(idempotency_key) = idempotency_key {
            request = request.header("Idempotency-Key", idempotency_key);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.bytes().await?;
        Ok(Answer { status, body: serde_json::from_slice(&text).unwrap_or(Value::Null) })
    }

    pub(crate) async fn get(&self, url: &str, key: &str) -> Outcome<Answer> {
        self.send(Method::GET, url, key, None, None).await
    }

    pub(crate) async fn post(&self, url: &str, key: &str, body: &Value) -> Outcome<Answer> {
        self.send(Method::POST, url, key, Some(body), None).await
    }

    pub(crate) async fn put(&self, url: &str, key: &str, body: &Value) -> Outcome<Answer> {
        self.send(Method::PUT, url, key, Some(body), None).await
    }
}
