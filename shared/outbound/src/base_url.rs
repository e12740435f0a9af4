//! Where a call goes: the provider's own place, the operator's, or the one that a tenant's key brings. The sender asks before
//! each call, the API when a key is stored. Pure.

use acm2_domain::error::{Error, Kind};
use acm2_domain::providers::{BaseUrl, Provider};
use url::Url;

use crate::OutboundOptions;
use crate::guard::{HostUse, lists_host, refuse_private_literal};

/// Whom a call goes to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The row of the provider list.
    pub provider: &'static Provider,
    /// The base URL that is stored with the provider key.
    pub base_url: Option<Url>,
    /// The hosts with private addresses that the operator allows this tenant, see [`lists_host`].
    pub private_hosts: Vec<String>,
}

/// Which client may go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// The provider list names the place.
    Fixed,
    /// The operator has set or listed it.
    Exempt,
    /// A tenant has set it: public addresses only.
    Guarded,
}

pub(crate) fn resolve(options: &OutboundOptions, target: &Target) -> Result<(Url, Trust), Error> {
    let provider = target.provider;
    if provider.base_url == BaseUrl::PerKey {
        let Some(url) = &target.base_url else {
            return Err(refused("the provider key has no base URL"));
        };
        return resolve_tenant_url(options, url.as_str(), &target.private_hosts)
            .map_err(|reason| refused(&format!("the base URL of the provider key {reason}")));
    }
    if target.base_url.is_some() {
        return Err(refused(&format!("keys of {} have no base URL of their own", provider.name)));
    }
    if let Some(url) = options.base_urls.get(provider.slug) {
        return Ok((url.clone(), Trust::Exempt));
    }
    let unset = || {
        let detail = format!("provider {} is not offered here: the operator has set no base URL for it", provider.slug);
        Error::new(Kind::Invalid, "provider_not_offered", detail)
    };
    match provider.base_url {
        BaseUrl::Fixed(text) => Url::parse(text).map(|url| (url, Trust::Fixed)).map_err(|_| unset()),
        BaseUrl::PerKey | BaseUrl::Operator => Err(unset()),
    }
}

fn refused(detail: &str) -> Error {
    Error::new(Kind::Invalid, "base_url_refused", detail)
}

/// Checks a base URL that a tenant sets. The reasons complete "the base URL …" and echo nothing.
pub(crate) fn resolve_tenant_url(
    options: &OutboundOptions,
    text: &str,
    private_hosts: &[String],
) -> Result<(Url, Trust), String> {
    let wrong = |reason: &str| Err(reason.to_owned());
    if text.len() > 2_000 {
        return wrong("must have at most 2000 characters");
    }
    let Ok(url) = Url::parse(text) else {
        return wrong("must be an absolute URL such as https://llm.example.org/v1");
    };
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return wrong("must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return wrong("must not carry a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return wrong("must not have a part after ? or #");
    }
    if lists_host(private_hosts, &url, HostUse::BaseUrl) {
        return Ok((url, Trust::Exempt));
    }
    let any_host = options.base_url_hosts.iter().any(|entry| entry.trim() == "*");
    if !any_host && !lists_host(&options.base_url_hosts, &url, HostUse::BaseUrl) {
        return wrong("names a host that the operator has not listed for base URLs");
    }
    if url.scheme() != "https" {
        return wrong("must begin with https://, unless the operator has listed the host as private");
    }
    if refuse_private_literal(&url).is_err() {
        return wrong("names a private address, and the operator has not listed it");
    }
    Ok((url, Trust::Guarded))
}

#[cfg(test)]
mod tests {
    use acm2_domain::providers::find_provider;

    use super::*;

    fn target(slug: &str, base_url: Option<&str>, private_hosts: &[&str]) -> Target {
        Target {
            provider: find_provider(slug).unwrap(),
            base_url: base_url.map(|text| Url::parse(text).unwrap()),
            private_hosts: private_hosts.iter().map(|host| (*host).to_owned()).collect(),
        }
    }

    fn options(hosts: &[&str]) -> OutboundOptions {
        OutboundOptions { base_url_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Default::default() }
    }

    #[test]
    fn a_known_provider_is_at_its_own_place_unless_the_operator_sets_another() {
        let mut options = options(&[]);
        let (url, trust) = resolve(&options, &target("openai", None, &[])).unwrap();
        assert_eq!((url.as_str(), trust), ("https://api.openai.com/v1", Trust::Fixed));
        options.base_urls.insert("openai".to_owned(), Url::parse("http://127.0.0.1:8090/openai/v1").unwrap());
        let (url, trust) = resolve(&options, &target("openai", None, &[])).unwrap();
        assert_eq!((url.as_str(), trust), ("http://127.0.0.1:8090/openai/v1", Trust::Exempt));
    }

    #[test]
    fn a_key_cannot_send_a_known_provider_elsewhere() {
        let elsewhere = target("openai", Some("https://evil.example/v1"), &["evil.example"]);
        assert_eq!(resolve(&options(&["*"]), &elsewhere).unwrap_err().code, "base_url_refused");
    }

    #[test]
    fn the_sandbox_exists_only_where_the_operator_sets_it() {
        assert_eq!(resolve(&options(&["*"]), &target("sandbox", None, &[])).unwrap_err().code, "provider_not_offered");
    }

    #[test]
    fn every_row_of_the_provider_list_has_a_usable_place() {
        for provider in acm2_domain::providers::PROVIDERS {
            if let BaseUrl::Fixed(_) = provider.base_url {
                let (url, _) = resolve(&options(&[]), &target(provider.slug, None, &[])).unwrap();
                assert_eq!(url.scheme(), "https", "{}", provider.slug);
            }
        }
    }

    #[test]
    fn a_tenants_base_url_needs_the_operators_list() {
        let tried = |hosts: &[&str], private: &[&str], url: &str| {
            resolve(&options(hosts), &target("openai-compatible", Some(url), private)).map(|(_, trust)| trust)
        };
        assert!(tried(&[], &[], "https://llm.example/v1").is_err());
        assert_eq!(tried(&["llm.example"], &[], "https://llm.example/v1"), Ok(Trust::Guarded));
        assert_eq!(tried(&["*"], &[], "https://llm.example/v1"), Ok(Trust::Guarded));
        assert!(tried(&["llm.example:8443"], &[], "https://llm.example/v1").is_err());
        assert!(tried(&["*"], &[], "http://llm.example/v1").is_err(), "a key would go over the wire in the clear");
        assert_eq!(tried(&[], &["localhost:11434"], "http://localhost:11434/v1"), Ok(Trust::Exempt));
        assert!(tried(&[], &["localhost:11434"], "http://localhost:6379/v1").is_err());
        assert_eq!(tried(&[], &["base-url:localhost:11434"], "http://localhost:11434/v1"), Ok(Trust::Exempt));
        assert!(tried(&[], &["webhook:localhost:11434"], "http://localhost:11434/v1").is_err());
    }

    #[test]
    fn no_list_of_public_hosts_opens_a_private_address() {
        for url in ["https://127.0.0.1/v1", "https://0x7f.1/v1", "https://[::1]/v1", "https://169.254.169.254/"] {
            assert!(resolve_tenant_url(&options(&["*"]), url, &[]).is_err(), "{url}");
        }
    }

    #[test]
    fn a_base_url_carries_no_secret_and_no_query() {
        for url in
            ["https://u:p@llm.example/", "https://u@llm.example/", "https://llm.example/?k=v", "https://llm.example/#f"]
        {
            assert!(resolve_tenant_url(&options(&["*"]), url, &[]).is_err(), "{url}");
        }
        for url in ["", "llm.example/v1", "ftp://llm.example/", "file:///etc/passwd", "data:,x"] {
            assert!(resolve_tenant_url(&options(&["*"]), url, &[]).is_err(), "{url}");
        }
    }
}
