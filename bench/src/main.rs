//! `bench`: drives the real processes of ACM2 over its HTTP API, to break what surrounds them (`chaos`) and to measure them
//! (`figures`, `fairness`). It knows the binary `acm2`, PostgreSQL, Redis and HTTP, and no code of the product.

mod chaos;
mod figures;
mod fingerprint;
mod ids;
mod outcome;
mod place;
mod say;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::outcome::Outcome;

/// Faults and figures.
#[derive(Debug, Parser)]
#[command(name = "bench", version, about)]
struct Cli {
    /// The binary under test; the one beside this program where absent.
    #[arg(long, global = true)]
    acm2: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Breaks things by a seed and compares what was promised with what happened; exit code 1 if a promise was broken.
    Chaos(chaos::ChaosArgs),
    /// Measures what the product does, takes and uses, each beside a base of the same run.
    Figures(figures::FiguresArgs),
    /// Shows who waits how long when one tenant floods; exit code 1 if equals are not served alike.
    Fairness(figures::FairnessArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            say::line(&format!("bench: {error}"));
            ExitCode::from(2)
        }
    }
}

async fn run(cli: Cli) -> Outcome<bool> {
    let acm2 = binary(cli.acm2)?;
    let interrupted = async {
        tokio::signal::ctrl_c().await?;
        Err("interrupted".into())
    };
    let work = async {
        match cli.command {
            Command::Chaos(arguments) => chaos::run(arguments, &acm2).await,
            Command::Figures(arguments) => figures::run(arguments, &acm2).await,
            Command::Fairness(arguments) => figures::run_fairness(arguments, &acm2).await,
        }
    };
    // Dropping the work ends the servers and processes that it started.
    tokio::select! {
        done = work => done,
        stopped = interrupted => stopped,
    }
}

fn binary(given: Option<PathBuf>) -> Outcome<PathBuf> {
    let beside = || Ok::<_, std::io::Error>(std::env::current_exe()?.with_file_name("acm2"));
    let path = given.map_or_else(beside, Ok)?;
    if path.is_file() {
        return Ok(path.canonicalize()?);
    }
    Err(format!(
        "{} is missing: build it with `cargo build --package acm2-api`, or name one with --acm2",
        path.display()
    )
    .into())
}
