//! Hosts as operators list them, and hosts that are written as addresses. Called where a URL of a tenant is checked. Pure.

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

use super::address::is_public;
use super::resolver::Refused;

/// What a host is reached for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostUse {
    /// To deliver webhooks: it is sent to, and its answer is not shown.
    Webhook,
    /// As the base URL of a provider key: what it answers is shown.
    BaseUrl,
    /// To read its pages for research: a tenant chooses the path too, and what it answers is shown. Only an entry that says so
    /// allows it.
    Page,
}

impl HostUse {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Webhook => "webhook:",
            Self::BaseUrl => "base-url:",
            Self::Page => "page:",
        }
    }
}

/// An entry of a list.
struct Entry {
    /// For webhooks and base URLs where `None`.
    only_for: Option<HostUse>,
    host: Host,
    /// Any port where `None`.
    port: Option<u16>,
}

/// Whether a list names the host of a URL for a use. An entry is `host` (any port) or `host:port`; IPv6 addresses stand in
/// brackets where a port follows. `webhook:`, `base-url:` or `page:` before it allows that use only; without one it is for webhooks
/// and base URLs. Names are compared as the `url` crate
/// writes them: lower case, IDNA, `0x7f.1` as `127.0.0.1`.
pub fn lists_host(entries: &[String], url: &Url, host_use: HostUse) -> bool {
    let Some(host) = url.host() else { return false };
    entries.iter().filter_map(|entry| parse_entry(entry)).any(|entry| {
        entry.only_for.map_or(host_use != HostUse::Page, |only| only == host_use)
            && entry.host == host.to_owned()
            && entry.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    })
}

/// Whether a text has the form of an entry of such a list. One that has not would allow nothing; there are no patterns.
pub fn is_host_entry(text: &str) -> bool {
    text == text.trim() && !text.contains('*') && parse_entry(text).is_some()
}

fn parse_entry(entry: &str) -> Option<Entry> {
    let entry = entry.trim();
    let (only_for, entry) = [HostUse::Webhook, HostUse::BaseUrl, HostUse::Page]
        .into_iter()
        .find_map(|only| Some((Some(only), entry.strip_prefix(only.prefix())?)))
        // `webhook:8000` is port 8000 of a host of that name.
        .filter(|(_, rest)| rest.bytes().any(|byte| !byte.is_ascii_digit()))
        .unwrap_or((None, entry));
    let (host, port) = parse_host(entry)?;
    Some(Entry { only_for, host, port })
}

fn parse_host(entry: &str) -> Option<(Host, Option<u16>)> {
    if let Ok(address) = entry.parse::<Ipv6Addr>() {
        return Some((Host::Ipv6(address), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        // The colons inside of `[::1]` separate no port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (entry, None),
    };
    Some((Host::parse(host).ok()?, port))
}

/// Refuses a host that is written as an address which is not public. Names pass: the resolver checks what they stand for.
/// reqwest does not ask a resolver about addresses, so this is their only check.
pub(crate) fn refuse_private_literal(url: &Url) -> Result<(), Refused> {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        Some(Host::Domain(_)) => return Ok(()),
        None => return Err(Refused),
    };
    if is_public(address) { Ok(()) } else { Err(Refused) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(entry: &str, url: &str) -> bool {
        let listed_for = |host_use| lists_host(&[entry.to_owned()], &Url::parse(url).unwrap(), host_use);
        let (webhook, base_url) = (listed_for(HostUse::Webhook), listed_for(HostUse::BaseUrl));
        assert_eq!(webhook, base_url, "an entry without a prefix is for both");
        assert!(!listed_for(HostUse::Page), "and not for pages");
        webhook
    }

    #[test]
    fn an_entry_with_a_prefix_is_for_that_use_only() {
        for (host, url) in [
            ("hooks.internal", "https://hooks.internal/a"),
            ("10.0.0.5:8000", "http://10.0.0.5:8000/a"),
            ("[::1]:8000", "http://[::1]:8000/a"),
            ("::1", "http://[::1]/a"),
            ("webhook:80", "http://webhook/a"),
        ] {
            let url = Url::parse(url).unwrap();
            let prefixes = [("webhook:", HostUse::Webhook), ("base-url:", HostUse::BaseUrl), ("page:", HostUse::Page)];
            for (prefix, only) in prefixes {
                for host_use in [HostUse::Webhook, HostUse::BaseUrl, HostUse::Page] {
                    let entry = format!("{prefix}{host}");
                    assert!(is_host_entry(&entry), "{entry}");
                    assert_eq!(lists_host(&[entry], &url, host_use), host_use == only, "{prefix}{host} {host_use:?}");
                }
            }
        }
    }

    #[test]
    fn a_host_may_have_the_name_of_a_prefix() {
        assert!(listed("webhook", "http://webhook:9/"));
        assert!(listed("webhook:8000", "http://webhook:8000/"));
        assert!(!listed("webhook:8000", "http://webhook:8001/"));
        assert!(listed("base-url:80", "http://base-url/"));
    }

    #[test]
    fn what_is_no_entry_is_told() {
        for entry in ["localhost", "10.0.0.5:8000", "::1", "[::1]:8000", "webhook:localhost", "base-url:[::1]:8000"] {
            assert!(is_host_entry(entry), "{entry}");
        }
        for entry in
            ["", " localhost", "webhook:", "a/b", "u@a", "a?b", "a#b", "a b", "a:x", "a:99999", "*", "https://a"]
        {
            assert!(!is_host_entry(entry), "{entry}");
        }
    }

    #[test]
    fn an_entry_without_a_port_allows_every_port() {
        assert!(listed("hooks.internal", "https://hooks.internal/a"));
        assert!(listed("HOOKS.internal", "http://hooks.internal:8080/a"));
        assert!(listed("127.0.0.1", "http://127.0.0.1:9"));
        assert!(listed("::1", "http://[::1]:9"));
        assert!(listed("[::1]", "http://[::1]"));
    }

    #[test]
    fn an_entry_with_a_port_allows_that_port_only() {
        assert!(listed("localhost:11434", "http://localhost:11434/v1"));
        assert!(listed("localhost:80", "http://localhost/v1"));
        assert!(listed("[::1]:11434", "http://[::1]:11434/v1"));
        assert!(!listed("localhost:11434", "http://localhost:11435/v1"));
        assert!(!listed("localhost:443", "http://localhost/v1"));
    }

    #[test]
    fn other_hosts_and_malformed_entries_allow_nothing() {
        assert!(!listed("hooks.internal", "https://evil.hooks.internal/"));
        assert!(!listed("hooks.internal", "https://hooks.internal.evil.example/"));
        assert!(!listed("hooks.internal:x", "https://hooks.internal/"));
        assert!(!listed("", "https://hooks.internal/"));
        assert!(!listed("*", "https://hooks.internal/"));
    }

    #[test]
    fn every_spelling_of_a_private_address_is_refused() {
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://0/",
            "http://\u{ff11}27.0.0.1/",
        ] {
            assert!(refuse_private_literal(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
        for url in ["http://8.8.8.8/", "https://[2606:4700:4700::1111]/", "https://example.org/"] {
            assert!(refuse_private_literal(&Url::parse(url).unwrap()).is_ok(), "{url}");
        }
    }
}
