//! Presets: kept with all they say, versioned, and runs that start from them.

use serde_json::{Value, json};

use crate::database::{Of, change_one, id_literal};
use crate::harness::Client;
use crate::house::{House, ended, on_both, run};

const PRESETS: &str = "/api/v1/presets";
const RUNS: &str = "/api/v1/runs";

on_both!(
    a_new_tenant_finds_three_presets_that_run,
    every_field_is_kept,
    what_is_missing_is_told_and_kept_all_the_same,
    every_change_makes_a_version_and_old_ones_can_be_read_and_run,
    a_run_says_which_preset_it_is_from_and_what_it_does,
    a_stage_or_the_council_of_a_preset_is_left_out_by_null,
    a_run_keeps_what_its_preset_said,
    a_repeated_request_is_answered_also_when_the_preset_has_no_price_now,
    what_is_too_long_is_not_kept,
    what_another_version_stored_stands_in_no_way_but_its_own,
);

fn path_of(preset: &Value) -> String {
    format!("{PRESETS}/{}", preset["id"].as_str().unwrap())
}

fn places(preset: &Value) -> Vec<&str> {
    preset["missing"].as_array().unwrap().iter().map(|missing| missing["pointer"].as_str().unwrap()).collect()
}

async fn preset(client: &Client, name: &str, spec: Value) -> Value {
    client.post(PRESETS, &json!({"name": name, "spec": spec})).await.expect(201)
}

async fn a_new_tenant_finds_three_presets_that_run(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "newcomer").await;
    let listed = client.get(PRESETS).await.expect(200)["items"].as_array().unwrap().clone();
    let names: Vec<&str> = listed.iter().map(|preset| preset["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Compare", "Full pipeline", "Council"]);
    for preset in &listed {
        let read = client.get(&path_of(preset)).await.expect(200);
        assert_eq!((&read["runnable"], places(&read)), (&json!(true), vec![]), "{read}");
        let ended = run(&client, &json!({"preset_id": preset["id"]})).await;
        assert_eq!((&ended["status"], &ended["missing"]), (&json!("completed"), &json!([])), "{}", preset["name"]);
        let judging = client.get(&format!("{RUNS}/{}/judging", ended["id"].as_str().unwrap())).await.expect(200);
        assert!(judging["items"][0]["winner"].is_object(), "{judging}");
    }
}

async fn every_field_is_kept(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let spec = json!({
        "template_id": "tpl_01jd3v1m5zt0q8k6c2e4g6h8ja",
        "variables": {"a": "{{b}}\u{202e}\0"},
        "documents": ["doc_01jd3v1m5zt0q8k6c2e4g6h8ja", {"name": "d", "text": "<script>"}],
        "system": "be kind",
        "models": [{"model": "sandbox/echo"}, {"model": "openai/gpt-4o", "temperature": 0.25, "top_p": 0.5,
            "max_output_tokens": 7, "provider_key_id": "pkey_01jd3v1m5zt0q8k6c2e4g6h8ja"}],
        "iterations": 3, "concurrency": 4, "max_retries": 5, "max_output_tokens": 600, "timeout_seconds": 70,
        "deadline_seconds": 800, "on_in_doubt": "fail", "priority": "high", "max_cost_usd": "0.123456789012",
        "metadata": {"k": "v"}, "tags": ["t"], "webhook_url": "https://example.org/hook",
    });
    let made = preset(&client, "all", spec.clone()).await;
    let read = client.get(&path_of(&made)).await.expect(200);
    for (name, value) in spec.as_object().unwrap() {
        if name == "models" {
            assert_eq!(read["spec"]["models"][1], value[1]);
        } else {
            assert_eq!(&read["spec"][name], value, "{name}");
        }
    }
    assert_eq!(read, made);
    let listed = client.get(PRESETS).await.expect(200)["items"][0].clone();
    assert_eq!((&listed["name"], &listed["spec"], &listed["runnable"]), (&json!("all"), &Value::Null, &Value::Null));
}

async fn what_is_missing_is_told_and_kept_all_the_same(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let empty = preset(&client, "empty", json!({})).await;
    assert_eq!((&empty["runnable"], places(&empty)), (&json!(false), vec!["/prompt", "/models"]));
    let document = client.post("/api/v1/documents", &json!({"name": "d", "text": "t"})).await.expect(201);
    let spec =
        json!({"prompt": "hi", "models": ["sandbox/echo", "mistral/x", "mistral/y"], "documents": [document["id"]]});
    let made = preset(&client, "p", spec).await;
    assert_eq!((&made["runnable"], places(&made)), (&json!(false), vec!["/models/1"]), "a provider without a key");
    client.put("/api/v1/settings/provider-keys/mistral", &json!({"key": "0123456789abcdef0123456789abcdef"})).await;
    let made = client.get(&path_of(&made)).await.expect(200);
    assert_eq!((&made["runnable"], places(&made).len()), (&json!(true), 0));
    client.delete(&format!("/api/v1/documents/{}", document["id"].as_str().unwrap())).await.expect(204);
    let made = client.get(&path_of(&made)).await.expect(200);
    assert_eq!((&made["runnable"], places(&made)), (&json!(false), vec!["/documents/0"]));
    let refused = client.post(RUNS, &json!({"preset_id": made["id"]})).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/documents/0"]);
    let unpriced =
        preset(&client, "u", json!({"prompt": "hi", "models": ["sandbox/no-such"], "max_cost_usd": "1"})).await;
    assert_eq!(places(&unpriced), ["/models/0"]);
    // What cannot even be read is refused, and so is a preset of a preset.
    for (spec, place) in [
        (json!({"iterations": "two"}), "/spec/iterations"),
        (json!({"unknown": 1}), "/spec/unknown"),
        (json!({"preset_id": made["id"]}), "/spec/preset_id"),
    ] {
        let refused = client.post(PRESETS, &json!({"name": "x", "spec": spec})).await;
        assert_eq!(refused.problem(422, "validation_failed"), [place]);
    }
}

async fn every_change_makes_a_version_and_old_ones_can_be_read_and_run(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let made = preset(&client, "p", json!({"prompt": "one", "models": ["sandbox/echo"]})).await;
    assert_eq!(made["version"], 1);
    let path = path_of(&made);
    let second = json!({"spec": {"prompt": "two", "models": ["sandbox/echo"]}, "name": "q"});
    assert_eq!(client.patch(&path, &second).await.expect(200)["version"], 2);
    assert_eq!(client.patch(&path, &json!({"description": "third"})).await.expect(200)["version"], 3);
    for (version, name, prompt) in [(1, "p", "one"), (2, "q", "two"), (3, "q", "two")] {
        let read = client.get(&format!("{path}?version={version}")).await.expect(200);
        assert_eq!((&read["name"], &read["spec"]["prompt"]), (&json!(name), &json!(prompt)), "{read}");
        let run = run(&client, &json!({"preset_id": made["id"], "preset_version": version})).await;
        assert_eq!(run["results"][0]["text"], format!("Echo: {prompt}"));
        assert_eq!(run["preset"], json!({"id": made["id"], "version": version}));
    }
    client.get(&format!("{path}?version=4")).await.problem(404, "not_found");
    let refused = client.post(RUNS, &json!({"preset_id": made["id"], "preset_version": 4})).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/preset_version"]);
    let alone = client.post(RUNS, &json!({"preset_version": 1, "prompt": "hi", "models": ["sandbox/echo"]})).await;
    assert_eq!(alone.problem(422, "validation_failed"), ["/preset_version"]);
    let mut numbers = Vec::new();
    let mut next = format!("{path}/versions?limit=2");
    loop {
        let page = client.get(&next).await.expect(200);
        numbers.extend(page["items"].as_array().unwrap().iter().map(|item| item["version"].as_u64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}/versions?limit=2&cursor={cursor}");
    }
    assert_eq!(numbers, [3, 2, 1]);
}

async fn a_run_says_which_preset_it_is_from_and_what_it_does(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let spec = json!({"prompt": "hi", "models": ["sandbox/echo", "openai/echo"], "iterations": 2, "tags": ["preset"]});
    let made = preset(&client, "p", spec.clone()).await;
    let from_preset = run(&client, &json!({"preset_id": made["id"]})).await;
    assert_eq!(from_preset["preset"], json!({"id": made["id"], "version": 1}));
    assert_eq!((from_preset["results"].as_array().unwrap().len(), &from_preset["tags"]), (4, &json!(["preset"])));
    // Two runs that do the same have the same hash, whichever way they were asked for.
    let by_hand = run(&client, &spec).await;
    assert_eq!((&by_hand["preset"], &by_hand["spec_hash"]), (&Value::Null, &from_preset["spec_hash"]));
    let estimate = client.post(&format!("{RUNS}/estimate"), &json!({"preset_id": made["id"]})).await.expect(200);
    assert_eq!(estimate["calls"], 4);
    // What the caller says goes before what the preset says.
    let own = json!({"preset_id": made["id"], "models": ["sandbox/echo"], "iterations": 1, "prompt": "own"});
    let own = run(&client, &own).await;
    assert_eq!(own["results"].as_array().unwrap().len(), 1);
    assert_eq!((&own["results"][0]["text"], &own["tags"]), (&json!("Echo: own"), &json!(["preset"])));
    assert_ne!(own["spec_hash"], from_preset["spec_hash"]);
    // A key that may not read the library starts nothing from it.
    let wrong = client.post(RUNS, &json!({"preset_id": made["id"], "iterations": 11})).await;
    assert_eq!(wrong.problem(422, "validation_failed"), ["/iterations"]);
}

async fn a_stage_or_the_council_of_a_preset_is_left_out_by_null(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let models = json!(["sandbox/echo", "sandbox/size-1k"]);
    let stages = json!({"evaluate": {"judges": ["sandbox/judge"]}, "pairwise": {}});
    let judged = preset(&client, "judged", json!({"prompt": "hi", "models": models, "stages": stages})).await;
    let council = json!({"prompt": "hi", "models": models, "council": {"chair": "sandbox/echo"}});
    let council = preset(&client, "council", council).await;
    let combine = json!({"strategy": "best_of"});
    // Two answers, two scores and two votes; two answers, two reviews and the chair's.
    for (start, own, calls) in [
        (&judged, json!({}), 6),
        (&judged, json!({"stages": {"pairwise": null}}), 4),
        (&judged, json!({"stages": {"evaluate": null, "pairwise": null}}), 2),
        (&judged, json!({"stages": {"evaluate": null, "pairwise": {"judges": ["sandbox/judge"]}}}), 4),
        (&council, json!({}), 5),
        (&council, json!({"council": null}), 2),
        (&council, json!({"council": null, "stages": {"combine": combine}}), 2),
    ] {
        let mut body = own.clone();
        body["preset_id"] = start["id"].clone();
        assert_eq!(client.post(&format!("{RUNS}/estimate"), &body).await.expect(200)["calls"], calls, "{own}");
    }
    // Without judges there is nobody to compare, and a council writes the answer itself.
    for (start, stages, place) in [
        (&judged, json!({"evaluate": null}), "/stages/pairwise/judges"),
        (&council, json!({"combine": combine}), "/council"),
    ] {
        let refused = client.post(RUNS, &json!({"preset_id": start["id"], "stages": stages})).await;
        assert_eq!(refused.problem(422, "validation_failed"), [place], "{}", refused.text);
    }
    let run = run(&client, &json!({"preset_id": judged["id"], "stages": {"pairwise": null}})).await;
    assert_eq!((&run["status"], run["progress"]["tasks_completed"].as_u64()), (&json!("completed"), Some(4)), "{run}");
    // A preset keeps what it says of nothing, too.
    let off = json!({"prompt": "hi", "models": models, "stages": {"pairwise": null}, "council": null});
    let off = preset(&client, "off", off).await;
    assert_eq!((&off["spec"]["stages"], &off["spec"]["council"]), (&json!({"pairwise": null}), &Value::Null));
    assert!(off["spec"].as_object().unwrap().contains_key("council") && off["runnable"] == true, "{off}");
}

async fn a_run_keeps_what_its_preset_said(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let made = preset(&client, "p", json!({"prompt": "said", "models": ["sandbox/slow-1s"]})).await;
    let post = async || {
        let request = client.request(reqwest::Method::POST, RUNS).header("Idempotency-Key", "once");
        crate::harness::Answer::of(request.json(&json!({"preset_id": made["id"]}))).await
    };
    let first = post().await.expect(202);
    client.patch(&path_of(&made), &json!({"spec": {"prompt": "otherwise"}})).await.expect(200);
    client.delete(&path_of(&made)).await.expect(204);
    let run = ended(&client, first["id"].as_str().unwrap(), std::time::Duration::from_mins(1)).await;
    assert!(run["results"][0]["text"].as_str().unwrap().contains("said"), "{run}");
    assert_eq!(run["preset"], json!({"id": made["id"], "version": 1}));
    // The repetition of the request is told of the same run.
    assert_eq!(post().await.expect(202)["id"], first["id"]);
}

async fn a_repeated_request_is_answered_also_when_the_preset_has_no_price_now(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let made = preset(&client, "p", json!({"prompt": "hi", "models": ["sandbox/echo"], "max_cost_usd": "1"})).await;
    let post = async |name: &str| {
        let request = client.request(reqwest::Method::POST, RUNS).header("Idempotency-Key", name);
        crate::harness::Answer::of(request.json(&json!({"preset_id": made["id"]}))).await
    };
    let first = post("once").await.expect(202);
    let unpriced = json!({"spec": {"prompt": "hi", "models": ["sandbox/no-such"], "max_cost_usd": "1"}});
    client.patch(&path_of(&made), &unpriced).await.expect(200);
    assert_eq!(post("once").await.expect(202), first);
    post("another").await.problem(422, "price_unknown");
}

async fn what_is_too_long_is_not_kept(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let map = |count: usize| -> Value { (0..count).map(|n| (format!("v{n}"), json!(""))).collect() };
    let made =
        preset(&client, "p", json!({"models": vec!["x"; 50], "tags": vec!["t"; 20], "variables": map(100)})).await;
    assert_eq!(made["missing"].as_array().unwrap().len(), 20, "not all of them");
    for (spec, place) in [
        (json!({"models": vec![""; 51]}), "/spec/models"),
        (json!({"models": vec![""; 90_000]}), "/spec/models"),
        (json!({"documents": vec!["doc_01jd3v1m5zt0q8k6c2e4g6h8ja"; 101]}), "/spec/documents"),
        (json!({"variables": map(101)}), "/spec/variables"),
        (json!({"tags": vec!["t"; 21]}), "/spec/tags"),
        (json!({"metadata": map(51)}), "/spec/metadata"),
        (json!({"messages": vec![json!({"role": "user", "content": "x"}); 201]}), "/spec/messages"),
        (json!({"system": "x".repeat(256 * 1024)}), "/spec"),
    ] {
        let refused = client.post(PRESETS, &json!({"name": "x", "spec": spec})).await;
        assert_eq!(refused.problem(422, "validation_failed"), [place]);
        let refused = client.patch(&path_of(&made), &json!({"spec": spec})).await;
        assert_eq!(refused.problem(422, "validation_failed"), [place]);
    }
}

async fn what_another_version_stored_stands_in_no_way_but_its_own(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "owner").await;
    let made = preset(&client, "p", json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    for process in processes {
        assert_eq!(process.stop(), Some(0));
    }
    let later = json!({"prompt": "hi", "models": ["sandbox/echo"], "of_a_later_version": [1]});
    let id = id_literal(&house.world, made["id"].as_str().unwrap());
    let statement = format!("UPDATE library_items SET body = '{}' WHERE id = {id}", json!({"spec": later}));
    change_one(&house.world, Of::Tenant(&tenant), &statement).await;
    let processes = house.open();
    let client = house.world.client(&processes[0], &tenant.key);
    let listed = client.get(PRESETS).await.expect(200)["items"].as_array().unwrap().clone();
    // Beside those that a new tenant finds.
    assert_eq!((listed.len(), &listed[0]["id"]), (4, &made["id"]));
    let read = client.get(&path_of(&made)).await.expect(200);
    assert_eq!((&read["spec"], &read["runnable"], places(&read)), (&later, &json!(false), vec![""]));
    let refused = client.post(RUNS, &json!({"preset_id": made["id"]})).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/preset_id"]);
    // It can be renamed, older versions run, and it is mended by saving it again.
    let renamed = client.patch(&path_of(&made), &json!({"name": "q"})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["spec"]), (&json!("q"), &later));
    run(&client, &json!({"preset_id": made["id"], "preset_version": 1})).await;
    let spec = json!({"prompt": "hi", "models": ["sandbox/echo"]});
    assert_eq!(client.patch(&path_of(&made), &json!({"spec": spec})).await.expect(200)["runnable"], true);
}
