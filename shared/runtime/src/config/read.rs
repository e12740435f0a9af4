//! From the environment to a [`Config`]: each setting is taken by its row of the table, then the whole is checked.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::error::{ConfigError, Problem};
use super::local_keys;
use super::logging::{LogFormat, LogLevel};
use super::names;
use super::parse;
use super::reader::Reader;
use super::sections::{Config, Database, Http, Lanes, Library, Limits, Log, Mode, Outbound, Queue, Worker};
use super::settings::{self, Setting};
use super::urls;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

impl Config {
    /// The configuration of this process. All problems are reported at once.
    pub fn from_env() -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut variables = Vec::new();
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
        let environment = std::env::vars_os();
        for (name, value) in environment {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => variables.push((name, value)),
                Err(_) if name.starts_with(names::PREFIX) => problems.push(Problem::new(name, "is not valid UTF-8")),
                Err(_) => {}
            }
        }
        match Self::read(variables) {
            Ok(config) if problems.is_empty() => Ok(config),
            Ok(_) => Err(ConfigError { problems }),
            Err(error) => {
                problems.extend(error.problems);
                Err(ConfigError { problems })
            }
        }
    }

    /// The configuration that these variables give. Reads nothing else, so that tests can say what the environment holds.
    pub fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(variables);
        let config = take_all(&mut reader);
        let mut problems = reader.problems;
        // A check of the whole would only repeat, in other words, what is wrong with a part.
        match config {
            Some(mut config) if problems.is_empty() => {
                config.listing = reader.listing;
                config.show_what_was_derived();
                problems = config.contradictions();
                if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
            }
            _ => Err(ConfigError { problems }),
        }
    }

    /// The listing names the value that holds, where the default depends on other settings.
    fn show_what_was_derived(&mut self) {
        self.listing.resolve(
            settings::MODE.name,
            match self.mode {
                Mode::Local => "local",
                Mode::Hosted => "hosted",
            },
        );
        if self.http.public_url.is_none() {
            self.listing.resolve(settings::PUBLIC_URL.name, &format!("http://{}", self.http.bind));
        }
        if self.makes_own_master_key() {
            self.listing.resolve(settings::MASTER_KEYS.name, "(made in the data folder)");
        }
    }
}

/// None only when a value is wrong and has no default to go on with.
fn take_all(reader: &mut Reader) -> Option<Config> {
    let mode = reader.optional(settings::MODE, mode);
    let data_dir = reader.value(settings::DATA_DIR, |text| Ok(PathBuf::from(text)));
    let master_keys = reader.optional(settings::MASTER_KEYS, |text| Ok(SecretString::from(text)));
    let database = database(reader);
    let broker = reader.value(settings::BROKER_URL, urls::broker);
    let http = http(reader);
    let library = Library {
        upload_limit: bytes(reader, settings::UPLOAD_LIMIT, KIB, 64 * MIB),
        text_limit: bytes(reader, settings::TEXT_LIMIT, KIB, 64 * MIB),
    };
    let worker = Worker {
        runs: count(reader, settings::RUNS, 10_000),
        calls: count(reader, settings::CALLS, 100_000),
        deliveries: count(reader, settings::DELIVERIES, 10_000),
        held_answers: bytes(reader, settings::HELD_ANSWERS, MIB, 65_536 * MIB),
    };
    let queue = Queue {
        tenant_share_percent: u8::try_from(number(reader, settings::TENANT_SHARE, 1, 100)).unwrap_or(100),
        tenant_quota: number(reader, settings::TENANT_QUOTA, 1, 10_000_000),
    };
    let lanes = Lanes { calls_per_provider_key: count(reader, settings::CALLS_PER_KEY, 100_000) };
    let outbound = outbound(reader);
    let prices_file = reader.optional(settings::PRICES_FILE, |text| Ok(PathBuf::from(text)));
    let format = reader.optional(settings::LOG_FORMAT, LogFormat::parse);
    let level = reader.value(settings::LOG_LEVEL, LogLevel::parse);
    let faster = u32::try_from(number(reader, settings::FASTER, 1, 1_000)).unwrap_or(1);
    let clock_offset = Duration::from_secs(number(reader, settings::CLOCK_OFFSET, 0, 31_536_000));

    let (database, http) = (database?, http?);
    let alone = database.url.is_files() && http.bind.ip().is_loopback();
    let mode = mode.unwrap_or(if alone { Mode::Local } else { Mode::Hosted });
    Some(Config {
        local_keys: if mode == Mode::Local { provider_keys(reader) } else { Vec::new() },
        mode,
        data_dir: data_dir?,
        master_keys,
        database,
        broker: broker?,
        http,
        library,
        worker,
        queue,
        lanes,
        outbound,
        prices_file,
        log: Log { format, level: level? },
        faster,
        clock_offset,
        listing: super::listing::Listing::default(),
    })
}

fn mode(text: &str) -> Result<Mode, String> {
    match text {
        "local" => Ok(Mode::Local),
        "hosted" => Ok(Mode::Hosted),
        _ => Err("is neither local nor hosted".to_owned()),
    }
}

fn database(reader: &mut Reader) -> Option<Database> {
    let url = reader.value(settings::DATABASE_URL, urls::database);
    let migrate_url = reader.optional(settings::MIGRATE_URL, urls::postgres);
    let control = number(reader, settings::CONTROL_CONNECTIONS, 2, 1_000);
    let tenant = number(reader, settings::TENANT_CONNECTIONS, 1, 1_000);
    let open_files = count(reader, settings::OPEN_FILES, 10_000);
    Some(Database {
        url: url?,
        migrate_url,
        control_connections: u32::try_from(control).unwrap_or(u32::MAX),
        tenant_connections: u32::try_from(tenant).unwrap_or(u32::MAX),
        open_files,
    })
}

fn http(reader: &mut Reader) -> Option<Http> {
    let bind = reader.value(settings::BIND, parse::address);
    let public_url = reader.optional(settings::PUBLIC_URL, parse::http_url);
    let body_limit = bytes(reader, settings::BODY_LIMIT, KIB, 64 * MIB);
    let origins = reader.optional(settings::CORS_ORIGINS, |text| parse::list(text).map(parse::origin).collect());
    let concurrency = count(reader, settings::CONCURRENCY, 100_000);
    let drain = Duration::from_secs(number(reader, settings::DRAIN, 0, 600));
    Some(Http { bind: bind?, public_url, body_limit, cors_origins: origins.unwrap_or_default(), concurrency, drain })
}

fn outbound(reader: &mut Reader) -> Outbound {
    let hosts = reader.optional(settings::ALLOWED_HOSTS, |text| parse::list(text).map(parse::host).collect());
    let limits = Limits {
        connect_timeout: Duration::from_secs(number(reader, settings::CONNECT_TIMEOUT, 1, 60)),
        max_response_bytes: bytes(reader, settings::MAX_RESPONSE, 64 * KIB, 512 * MIB),
    };
    let base_urls = names::base_urls()
        .filter_map(|(slug, name)| Some((slug.to_owned(), reader.named(&name, parse::http_url)?)))
        .collect();
    Outbound { allowed_hosts: hosts.unwrap_or_default(), base_urls, limits }
}

fn provider_keys(reader: &mut Reader) -> Vec<(String, SecretString)> {
    let mut keys: Vec<(String, SecretString)> = Vec::new();
    for (slug, name) in local_keys::variables() {
        if keys.iter().all(|(known, _)| known != slug)
            && let Some(key) = reader.foreign_secret(&name)
        {
            keys.push((slug.to_owned(), key));
        }
    }
    keys
}

fn number(reader: &mut Reader, setting: &Setting, least: u64, most: u64) -> u64 {
    reader.value(setting, |text| parse::number(text, least..=most)).unwrap_or(least)
}

fn count(reader: &mut Reader, setting: &Setting, most: u64) -> usize {
    usize::try_from(number(reader, setting, 1, most)).unwrap_or(usize::MAX)
}

fn bytes(reader: &mut Reader, setting: &Setting, least: u64, most: u64) -> usize {
    let bytes = reader.value(setting, |text| parse::size(text, least..=most)).unwrap_or(least);
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
