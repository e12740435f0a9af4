//! Commands on runs over HTTP: pause, resume, retry, skip, and what a run does about attempts in doubt. The ledger and the
//! provider's log say that nothing was lost or asked twice.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Answer, Client, Process, Tenant};
use crate::house::{House, ended, on_both, submit};
use crate::ledger::{Figures, Ledger};

on_both!(
    a_paused_run_finishes_its_calls_waits_and_goes_on_where_it_stopped,
    a_queued_run_is_paused_and_resumed,
    a_full_queue_takes_no_resumed_run_either,
    a_paused_run_ends_at_its_deadline_and_can_be_cancelled,
    pausing_and_resuming_again_and_again_loses_and_repeats_nothing,
    a_retry_asks_only_for_what_is_missing,
    a_cancelled_run_can_be_retried,
    a_skipped_task_drops_its_call_and_the_run_goes_on,
    a_cancelled_call_is_closed_within_two_seconds,
    commands_that_make_no_sense_are_refused,
    a_broken_connection_is_not_tried_again_where_the_run_says_so,
    a_lost_workers_call_is_not_repeated_where_the_run_says_so,
);

const PATIENCE: Duration = Duration::from_mins(1);

async fn command(client: &Client, run: &str, command: &str) -> Answer {
    client.act(&format!("/api/v1/runs/{run}/{command}")).await
}

async fn skip(client: &Client, run: &str, keys: &[&str]) -> Answer {
    client.post(&format!("/api/v1/runs/{run}/skip"), &json!({"task_keys": keys})).await
}

async fn stands_at(client: &Client, run: &str, status: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let view = client.get(&format!("/api/v1/runs/{run}")).await.expect(200);
        if view["status"] == status {
            return view;
        }
        assert!(Instant::now() < until, "not {status}: {view}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for the tails, ends the processes, and compares the ledger with the provider's log.
async fn check(house: &House, tenant: &Tenant, processes: Vec<Process>) -> Figures {
    let until = Instant::now() + PATIENCE;
    while Ledger::read(&house.world, tenant).await.unfinished() > 0 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    processes.into_iter().for_each(Process::kill);
    Ledger::read(&house.world, tenant).await.check(&house.log())
}

async fn a_paused_run_finishes_its_calls_waits_and_goes_on_where_it_stopped(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-1s"], "iterations": 4, "concurrency": 1});
    let run = submit(&client, &body).await;
    house.wait_for_calls(1).await;
    let asked = command(&client, &run, "pause").await.expect(202);
    assert_eq!((&asked["status"], &asked["requested"]), (&json!("running"), &json!("pause")), "{asked}");
    let paused = stands_at(&client, &run, "paused").await;
    assert_eq!(paused["requested"], Value::Null);
    // On a slow machine the command may come when the first call is over.
    let called = house.calls().len();
    assert!(called < 4, "all was called before the pause");
    assert_eq!(paused["progress"]["tasks_completed"], called, "the call under way was finished: {paused}");
    let again = command(&client, &run, "pause").await.expect(202);
    assert_eq!(again["last_event"], paused["last_event"], "twice is once");
    // Longer than the sweeper and the commands' look take.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(house.calls().len(), called, "a paused run calls nobody");

    command(&client, &run, "resume").await.expect(202);
    let done = ended(&client, &run, PATIENCE).await;
    assert_eq!((&done["status"], &done["in_doubt_usd"]), (&json!("completed"), &json!("0")), "{done}");
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.tasks, figures.attempts, figures.calls), (4, 4, 4), "{figures}");
}

async fn a_queued_run_is_paused_and_resumed(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1")]);
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let blocking = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    house.wait_for_calls(1).await;
    let queued = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!(command(&client, &queued, "pause").await.expect(202)["status"], "paused");
    command(&client, &blocking, "cancel").await.expect(202);
    ended(&client, &blocking, PATIENCE).await;
    let other = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/fast"]})).await;
    assert_eq!(ended(&client, &other, PATIENCE).await["status"], "completed");
    assert_eq!(client.get(&format!("/api/v1/runs/{queued}")).await.expect(200)["status"], "paused");

    assert_eq!(command(&client, &queued, "resume").await.expect(202)["status"], "queued");
    assert_eq!(ended(&client, &queued, PATIENCE).await["status"], "completed");
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.runs, figures.calls, figures.orphans), (3, 3, 0), "{figures}");
}

async fn a_full_queue_takes_no_resumed_run_either(house: &House) {
    let processes = house.open_with(&[("ACM2_WORKER__RUNS", "1"), ("ACM2_QUEUE__TENANT_QUOTA", "1")]);
    let client = house.tenant(&processes[0], "a").await;
    let blocking = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    house.wait_for_calls(1).await;
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    let paused = submit(&client, &body).await;
    command(&client, &paused, "pause").await.expect(202);
    let queued = submit(&client, &body).await;
    command(&client, &paused, "resume").await.problem(429, "queue_full");
    stands_at(&client, &paused, "paused").await;
    command(&client, &queued, "cancel").await.expect(202);
    assert_eq!(command(&client, &paused, "resume").await.expect(202)["status"], "queued");
    command(&client, &blocking, "cancel").await.expect(202);
    assert_eq!(ended(&client, &paused, PATIENCE).await["status"], "completed");
}

async fn a_paused_run_ends_at_its_deadline_and_can_be_cancelled(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-3s"], "iterations": 3, "concurrency": 1,
        "deadline_seconds": 15});
    let run = submit(&client, &body).await;
    house.wait_for_calls(1).await;
    command(&client, &run, "pause").await.expect(202);
    stands_at(&client, &run, "paused").await;
    let late = ended(&client, &run, PATIENCE).await;
    assert_eq!(late["status"], "completed_with_errors", "{late}");
    assert_eq!((&late["problem"]["code"], late["missing"].as_array().unwrap().len()), (&json!("deadline_exceeded"), 2));

    let run =
        submit(&client, &json!({"prompt": "hi", "models": ["sandbox/slow-3s"], "iterations": 2, "concurrency": 1}))
            .await;
    house.wait_for_calls(2).await;
    command(&client, &run, "pause").await.expect(202);
    stands_at(&client, &run, "paused").await;
    assert_eq!(command(&client, &run, "cancel").await.expect(202)["status"], "cancelled");
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.calls, figures.in_doubt), (2, 0), "{figures}");
}

async fn pausing_and_resuming_again_and_again_loses_and_repeats_nothing(house: &House) {
    let mut processes = house.open();
    if house.world.is_shared() {
        processes.push(house.world.start("worker"));
    }
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/slow-250ms"], "iterations": 10, "concurrency": 2});
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(submit(&client, &body).await);
    }
    for round in 0..24_u64 {
        let run = &runs[(round % 4) as usize];
        for name in [["pause", "resume"], ["resume", "pause"]][(round % 2) as usize] {
            let answer = command(&client, run, name).await;
            assert!(answer.status == 202 || answer.text.contains("run_ended"), "{}", answer.text);
        }
        tokio::time::sleep(Duration::from_millis(round * 37 % 150)).await;
    }
    for run in &runs {
        let answer = command(&client, run, "resume").await;
        assert!(answer.status == 202 || answer.text.contains("run_ended"), "{}", answer.text);
    }
    for run in &runs {
        assert_eq!(ended(&client, run, PATIENCE).await["status"], "completed");
    }
    let figures = check(house, &tenant, processes).await;
    eprintln!("{figures}");
    assert_eq!((figures.tasks, figures.attempts, figures.calls, figures.in_doubt), (40, 40, 40, 0), "{figures}");
}

async fn a_retry_asks_only_for_what_is_missing(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let models = json!(["sandbox/echo", "sandbox/fail-503-times-2"]);
    let run = submit(&client, &json!({"prompt": "hi", "models": models, "max_retries": 1})).await;
    let first = ended(&client, &run, PATIENCE).await;
    assert_eq!((&first["status"], house.calls().len()), (&json!("completed_with_errors"), 3), "{first}");
    let retried = command(&client, &run, "retry").await.expect(202);
    assert_ne!(retried["status"], "completed_with_errors");
    assert!(retried["deadline_at"].as_str() > first["deadline_at"].as_str());
    let done = ended(&client, &run, PATIENCE).await;
    assert_eq!(
        (&done["status"], &done["problem"], house.calls().len()),
        (&json!("completed"), &Value::Null, 4),
        "{done}"
    );
    assert_eq!((&done["results"][0], &done["missing"]), (&first["results"][0], &json!([])), "an answer stays as it is");
    assert_eq!(done["results"][1]["attempts"], 3, "counted over all of them");
    command(&client, &run, "retry").await.problem(409, "nothing_to_retry");
    check(house, &tenant, processes).await;
}

async fn a_cancelled_run_can_be_retried(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/fast", "sandbox/slow-5s"], "concurrency": 1});
    let run = submit(&client, &body).await;
    house.wait_for_calls(2).await;
    command(&client, &run, "cancel").await.expect(202);
    let cancelled = ended(&client, &run, PATIENCE).await;
    assert_eq!((&cancelled["status"], &cancelled["progress"]["tasks_completed"]), (&json!("cancelled"), &json!(1)));
    command(&client, &run, "retry").await.expect(202);
    assert_eq!(ended(&client, &run, PATIENCE).await["status"], "completed");
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.tasks, figures.attempts, figures.calls, figures.in_doubt), (2, 3, 3, 1), "{figures}");
}

async fn a_skipped_task_drops_its_call_and_the_run_goes_on(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let body = json!({"prompt": "hi", "models": ["sandbox/hang", "sandbox/echo"], "concurrency": 1, "iterations": 2});
    let run = submit(&client, &body).await;
    house.wait_for_calls(1).await;
    assert_eq!(
        skip(&client, &run, &["generate/prompt/m7/1"]).await.problem(422, "validation_failed"),
        ["/task_keys/0"]
    );
    let keys = ["generate/prompt/m0/1", "generate/prompt/m0/2"];
    let asked = skip(&client, &run, &keys).await.expect(202);
    assert_eq!(asked["results"][1]["status"], "skipped", "{asked}");
    let began = Instant::now();
    let done = ended(&client, &run, PATIENCE).await;
    eprintln!("ended {:.1?} after the skip", began.elapsed());
    assert_eq!(done["status"], "completed_with_errors", "{done}");
    let classes: Vec<&Value> = done["missing"].as_array().unwrap().iter().map(|missing| &missing["class"]).collect();
    assert_eq!(classes, ["skipped", "skipped"], "{done}");
    house.wait_for_left_calls(1).await;
    command(&client, &run, "retry").await.problem(409, "nothing_to_retry");
    skip(&client, &run, &keys).await.problem(409, "run_ended");
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.attempts, figures.calls, figures.in_doubt), (3, 3, 1), "{figures}");
}

async fn a_cancelled_call_is_closed_within_two_seconds(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let run = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang", "sandbox/hang"]})).await;
    house.wait_for_calls(2).await;
    command(&client, &run, "cancel").await.expect(202);
    let began = Instant::now();
    while house.left_calls() < 2 {
        assert!(began.elapsed() < PATIENCE, "the calls go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    eprintln!("the sockets were closed {:.0?} after the command", began.elapsed());
    assert_eq!(ended(&client, &run, PATIENCE).await["status"], "cancelled");
    check(house, &tenant, processes).await;
}

async fn commands_that_make_no_sense_are_refused(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "a").await;
    let stranger = house.tenant(&processes[0], "b").await;
    let run = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/hang"]})).await;
    house.wait_for_calls(1).await;
    command(&client, &run, "retry").await.problem(409, "run_not_ended");
    for name in ["pause", "resume", "cancel", "retry"] {
        command(&stranger, &run, name).await.problem(404, "not_found");
    }
    skip(&stranger, &run, &["generate/prompt/m0/1"]).await.problem(404, "not_found");
    assert_eq!(skip(&client, &run, &[]).await.problem(422, "validation_failed"), ["/task_keys"]);
    command(&client, &run, "resume").await.expect(202);
    let events = client.get(&format!("/api/v1/runs/{run}/events")).await.expect(200);
    assert_eq!(events["items"].as_array().unwrap().len(), 3, "what was refused left nothing: {events}");
    command(&client, &run, "cancel").await.expect(202);
    ended(&client, &run, PATIENCE).await;
    for name in ["pause", "resume", "cancel"] {
        command(&client, &run, name).await.problem(409, "run_ended");
    }
}

async fn a_broken_connection_is_not_tried_again_where_the_run_says_so(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "a").await;
    let body =
        |choice: &str| json!({"prompt": choice, "models": ["sandbox/cut"], "max_retries": 1, "on_in_doubt": choice});
    let fail = submit(&client, &body("fail")).await;
    let fail = ended(&client, &fail, PATIENCE).await;
    assert_eq!((&fail["status"], house.calls().len()), (&json!("failed"), 1), "{fail}");
    assert_eq!(fail["missing"][0]["class"], "provider_network", "{fail}");
    let retry = submit(&client, &body("retry")).await;
    ended(&client, &retry, PATIENCE).await;
    assert_eq!(house.calls().len(), 3, "one more try each time");
    let wrong =
        client.post("/api/v1/runs", &json!({"prompt": "x", "models": ["sandbox/echo"], "on_in_doubt": "hope"})).await;
    assert_eq!(wrong.problem(422, "validation_failed"), ["/on_in_doubt"]);
    check(house, &tenant, processes).await;
}

async fn a_lost_workers_call_is_not_repeated_where_the_run_says_so(house: &House) {
    let mut processes = house.open();
    let (tenant, mut client) = house.tenant_and_client(&processes[0], "a").await;
    let body =
        |choice: &str| json!({"prompt": choice, "models": ["sandbox/echo", "sandbox/slow-5s"], "on_in_doubt": choice});
    let fail = submit(&client, &body("fail")).await;
    let retry = submit(&client, &body("retry")).await;
    house.wait_for_calls(4).await;
    for run in [&fail, &retry] {
        let until = Instant::now() + PATIENCE;
        while client.get(&format!("/api/v1/runs/{run}")).await.expect(200)["progress"]["tasks_completed"] != 1 {
            assert!(Instant::now() < until, "the quick call is not written down");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    processes.pop().unwrap().kill();
    processes.push(house.world.start(if house.world.is_shared() { "worker" } else { "serve" }));
    if !house.world.is_shared() {
        client = house.world.client(&processes[0], &tenant.key);
    }
    let failed = ended(&client, &fail, PATIENCE).await;
    assert_eq!(failed["status"], "completed_with_errors", "{failed}");
    assert_eq!(
        (&failed["missing"][0]["class"], &failed["results"][1]["attempts"]),
        (&json!("in_doubt"), &json!(1)),
        "{failed}"
    );
    assert_eq!(ended(&client, &retry, PATIENCE).await["status"], "completed");
    assert_eq!(house.calls().len(), 5);
    // Whoever finds out that the provider did nothing can still ask again.
    command(&client, &fail, "retry").await.expect(202);
    assert_eq!(ended(&client, &fail, PATIENCE).await["status"], "completed");
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.calls, figures.in_doubt), (6, 2), "{figures}");
}
