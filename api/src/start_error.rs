//! Why a command did not do what it should: one line for a person and an exit code. `main` prints it.

use std::process::ExitCode;

use acm2_broker::BrokerUrlError;
use acm2_runtime::config::ConfigError;
use acm2_store::StoreError;

/// Why a command failed.
#[derive(Debug)]
pub struct StartError {
    /// What went wrong and the way out; no secret.
    pub line: String,
    code: u8,
}

impl StartError {
    /// Something is wrong around the process: exit code 1.
    pub fn failed(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 1 }
    }

    /// The configuration or the command line is wrong: exit code 2.
    pub fn misused(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: 2 }
    }

    /// For the shell.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        Self::misused(error.to_string())
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Setup(_) => Self::misused(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}

impl From<BrokerUrlError> for StartError {
    fn from(error: BrokerUrlError) -> Self {
        Self::misused(error.to_string())
    }
}

impl From<acm2_domain::Error> for StartError {
    fn from(error: acm2_domain::Error) -> Self {
        Self::failed(error.detail)
    }
}
