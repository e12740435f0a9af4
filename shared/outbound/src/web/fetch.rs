//! Reading one page: each hop guarded and asked of robots.txt, bounded in time and size. `Outbound::fetch_page` calls it.

use std::sync::Arc;
use std::time::Duration;

use acm2_domain::web::page_url;
use http::header::{ACCEPT, LOCATION, USER_AGENT};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use url::{Position, Url};

use super::content::{self, PageKind};
use super::hosts_pace::HostsPace;
use super::robots::{self, Robots};
use super::robots_cache::{RobotsCache, Site, SiteKey};
use crate::clients::Clients;
use crate::exchange::{refused_by_guard, root_cause};
use crate::guard::{HostUse, Refused, lists_host, refuse_private_literal};

/// As many redirects are followed.
const MOST_REDIRECTS: usize = 5;
const AGENT: &str = concat!("acm2-research/", env!("CARGO_PKG_VERSION"));

/// What bounds the reading of a page.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// All of it together: robots.txt, redirects, the page. A page waits as long again at most for others of its site, which does not
    /// count.
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
    pub(crate) pace: &'a HostsPace,
    /// The hosts with private addresses that the operator allows this tenant to read pages of.
    pub(crate) private_hosts: &'a [String],
    pub(crate) until: Instant,
    /// How long it may wait yet for others that read pages of the same sites.
    pub(crate) patience: Duration,
    pub(crate) bytes: usize,
}

/// An answer whose body is yet to be read: until then its request is under way.
struct Answered {
    response: Response,
    _turn: OwnedSemaphorePermit,
}

impl Fetch<'_> {
    pub(crate) async fn page(mut self, url: &str) -> Result<FetchedPage, Unavailable> {
        let mut url = page_url(url).ok_or_else(|| Unavailable::new("the address is not one of a web page"))?;
        for _ in 0..=MOST_REDIRECTS {
            let site = self.site_of(&url).await?;
            if !site.robots.allow(&url[Position::BeforePath..]) {
                return Err(Unavailable::new("the site's robots.txt does not let this page be read"));
            }
            self.pause(&site).await?;
            let turn = self.turn_at(&url).await?;
            let answered = self.send(&url, content::ACCEPT, turn).await?;
            let (status, headers) = (answered.response.status(), answered.response.headers());
            if status.is_redirection() {
                url = target(&url, headers)
                    .ok_or_else(|| Unavailable::new("the page redirects to what is no web page"))?;
                continue;
            }
            if !status.is_success() {
                return Err(Unavailable(format!("the site answered {}", status.as_u16())));
            }
            let kind =
                PageKind::of(headers).ok_or_else(|| Unavailable::new("the page is neither HTML nor text nor PDF"))?;
            let (body, whole) = self.read(answered, self.bytes).await?;
            if !whole && !kind.can_be_cut() {
                return Err(Unavailable(format!("the file is larger than {} bytes", self.bytes)));
            }
            return Ok(FetchedPage { url, kind, body });
        }
        Err(Unavailable(format!("the page redirects more than {MOST_REDIRECTS} times")))
    }

    /// What the site of a URL lets robots do.
    async fn site_of(&mut self, url: &Url) -> Result<Arc<Site>, Unavailable> {
        // Whether we may ask at all does not depend on who asked before.
        let is_exempt = self.check(url)?;
        let key = SiteKey { origin: url.origin().ascii_serialization(), is_exempt };
        if let Some(known) = self.robots.find(&key) {
            return Ok(known);
        }
        // What is ours or this page's, not the site's: others are not to be told of it.
        let unknown = || Ok(Site::new(Robots::Unreachable));
        let Ok(mut place) = url.join("/robots.txt") else { return unknown() };
        // What stands behind a host that is open to some tenants only is not for the others, even as a rule for robots.
        let mut is_for_all = true;
        for _ in 0..=MOST_REDIRECTS {
            let Ok(turn) = self.turn_at(&place).await else { return unknown() };
            // Another page of the site may have brought it meanwhile.
            if let Some(known) = self.robots.find(&key) {
                return Ok(known);
            }
            // A deadline of this page, a refusal of our guard, a connection that broke.
            let Ok(answered) = self.send(&place, "text/plain", turn).await else { return unknown() };
            let (status, headers) = (answered.response.status(), answered.response.headers());
            let said = if status.is_redirection() {
                match target(&place, headers) {
                    Some(next) => {
                        is_for_all &= self.check(&next).is_ok_and(|exempt| exempt == is_exempt);
                        place = next;
                        continue;
                    }
                    None => Robots::absent(),
                }
            } else if status.is_success() {
                match self.read(answered, robots::MOST_BYTES).await {
                    Ok((file, _)) => Robots::parse(&file),
                    Err(_) => return unknown(),
                }
            } else if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
                // "Unavailable", by the RFC: there is no such file, so nothing is forbidden.
                Robots::absent()
            } else {
                Robots::Unreachable
            };
            return Ok(if is_for_all { self.robots.keep(key, said) } else { Site::new(said) });
        }
        Ok(self.robots.keep(key, Robots::absent()))
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

    /// Waits as long as the site wants between two pages.
    async fn pause(&mut self, site: &Site) -> Result<(), Unavailable> {
        let began = Instant::now();
        sleep_until(site.take_turn(began + self.patience).ok_or_else(crowded)?).await;
        self.note_waited(began);
        Ok(())
    }

    /// Waits until few enough requests are under way at the host.
    async fn turn_at(&mut self, url: &Url) -> Result<OwnedSemaphorePermit, Unavailable> {
        let began = Instant::now();
        let turn = timeout(self.patience, self.pace.of(url).acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or_else(crowded)?;
        self.note_waited(began);
        Ok(turn)
    }

    /// What was waited for others is not the site's doing.
    fn note_waited(&mut self, began: Instant) {
        let waited = began.elapsed();
        self.patience = self.patience.saturating_sub(waited);
        self.until += waited;
    }

    /// One request, without following where it leads.
    async fn send(&self, url: &Url, accept: &str, turn: OwnedSemaphorePermit) -> Result<Answered, Unavailable> {
        let client = if self.check(url)? { &self.clients.exempt } else { &self.clients.guarded };
        let sending = client.get(url.clone()).header(USER_AGENT, AGENT).header(ACCEPT, accept).send();
        match timeout_at(self.until, sending).await {
            Ok(Ok(response)) => Ok(Answered { response, _turn: turn }),
            Ok(Err(error)) => Err(not_answered(error)),
            Err(_) => Err(late()),
        }
    }

    /// The body up to a size, and whether that was all.
    async fn read(&self, mut answered: Answered, most: usize) -> Result<(Vec<u8>, bool), Unavailable> {
        let mut body = Vec::new();
        loop {
            let chunk = match timeout_at(self.until, answered.response.chunk()).await {
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

fn crowded() -> Unavailable {
    Unavailable::new("too many pages of the site were to be read at the same time")
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
