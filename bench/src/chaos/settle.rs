//! After the last fault: waits, within bounds, until all work has ended.

use std::time::Duration;

use reqwest::Method;
use tokio::time::{Instant, sleep};

use super::stores::{self, Unfinished};
use super::world::World;
use crate::ids::id_of;
use crate::outcome::Outcome;
use crate::place::http::Http;

/// Waits; what had not ended by then.
pub(crate) async fn settle(world: &mut World, patience: Duration) -> Outcome<Unfinished> {
    let until = Instant::now() + patience;
    let http = Http::new(Duration::from_secs(10))?;
    loop {
        world.heal().await?;
        let left = stores::unfinished(&world.postgres.url(world.postgres.port), &world.customers).await?;
        if left.is_none() || Instant::now() > until {
            return Ok(left);
        }
        // A resume that came while nobody could hear it is the tenant's to repeat.
        for (tenant, run, _) in left.runs.iter().filter(|(.., status)| status == "paused") {
            let url = format!("{}/api/v1/runs/{}/resume", world.apis()[0], id_of("run", *run));
            let _ = http.send(Method::POST, &url, &world.customers[*tenant].tenant.key, None, None).await;
        }
        sleep(Duration::from_millis(500)).await;
    }
}
