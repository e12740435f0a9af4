//! Reading one page: each hop guarded and asked of robots.txt, bounded in time and size. `Outbound::fetch_page` calls it.

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::web::page_url;
use http::header::{ACCEPT, LOCATION, USER_AGENT};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::content::{self, PageKind};
use super::robots::{self, Robots};
use super::robots_cache::RobotsCache;
use crate::clients::Clients;
use crate::exchange::{refused_by_guard, root_cause};
use crate::guard::{HostUse, Refused, lists_host, refuse_private_literal};

/// As many redirects are followed.
const MOST_REDIRECTS: usize = 5;
const AGENT: &str = concat!("acm2-research/", env!("CARGO_PKG_VERSION"));

/// What bounds the reading of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// All of it together: robots.txt, redirects, the page.
    pub deadline: Duration,
    /// The most bytes, after decompression. Of a text or an HTML page the rest is left; a longer PDF is not read.
    pub bytes: usize,
}

/// A page as it came.
#[derive(Debug)]
pub struct FetchedPage {
    /// Where it stood, after redirects.
    pub url: Url,
    /// What it is.
    pub kind: PageKind,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// A page cannot be read; why, in words for the tenant that hold nothing of what the host said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

impl Unavailable {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// One page's reading.
pub(crate) struct Fetch<'a> {
    pub(crate) clients: &'a Clients,
    pub(crate) robots: &'a RobotsCache,
    /// The hosts with private addresses that the operator allows this tenant to read pages of.
    pub(crate) private_hosts: &'a [String],
    pub(crate) until: Instant,
    pub(crate) bytes: usize,
}

impl Fetch<'_> {
    pub(crate) async fn page(&self, url: &str) -> Result<FetchedPage, Unavailable> {
        let mut url = page_url(url).ok_or_else(|| Unavailable::new("the address is not one of a web page"))?;
        for _ in 0..=MOST_REDIRECTS {
            if !self.robots_of(&url).await?.allow(&url[Position::BeforePath..]) {
                return Err(Unavailable::new("the site's robots.txt does not let this page be read"));
            }
            let response = self.get(&url, content::ACCEPT).await?;
            let status = response.status();
            if status.is_redirection() {
                url = target(&url, response.headers())
                    .ok_or_else(|| Unavailable::new("the page redirects to what is no web page"))?;
                continue;
            }
            if !status.is_success() {
                return Err(Unavailable(format!("the site answered {}", status.as_u16())));
            }
            let kind = PageKind::of(response.headers())
                .ok_or_else(|| Unavailable::new("the page is neither HTML nor text nor PDF"))?;
            let (body, whole) = self.read(response, self.bytes).await?;
            if !whole && !kind.can_be_cut() {
                return Err(Unavailable(format!("the file is larger than {} bytes", self.bytes)));
            }
            return Ok(FetchedPage { url, kind, body });
        }
        Err(Unavailable(format!("the page redirects more than {MOST_REDIRECTS} times")))
    }

    /// What the site of a URL lets robots read.
    async fn robots_of(&self, url: &Url) -> Result<Arc<Robots>, Unavailable> {
        let origin = url.origin().ascii_serialization();
        // Whether we may ask at all does not depend on who asked before.
        self.check(url)?;
        if let Some(known) = self.robots.find(&origin) {
            return Ok(known);
        }
        let Ok(mut place) = url.join("/robots.txt") else { return Ok(Arc::new(Robots::Unreachable)) };
        for _ in 0..=MOST_REDIRECTS {
            let said = match self.get(&place, "text/plain").await {
                Ok(response) if response.status().is_redirection() => match target(&place, response.headers()) {
                    Some(next) => {
                        place = next;
                        continue;
                    }
                    None => Robots::absent(),
                },
                Ok(response) if response.status().is_success() => match self.read(response, robots::MOST_BYTES).await {
                    Ok((file, _)) => Robots::parse(&file),
                    // Ours, not the site's: others are not to be told of it.
                    Err(_) => return Ok(Arc::new(Robots::Unreachable)),
                },
                Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => Robots::Unreachable,
                // "Unavailable", by the RFC: there is no such file, so nothing is forbidden.
                Ok(response) if response.status().is_client_error() => Robots::absent(),
                Ok(_) => Robots::Unreachable,
                // A deadline of this page, a refusal of our guard, a connection that broke: others are not to be told of it.
                Err(_) => return Ok(Arc::new(Robots::Unreachable)),
            };
            return Ok(self.robots.keep(origin, said));
        }
        Ok(self.robots.keep(origin, Robots::absent()))
    }

    /// Whether a host may be asked, as far as its URL tells; whether the client may go to private addresses.
    fn check(&self, url: &Url) -> Result<bool, Unavailable> {
        if lists_host(self.private_hosts, url, HostUse::Page) {
            return Ok(true);
        }
        refuse_private_literal(url).map_err(|refused| Unavailable(refused.to_string()))?;
        // A port of its own is more often another service than a web site.
        if url.port().is_some() {
            return Err(Unavailable::new("the page is at a port of its own, and only the usual ones are read"));
        }
        Ok(false)
    }

    /// One request, without following where it leads.
    async fn get(&self, url: &Url, accept: &str) -> Result<Response, Unavailable> {
        let client = if self.check(url)? { &self.clients.exempt } else { &self.clients.guarded };
        let sending = client.get(url.clone()).header(USER_AGENT, AGENT).header(ACCEPT, accept).send();
        match timeout_at(self.until, sending).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(not_answered(error)),
            Err(_) => Err(late()),
        }
    }

    /// The body up to a size, and whether that was all.
    async fn read(&self, mut response: Response, most: usize) -> Result<(Vec<u8>, bool), Unavailable> {
        let mut body = Vec::new();
        loop {
            let chunk = match timeout_at(self.until, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok((body, true)),
                Ok(Err(error)) => return Err(not_answered(error)),
                Err(_) => return Err(late()),
            };
            let room = most - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                return Ok((body, false));
            }
        }
    }
}

/// Where a redirect leads.
fn target(from: &Url, headers: &HeaderMap) -> Option<Url> {
    let location = crate::providers::text_header(headers, LOCATION.as_str())?;
    page_url(from.join(location).ok()?.as_str())
}

fn late() -> Unavailable {
    Unavailable::new("the site did not answer within the time allowed")
}

fn not_answered(error: reqwest::Error) -> Unavailable {
    let error = error.without_url();
    if refused_by_guard(&error) {
        Unavailable(Refused.to_string())
    } else if error.is_connect() {
        Unavailable(format!("no connection to the site: {}", root_cause(&error)))
    } else {
        Unavailable(format!("the connection was cut: {}", root_cause(&error)))
    }
}
