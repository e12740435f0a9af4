//! THE table of settings, one row each. `read` parses by it, `names` knows the right spellings by it, `listing` and
//! `reference` print it. A new setting is a row here, a field in `sections` and a line in `read`.

/// How a setting's value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    Plain,
    /// As a URL with its password masked.
    Url,
    /// Only whether it is set.
    Never,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The variable of the environment: `ACM2_`, section, `__`, key.
    pub name: &'static str,
    /// Another name that is taken as well, because platforms set it.
    pub alias: Option<&'static str>,
    /// The value when nothing is set, as it would be written; empty for none, or where `otherwise` says what then holds.
    pub default: &'static str,
    /// What holds by default, in words, where that depends on other settings; else empty.
    pub otherwise: &'static str,
    /// How its value may be shown.
    pub shown: Shown,
    /// What it means, with its unit and its bounds.
    pub doc: &'static str,
}

impl Setting {
    const fn new(name: &'static str, default: &'static str, doc: &'static str) -> Self {
        Self { name, alias: None, default, otherwise: "", shown: Shown::Plain, doc }
    }

    const fn or(self, alias: &'static str) -> Self {
        Self { alias: Some(alias), ..self }
    }

    const fn otherwise(self, words: &'static str) -> Self {
        Self { otherwise: words, ..self }
    }

    const fn url(self) -> Self {
        Self { shown: Shown::Url, ..self }
    }

    const fn secret(self) -> Self {
        Self { shown: Shown::Never, ..self }
    }
}

macro_rules! settings {
    ($($title:literal { $($id:ident = $setting:expr;)+ })+) => {
        $($(pub(super) const $id: &Setting = &$setting;)+)+
        /// All settings, in the groups and the order in which they are printed.
        pub const SETTINGS: &[(&str, &[&Setting])] = &[$(($title, &[$($id),+])),+];
    };
}

/// All settings, without their groups.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    SETTINGS.iter().flat_map(|(_, group)| group.iter().copied())
}

settings! {
    "The process" {
        MODE = Setting::new("ACM2_MODE", "", "`local`: one person's machine; provider keys found in the environment are imported into the local tenant. \
            `hosted`: many tenants; no provider key is ever read from the environment.")
            .otherwise("`local` with SQLite on a loopback address, else `hosted`");
        DATA_DIR = Setting::new("ACM2_DATA_DIR", "data", "Folder of the SQLite files and of the master key that ACM2 makes for itself.");
        MASTER_KEYS = Setting::new("ACM2_MASTER_KEYS", "", "Master keys, newest first: `id:<base64 of 32 random bytes>,…`. `acm2 keys generate` prints one. \
            Required unless data is in SQLite, the mode is `local` and the address is a loopback one.")
            .secret().otherwise("made once and kept in the data folder, readable by its owner only");
    }
    "Database" {
        DATABASE_URL = Setting::new("ACM2_DATABASE__URL", "sqlite", "`sqlite` (files in the data folder, one process) or `postgres://user:password@host:5432/name`.")
            .or("DATABASE_URL").url();
        MIGRATE_URL = Setting::new("ACM2_DATABASE__MIGRATE_URL", "", "The same PostgreSQL database as a role that may create schemas and tables.")
            .or("MIGRATE_DATABASE_URL").url().otherwise("the database URL");
        CONTROL_CONNECTIONS = Setting::new("ACM2_DATABASE__CONTROL_CONNECTIONS", "10", "PostgreSQL connections of this process for the control store (2 to 1000); two of them write the index of unfinished work. One more is for heartbeats.");
        TENANT_CONNECTIONS = Setting::new("ACM2_DATABASE__TENANT_CONNECTIONS", "20", "PostgreSQL connections of this process for tenants' data (1 to 1000).");
        OPEN_FILES = Setting::new("ACM2_DATABASE__OPEN_FILES", "128", "Tenants' SQLite files that are open at a time (1 to 10000).");
    }
    "Broker" {
        BROKER_URL = Setting::new("ACM2_BROKER__URL", "memory", "`memory` (inside the one process of `acm2 serve`) or `redis://user:password@host:6379/0`.")
            .or("REDIS_URL").url();
    }
    "HTTP" {
        BIND = Setting::new("ACM2_HTTP__BIND", "127.0.0.1:8080", "Address and port to listen on; `0.0.0.0:8080` for all interfaces, port 0 for any free one.");
        PUBLIC_URL = Setting::new("ACM2_HTTP__PUBLIC_URL", "", "The URL under which callers reach this service, for links.")
            .otherwise("`http://` and the address to listen on");
        BODY_LIMIT = Setting::new("ACM2_HTTP__BODY_LIMIT", "1MiB", "Largest request body, also after decompression: bytes, or a number with `KiB` or `MiB` (1KiB to 64MiB).");
        CORS_ORIGINS = Setting::new("ACM2_HTTP__CORS_ORIGINS", "", "Origins whose pages may call the API, separated by commas: `https://app.example.com`.")
            .otherwise("no page of another origin may");
        DRAIN = Setting::new("ACM2_HTTP__DRAIN_SECONDS", "0", "How long a process that was asked to end still takes requests while `/readyz` answers 503, so that a load balancer turns away from it first, in seconds (0 to 600). A few times the interval at which it is asked.");
        CONCURRENCY = Setting::new("ACM2_HTTP__CONCURRENCY", "1024", "Requests in progress at a time; more are answered 503 (1 to 100000).");
    }
    "Library" {
        UPLOAD_LIMIT = Setting::new("ACM2_LIBRARY__UPLOAD_LIMIT", "16MiB", "Largest request that uploads a file in a form, also after decompression: bytes, or a number with `KiB` or `MiB` (1KiB to 64MiB). A process holds up to 32 of them in memory, 8 of one tenant, and reads up to 4 PDF, DOCX or HTML files at a time, each in a process that may take 1GiB of memory: leave room for these, up to 4GiB.");
        TEXT_LIMIT = Setting::new("ACM2_LIBRARY__TEXT_LIMIT", "4MiB", "Most text that a document may hold, also one that is given with a run: bytes, or a number with `KiB` or `MiB` (1KiB to 64MiB). A request that uploads a document as JSON may have a fifth more and 16KiB.");
    }
    "Worker" {
        RUNS = Setting::new("ACM2_WORKER__RUNS", "64", "Runs in progress in this process (1 to 10000).");
        CALLS = Setting::new("ACM2_WORKER__CALLS", "512", "Provider calls under way in this process (1 to 100000).");
        DELIVERIES = Setting::new("ACM2_WORKER__DELIVERIES", "32", "Webhook deliveries under way in this process (1 to 10000).");
        HELD_ANSWERS = Setting::new("ACM2_WORKER__HELD_ANSWERS", "512MiB", "Answers in memory of this process that are yet to be judged, compared or combined: bytes, or a number with `KiB` or `MiB` (1MiB to 65536MiB). One tenant may have half of it, and one run 64MiB. Where it is more, large runs go back to the queue for a while; what they were answered is kept. Any tenant may have an eighth of it, or one large run, whatever the others have. A byte of them takes up to three bytes of memory.");
    }
    "Queue" {
        TENANT_SHARE = Setting::new("ACM2_QUEUE__TENANT_SHARE_PERCENT", "75", "Most of all workers' places, and of the provider calls of each process (`ACM2_WORKER__CALLS`), that one tenant may take, in percent (1 to 100).");
        TENANT_QUOTA = Setting::new("ACM2_QUEUE__TENANT_QUOTA", "100000", "Runs that one tenant may have queued; more are answered 429 `queue_full` (1 to 10000000).");
    }
    "Limits" {
        CALLS_PER_KEY = Setting::new("ACM2_LIMITS__CALLS_PER_PROVIDER_KEY", "500", "Most calls with one provider key that are under way at a time, over all processes; more wait (1 to 100000). All processes should agree.");
    }
    "Calls to the outside" {
        ALLOWED_HOSTS = Setting::new("ACM2_OUTBOUND__ALLOWED_HOSTS", "", "Hosts (`llm.example.com` or `10.0.0.5:8000`), separated by commas, to which the base URL of an OpenAI-compatible provider key may point.")
            .otherwise("none: tenants cannot set base URLs");
        CONNECT_TIMEOUT = Setting::new("ACM2_OUTBOUND__CONNECT_TIMEOUT_SECONDS", "10", "Longest time to connect to a provider, in seconds (1 to 60).");
        MAX_RESPONSE = Setting::new("ACM2_OUTBOUND__MAX_RESPONSE_BYTES", "32MiB", "Largest answer of a provider: bytes, or a number with `KiB` or `MiB` (64KiB to 512MiB).");
        PRICES_FILE = Setting::new("ACM2_PRICES__FILE", "", "A CSV file of model prices that replaces the built-in table.").otherwise("the built-in table");
    }
    "Logs" {
        LOG_FORMAT = Setting::new("ACM2_LOG__FORMAT", "", "`json` (one object per line) or `text`. Logs go to standard error.")
            .otherwise("`text` on a terminal, else `json`");
        LOG_LEVEL = Setting::new("ACM2_LOG__LEVEL", "info", "`error`, `warn`, `info`, `debug` or `trace`; with exceptions: `info,acm2_outbound=debug`. \
            Libraries that see keys on the wire never log below `info`.");
    }
    "Tests" {
        FASTER = Setting::new("ACM2_TIMING__FASTER", "1", "Divides every duration of the run protocol (1 to 1000). For tests only: in production heartbeats and leases would be too short.");
        CLOCK_OFFSET = Setting::new("ACM2_TIMING__CLOCK_OFFSET_SECONDS", "0", "Added to the machine's clock before the database's time is known (0 to 31536000). For tests only.");
    }
}
