//! Waiting for a run by asking: `Prefer: wait`, tags and the hints when to ask again, on whichever process.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, World};
use crate::house::{House, ended, on_both, submit};

on_both!(the_hint_when_to_look_again_follows_from_progress_and_from_the_queue, a_wait_outlives_the_worker,);

const RUNS: &str = "/api/v1/runs";

fn hint(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap_or_else(|_| panic!("no hint: {}", answer.text))
}

async fn waited(client: Client, id: String) -> Value {
    let request = client.request(Method::GET, &format!("{RUNS}/{id}")).header("prefer", "wait=60");
    Answer::of(request).await.expect(200)
}

async fn the_hint_when_to_look_again_follows_from_progress_and_from_the_queue(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1")]);
    let client = house.tenant(&processes[0], "a").await;
    let models: Vec<_> = (1_000..1_006).map(|pause| format!("sandbox/slow-{pause}ms")).collect();
    let body = json!({"prompt": "hi", "models": models, "iterations": 10, "concurrency": 1});
    let accepted = client.post(RUNS, &body).await;
    assert_eq!(hint(&accepted), 1, "nobody waits");
    let id = accepted.expect(202)["id"].as_str().unwrap().to_owned();
    house.wait_for_calls(3).await;
    // Two of sixty calls took two seconds: a minute is left, and half of it is the hint; more where the machine is slow.
    let answer = client.get(&format!("{RUNS}/{id}")).await;
    assert!((15..=60).contains(&hint(&answer)), "{}", hint(&answer));
    let same = client.request(Method::GET, &format!("{RUNS}/{id}")).header("if-none-match", "*");
    let same = Answer::of(same).await;
    assert_eq!((same.status, same.text.as_str()), (304, ""));
    assert!((10..=60).contains(&hint(&same)), "{}", hint(&same));

    let queued = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    for _ in 0..40 {
        client.post(RUNS, &queued).await.expect(202);
    }
    // One at a time, 40 before it.
    let last = client.post(RUNS, &queued).await;
    assert!(hint(&last) >= 20, "{}", hint(&last));
    let last = format!("{RUNS}/{}", last.expect(202)["id"].as_str().unwrap());
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let told = hint(&client.get(&last).await);
        if told >= 20 {
            break;
        }
        // A broker that takes longer than a moment is not waited for: then the hint knows of no queue.
        assert!(Instant::now() < until, "{told}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    client.act(&format!("{RUNS}/{id}/cancel")).await.expect(202);
    ended(&client, &id, Duration::from_secs(30)).await;
    assert_eq!(client.get(&format!("{RUNS}/{id}")).await.header("retry-after"), "");
}

async fn a_wait_outlives_the_worker(house: &House) {
    let mut processes = house.open();
    let (tenant, mut client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 3, "concurrency": 1});
    let posting = Answer::of(client.request(Method::POST, RUNS).header("prefer", "wait=60").json(&body));
    let posting = tokio::spawn(async move {
        // Where the api dies with the worker, there is no answer.
        tokio::time::timeout(Duration::from_secs(80), posting).await
    });
    house.wait_for_calls(2).await;
    let listed = client.get(RUNS).await.expect(200);
    let id = listed["items"][0]["id"].as_str().unwrap().to_owned();
    if !house.world.is_shared() {
        posting.abort();
    }
    processes.pop().unwrap().kill();
    if house.world.is_shared() {
        processes.push(house.world.start("worker"));
    } else {
        processes.push(house.world.serve());
        client = house.world.client(&processes[0], &tenant.key);
    }
    let run = waited(client, id.clone()).await;
    assert_eq!((&run["status"], &run["id"]), (&json!("completed"), &json!(id)));
    if house.world.is_shared() {
        let posted = posting.await.unwrap().unwrap().expect(200);
        assert_eq!(posted, run);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_run_on_every_process_and_all_give_it_the_same_tag() {
    let Some(mut world) = World::servers("a_wait_ends_with_the_run_on_every_process").await else { return };
    // With the real durations only a signal makes the answers come this soon.
    world.set("ACM2_TIMING__FASTER", "1");
    let house = House::of(world).await;
    let [one, two, _worker] = ["api", "api", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&one, "a").await;
    let other = house.world.client(&two, &tenant.key);
    let id = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/slow-8s"]})).await;
    house.wait_for_calls(1).await;
    let tagged = async |client: &Client, tag: &str| {
        Answer::of(client.request(Method::GET, &format!("{RUNS}/{id}")).header("if-none-match", tag)).await
    };
    let running = tagged(&client, "\"none\"").await.header("etag");
    assert_eq!(tagged(&other, &running).await.status, 304, "the same run, the same tag");
    let began = Instant::now();
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-8s"]});
    let posted = Answer::of(other.request(Method::POST, RUNS).header("prefer", "wait=60").json(&body));
    let (first, second, posted) =
        tokio::join!(waited(client.clone(), id.clone()), waited(other.clone(), id.clone()), posted);
    eprintln!("answered {:.1?} after asking for runs of 8 s", began.elapsed());
    assert_eq!((&first["status"], &first), (&json!("completed"), &second));
    assert_eq!(posted.expect(200)["status"], "completed");
    let ended = tagged(&client, &running).await;
    let tag = ended.header("etag");
    assert!(ended.status == 200 && tag != running);
    let same = tagged(&other, &tag).await;
    assert_eq!((same.status, same.text.as_str(), same.header("etag")), (304, "", tag));
    assert_eq!(same.header("retry-after"), "");
    house.world.remove().await;
}
