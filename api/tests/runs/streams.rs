//! A run's events as server-sent events: whatever is cut, killed or lost, a client that comes back with its last id has each
//! event once, as the pages have them.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use crate::event_source::{EventSource, Frame, follow, pages, path};
use crate::harness::{Answer, World};
use crate::house::{House, ended, on_both, run, submit};
use crate::idle_proxy::IdleProxy;
use crate::own_redis::OwnRedis;

on_both!(
    a_stream_tells_what_the_pages_tell_and_ends_with_the_run,
    a_stream_that_is_cut_again_and_again_loses_and_doubles_nothing,
    a_stream_goes_on_when_its_worker_is_killed,
    a_silent_stage_outlives_a_proxy_that_cuts_idle_connections,
    what_cannot_be_streamed_is_a_problem_before_anything_is_sent,
    one_tenant_has_so_many_streams_and_leaves_places_for_others,
    a_stream_ends_with_its_key,
);

async fn a_stream_tells_what_the_pages_tell_and_ends_with_the_run(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let models = json!(["sandbox/slow-1s", "sandbox/fail-400"]);
    let id = submit(&client, &json!({"prompt": "hi", "models": models, "iterations": 3, "concurrency": 1})).await;
    let mut first = EventSource::open(&client, &path(&id), None).await.unwrap();
    assert_eq!(first.header("content-type"), "text/event-stream");
    assert_eq!(first.header("content-encoding"), "");
    let (first, second) = tokio::join!(first.rest(), async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        EventSource::open(&client, &format!("{}?after=1", path(&id)), None).await.unwrap().rest().await
    });
    let told = pages(&client, &id).await;
    assert_eq!(ended(&client, &id, Duration::from_secs(1)).await["status"], "completed_with_errors");
    let events = first.iter().map(|event| event.data.clone()).collect::<Vec<_>>();
    assert_eq!(events, told);
    for event in &first {
        assert_eq!((json!(event.id), json!(event.name)), (event.data["number"].clone(), event.data["type"].clone()));
    }
    assert_eq!(second.iter().map(|event| event.data.clone()).collect::<Vec<_>>(), told[1..]);
    let slowest = first.iter().map(Frame::age).max().unwrap();
    eprintln!("an event was seen {slowest} ms after it happened, at worst");
    // Whoever has all is told to come back no more, and a newcomer gets all.
    let last = first.last().unwrap().id;
    for (path, last_id) in [(path(&id), Some(last)), (format!("{}?after={last}", path(&id)), None)] {
        assert!(EventSource::open(&client, &path, last_id).await.is_none());
    }
    let again = EventSource::open(&client, &path(&id), None).await.unwrap().rest().await;
    assert_eq!(again.iter().map(|event| event.data.clone()).collect::<Vec<_>>(), told);
}

async fn a_stream_that_is_cut_again_and_again_loses_and_doubles_nothing(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let models = json!(["sandbox/slow-100ms", "sandbox/slow-50ms", "sandbox/fail-500-then-ok"]);
    let id = submit(&client, &json!({"prompt": "hi", "models": models, "iterations": 10, "concurrency": 2})).await;
    let (mut events, mut streams) = (Vec::<Frame>::new(), 0);
    while let Some(mut stream) = EventSource::open(&client, &path(&id), events.last().map(|event| event.id)).await {
        streams += 1;
        for _ in 0..2 {
            let Some(event) = stream.next().await else { break };
            events.push(event);
        }
    }
    let told = pages(&client, &id).await;
    eprintln!("{} events over {streams} streams", events.len());
    assert_eq!(events.into_iter().map(|event| event.data).collect::<Vec<_>>(), told);
    assert!(told.len() > 30 && streams >= 15);
}

async fn a_stream_goes_on_when_its_worker_is_killed(house: &House) {
    let mut processes = house.open();
    let (tenant, mut client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 8, "concurrency": 1});
    let id = submit(&client, &body).await;
    let following = tokio::spawn(follow(vec![client.clone()], id.clone()));
    house.wait_for_calls(2).await;
    processes.pop().unwrap().kill();
    let mut before = Vec::new();
    if house.world.is_shared() {
        processes.push(house.world.start("worker"));
    } else {
        // The stream was cut too; the client comes back to another process.
        following.abort();
        processes.push(house.world.serve());
        client = house.world.client(&processes[0], &tenant.key);
        before = pages(&client, &id).await;
    }
    let events = match following.await {
        Ok(events) => events,
        Err(_) => follow(vec![client.clone()], id.clone()).await,
    };
    let told = pages(&client, &id).await;
    assert_eq!(events, told);
    assert_eq!(told[..before.len()], before);
    assert!(told.iter().any(|event| event["type"] == "run.resumed"), "{told:?}");
    assert_eq!(told.last().unwrap()["type"], "run.completed");
}

async fn a_silent_stage_outlives_a_proxy_that_cuts_idle_connections(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let proxy = IdleProxy::start(&processes[0].url, Duration::from_secs(9)).await;
    let through = client_of(&proxy.url(), &tenant.key);
    let id = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/slow-15s"]})).await;
    let mut stream = EventSource::open(&through, &path(&id), None).await.unwrap();
    let events = stream.rest().await;
    assert_eq!(events.last().unwrap().name, "run.completed", "cut before its end");
    assert!(stream.heartbeats >= 3, "{}", stream.heartbeats);
    assert_eq!(proxy.cuts(), 0);
}

async fn what_cannot_be_streamed_is_a_problem_before_anything_is_sent(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let id =
        run(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await["id"].as_str().unwrap().to_owned();
    let ask = |client: &crate::harness::Client, path: &str, last_id: &str| {
        let request = client.request(Method::GET, path).header("accept", "text/event-stream");
        Answer::of(request.header("last-event-id", last_id))
    };
    for garbage in ["x", "-1", "1.5", "99999999999999999999999", "7000"] {
        let pointers = ask(&client, &path(&id), garbage).await.problem(400, "bad_parameter");
        assert_eq!(pointers, ["#header/Last-Event-ID"]);
    }
    ask(&client, &format!("{}?after=x", path(&id)), "").await.problem(400, "bad_parameter");
    let other = house.tenant(&processes[0], "b").await;
    ask(&other, &path(&id), "1").await.problem(404, "not_found");
    let nobody = client.with_key("acm2_nobody");
    ask(&nobody, &path(&id), "1").await.problem(401, "api_key_invalid");
    let page = Answer::of(client.request(Method::GET, &path(&id)).header("accept", "*/*")).await;
    assert_eq!(page.expect(200)["is_complete"], true);
}

async fn one_tenant_has_so_many_streams_and_leaves_places_for_others(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let other = house.tenant(&processes[0], "b").await;
    let hang = json!({"prompt": "hi", "models": ["sandbox/hang"]});
    let (id, theirs) = (submit(&client, &hang).await, submit(&other, &hang).await);
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(EventSource::open(&client, &path(&id), None).await.unwrap());
    }
    let ask = || Answer::of(client.request(Method::GET, &path(&id)).header("accept", "text/event-stream"));
    let refused = ask().await;
    assert_eq!(refused.header("retry-after"), "5");
    refused.problem(429, "too_many_streams");
    assert!(EventSource::open(&other, &path(&theirs), None).await.is_some());
    client.get(&path(&id)).await.expect(200);
    // A place is free once its client has left.
    streams.clear();
    let until = Instant::now() + Duration::from_secs(30);
    while client.request(Method::GET, &path(&id)).header("accept", "text/event-stream").send().await.unwrap().status()
        != 200
    {
        assert!(Instant::now() < until, "the places stay taken");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn a_stream_ends_with_its_key(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let expires_at = DateTime::<Utc>::from(SystemTime::now()) + TimeDelta::seconds(12);
    let made = client.post("/api/v1/api-keys", &json!({"name": "short", "expires_at": expires_at})).await.expect(201);
    let short = client.with_key(made["key"].as_str().unwrap());
    let id = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    let mut stream = EventSource::open(&short, &path(&id), None).await.unwrap();
    let events = tokio::time::timeout(Duration::from_secs(40), stream.rest()).await.expect("the stream ends");
    assert_eq!(events.last().unwrap().name, "stage.started");
    short.get(&path(&id)).await.problem(401, "api_key_invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_move_to_another_process_when_theirs_is_killed_or_ends() {
    let Some(world) = World::servers("clients_move_to_another_process").await else { return };
    let house = House::of(world).await;
    let [killed, ending, stays, _worker] = ["api", "api", "api", "worker"].map(|role| house.world.start(role));
    let (tenant, client) = house.tenant_and_client(&stays, "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 6, "concurrency": 1});
    let id = submit(&client, &body).await;
    let of = |process: &crate::harness::Process| house.world.client(process, &tenant.key);
    let following =
        [&killed, &ending].map(|process| tokio::spawn(follow(vec![of(process), client.clone()], id.clone())));
    house.wait_for_calls(3).await;
    killed.kill();
    let asked = Instant::now();
    assert_eq!(tokio::task::spawn_blocking(move || ending.stop()).await.unwrap(), Some(0));
    eprintln!("the process ended {:.1?} after SIGTERM, with a stream open", asked.elapsed());
    let run = ended(&client, &id, Duration::from_secs(40)).await;
    assert_eq!(run["status"], "completed");
    let told = pages(&client, &id).await;
    for following in following {
        assert_eq!(following.await.unwrap(), told);
    }
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_signals_streams_and_waits_see_the_end_all_the_same() {
    let Some(mut world) = World::servers("without_signals_streams_and_waits").await else { return };
    let Some(mut redis) = OwnRedis::start("without_signals_streams_and_waits") else { return };
    world.set("ACM2_BROKER__URL", &redis.url());
    let house = House::of(world).await;
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-2s"], "iterations": 4, "concurrency": 4});
    let id = submit(&client, &body).await;
    // New calls would wait for the broker.
    house.wait_for_calls(4).await;
    redis.kill();
    let waiting = Answer::of(client.request(Method::GET, &format!("/api/v1/runs/{id}")).header("prefer", "wait=40"));
    let (events, waited): (Vec<Value>, Answer) = tokio::join!(follow(vec![client.clone()], id.clone()), waiting);
    assert_eq!(waited.expect(200)["status"], "completed");
    let told = pages(&client, &id).await;
    assert_eq!(events, told);
    assert_eq!(told.last().unwrap()["type"], "run.completed");
    redis.give_back();
    house.world.remove().await;
}

fn client_of(url: &str, key: &str) -> crate::harness::Client {
    crate::harness::Client::new(url, key)
}
