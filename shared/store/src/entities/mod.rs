//! Tables of a tenant's store that hold settings and keys. They never leave the crate.

pub(crate) mod idempotency_key;
pub(crate) mod provider_key;
pub(crate) mod signing_secret;
pub(crate) mod webhook_endpoint;
