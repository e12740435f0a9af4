//! The configuration as a whole: defaults, overrides, contradictions, and what is never shown.

use acm2_domain::timing::Timing;
use acm2_runtime::config::{Config, ConfigError, LogFormat, Mode, Role, settings};
use secrecy::ExposeSecret;

const KEYS: (&str, &str) = ("ACM2_MASTER_KEYS", "2026a:hunter2hunter2");
const POSTGRES: (&str, &str) = ("DATABASE_URL", "postgres://ann:hunter2@db/acm2");
const REDIS: (&str, &str) = ("REDIS_URL", "redis://:hunter2@cache");

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::read(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn refused(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    let error = read(variables).expect_err("this configuration must be refused");
    assert!(!error.to_string().contains("hunter2"), "{error}");
    error.problems.into_iter().map(|problem| (problem.setting, problem.message)).collect()
}

#[test]
fn an_empty_environment_is_a_local_machine() {
    let config = read(&[]).unwrap();
    assert_eq!(config.mode, Mode::Local);
    assert!(config.database.url.is_files() && config.broker.is_in_process() && config.makes_own_master_key());
    assert_eq!(config.http.bind.to_string(), "127.0.0.1:8080");
    assert_eq!((config.http.body_limit, config.outbound.limits.max_response_bytes), (1 << 20, 32 << 20));
    assert_eq!((config.worker.runs, config.worker.calls, config.worker.deliveries), (64, 512, 32));
    assert_eq!((config.queue.tenant_share_percent, config.queue.tenant_quota), (75, 100_000));
    assert_eq!(config.timing(), Timing::default());
    assert!(config.check_role(Role::Serve).is_ok());
}

#[test]
fn every_setting_of_the_table_is_read_and_listed() {
    let config = read(&[]).unwrap();
    let mut listed: Vec<&str> = config.listing().settings().iter().map(|listed| listed.name.as_str()).collect();
    let mut known: Vec<&str> = settings::all().map(|setting| setting.name).collect();
    listed.sort_unstable();
    known.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn settings_override_the_defaults() {
    let config = read(&[
        KEYS,
        POSTGRES,
        ("MIGRATE_DATABASE_URL", "postgres://owner:pw@db/acm2"),
        REDIS,
        ("ACM2_HTTP__BIND", "0.0.0.0:80"),
        ("ACM2_HTTP__PUBLIC_URL", "https://acm2.example.com/"),
        ("ACM2_HTTP__BODY_LIMIT", "2MiB"),
        ("ACM2_HTTP__CORS_ORIGINS", "https://a.example.com, https://b.example.com"),
        ("ACM2_OUTBOUND__ALLOWED_HOSTS", "LLM.example.com:8000"),
        ("ACM2_PROVIDERS__OPENAI__BASE_URL", "http://127.0.0.1:9000/v1/"),
        ("ACM2_PROVIDERS__OPENAI_COMPATIBLE__BASE_URL", "http://127.0.0.1:9000"),
        ("ACM2_LOG__FORMAT", "json"),
        ("ACM2_TIMING__FASTER", "5"),
    ])
    .unwrap();
    assert_eq!(config.mode, Mode::Hosted);
    assert_eq!(config.database.migrate_url.unwrap().expose(), "postgres://owner:pw@db/acm2");
    assert_eq!(config.broker.expose(), "redis://:hunter2@cache");
    assert_eq!(config.http.public_url.unwrap().as_str(), "https://acm2.example.com/");
    assert_eq!(config.http.body_limit, 2 << 20);
    assert_eq!(config.http.cors_origins, ["https://a.example.com", "https://b.example.com"]);
    assert_eq!(config.outbound.allowed_hosts, ["llm.example.com:8000"]);
    assert_eq!(config.outbound.base_urls["openai"].as_str(), "http://127.0.0.1:9000/v1");
    assert_eq!(config.outbound.base_urls["openai-compatible"].as_str(), "http://127.0.0.1:9000/");
    assert_eq!(config.log.format, Some(LogFormat::Json));
}

#[test]
fn the_timing_factor_divides_the_durations() {
    assert_eq!(read(&[("ACM2_TIMING__FASTER", "5")]).unwrap().timing(), Timing::default().faster(5));
}

#[test]
fn a_variable_that_is_set_to_nothing_counts_as_not_set() {
    let config = read(&[("DATABASE_URL", ""), ("ACM2_HTTP__BIND", " "), ("ACM2_MASTER_KEYS", "")]).unwrap();
    assert!(config.database.url.is_files() && config.makes_own_master_key());
}

#[test]
fn all_problems_are_reported_at_once_and_no_value_is_echoed() {
    let problems = refused(&[
        ("ACM2_HTTP__BIND", "hunter2"),
        ("ACM2_HTP__BIND", "hunter2"),
        ("ACM2_MODE", "hunter2"),
        ("ACM2_WORKER__RUNS", "hunter2"),
        ("ACM2_QUEUE__TENANT_SHARE_PERCENT", "101"),
        ("ACM2_LOG__LEVEL", "hunter2=loud"),
        ("ACM2_DATABASE__URL", "mysql://root:hunter2@db"),
        ("REDIS_URL", "http://hunter2"),
        ("ACM2_PROVIDERS__OPENAI__BASE_URL", "https://hunter2@proxy"),
        ("ACM2_OUTBOUND__ALLOWED_HOSTS", "https://hunter2/"),
        ("ACM2_HTTP__CORS_ORIGINS", "hunter2"),
    ]);
    let mut wrong: Vec<&str> = problems.iter().map(|(setting, _)| setting.as_str()).collect();
    wrong.sort_unstable();
    assert_eq!(
        wrong,
        [
            "ACM2_DATABASE__URL",
            "ACM2_HTP__BIND",
            "ACM2_HTTP__BIND",
            "ACM2_HTTP__CORS_ORIGINS",
            "ACM2_LOG__LEVEL",
            "ACM2_MODE",
            "ACM2_OUTBOUND__ALLOWED_HOSTS",
            "ACM2_PROVIDERS__OPENAI__BASE_URL",
            "ACM2_QUEUE__TENANT_SHARE_PERCENT",
            "ACM2_WORKER__RUNS",
            "REDIS_URL",
        ]
    );
    assert!(problems.iter().all(|(_, message)| !message.contains('\n')), "each problem is one line");
}

#[test]
fn a_setting_and_its_alias_must_agree() {
    let problems = refused(&[KEYS, POSTGRES, ("ACM2_DATABASE__URL", "sqlite")]);
    let message = "differs from DATABASE_URL; set only one of the two";
    assert_eq!(problems, [("ACM2_DATABASE__URL".to_owned(), message.to_owned())]);
    assert!(read(&[KEYS, POSTGRES, ("ACM2_DATABASE__URL", POSTGRES.1)]).is_ok());
}

#[test]
fn only_a_local_machine_does_without_master_keys() {
    for variables in [
        &[POSTGRES] as &[_],
        &[("ACM2_HTTP__BIND", "0.0.0.0:8080")],
        &[("ACM2_HTTP__BIND", "0.0.0.0:8080"), ("ACM2_MODE", "local")],
        &[("ACM2_MODE", "hosted")],
        &[POSTGRES, ("ACM2_MODE", "local")],
    ] {
        let problems = refused(variables);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].0, "ACM2_MASTER_KEYS");
        assert!(problems[0].1.contains("acm2 keys generate"), "{problems:?}");
        let with_keys = [variables, &[KEYS]].concat();
        assert!(!read(&with_keys).unwrap().makes_own_master_key());
    }
}

#[test]
fn redis_beside_sqlite_is_refused() {
    let problems = refused(&[REDIS]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].0 == "ACM2_BROKER__URL" && problems[0].1.contains("needs PostgreSQL"), "{problems:?}");
}

#[test]
fn separate_processes_need_postgresql_and_redis() {
    let local = read(&[]).unwrap();
    let half = read(&[KEYS, POSTGRES]).unwrap();
    let both = read(&[KEYS, POSTGRES, REDIS]).unwrap();
    for role in [Role::Api, Role::Worker] {
        assert_eq!(local.check_role(role).unwrap_err().problems.len(), 2);
        assert_eq!(half.check_role(role).unwrap_err().problems.len(), 1);
        assert!(both.check_role(role).is_ok());
    }
    assert!(half.check_role(Role::Serve).is_ok() && both.check_role(Role::Serve).is_ok());
}

#[test]
fn provider_keys_of_the_environment_are_read_in_local_mode_alone() {
    let keys = [("OPENAI_API_KEY", "one"), ("GEMINI_API_KEY", "two"), ("GOOGLE_API_KEY", "three"), ("XAI_API_KEY", "")];
    let local = read(&keys).unwrap().local_provider_keys();
    let local: Vec<_> = local.iter().map(|(slug, key)| (slug.as_str(), key.expose_secret())).collect();
    assert_eq!(local, [("openai", "one"), ("google", "two")]);

    let hosted = [&keys as &[_], &[KEYS, ("ACM2_MODE", "hosted")]].concat();
    assert!(read(&hosted).unwrap().local_provider_keys().is_empty());
    let public = [&keys as &[_], &[KEYS, ("ACM2_HTTP__BIND", "0.0.0.0:8080")]].concat();
    assert!(read(&public).unwrap().local_provider_keys().is_empty());
}

#[test]
fn no_secret_is_in_the_listing_or_in_debug() {
    let local = read(&[("OPENAI_API_KEY", "hunter2"), KEYS]).unwrap();
    let hosted = read(&[KEYS, POSTGRES, REDIS]).unwrap();
    for config in [&local, &hosted] {
        let shown = format!("{config:?}\n{}\n{}", config.listing(), serde_json::to_string(config.listing()).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let listing = hosted.listing().to_string();
    assert!(listing.contains("postgres://ann:****@db/acm2") && listing.contains("redis://:****@cache"), "{listing}");
    assert!(listing.lines().any(|line| line.starts_with("ACM2_MODE ") && line.contains("hosted")), "{listing}");
    assert!(
        local.listing().to_string().lines().any(|line| line.starts_with("OPENAI_API_KEY ") && line.contains("(set)"))
    );
}
