//! Runs that go on a conversation: what was said before is shown to the models, and the answer is added.

use serde_json::{Value, json};

use crate::harness::Client;
use crate::house::{House, on_both, run};

const CONVERSATIONS: &str = "/api/v1/conversations";
const RUNS: &str = "/api/v1/runs";

on_both!(
    a_run_goes_on_a_conversation_and_adds_what_was_answered,
    a_question_that_is_a_document_alone_is_kept_by_its_name,
    a_council_gives_a_conversation_the_answer_of_its_chair,
    a_model_gives_the_title_where_the_run_asks_it_to,
    a_conversation_that_cannot_be_gone_on_is_named,
);

async fn messages(client: &Client, conversation: &str) -> Vec<(String, String)> {
    let page = client.get(&format!("{CONVERSATIONS}/{conversation}/messages?limit=100")).await.expect(200);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(|item| (text(item, "role"), text(item, "content"))).collect()
}

async fn begun(client: &Client) -> String {
    client.post(CONVERSATIONS, &json!({})).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn a_run_goes_on_a_conversation_and_adds_what_was_answered(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let id = begun(&client).await;
    let first = json!({"conversation_id": id, "prompt": "one two three", "models": ["sandbox/echo"]});
    let run_one = run(&client, &first).await;
    assert_eq!(run_one["results"][0]["usage"]["input_tokens"], 3 + 3);
    let said = |role: &str, content: &str| (role.to_owned(), content.to_owned());
    let exchange = [said("user", "one two three"), said("assistant", "Echo: one two three")];
    assert_eq!(messages(&client, &id).await, exchange);
    let conversation = client.get(&format!("{CONVERSATIONS}/{id}")).await.expect(200);
    assert_eq!((&conversation["title"], &conversation["last_message"]), (&json!("one two three"), &json!(2)));
    // The models see all that was said; the answer is to the last turn.
    let second = json!({"conversation_id": id, "prompt": "four", "models": ["sandbox/echo"]});
    let run_two = run(&client, &second).await;
    assert_eq!(run_two["results"][0]["usage"]["input_tokens"], 3 + 4 + 1 + 3);
    assert_eq!(messages(&client, &id).await[2..], [said("user", "four"), said("assistant", "Echo: four")]);
    let conversation = client.get(&format!("{CONVERSATIONS}/{id}")).await.expect(200);
    assert_eq!(conversation["title"], "one two three", "a title is given once");
    // A run without an answer adds nothing.
    let failed = run(&client, &json!({"conversation_id": id, "prompt": "five", "models": ["sandbox/fail-400"]})).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(messages(&client, &id).await.len(), 4);
}

async fn a_question_that_is_a_document_alone_is_kept_by_its_name(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let new = json!({"name": "as it is", "text": "{{document}}\n"});
    let template = client.post("/api/v1/templates", &new).await.expect(201);
    let id = begun(&client).await;
    let body = json!({"conversation_id": id, "template_id": template["id"], "models": ["sandbox/echo"],
        "documents": [{"name": "report.md", "text": "one two three"}]});
    assert_eq!(run(&client, &body).await["status"], "completed");
    assert_eq!(messages(&client, &id).await[0], ("user".to_owned(), "report.md".to_owned()));
    assert_eq!(title(&client, &id).await, "report.md");
    // The run after it has no empty turn.
    let next = run(&client, &json!({"conversation_id": id, "prompt": "four", "models": ["sandbox/echo"]})).await;
    assert_eq!(next["status"], "completed");
    assert_eq!(messages(&client, &id).await.len(), 4);
}

async fn a_council_gives_a_conversation_the_answer_of_its_chair(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let id = begun(&client).await;
    let models = ["sandbox/judge", "sandbox/judge-2", "sandbox/fail-400-then-ok"];
    let body = json!({"conversation_id": id, "prompt": "hi", "models": models, "council": {"chair": "sandbox/size-1k"},
        "stages": {"review": {"reviewers": ["sandbox/judge"]}}});
    let council = run(&client, &body).await;
    assert_eq!(council["status"], "completed_with_errors");
    let said = messages(&client, &id).await;
    assert_eq!((said.len(), said[1].1.len()), (2, 1024));
    // The run, its judging and its report name the same answer, whichever member the reviewer puts first.
    let run_id = council["id"].as_str().unwrap();
    let answer = json!({"task_key": "combine/prompt/c0/1", "model": "sandbox/size-1k", "stage": "combine"});
    assert_eq!(council["final_answers"], json!([answer]));
    let text = council["results"].as_array().unwrap().iter().find(|task| task["key"] == answer["task_key"]);
    assert_eq!(text.unwrap()["text"], said[1].1);
    let judging = client.get(&format!("{RUNS}/{run_id}/judging")).await.expect(200);
    let judged = &judging["items"][0];
    assert_eq!((&judged["final_answer"], &judged["winner"]["basis"]), (&answer, &json!("review")));
    assert!(judged["winner"]["task_key"].as_str().unwrap().starts_with("generate/"), "{judged}");
    let page = client.get(&format!("{RUNS}/{run_id}/report")).await.text;
    assert!(page.contains("<h2>Final answer and winner</h2>") && page.contains(&said[1].1), "{page}");
    let listed = client.get(RUNS).await.expect(200);
    assert_eq!(listed["items"][0]["final_answers"], Value::Null);
    // It ends again after a retry, and adds nothing more.
    let path = format!("{RUNS}/{}", council["id"].as_str().unwrap());
    client.post(&format!("{path}/retry"), &json!({})).await.expect(202);
    let again = crate::house::ended(&client, council["id"].as_str().unwrap(), std::time::Duration::from_mins(1)).await;
    assert_eq!(again["status"], "completed");
    assert_eq!(messages(&client, &id).await, said);
}

async fn title(client: &Client, conversation: &str) -> String {
    let conversation = client.get(&format!("{CONVERSATIONS}/{conversation}")).await.expect(200);
    conversation["title"].as_str().unwrap().to_owned()
}

async fn a_model_gives_the_title_where_the_run_asks_it_to(house: &House) {
    let processes = house.open();
    let client = house.tenant(&processes[0], "owner").await;
    let asked = |id: &str, model: &str, titled_by: &str| {
        json!({"conversation_id": id, "prompt": "one two three", "models": [model], "max_retries": 0,
            "stages": {"title": {"model": titled_by}}})
    };
    // What the model said, on one line and cut; not the whole of what was asked.
    let id = begun(&client).await;
    run(&client, &asked(&id, "sandbox/echo", "sandbox/echo")).await;
    let given = "Echo: Give the task below a title of three to five words,…";
    assert_eq!(title(&client, &id).await, given);
    let again = json!({"conversation_id": id, "prompt": "four", "models": ["sandbox/echo"],
        "stages": {"title": {"model": "sandbox/size-1k"}}});
    run(&client, &again).await;
    assert_eq!(title(&client, &id).await, given, "a title is given once");
    // Without the model's, it is the first words; a retry that brings the model's changes it no more.
    let id = begun(&client).await;
    let failed = run(&client, &asked(&id, "sandbox/echo", "sandbox/fail-400-then-ok")).await;
    assert_eq!((&failed["status"], &*title(&client, &id).await), (&json!("completed_with_errors"), "one two three"));
    let failed = failed["id"].as_str().unwrap();
    client.post(&format!("{RUNS}/{failed}/retry"), &json!({})).await.expect(202);
    let retried = crate::house::ended(&client, failed, std::time::Duration::from_mins(1)).await;
    assert_eq!((&retried["status"], &*title(&client, &id).await), (&json!("completed"), "one two three"));
    // The owner's own stays, also one that was given while the run was under way.
    let own = client.post(CONVERSATIONS, &json!({"title": "mine"})).await.expect(201);
    let own = own["id"].as_str().unwrap();
    run(&client, &asked(own, "sandbox/echo", "sandbox/echo")).await;
    assert_eq!(title(&client, own).await, "mine");
    let id = begun(&client).await;
    let slow = crate::house::submit(&client, &asked(&id, "sandbox/slow-1s", "sandbox/echo")).await;
    client.patch(&format!("{CONVERSATIONS}/{id}"), &json!({"title": "mine, too"})).await.expect(200);
    crate::house::ended(&client, &slow, std::time::Duration::from_mins(1)).await;
    assert_eq!((messages(&client, &id).await.len(), &*title(&client, &id).await), (2, "mine, too"));
}

async fn a_conversation_that_cannot_be_gone_on_is_named(house: &House) {
    let processes = house.open();
    let (tenant, client) = house.tenant_and_client(&processes[0], "owner").await;
    let id = begun(&client).await;
    let body = |id: &str| json!({"conversation_id": id, "prompt": "hi", "models": ["sandbox/echo"]});
    let other = house.tenant(&processes[0], "other").await;
    assert_eq!(other.post(RUNS, &body(&id)).await.problem(422, "validation_failed"), ["/conversation_id"]);
    let key = |scopes: &str| house.world.client(&processes[0], &house.world.key(&tenant, scopes));
    let stranger = key("runs:read,runs:write,conversations:read,conversations:write");
    assert_eq!(stranger.post(RUNS, &body(&id)).await.problem(422, "validation_failed"), ["/conversation_id"]);
    key("runs:write,conversations:read").post(RUNS, &body(&id)).await.problem(403, "scope_missing");
    let preset = json!({"name": "p", "spec": body(&id)});
    let refused = client.post("/api/v1/presets", &preset).await;
    assert_eq!(refused.problem(422, "validation_failed"), ["/spec/conversation_id"]);
}
