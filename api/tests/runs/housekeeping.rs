//! What has expired goes away by itself: idempotency keys, and the rows of processes that died long ago.

use std::time::Duration;

use serde_json::{Value, json};

use crate::database::{Of, change_one, dump};
use crate::harness::{Answer, Client, Tenant, World};
use crate::house::House;

/// The rows of a table, as text.
async fn rows(world: &World, table: &str) -> Vec<String> {
    let tables = dump(world).await;
    let (_, text) = tables.into_iter().find(|(name, _)| name.ends_with(&format!(".{table}"))).unwrap();
    text.lines().map(str::to_owned).collect()
}

async fn make_endpoint(client: &Client, name: &str) {
    let body = json!({"url": "https://example.org/hooks", "events": ["run.completed"]});
    let request = client.request(reqwest::Method::POST, "/api/v1/webhook-endpoints").header("idempotency-key", name);
    let _: Value = Answer::of(request.json(&body)).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_idempotency_keys_go_when_others_come() {
    let Some(world) = World::servers("expired_idempotency_keys_go_when_others_come").await else { return };
    let house = House::of(world).await;
    let api = house.world.start("api");
    let (tenant, client): (Tenant, Client) = house.tenant_and_client(&api, "a").await;
    make_endpoint(&client, "one").await;
    make_endpoint(&client, "two").await;
    let expire = "UPDATE idempotency_keys SET expires_at = now() - interval '1 minute' \
                  WHERE key_hash = (SELECT min(key_hash) FROM idempotency_keys)";
    change_one(&house.world, Of::Tenant(&tenant), expire).await;
    let before = rows(&house.world, "idempotency_keys").await;
    make_endpoint(&client, "three").await;
    let after = rows(&house.world, "idempotency_keys").await;
    let kept = before.iter().filter(|row| after.contains(row)).count();
    assert_eq!((before.len(), after.len(), kept), (2, 2, 1), "the expired one went, the other stays");
    drop(api);
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_died_long_ago_is_forgotten_when_another_starts() {
    let name = "a_process_that_died_long_ago_is_forgotten_when_another_starts";
    let Some(world) = World::servers(name).await else { return };
    let house = House::of(world).await;
    let first = house.world.start("api");
    let lose = async |id: u8, host: &str, hours: u8| {
        let insert = format!(
            "INSERT INTO workers (id, role, host, pid, version, master_key_ids, started_at, heartbeat_at) VALUES \
             ('018f0000-0000-7000-8000-00000000000{id}', 'worker', '{host}', 1, '0.1.0', '[\"test\"]', \
             now() - interval '200 hours', now() - interval '{hours} hours')"
        );
        change_one(&house.world, Of::Control, &insert).await;
    };
    let knows = async |host: &str| rows(&house.world, "workers").await.iter().any(|row| row.contains(host));
    lose(1, "lost-lately", 1).await;
    for (id, role) in [(2, "api"), (3, "worker")] {
        lose(id, "lost-long-ago", 100).await;
        let next = house.world.start(role);
        let until = tokio::time::Instant::now() + Duration::from_secs(20);
        while knows("lost-long-ago").await {
            assert!(tokio::time::Instant::now() < until, "{role} has not forgotten it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(knows("lost-lately").await, "{role} forgot one that died an hour ago");
        drop(next);
    }
    drop(first);
    house.world.remove().await;
}
