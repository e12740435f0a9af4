//! Does one fault of the schedule to the world, and ends it.

use std::time::Duration;

use tokio::time::sleep;

use super::load::Load;
use super::schedule::{Fault, Kind};
use super::world::World;
use super::{duplicate, models};
use crate::outcome::Outcome;
use crate::place::proxy::Weather;

/// How long a process may drain before it is killed; a supervisor is no more patient than that.
const DRAIN: Duration = Duration::from_secs(8);

/// How long each piece takes on a slow way.
const SLOW: Duration = Duration::from_millis(150);

/// Does it; when this returns, what was taken away is back.
pub(crate) async fn perform(world: &mut World, load: &Load, fault: Fault) -> Outcome<()> {
    let Fault { kind, who, lasts, .. } = fault;
    match kind {
        Kind::WorkerKilled => {
            let places = one(world, "worker", who);
            kill(world, places, lasts).await?;
        }
        Kind::ApiKilled => {
            let places = one(world, "api", who);
            kill(world, places, lasts / 4).await?;
        }
        Kind::AllWorkersKilled => {
            let workers = world.of_role("worker");
            kill(world, workers, lasts).await?;
        }
        Kind::WorkerTerminated => {
            let places = one(world, "worker", who);
            terminate(world, places).await?;
        }
        Kind::ApiTerminated => {
            let places = one(world, "api", who);
            terminate(world, places).await?;
        }
        Kind::RedisEmptied => {
            world.redis.ask(&["FLUSHALL"]).await?;
        }
        Kind::RedisRestarted => {
            world.redis.kill().await?;
            world.redis.give_back().await?;
        }
        Kind::RedisStopped => {
            world.redis.kill().await?;
            sleep(lasts).await;
            world.redis.give_back().await?;
        }
        Kind::RedisCut | Kind::RedisSilent | Kind::RedisSlow => {
            let proxy = &world.members[who % world.members.len()].to_redis;
            proxy.set(weather(kind));
            sleep(lasts).await;
        }
        Kind::DatabaseRestarted => {
            world.postgres.stop("immediate")?;
            world.postgres.give_back().await?;
        }
        Kind::DatabaseStopped => {
            world.postgres.stop(if who % 2 == 0 { "immediate" } else { "fast" })?;
            sleep(lasts).await;
            world.postgres.give_back().await?;
        }
        Kind::DatabaseCut | Kind::DatabaseSilent | Kind::DatabaseSlow => {
            let proxy = &world.members[who % world.members.len()].to_database;
            proxy.set(weather(kind));
            sleep(lasts).await;
        }
        Kind::ProviderHangs => load.unlucky(fault, models::HANGING),
        Kind::ProviderLimits => load.unlucky(fault, models::LIMITING),
        Kind::ProviderFails => load.unlucky(fault, models::FAILING),
        Kind::ProviderCuts => load.unlucky(fault, models::CUTTING),
        Kind::ProviderKilled => {
            if let Some(sandbox) = world.sandbox.take() {
                sandbox.kill().await?;
            }
        }
        Kind::EntryDoubled => duplicate::push_again(world, who).await?,
    }
    world.heal().await
}

/// What the way of one process to a server is like meanwhile.
fn weather(kind: Kind) -> Weather {
    match kind {
        Kind::RedisCut | Kind::DatabaseCut => Weather::Cut,
        Kind::RedisSlow | Kind::DatabaseSlow => Weather::Slow(SLOW),
        _ => Weather::Stall,
    }
}

fn one(world: &World, role: &str, who: usize) -> Vec<usize> {
    let places = world.of_role(role);
    vec![places[who % places.len()]]
}

async fn kill(world: &mut World, places: Vec<usize>, away: Duration) -> Outcome<()> {
    for at in places {
        if let Some(process) = world.members[at].process.take() {
            process.kill().await?;
        }
    }
    sleep(away).await;
    Ok(())
}

async fn terminate(world: &mut World, places: Vec<usize>) -> Outcome<()> {
    for at in places {
        if let Some(process) = world.members[at].process.take() {
            process.stop(DRAIN).await?;
        }
    }
    Ok(())
}
