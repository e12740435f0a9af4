//! The docs page: Swagger UI from the crate, with our specification in it. It needs no other host, and its policy forbids
//! any: scripts only by their hashes, connections only to ourselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use poem::http::{HeaderValue, header};
use poem::{Endpoint, Request, Response, Result};
use poem_openapi::OpenApiService;
use sha2::{Digest, Sha256};

/// The page and the policy that fits its scripts.
#[derive(Debug, Clone)]
pub struct DocsPage {
    html: String,
    policy: HeaderValue,
}

impl DocsPage {
    /// The page of a specification, given as JSON text.
    pub fn new(specification: &str) -> Self {
        let empty = OpenApiService::new((), "empty", "0");
        // Inside a script element, a closing tag in any text of ours would end it.
        let safe = specification.replace("</", "<\\/");
        let html = empty
            .swagger_ui_html()
            .replace(&empty.spec(), &safe)
            .replace("<title>Swagger UI</title>", "<title>ACM2 API</title>");
        let html = format!("<!doctype html>{html}");
        let hashes: Vec<String> = scripts(&html)
            .map(|script| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(script.as_bytes()))))
            .collect();
        let policy = format!(
            "default-src 'none'; script-src {}; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; \
             connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            hashes.join(" ")
        );
        let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
        Self { html, policy }
    }
}

/// The contents of the page's script elements. The bundle itself contains the words of an opening tag.
fn scripts(html: &str) -> impl Iterator<Item = &str> {
    let mut rest = html;
    std::iter::from_fn(move || {
        let (_, opened) = rest.split_once("<script")?;
        let (_, inside) = opened.split_once('>')?;
        let (script, after) = inside.split_once("</script>")?;
        rest = after;
        Some(script)
    })
}

impl Endpoint for DocsPage {
    type Output = Response;

    async fn call(&self, _request: Request) -> Result<Response> {
        let mut response = Response::builder().content_type("text/html; charset=utf-8").body(self.html.clone());
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_loads_nothing_from_another_host() {
        let page = DocsPage::new(r#"{"marker": "</script>"}"#);
        assert!(page.html.contains(r#"{"marker": "<\/script>"}"#));
        for (index, _) in page.html.match_indices("<script").chain(page.html.match_indices("<link")) {
            let tag = page.html[index..].split('>').next().unwrap();
            assert!(!tag.contains("src=") && !tag.contains("href="), "{tag}");
        }
        assert!(!page.html.contains("@import"));
        let policy = page.policy.to_str().unwrap();
        assert!(!policy.contains("http") && policy.matches("'sha256-").count() >= 2, "{policy}");
    }
}
