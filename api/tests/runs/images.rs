//! Runs that make images: what comes of them, what it costs, what may be downloaded and by whom, and what is no image.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use acm2_sandbox::{CallRecord, Event, Wire};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::aftermath::check;
use crate::harness::{Client, Process};
use crate::house::{House, ended, on_both, run, submit};

const RUNS: &str = "/api/v1/runs";

on_both!(
    two_models_make_images_that_can_be_downloaded,
    images_are_in_the_report_and_in_the_export,
    what_is_no_image_is_refused_whatever_it_says,
    a_killed_worker_leaves_its_images_and_none_is_made_twice,
    an_image_that_the_ceiling_does_not_pay_for_is_not_made,
    what_does_not_go_with_images_is_refused_with_its_place,
);

/// Prices for models of the sandbox under the names of providers that report no cost.
fn prices() -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".csv").unwrap();
    let header = "provider,model,input_per_million,output_per_million,cached_input_per_million,context_window,\
                  max_output,image_output_per_million";
    let rows = "openai,image,5,10,1.25,,,30\nopenai,image+slow-4s,5,10,1.25,,,30\ngoogle,image+reasoning,0.3,2.5,,,,30\nsandbox,echo,1,2,0.1,,,";
    write!(file, "{header}\n{rows}\n").unwrap();
    file
}

fn open(house: &House, prices: &NamedTempFile) -> Vec<Process> {
    house.open_with(&[("ACM2_PRICES__FILE", prices.path().to_str().unwrap())])
}

fn results(run: &Value) -> &Vec<Value> {
    run["results"].as_array().unwrap()
}

/// The bytes of an artifact, which are those that the run tells of.
async fn download(client: &Client, artifact: &Value) -> Vec<u8> {
    let answer = client.request(Method::GET, artifact["path"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("content-disposition"), "attachment; filename=\"artifact.png\"");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
    assert_eq!(header("etag"), format!("\"{}\"", artifact["sha256"].as_str().unwrap()));
    let data = answer.bytes().await.unwrap().to_vec();
    let mut sha256 = String::new();
    Sha256::digest(&data).iter().for_each(|byte| write!(sha256, "{byte:02x}").unwrap());
    assert_eq!((&artifact["bytes"], &artifact["sha256"]), (&json!(data.len()), &json!(sha256)));
    assert_eq!(artifact["content_type"], "image/png");
    data
}

/// Width and height, as the PNG itself says them.
fn pixels(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xaeB`\x82"));
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

fn answered(house: &House) -> Vec<CallRecord> {
    house.log().into_iter().filter(|call| call.event == Event::Answered).collect()
}

/// Millionths of a millionth of a USD.
fn pico(cost: &Value) -> f64 {
    cost.as_str().unwrap_or_else(|| panic!("not an amount: {cost}")).parse::<f64>().unwrap() * 1e12
}

async fn two_models_make_images_that_can_be_downloaded(house: &House) {
    let prices = prices();
    let processes = open(house, &prices);
    let (tenant, client) = house.tenant_and_client(&processes[0], "owner").await;
    let body = json!({
        "prompt": "a fox in snow", "models": ["openai/image", "google/image+reasoning"], "generator": "image",
        "image": {"size": "portrait", "quality": "low"},
    });
    let run = run(&client, &body).await;
    assert_eq!(run["status"], "completed", "{run}");
    let run_id = run["id"].as_str().unwrap();
    let [openai, google] = &results(&run)[..] else { panic!("{run}") };
    for (task, size) in [(openai, (1_024, 1_536)), (google, (832, 1_248))] {
        assert_eq!((&task["text"], &task["finish_reason"]), (&json!(""), &json!("stop")));
        assert_eq!(task["artifacts"].as_array().unwrap().len(), 1, "{task}");
        assert_eq!(pixels(&download(&client, &task["artifacts"][0]).await), size);
    }

    // What the provider's log says, at the prices of the table: 30 USD for a million tokens of images.
    let log = answered(house);
    let usage = |wire: Wire| log.iter().find(|call| call.wire == wire).unwrap().usage.unwrap();
    let (ours, theirs) = (&openai["usage"], usage(Wire::OpenaiImages));
    assert_eq!((&ours["input_tokens"], &ours["image_tokens"]), (&json!(theirs.input), &json!(408)));
    let openai_cost = theirs.input as f64 * 5e6 + theirs.output as f64 * 30e6;
    assert!((pico(&openai["cost_usd"]) - openai_cost).abs() < 1.0, "{openai}");
    let (ours, theirs) = (&google["usage"], usage(Wire::GeminiGenerateContent));
    assert_eq!((&ours["image_tokens"], &ours["reasoning_tokens"]), (&json!(1_290), &json!(16)));
    let texts = theirs.reasoning as f64 * 2.5e6;
    let google_cost = theirs.input as f64 * 0.3e6 + (theirs.output - theirs.reasoning) as f64 * 30e6 + texts;
    assert!((pico(&google["cost_usd"]) - google_cost).abs() < 1.0, "{google}");
    assert!((pico(&run["cost_usd"]) - openai_cost - google_cost).abs() < 1.0, "{run}");

    // Who has it already is not sent it again; others do not find it.
    let artifact = &openai["artifacts"][0];
    let path = artifact["path"].as_str().unwrap();
    let again = |tag: String| client.request(Method::GET, path).header("If-None-Match", tag).send();
    let sha256 = artifact["sha256"].as_str().unwrap();
    for tag in [format!("\"{sha256}\""), format!("\"x\", W/\"{sha256}\""), "*".to_owned()] {
        let same = again(tag).await.unwrap();
        assert_eq!(same.status().as_u16(), 304);
        assert!(same.bytes().await.unwrap().is_empty());
    }
    assert_eq!(again("\"x\"".to_owned()).await.unwrap().status().as_u16(), 200);
    let writer = client.with_key(&house.world.key(&tenant, "runs:write"));
    writer.get(path).await.problem(403, "scope_missing");
    let other = self::run(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    let elsewhere = path.replace(run_id, other["id"].as_str().unwrap());
    client.get(&elsewhere).await.problem(404, "not_found");
    assert!(results(&other)[0]["artifacts"].as_array().is_none_or(Vec::is_empty));

    client.delete(&format!("{RUNS}/{run_id}")).await.expect(204);
    client.get(path).await.problem(404, "not_found");
}

async fn images_are_in_the_report_and_in_the_export(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    // The last one is too large for a page that holds the others.
    let models = ["openai/image", "google/size-7000k", "sandbox/size-2000k"];
    let run = run(&client, &json!({"prompt": "a fox in snow", "models": models, "generator": "image"})).await;
    assert_eq!((&run["status"], &run["final_answers"]), (&json!("completed"), &json!([])), "{run}");
    let run_id = run["id"].as_str().unwrap();
    let mut made = Vec::new();
    for task in results(&run) {
        made.push((
            task["key"].as_str().unwrap(),
            &task["artifacts"][0],
            download(&client, &task["artifacts"][0]).await,
        ));
    }
    let answer = client.get(&format!("{RUNS}/{run_id}/report")).await;
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";
    assert_eq!((answer.status, answer.header("content-security-policy")), (200, policy.to_owned()));
    let shown =
        |page: &str, png: &[u8]| page.contains(&format!("<img src=\"data:image/png;base64,{}\"", STANDARD.encode(png)));
    let files = crate::outcome::files_of(&client, run_id).await;
    for page in [&answer.text, str::from_utf8(&files["report.html"]).unwrap()] {
        assert_eq!(page.matches("<img ").count(), 2);
        assert!(shown(page, &made[0].2) && shown(page, &made[1].2));
        let (_, rest) = page.split_once("Not in this page, which holds 8.0 MiB of images at most.").unwrap();
        let path = made[2].1["path"].as_str().unwrap();
        assert!(rest.contains("image/png, 2.0 MiB") && rest.contains(&format!("<code>{path}</code>")), "{path}");
    }
    // All of them are in the export, and its list leads from each to its task.
    let list: Value = serde_json::from_slice(&files["images.json"]).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    for ((number, (key, artifact, png)), item) in (1..).zip(&made).zip(list["items"].as_array().unwrap()) {
        let name = format!("images/{number:04}-{}.png", key.replace('/', "-"));
        assert_eq!((&item["file"], &item["task_key"], &item["artifact"]), (&json!(name), &json!(key), *artifact));
        assert!(files[&name] == *png, "{name}");
    }
    assert!(!files.keys().any(|name| name.starts_with("answers/")), "no texts came");
}

async fn what_is_no_image_is_refused_whatever_it_says(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    // A page that is said to be a PNG; a PNG of 10 MiB; none at all.
    for (model, calls, why) in [
        ("sandbox/image-html", 1, "neither PNG nor JPEG nor WebP"),
        ("google/image-html", 1, "neither PNG nor JPEG nor WebP"),
        ("sandbox/size-10240k", 1, "larger than"),
        ("sandbox/empty", 2, "holds no image"),
    ] {
        let before = house.calls().len();
        let body = json!({"prompt": "hi", "models": [model], "generator": "image", "max_retries": 1});
        let run = run(&client, &body).await;
        let task = &results(&run)[0];
        assert_eq!((&run["status"], &task["error"]["class"]), (&json!("failed"), &json!("provider_decode")), "{run}");
        assert!(task["error"]["message"].as_str().unwrap().contains(why), "{task}");
        assert!(task["artifacts"].as_array().is_none_or(Vec::is_empty));
        assert_eq!(house.calls().len() - before, calls, "{model}");
    }
    let body = json!({"prompt": "hi", "models": ["google/filter"], "generator": "image"});
    let filtered = run(&client, &body).await;
    let task = &results(&filtered)[0];
    assert_eq!((&task["status"], &task["finish_reason"]), (&json!("completed"), &json!("content_filter")));
    assert!(task["artifacts"].as_array().is_none_or(Vec::is_empty));
}

async fn a_killed_worker_leaves_its_images_and_none_is_made_twice(house: &House) {
    let mut processes = house.open();
    let (tenant, mut client) = house.tenant_and_client(&processes[0], "owner").await;
    let body = json!({
        "prompt": "hi", "models": ["sandbox/image", "sandbox/image+slow-1s"], "generator": "image", "iterations": 3,
        "concurrency": 1,
    });
    let run_id = submit(&client, &body).await;
    // The three quick ones are done, and the first slow one is under way.
    house.wait_for_calls(4).await;
    let role = if house.world.is_shared() { "worker" } else { "serve" };
    processes.pop().unwrap().kill();
    processes.push(house.world.start(role));
    client = house.world.client(&processes[0], &tenant.key);
    let run = ended(&client, &run_id, Duration::from_mins(1)).await;
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(results(&run).len(), 6);
    for task in results(&run) {
        pixels(&download(&client, &task["artifacts"][0]).await);
    }
    let quick = house.calls().into_iter().filter(|call| call.model.as_deref() == Some("image"));
    assert_eq!(quick.count(), 3);
    // No answer was paid for twice, and the money adds up.
    let figures = check(house, &tenant, processes).await;
    assert_eq!((figures.runs, figures.tasks), (1, 6), "{figures}");
}

async fn an_image_that_the_ceiling_does_not_pay_for_is_not_made(house: &House) {
    let prices = prices();
    let processes = open(house, &prices);
    let client = house.tenant(&processes[0], "owner").await;
    let body = |most: &str, model: &str| json!({"prompt": "hi", "models": [model], "generator": "image", "max_cost_usd": most, "image": {"quality": "low"}});
    let estimate = client.post(&format!("{RUNS}/estimate"), &body("1", "openai/image")).await.expect(200);
    // 34 bytes of input at most at 6.25, 512 tokens of the image at 30 USD for a million.
    assert_eq!((&estimate["calls"], &estimate["high_usd"]), (&json!(1), &json!("0.0155725")), "{estimate}");
    let paid = run(&client, &body("0.016", "openai/image")).await;
    assert_eq!(paid["status"], "completed", "{paid}");
    assert!(pico(&paid["cost_usd"]) <= 0.016e12, "{paid}");
    let refused = run(&client, &body("0.015", "openai/image")).await;
    assert_eq!(results(&refused)[0]["error"]["class"], "cost_ceiling", "{refused}");
    assert_eq!((&refused["cost_usd"], house.calls().len()), (&json!("0"), 1));
    // A price of texts is none of images.
    let unpriced = client.post(RUNS, &body("1", "sandbox/echo")).await;
    assert_eq!(unpriced.problem(422, "price_unknown"), ["/models/0"]);
    let estimate = json!({"prompt": "hi", "models": ["sandbox/echo"], "generator": "image"});
    let estimate = client.post(&format!("{RUNS}/estimate"), &estimate).await.expect(200);
    assert_eq!((&estimate["high_usd"], &estimate["unpriced_models"]), (&Value::Null, &json!(["sandbox/echo"])));
}

async fn what_does_not_go_with_images_is_refused_with_its_place(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let body = json!({
        "prompt": "hi", "generator": "image", "system": "be brief", "max_output_tokens": 10,
        "models": [{"model": "sandbox/image", "temperature": 1.0}, "anthropic/echo"],
        "stages": {"evaluate": {"judges": ["sandbox/judge"], "criteria": ["Clarity"]}},
    });
    let expected = ["/system", "/stages", "/max_output_tokens", "/models/0/temperature", "/models/1"];
    assert_eq!(client.post(RUNS, &body).await.problem(422, "validation_failed"), expected);
    let body = json!({"prompt": "hi", "models": ["sandbox/echo"], "image": {"size": "square"}});
    assert_eq!(client.post(RUNS, &body).await.problem(422, "validation_failed"), ["/image"]);
    let body = json!({"prompt": "hi", "models": ["sandbox/image"], "generator": "image", "image": {"size": "huge"}});
    client.post(RUNS, &body).await.problem(422, "validation_failed");
    assert_eq!(house.calls().len(), 0);
}
