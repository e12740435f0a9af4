//! Where the broker is. Configuration parses it, [`crate::open()`] uses it; its password is never shown.

use std::fmt;
use std::str::FromStr;

use ::redis::IntoConnectionInfo as _;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Where the broker is. `Display` and `Debug` hide the password.
#[derive(Clone)]
pub enum BrokerUrl {
    /// A Redis or Valkey server: `redis://[user][:password@]host[:port][/db]`, or `unix:///path`.
    Redis(SecretString),
    /// In this process alone: `memory`.
    Memory,
}

/// A text that names no broker. It never repeats the text, which may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlError {
    /// Neither `memory` nor a URL of a known scheme.
    #[error("not a broker: give the word memory or a URL such as redis://host:6379")]
    Unknown,
    /// A scheme with TLS.
    #[error("a broker URL with TLS (rediss, valkeys) is not supported: reach the server over a private network")]
    Tls,
    /// The scheme is right, the rest is not.
    #[error("not a valid Redis URL: expected redis://[user][:password@]host[:port][/database number]")]
    Malformed,
}

impl FromStr for BrokerUrl {
    type Err = BrokerUrlError;

    fn from_str(text: &str) -> Result<Self, BrokerUrlError> {
        let text = text.trim();
        if matches!(text, "memory" | "memory:" | "memory://") {
            return Ok(Self::Memory);
        }
        let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
        match scheme {
            "redis" | "valkey" | "redis+unix" | "valkey+unix" | "unix" => {}
            "rediss" | "valkeys" => return Err(BrokerUrlError::Tls),
            _ => return Err(BrokerUrlError::Unknown),
        }
        match text.into_connection_info() {
            Ok(_) => Ok(Self::Redis(text.into())),
            Err(_) => Err(BrokerUrlError::Malformed),
        }
    }
}

impl BrokerUrl {
    /// The same as the [`FromStr`] implementation, for those who do not want to import it.
    pub fn parse(text: &str) -> Result<Self, BrokerUrlError> {
        text.parse()
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Redis(url) => match Url::parse(url.expose_secret()) {
                Ok(url) => {
                    let host = url.host_str().unwrap_or_default();
                    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
                    // Not the user, which some providers fill with a token, nor the query, which may hold `pass=`.
                    write!(f, "{}://{host}{port}{}", url.scheme(), url.path())
                }
                Err(_) => f.write_str("redis"),
            },
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_redis_urls_are_told_apart() {
        assert!(matches!("memory".parse(), Ok(BrokerUrl::Memory)));
        assert!(matches!("redis://127.0.0.1:6379/2".parse(), Ok(BrokerUrl::Redis(_))));
        assert!(matches!("unix:///run/redis.sock".parse(), Ok(BrokerUrl::Redis(_))));
    }

    #[test]
    fn what_names_no_broker_is_refused_without_an_echo() {
        for (text, why) in [
            ("", BrokerUrlError::Unknown),
            ("http://hunter2@host", BrokerUrlError::Unknown),
            ("rediss://:hunter2@host", BrokerUrlError::Tls),
            ("redis://:hunter2@host:port", BrokerUrlError::Malformed),
            ("redis://:hunter2@host/words", BrokerUrlError::Malformed),
        ] {
            let error = BrokerUrl::parse(text).unwrap_err();
            assert_eq!(error, why, "{text}");
            assert!(!error.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{0} {0:?}", BrokerUrl::parse("redis://user:hunter2@host:7000/1").unwrap());
        assert_eq!(shown, "redis://host:7000/1 redis://host:7000/1");
    }
}
