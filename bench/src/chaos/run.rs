//! The command `bench chaos`: from the first start to the exit code.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, sleep, sleep_until};

use super::load::Load;
use super::records::{self, Lines};
use super::schedule::{self, Fault};
use super::verdict::Line;
use super::world::World;
use super::{check, fault, settle, stores, table};
use crate::outcome::Outcome;
use crate::place::house::open_to_postgres;
use crate::say;

#[derive(Debug, Args)]
pub(crate) struct ChaosArgs {
    /// Which schedule; the same seed gives the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many faults.
    #[arg(long, default_value_t = 25)]
    faults: u64,
    /// Over how many minutes; one after the other where absent.
    #[arg(long)]
    minutes: Option<f64>,
    /// A folder that keeps everything, so that a driver that was cut off goes on there. As root it must be one that the user
    /// `postgres` can reach.
    #[arg(long)]
    state: Option<PathBuf>,
    /// Divides every duration of the run protocol.
    #[arg(long, default_value_t = 5)]
    faster: u32,
    /// Milliseconds between two submissions.
    #[arg(long, default_value_t = 100)]
    pace: u64,
    /// How many seconds the work may take to end after the last fault.
    #[arg(long, default_value_t = 120)]
    settle: u64,
}

/// Runs it; whether every promise was kept.
pub(crate) async fn run(arguments: ChaosArgs, acm2: &Path) -> Outcome<bool> {
    let temporary = tempfile::Builder::new().prefix("acm2-chaos-").tempdir()?;
    let dir = arguments.state.clone().unwrap_or_else(|| temporary.path().to_owned());
    open_to_postgres(temporary.path())?;
    let mut world = World::start(&dir, acm2, arguments.faster).await?;
    let dir = world.house.dir.clone();
    let (faults_file, starts_file) = (dir.join("faults"), dir.join("starts"));
    let mut done: Vec<Fault> = records::read(&faults_file)?;
    let starts = records::read::<u64>(&starts_file)?;
    if let Some(other) = starts.iter().find(|seed| **seed != arguments.seed) {
        return Err(format!("{} was begun with the seed {other}", dir.display()).into());
    }
    let start = starts.len();
    Lines::open(&starts_file)?.add(&arguments.seed)?;
    say::line(&format!("chaos: seed {}, fault {} of {}", arguments.seed, done.len(), arguments.faults));

    let lines = (Lines::open(&dir.join("submissions"))?, Lines::open(&dir.join("skips"))?);
    let hook = world.receiver.url("/flaky/of-the-run");
    let load = Load::new(arguments.seed, start, world.apis(), hook, world.customers.clone(), lines).await?;
    let submitting = tokio::spawn({
        let load = load.clone();
        async move { load.run(Duration::from_millis(arguments.pace)).await }
    });
    let lines = Lines::open(&faults_file)?;
    let began = Instant::now();
    let step =
        arguments.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0 / arguments.faults.max(1) as f64));
    let mut first = done.len() as u64;
    let earlier = done.len();
    // The load shall be under way.
    sleep(Duration::from_secs(2)).await;
    while first < arguments.faults {
        let fault = schedule::fault(arguments.seed, first);
        fault::perform(&mut world, &load, fault).await.map_err(|error| format!("{fault:?}: {error}"))?;
        lines.add(&fault)?;
        done.push(fault);
        first += 1;
        let fixed = step.map(|step| began + step * u32::try_from(done.len() - earlier).unwrap_or(u32::MAX));
        sleep_until(fixed.unwrap_or_else(Instant::now).max(Instant::now() + Duration::from_millis(700))).await;
        if first.is_multiple_of(50) {
            say::line(&format!(
                "chaos: {first} of {} faults, {:.0} s",
                arguments.faults,
                began.elapsed().as_secs_f64()
            ));
        }
    }
    load.stop();
    world.heal().await?;
    submitting.await?;
    let left = settle::settle(&mut world, Duration::from_secs(arguments.settle)).await?;
    if !left.is_none() {
        say::line(&format!("chaos: not all work ended within {} s: {left:?}", arguments.settle));
    }
    let stubborn = world.stop().await?;
    let found = stores::read(&dir, &world.postgres.url(world.postgres.port), &world.customers).await?;
    let mut verdict = check::check(&found);
    for name in stubborn {
        verdict.broken(Line::Stubborn, name);
    }
    say::line(&table::table(arguments.seed, &done, &verdict));
    if !verdict.is_clean() {
        let kept = if arguments.state.is_some() { dir } else { temporary.keep() };
        say::line(&format!("chaos: promises were broken; everything is kept in {}", kept.display()));
    }
    Ok(verdict.is_clean())
}
