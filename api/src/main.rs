//! `acm2`: see `cli` for its commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    acm2_api::cli::run()
}
