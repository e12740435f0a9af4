//! `acm2 extract`: what `extraction` starts to read one hostile file. It reads the file from standard input, and neither the
//! configuration nor anything else.

use std::io::{self, Read as _};
use std::process::ExitCode;

use acm2_extract::FileType;
use clap::Args;

use super::say;

/// Failed for a reason that lies with the system, not with the file.
const NOT_CONFINED: u8 = 1;

/// What is to be read.
#[derive(Debug, Args)]
pub(super) struct Extract {
    /// `pdf`, `docx` or `html`.
    file_type: FileType,
    /// The most bytes that the text may have.
    most: usize,
}

/// Prints the text of the file that comes in, or says by its exit code what is wrong with it.
pub(super) fn run(arguments: &Extract) -> ExitCode {
    if acm2_extract::confine().is_err() {
        return ExitCode::from(NOT_CONFINED);
    }
    let mut bytes = Vec::new();
    if io::stdin().read_to_end(&mut bytes).is_err() {
        return ExitCode::from(NOT_CONFINED);
    }
    match acm2_extract::extract(arguments.file_type, &bytes, arguments.most) {
        Ok(text) => {
            say::text(&text);
            ExitCode::SUCCESS
        }
        Err(refusal) => ExitCode::from(refusal.exit_code()),
    }
}
