//! Who gets the workers: a flood of one tenant beside another's single run, weights, priorities, and what a queued run is told
//! of its place.

use std::time::Duration;

use acm2_domain::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, World};
use crate::house::{House, ended, on_both, submit};

const RUNS: &str = "/api/v1/runs";

on_both!(a_queued_run_says_where_it_stands_and_its_etag_does_not_move, a_priority_passes_only_runs_of_its_own_tenant,);

const FLOOD: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn a_single_run_starts_at_once_beside_a_flood_of_another_tenant() {
    let Some(world) = World::servers("a_single_run_starts_at_once_beside_a_flood").await else { return };
    let house = House::of(world).await;
    let twenty = [("ACM2_WORKER__RUNS", "20")];
    let processes = [("api", &twenty[..]), ("worker", &twenty), ("worker", &twenty)]
        .map(|(role, settings)| house.world.start_with(role, settings));
    let (crowd, other) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    let mut idle = Vec::new();
    for number in 0..5 {
        idle.push(until_called(&house, &other, &format!("idle {number}")).await);
    }
    let flood = json!({"prompt": "hi", "models": ["sandbox/slow-5s"]});
    let before = house.calls().len();
    let submitting = (0..FLOOD).map(|_| submit(&crowd, &flood));
    futures_util::future::join_all(submitting).await;
    // Three quarters of 2 × 20 places are all that it gets.
    house.wait_for_calls(before + 30).await;
    let mut crowded = Vec::new();
    for number in 0..10 {
        crowded.push(until_called(&house, &other, &format!("crowded {number}")).await);
        tokio::time::sleep(Duration::from_millis(137)).await;
    }
    let count = async |status: &str| {
        let page = crowd.get(&format!("{RUNS}?status={status}&limit=100")).await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(count("queued").await, 100, "the flood stood all the while");
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    // Where one wave of it ends and the next begins, fewer run for a moment; more than its share never do.
    let running = loop {
        let running = count("running").await;
        assert!(running <= 30, "{running} of the flood run");
        if running >= 20 {
            break running;
        }
        assert!(tokio::time::Instant::now() < until, "only {running} of the flood run");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    eprintln!("submission to call: {idle:.0?} idle, {crowded:.0?} beside {running} running and more queued");
    // The first idle one opens connections.
    let calm = idle[1..].iter().max().copied().unwrap_or_default();
    let slack = Duration::from_secs(1);
    // A slow machine may keep a few; behind the flood every one of them would be late.
    let at_once = crowded.iter().filter(|took| **took <= calm + slack).count();
    assert!(at_once >= 7, "{crowded:?} against {idle:?}");
    let worst = crowded.iter().max().copied().unwrap_or_default();
    assert!(worst < calm + Duration::from_secs(5), "one waited for a wave of the flood: {crowded:?}");

    // What the flood is told of its last run: nothing of the time before one of its own is done.
    let last = submit(&crowd, &flood).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    let queue = loop {
        let queue = placed(&crowd, &last).await.expect(200)["queue"].clone();
        assert!(queue["position"].as_u64().unwrap() > 100, "{queue}");
        if !queue["eta_seconds"].is_null() {
            break queue;
        }
        assert!(tokio::time::Instant::now() < until, "{queue}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    eprintln!("the last run of the flood is told {queue}");
    // 5 s for each thirty that go before.
    let expected = queue["position"].as_f64().unwrap() / 30.0 * 5.0;
    let (low, high) = (&queue["eta_seconds"]["low"], &queue["eta_seconds"]["high"]);
    assert!(low.as_f64().unwrap() <= expected && expected <= high.as_f64().unwrap(), "{queue} around {expected}");
    for process in processes {
        assert!(!process.log().contains("panicked"), "{}", process.log());
        process.kill();
    }
    house.world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_charged_for_the_sum_of_its_calls() {
    let Some(world) = World::servers("a_run_is_charged_for_the_sum_of_its_calls").await else { return };
    let house = House::of(world).await;
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    // Three calls side by side; the last one fails once after its time, and is made again.
    let models = ["sandbox/slow-400ms", "sandbox/slow-400ms", "sandbox/slow-400ms+fail-500-then-ok"];
    let run = submit(&client, &json!({"prompt": "hi", "models": models})).await;
    let view = ended(&client, &run, Duration::from_secs(20)).await;
    assert_eq!(view["status"], "completed", "{view}");
    let mut redis =
        redis::Client::open(house.world.settings["ACM2_BROKER__URL"].as_str()).unwrap().get_connection().unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    let (cost, held) = loop {
        let means: (Option<u64>, Option<u64>) =
            redis::cmd("HMGET").arg("acm2:2:{runs}:state").arg("cost").arg("held").query(&mut redis).unwrap();
        if let (Some(cost), Some(held)) = means {
            break (Duration::from_micros(cost), Duration::from_micros(held));
        }
        assert!(tokio::time::Instant::now() < until, "the ack does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    eprintln!("four calls of 400 ms each, three at a time: {cost:.0?} charged, {held:.0?} held");
    assert!(cost >= Duration::from_millis(1_600) && held >= Duration::from_millis(800), "{cost:?} in {held:?}");
    assert!(cost <= 3 * held, "{cost:?} in {held:?}");
    for process in processes {
        process.kill();
    }
    house.world.remove().await;
}

/// How long it takes from a submission to the call that it leads to.
async fn until_called(house: &House, client: &Client, prompt: &str) -> Duration {
    let before = SystemClock.now();
    let run = submit(client, &json!({"prompt": prompt, "models": ["sandbox/echo"]})).await;
    let view = ended(client, &run, Duration::from_secs(20)).await;
    assert_eq!(view["status"], "completed", "{view}");
    let called = house.calls().into_iter().rev().find(|call| call.model.as_deref() == Some("echo")).unwrap();
    (called.time - before).to_std().unwrap()
}

/// The answer to a look at a queued run, once it tells the run's place: a broker that takes longer than a moment is not waited
/// for, and then nothing is told.
async fn placed(client: &Client, run: &str) -> Answer {
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let answer = client.get(&format!("{RUNS}/{run}")).await;
        if !answer.expect(200)["queue"].is_null() {
            return answer;
        }
        assert!(tokio::time::Instant::now() < until, "its place is not told: {}", answer.text);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_queued_run_says_where_it_stands_and_its_etag_does_not_move(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1")]);
    let client = house.tenant(&processes[0], "a").await;
    // One run is done first while others wait, so that the queue knows how long one takes.
    let first = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/slow-4s"]})).await;
    let slow = json!({"prompt": "hi", "models": ["sandbox/hang"]});
    let running = submit(&client, &slow).await;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(submit(&client, &slow).await);
    }
    let done = ended(&client, &first, Duration::from_secs(20)).await;
    assert_eq!(done["queue"], Value::Null);
    house.wait_for_calls(2).await;
    assert_eq!(client.get(&format!("{RUNS}/{running}")).await.expect(200)["queue"], Value::Null);
    for (index, run) in waiting.iter().enumerate() {
        let queue = placed(&client, run).await.expect(200)["queue"].clone();
        assert_eq!((&queue["position"], &queue["ahead"]), (&json!(index + 1), &json!(index)), "{queue}");
        let (low, high) = (&queue["eta_seconds"]["low"], &queue["eta_seconds"]["high"]);
        assert!(low.as_u64() <= high.as_u64() && high.as_u64().unwrap() > index as u64, "{queue}");
    }
    let listed = client.get(&format!("{RUNS}?status=queued")).await.expect(200);
    assert!(listed["items"].as_array().unwrap().iter().all(|run| run["queue"].is_null()), "{listed}");

    let path = format!("{RUNS}/{}", waiting[2]);
    let first = placed(&client, &waiting[2]).await;
    client.act(&format!("{RUNS}/{}/cancel", waiting[0])).await.expect(202);
    let second = placed(&client, &waiting[2]).await;
    assert_eq!(
        (&first.expect(200)["queue"]["position"], &second.expect(200)["queue"]["position"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(first.header("etag"), second.header("etag"));
    let unchanged = Answer::of(client.request(Method::GET, &path).header("if-none-match", first.header("etag"))).await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
    for run in [&running, &waiting[1], &waiting[2]] {
        client.act(&format!("{RUNS}/{run}/cancel")).await.expect(202);
    }
    ended(&client, &running, Duration::from_secs(20)).await;
}

async fn a_priority_passes_only_runs_of_its_own_tenant(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1")]);
    let (client, other) = (house.tenant(&processes[0], "a").await, house.tenant(&processes[0], "b").await);
    let body = |model: &str, priority: &str| json!({"prompt": "hi", "models": [model], "priority": priority});
    let refused = client.post(RUNS, &body("sandbox/echo", "urgent")).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/priority"]);
    let blocking = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    house.wait_for_calls(1).await;
    let theirs = submit(&other, &body("sandbox/slow-31ms", "low")).await;
    let mut runs = vec![theirs];
    for (model, priority) in [
        ("slow-32ms", "low"),
        ("slow-33ms", "normal"),
        ("slow-34ms", "high"),
        ("slow-35ms", "high"),
        ("slow-36ms", "low"),
    ] {
        let run = submit(&client, &body(&format!("sandbox/{model}"), priority)).await;
        assert_eq!(client.get(&format!("{RUNS}/{run}")).await.expect(200)["priority"], priority);
        runs.push(run);
    }
    let first = placed(&client, &runs[3]).await.expect(200);
    assert_eq!(first["queue"]["position"], 1, "{first}");
    client.act(&format!("{RUNS}/{blocking}/cancel")).await.expect(202);
    for (index, run) in runs.iter().enumerate() {
        let owner = if index == 0 { &other } else { &client };
        ended(owner, run, Duration::from_secs(30)).await;
    }
    let called: Vec<String> = house.calls().into_iter().skip(1).filter_map(|call| call.model).collect();
    let mine: Vec<&str> = called.iter().map(String::as_str).filter(|model| *model != "slow-31ms").collect();
    assert_eq!(mine, ["slow-34ms", "slow-35ms", "slow-33ms", "slow-32ms", "slow-36ms"]);
    // The other tenant's run, of the least priority, has its turn among them: the first tenant had its own already.
    assert!(called.iter().position(|model| model == "slow-31ms").unwrap() <= 1, "{called:?}");
}
