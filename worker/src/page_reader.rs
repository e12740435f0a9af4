//! Finding the text of pages that are HTML or PDF. Whoever starts the worker brings the way: such pages are hostile, and no parser
//! of them runs in a process that holds a key.

use std::fmt;
use std::sync::Arc;

use acm2_domain::ids::TenantId;
use acm2_outbound::PageKind;
use futures_util::future::BoxFuture;

type Read = dyn Fn(TenantId, PageKind, Vec<u8>) -> BoxFuture<'static, Result<String, String>> + Send + Sync;

/// How the text of a tenant's page is found: the text, or why there is none, in words for the tenant.
#[derive(Clone)]
pub struct PageReader(Arc<Read>);

impl PageReader {
    /// Reads pages in this way.
    pub fn new(
        read: impl Fn(TenantId, PageKind, Vec<u8>) -> BoxFuture<'static, Result<String, String>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) async fn text(&self, tenant: TenantId, kind: PageKind, body: Vec<u8>) -> Result<String, String> {
        match kind {
            PageKind::Text => Ok(String::from_utf8_lossy(&body).into_owned()),
            PageKind::Html | PageKind::Pdf => (self.0)(tenant, kind, body).await,
        }
    }
}

impl fmt::Debug for PageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageReader")
    }
}
