//! `acm2 config`.

use acm2_runtime::config::Config;

use super::say;
use crate::start_error::StartError;

#[expect(clippy::unnecessary_wraps, reason = "the form of every command")]
pub(super) fn print(config: &Config) -> Result<(), StartError> {
    say::text(&config.listing().to_string());
    Ok(())
}
