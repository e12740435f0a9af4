//! `acm2 doctor`: says in plain words what is wrong with the configuration and the machine. Exit code 1 where something is.

use std::os::unix::fs::PermissionsExt as _;

use acm2_broker::{BrokerOptions, BrokerUrl, Severity};
use acm2_domain::clock::{Clock, SystemClock};
use acm2_runtime::config::Config;
use acm2_runtime::file_limit;
use acm2_store::Store;
use acm2_vault::keyring::Keyring;

use super::say;
use crate::app::wrapped;
use crate::open;
use crate::start_error::StartError;

/// Below this many open files a thousand calls at once do not fit.
const FEW_FILES: u64 = 4_096;

/// What was found, in the order in which it is told.
#[derive(Debug, Default)]
struct Findings {
    errors: usize,
    warnings: usize,
}

impl Findings {
    fn good(text: &str) {
        say::line(&format!("ok       {text}"));
    }

    fn warn(&mut self, text: &str) {
        self.warnings += 1;
        say::line(&format!("warning  {text}"));
    }

    fn fail(&mut self, text: &str) {
        self.errors += 1;
        say::line(&format!("wrong    {text}"));
    }
}

pub(super) async fn run() -> Result<(), StartError> {
    let mut findings = Findings::default();
    match Config::from_env() {
        Err(error) => error.problems.iter().for_each(|problem| {
            findings.fail(&format!("{}: {}", problem.setting, problem.message));
        }),
        Ok(config) => {
            Findings::good("the configuration is complete");
            examine_folder(&config, &mut findings);
            examine_store(&config, &mut findings).await;
            examine_broker(&config, &mut findings).await;
        }
    }
    examine_machine(&mut findings);
    match findings {
        Findings { errors: 0, warnings: 0 } => say::line("nothing is wrong"),
        Findings { errors: 0, warnings } => say::line(&format!("nothing is wrong, {warnings} warnings")),
        Findings { errors, .. } => return Err(StartError::failed(format!("{errors} things are wrong"))),
    }
    Ok(())
}

fn examine_folder(config: &Config, findings: &mut Findings) {
    if !config.database.url.is_files() {
        return;
    }
    let dir = config.data_dir.display();
    match std::fs::metadata(&config.data_dir) {
        Ok(metadata) if !metadata.is_dir() => findings.fail(&format!("{dir} is not a folder; set ACM2_DATA_DIR")),
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                findings.warn(&format!("others may look into {dir} (mode {mode:03o}); run chmod 700 {dir}"));
            }
            if metadata.permissions().readonly() {
                findings.fail(&format!("{dir} cannot be written"));
            } else {
                Findings::good(&format!("data folder {dir}"));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Findings::good(&format!("data folder {dir} will be made at the first start"));
        }
        Err(error) => findings.fail(&format!("{dir}: {error}")),
    }
}

async fn examine_store(config: &Config, findings: &mut Findings) {
    if config.database.url.is_files() && !config.data_dir.join("control.db").exists() {
        return Findings::good("the database will be made at the first start");
    }
    let keys = match open::master_keys(config) {
        Ok(keys) => keys,
        Err(error) => return findings.fail(&error.line),
    };
    let store = match open::open_store(config, false).await {
        Ok(store) => store,
        Err(error) => return findings.fail(&error.line),
    };
    match store.ping().await {
        Ok(()) => Findings::good("the database answers"),
        Err(error) => return findings.fail(&error.to_string()),
    }
    examine_data_keys(&store, &Keyring::new(keys), findings).await;
    store.close().await;
}

async fn examine_data_keys(store: &Store, keyring: &Keyring, findings: &mut Findings) {
    let (mut opened, mut locked, mut after) = (0_u64, 0_u64, None);
    loop {
        let Ok(page) = store.tenants().list(after, 500).await else {
            return findings.fail("the control store is not migrated yet: run acm2 migrate");
        };
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for tenant in &page {
            match keyring.data_key(tenant.id, &wrapped(&tenant.data_key)) {
                Ok(_) => opened += 1,
                Err(error) => {
                    if locked == 0 {
                        findings.fail(&format!("the data key of tenant {} does not open: {error}", tenant.id));
                    }
                    locked += 1;
                }
            }
        }
    }
    if locked == 0 {
        Findings::good(&format!("the master keys open the data keys of all {opened} tenants"));
    } else {
        findings.fail(&format!("the data keys of {locked} of {} tenants do not open", locked + opened));
    }
}

async fn examine_broker(config: &Config, findings: &mut Findings) {
    let options = BrokerOptions::new(config.timing().lease);
    let opened = config.broker.expose().parse::<BrokerUrl>().map_err(|error| error.to_string());
    let opened = opened.and_then(|url| acm2_broker::open(&url, options).map_err(|error| error.to_string()));
    match opened {
        Err(why) => findings.fail(&why),
        Ok(broker) => {
            let found = broker.diagnose(&SystemClock).await;
            for finding in &found {
                match finding.severity {
                    Severity::Warning => findings.warn(&finding.text),
                    Severity::Error => findings.fail(&finding.text),
                }
            }
            if found.is_empty() {
                Findings::good("the broker is well");
            }
        }
    }
}

fn examine_machine(findings: &mut Findings) {
    match file_limit::raise() {
        Ok(limit) if limit.soft < FEW_FILES => findings.warn(&format!(
            "only {} files may be open at a time; raise the hard limit (ulimit -Hn) to {FEW_FILES} or more",
            limit.soft
        )),
        Ok(limit) => Findings::good(&format!("{} files may be open at a time", limit.soft)),
        Err(error) => findings.warn(&format!("the limit of open files cannot be read: {error}")),
    }
    // A clock before the program was written is wrong; how far it is off the servers' is the broker's to say.
    if SystemClock.now().timestamp() < 1_760_000_000 {
        findings.fail("the clock of this machine is far behind: signatures and leases need a right one");
    } else {
        Findings::good("the clock is plausible");
    }
}
