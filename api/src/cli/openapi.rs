//! `acm2 openapi`.

use super::say;
use crate::spec;
use crate::start_error::StartError;

#[expect(clippy::unnecessary_wraps, reason = "the form of every command")]
pub(super) fn print() -> Result<(), StartError> {
    say::text(&spec::text());
    Ok(())
}
