//! The command line: one file per command. `run` is all that `main` calls.

mod admin;
mod api_keys;
mod config;
mod doctor;
mod extract;
mod greeting;
mod keys;
mod migrate;
mod openapi;
mod progress;
mod sandbox;
mod say;
mod serve;
mod tenants;

use std::process::ExitCode;

use acm2_runtime::config::{Config, Role};
use acm2_runtime::{panic_report, telemetry};
use clap::{Parser, Subcommand};

use crate::start_error::StartError;

/// ACM2 sends a prompt to many LLMs with your own provider keys and reports what each answered and what it cost.
#[derive(Debug, Parser)]
#[command(name = "acm2", version, about, arg_required_else_help = false)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything in one process (the default).
    Serve(serve::Serve),
    /// The HTTP API only; needs PostgreSQL and Redis.
    Api(serve::Serve),
    /// Runs and deliveries only; needs PostgreSQL and Redis.
    Worker,
    /// Bring the control store up to date, with --all every tenant too.
    Migrate(migrate::Migrate),
    /// Print the OpenAPI specification.
    Openapi,
    /// Print every setting with its value, without secrets.
    Config,
    /// Say what is wrong with the configuration and the machine.
    Doctor,
    /// Master keys.
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Tenants.
    #[command(subcommand)]
    Tenants(tenants::Tenants),
    /// API keys.
    #[command(subcommand)]
    ApiKeys(api_keys::ApiKeys),
    /// A local LLM provider for trying things out.
    Sandbox(sandbox::SandboxArgs),
    /// Read one file; for this program itself.
    #[command(hide = true)]
    Extract(extract::Extract),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    panic_report::install();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are errors to clap, but not to people.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Some(Command::Extract(arguments)) = &cli.command {
        return extract::run(arguments);
    }
    match dispatch(cli.command.unwrap_or_else(|| Command::Serve(serve::Serve::default()))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error.line);
            error.exit_code()
        }
    }
}

fn dispatch(command: Command) -> Result<(), StartError> {
    match command {
        Command::Openapi => openapi::print(),
        Command::Keys(keys::Keys::Generate(arguments)) => keys::generate(&arguments),
        Command::Config => config::print(&Config::from_env()?),
        Command::Sandbox(arguments) => in_runtime(sandbox::run(arguments)),
        Command::Doctor => in_runtime(doctor::run()),
        other => with_config(other),
    }
}

fn with_config(command: Command) -> Result<(), StartError> {
    let config = Config::from_env()?;
    telemetry::start(&config.log).map_err(|error| StartError::failed(error.to_string()))?;
    match command {
        Command::Serve(arguments) => in_runtime(serve::run(config, Role::Serve, arguments)),
        Command::Api(arguments) => in_runtime(serve::run(config, Role::Api, arguments)),
        Command::Worker => in_runtime(serve::run(config, Role::Worker, serve::Serve::default())),
        Command::Migrate(arguments) => in_runtime(migrate::run(config, arguments)),
        Command::Keys(_) => in_runtime(keys::rotate(config)),
        Command::Tenants(arguments) => in_runtime(tenants::run(config, arguments)),
        Command::ApiKeys(arguments) => in_runtime(api_keys::run(config, arguments)),
        Command::Openapi | Command::Config | Command::Doctor | Command::Sandbox(_) | Command::Extract(_) => Ok(()),
    }
}

fn in_runtime(command: impl Future<Output = Result<(), StartError>>) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| StartError::failed(format!("cannot start threads: {error}")))?;
    runtime.block_on(command)
}
