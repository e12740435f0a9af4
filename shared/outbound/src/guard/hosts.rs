//! Hosts as operators list them, and hosts that are written as addresses. Called where a URL of a tenant is checked. Pure.

use std::net::{IpAddr, Ipv6Addr};

use url::{Host, Url};

use super::address::is_public;
use super::resolver::Refused;

/// Whether a list names the host of a URL. An entry is `host` (any port) or `host:port`; IPv6 addresses stand in brackets
/// where a port follows. Names are compared as the `url` crate writes them: lower case, IDNA, `0x7f.1` as `127.0.0.1`.
pub fn lists_host(entries: &[String], url: &Url) -> bool {
    let Some(host) = url.host() else { return false };
    entries.iter().filter_map(|entry| parse_entry(entry)).any(|(listed, port)| {
        listed == host.to_owned() && port.is_none_or(|port| url.port_or_known_default() == Some(port))
    })
}

fn parse_entry(entry: &str) -> Option<(Host, Option<u16>)> {
    let entry = entry.trim();
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
        lists_host(&[entry.to_owned()], &Url::parse(url).unwrap())
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
