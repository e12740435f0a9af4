//! A URL that may hold a password: kept as a secret, shown with the password masked.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

const MASK: &str = "****";

/// A URL that may hold a password. `Display` and `Debug` mask it.
#[derive(Clone)]
pub struct SecretUrl {
    secret: SecretString,
    shown: String,
}

impl SecretUrl {
    pub(super) fn new(text: &str) -> Option<Self> {
        let shown = masked(&Url::parse(text).ok()?);
        Some(Self { secret: text.into(), shown })
    }

    /// The URL with its password. For the one who connects.
    pub fn expose(&self) -> &str {
        self.secret.expose_secret()
    }

    /// The URL with its password, still as a secret.
    pub const fn secret(&self) -> &SecretString {
        &self.secret
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

/// The query is masked by allow-list: drivers take passwords there under several names.
fn masked(url: &Url) -> String {
    const HARMLESS: [&str; 8] =
        ["sslmode", "ssl-mode", "host", "port", "dbname", "application_name", "protocol", "connect_timeout"];
    let mut shown = url.clone();
    if shown.password().is_some() && shown.set_password(Some(MASK)).is_err() {
        return format!("{}://{MASK}", url.scheme());
    }
    if url.query().is_some() {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let mut query = shown.query_pairs_mut();
        query.clear();
        for (key, value) in &pairs {
            query.append_pair(key, if HARMLESS.contains(&key.as_str()) { value } else { MASK });
        }
    }
    shown.set_fragment(None);
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_wherever_it_stands() {
        for (text, shown) in [
            ("postgres://ann:hunter2@db:5432/acm2", "postgres://ann:****@db:5432/acm2"),
            ("postgres://db/acm2?user=ann&password=hunter2", "postgres://db/acm2?user=****&password=****"),
            (
                "postgres://ann@db/acm2?sslmode=require&sslpassword=hunter2",
                "postgres://ann@db/acm2?sslmode=require&sslpassword=****",
            ),
            ("redis://:hunter2@cache:6379/1", "redis://:****@cache:6379/1"),
            ("postgres:///acm2?host=/run/postgresql", "postgres:///acm2?host=%2Frun%2Fpostgresql"),
            ("redis://cache/#hunter2", "redis://cache/"),
        ] {
            let url = SecretUrl::new(text).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?}").contains("hunter2"));
            assert_eq!(url.expose(), text);
        }
    }
}
