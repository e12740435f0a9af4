//! The three HTTP clients of a process. They differ in what they may connect to and share no connection, so that a connection
//! to an allow-listed private host never serves a tenant without that allowance. `sender` and `webhooks` choose among them.

use std::sync::Arc;

use reqwest::{Certificate, Client, ClientBuilder, redirect, retry};

use crate::OutboundOptions;
use crate::guard::{GuardedResolver, SystemLookup};

/// Why the clients could not be made: no TLS, or no root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be made: {0}")]
pub struct OpenError(#[from] reqwest::Error);

/// The clients.
pub(crate) struct Clients {
    /// For the providers' own base URLs: `https` only.
    pub(crate) fixed: Client,
    /// For what an operator has set or listed: any address, `http` too.
    pub(crate) exempt: Client,
    /// For what a tenant has chosen: public addresses only.
    pub(crate) guarded: Client,
}

impl Clients {
    pub(crate) fn open(options: &OutboundOptions) -> Result<Self, OpenError> {
        Self::open_with(options, SystemLookup)
    }

    pub(crate) fn open_with(options: &OutboundOptions, lookup: impl crate::guard::Lookup) -> Result<Self, OpenError> {
        // Fails where the process has a provider already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let resolver = Arc::new(GuardedResolver(Arc::new(lookup)));
        Ok(Self {
            fixed: builder(options)?.https_only(true).build()?,
            exempt: builder(options)?.build()?,
            guarded: builder(options)?.dns_resolver(resolver).build()?,
        })
    }
}

fn builder(options: &OutboundOptions) -> Result<ClientBuilder, OpenError> {
    // The machine's roots (a company may have its own) and Mozilla's, for images that bring none.
    let mozilla = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|root| Certificate::from_der(root))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Client::builder()
        .user_agent(concat!("acm2/", env!("CARGO_PKG_VERSION")))
        // reqwest would send `x-api-key` and the prompt on to another host.
        .redirect(redirect::Policy::none())
        .referer(false)
        // A proxy would resolve names itself, past the guard.
        .no_proxy()
        // The Journal owns the only retry loop.
        .retry(retry::never())
        .tls_certs_merge(mozilla)
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(options.pool_idle_timeout)
        .tcp_keepalive(options.connect_timeout * 3))
}
