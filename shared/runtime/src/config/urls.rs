//! Where the data and the queue are. The words `sqlite` and `memory` are read here and nowhere else of the configuration.

use super::secret_url::SecretUrl;

/// Where the data is.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// Files in the data folder.
    Sqlite,
    /// A PostgreSQL database.
    Postgres(SecretUrl),
}

/// Where the dispatch of jobs is.
#[derive(Debug, Clone)]
pub enum BrokerUrl {
    /// Inside the one process.
    Memory,
    /// A Redis or Valkey server.
    Redis(SecretUrl),
}

impl DatabaseUrl {
    /// Whether the data is in files of the data folder, so that one process alone can serve it.
    pub const fn is_files(&self) -> bool {
        matches!(self, Self::Sqlite)
    }
}

impl BrokerUrl {
    /// Whether the broker lives and dies with the process.
    pub const fn is_in_process(&self) -> bool {
        matches!(self, Self::Memory)
    }

    /// The setting as the broker crate reads it, with the password.
    pub fn expose(&self) -> &str {
        match self {
            Self::Memory => "memory",
            Self::Redis(url) => url.expose(),
        }
    }
}

pub(super) fn database(text: &str) -> Result<DatabaseUrl, String> {
    if text == "sqlite" {
        return Ok(DatabaseUrl::Sqlite);
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "postgres" | "postgresql" => postgres(text).map(DatabaseUrl::Postgres),
        "sqlite" => {
            Err("for SQLite write only the word `sqlite`; ACM2_DATA_DIR names the folder of its files".to_owned())
        }
        _ => Err("is neither the word `sqlite` nor a URL that begins with postgres://".to_owned()),
    }
}

pub(super) fn postgres(text: &str) -> Result<SecretUrl, String> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err("does not begin with postgres://".to_owned());
    }
    SecretUrl::new(text).ok_or_else(|| {
        "is not a valid URL; the form is postgres://user:password@host:5432/name, with characters such as @ / : # of a password percent-encoded".to_owned()
    })
}

pub(super) fn broker(text: &str) -> Result<BrokerUrl, String> {
    if text == "memory" {
        return Ok(BrokerUrl::Memory);
    }
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "redis" | "valkey" | "unix" | "redis+unix" | "valkey+unix" => SecretUrl::new(text).map(BrokerUrl::Redis).ok_or_else(|| {
            "is not a valid URL; the form is redis://user:password@host:6379/0, with characters such as @ / : # of a password percent-encoded".to_owned()
        }),
        "rediss" | "valkeys" => Err("TLS to Redis is not supported; reach the server over a private network with redis://".to_owned()),
        _ => Err("is neither the word `memory` nor a URL that begins with redis://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_explained_without_an_echo() {
        for text in [
            "",
            "sqlite:///tmp/hunter2",
            "mysql://root:hunter2@db/acm2",
            "postgres://ann:hunter2@db:port/acm2",
            "hunter2",
        ] {
            let why = database(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
        for text in ["rediss://:hunter2@cache", "redis://:hunter2@cache:port", "hunter2"] {
            let why = broker(text).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn each_word_and_scheme_finds_its_place() {
        assert!(database("sqlite").unwrap().is_files());
        assert!(!database("postgresql://localhost/acm2").unwrap().is_files());
        assert!(broker("memory").unwrap().is_in_process());
        assert_eq!(broker("redis://:pw@cache/1").unwrap().expose(), "redis://:pw@cache/1");
    }
}
