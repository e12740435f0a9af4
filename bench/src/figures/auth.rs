//! What knowing the caller costs: the first request with a key that a process sees, and later ones.

use std::time::Instant;

use super::bases::HEALTH_P50;
use super::quantiles::Quantiles;
use super::stage::Stage;
use super::table::Table;
use crate::outcome::Outcome;

/// It needs a caller and reads nothing of the tenant.
const PATH: &str = "/api-keys?limit=1";

pub(super) async fn measure(stage: &mut Stage, table: &mut Table, tenants: usize) -> Outcome<()> {
    let tenants = stage.tenants(tenants).await?;
    stage.restart_api().await?;
    // The process opens its connections.
    stage.http.get(&stage.url(PATH), &tenants[0].key).await?.good()?;
    for what in ["authenticated request, key not seen before, p50", "authenticated request, key cached, p50"] {
        let mut latency = Vec::new();
        for tenant in &tenants[1..] {
            let began = Instant::now();
            stage.http.get(&stage.url(PATH), &tenant.key).await?.good()?;
            latency.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        table.add(what, Quantiles::of(latency).p50(), "ms", Some(HEALTH_P50));
    }
    Ok(())
}
