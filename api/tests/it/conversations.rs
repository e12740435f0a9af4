//! Conversations: begun, continued, read in order, renamed, deleted.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Client, World, on_both};

const CONVERSATIONS: &str = "/api/v1/conversations";
/// The longest message, in bytes.
const LONGEST: usize = 256 * 1024;

on_both! {
    a_conversation_is_begun_continued_renamed_and_deleted,
    messages_that_come_at_once_all_have_their_number,
    a_repeated_request_adds_once,
    what_cannot_be_said_is_refused_with_its_place,
    conversations_need_their_own_scopes,
    a_key_sees_its_own_conversations,
    a_page_of_long_messages_ends_early,
}

fn path_of(conversation: &Value) -> String {
    format!("{CONVERSATIONS}/{}", conversation["id"].as_str().unwrap())
}

fn said(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

async fn contents(client: &Client, conversation: &Value) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut path = format!("{}/messages?limit=2", path_of(conversation));
    loop {
        let page = client.get(&path).await.expect(200);
        for item in page["items"].as_array().unwrap() {
            all.push((item["number"].as_u64().unwrap(), item["content"].as_str().unwrap().to_owned()));
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break all };
        path = format!("{}/messages?limit=2&cursor={cursor}", path_of(conversation));
    }
}

async fn a_conversation_is_begun_continued_renamed_and_deleted(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let hostile = "{{x}} \u{202e}<script>alert(1)</script> ' OR 1=1";
    let begun = json!({"messages": [said("user", hostile), said("assistant", "two")]});
    let made = client.post(CONVERSATIONS, &begun).await;
    let conversation = made.expect(201);
    assert_eq!(made.header("location"), path_of(&conversation));
    assert_eq!((&conversation["title"], &conversation["last_message"]), (&json!("untitled"), &json!(2)));
    assert!(conversation["api_key_id"].as_str().unwrap().starts_with("key_"));
    let path = format!("{}/messages", path_of(&conversation));
    let added = client.post(&path, &json!({"messages": [said("user", "three"), said("assistant", "four")]})).await;
    assert_eq!(added.header("location"), path);
    assert_eq!(added.expect(201)["items"][1]["number"], 4);
    client.post(&path, &json!({"messages": [said("user", "five")]})).await.expect(201);
    let expected = [hostile, "two", "three", "four", "five"];
    let expected: Vec<(u64, String)> = (1..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(contents(&client, &conversation).await, expected);
    let renamed = client.patch(&path_of(&conversation), &json!({"title": "Grüße"})).await.expect(200);
    assert_eq!((&renamed["title"], &renamed["last_message"]), (&json!("Grüße"), &json!(5)));
    let other = client.post(CONVERSATIONS, &json!({"title": "other"})).await.expect(201);
    assert_eq!(other["last_message"], 0);
    assert_eq!(client.get(CONVERSATIONS).await.expect(200)["items"], json!([other, renamed]));
    client.delete(&path_of(&conversation)).await.expect(204);
    client.get(&path_of(&conversation)).await.problem(404, "not_found");
    client.get(&path).await.problem(404, "not_found");
    client.post(&path, &json!({"messages": [said("user", "x")]})).await.problem(404, "not_found");
}

async fn messages_that_come_at_once_all_have_their_number(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let conversation = client.post(CONVERSATIONS, &json!({})).await.expect(201);
    let path = format!("{}/messages", path_of(&conversation));
    let bodies: Vec<Value> =
        (0..20).map(|number| json!({"messages": [said("user", &format!("{number}")), said("assistant", &format!("re {number}"))]})).collect();
    for answer in join_all(bodies.iter().map(|body| client.post(&path, body))).await {
        answer.expect(201);
    }
    let all = contents(&client, &conversation).await;
    assert_eq!(all.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (1..=40).collect::<Vec<_>>());
    // What was added together stands together.
    for pair in all.chunks(2) {
        assert_eq!(pair[1].1, format!("re {}", pair[0].1));
    }
}

async fn a_repeated_request_adds_once(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let post = async |path: &str, body: &Value| {
        Answer::of(client.request(Method::POST, path).header("Idempotency-Key", "once").json(body)).await
    };
    let begun = json!({"title": "a", "messages": [said("user", "one")]});
    let conversation = post(CONVERSATIONS, &begun).await.expect(201);
    assert_eq!(post(CONVERSATIONS, &begun).await.expect(201), conversation);
    let path = format!("{}/messages", path_of(&conversation));
    let more = json!({"messages": [said("assistant", "two")]});
    let first = post(&path, &more).await.expect(201);
    let again = post(&path, &more).await;
    assert_eq!((again.header("idempotent-replayed"), again.expect(201)), ("true".to_owned(), first));
    assert_eq!(contents(&client, &conversation).await.len(), 2);
    // The same name in another conversation is another request.
    let other = client.post(CONVERSATIONS, &json!({})).await.expect(201);
    post(&format!("{}/messages", path_of(&other)), &more).await.expect(201);
    assert_eq!(contents(&client, &other).await.len(), 1);
}

async fn what_cannot_be_said_is_refused_with_its_place(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let conversation = client.post(CONVERSATIONS, &json!({})).await.expect(201);
    let path = format!("{}/messages", path_of(&conversation));
    for (body, places) in [
        (json!({"messages": []}), vec!["/messages"]),
        (
            json!({"messages": [said("user", " "), said("user", "a\0b")]}),
            vec!["/messages/0/content", "/messages/1/content"],
        ),
        (json!({"messages": [said("system", "x")]}), vec!["/messages/0/role"]),
        (json!({"messages": [said("user", &"x".repeat(LONGEST + 1))]}), vec!["/messages/0/content"]),
        (json!({"messages": vec![said("user", "x"); 201]}), vec!["/messages"]),
    ] {
        assert_eq!(client.post(&path, &body).await.problem(422, "validation_failed"), places, "{body}");
    }
    assert_eq!(
        client.post(CONVERSATIONS, &json!({"title": "a\nb"})).await.problem(422, "validation_failed"),
        ["/title"]
    );
    assert_eq!(
        client.patch(&path_of(&conversation), &json!({"title": ""})).await.problem(422, "validation_failed"),
        ["/title"]
    );
    assert!(contents(&client, &conversation).await.is_empty());
}

async fn conversations_need_their_own_scopes(world: &World) {
    let (process, tenant, client) = world.ready();
    let conversation = client.post(CONVERSATIONS, &json!({})).await.expect(201);
    let other = world.client(&process, &world.key(&tenant, "runs:read,runs:write,library:read,library:write"));
    other.get(&path_of(&conversation)).await.problem(403, "scope_missing");
    other.post(CONVERSATIONS, &json!({})).await.problem(403, "scope_missing");
    let reader = world.client(&process, &world.key(&tenant, "conversations:read"));
    assert_eq!(reader.get(CONVERSATIONS).await.expect(200)["items"], json!([]));
    reader.delete(&path_of(&conversation)).await.problem(403, "scope_missing");
    reader
        .post(&format!("{}/messages", path_of(&conversation)), &json!({"messages": [said("user", "x")]}))
        .await
        .problem(403, "scope_missing");
}

async fn a_key_sees_its_own_conversations(world: &World) {
    let (process, tenant, everyones) = world.ready();
    let key = || world.client(&process, &world.key(&tenant, "conversations:read,conversations:write"));
    let (one, other) = (key(), key());
    let begin = async |client: &Client| {
        Answer::of(client.request(Method::POST, CONVERSATIONS).header("Idempotency-Key", "same").json(&json!({}))).await
    };
    let conversation = begin(&one).await.expect(201);
    let others = begin(&other).await.expect(201);
    assert_ne!(conversation["id"], others["id"], "a name of one key is not one of another");
    let (path, messages) = (path_of(&conversation), format!("{}/messages", path_of(&conversation)));
    let more = json!({"messages": [said("user", "x")]});
    for answer in [
        other.get(&path).await,
        other.patch(&path, &json!({"title": "mine"})).await,
        other.delete(&path).await,
        other.get(&messages).await,
        other.post(&messages, &more).await,
    ] {
        answer.problem(404, "not_found");
    }
    assert_eq!(other.get(CONVERSATIONS).await.expect(200)["items"], json!([others]));
    assert_eq!(one.get(CONVERSATIONS).await.expect(200)["items"], json!([conversation]));
    // A key that may do everything sees all.
    assert_eq!(everyones.get(CONVERSATIONS).await.expect(200)["items"], json!([others, conversation]));
    everyones.post(&messages, &more).await.expect(201);
    assert_eq!(contents(&one, &conversation).await.len(), 1);
    one.delete(&path).await.expect(204);
}

async fn a_page_of_long_messages_ends_early(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let conversation = client.post(CONVERSATIONS, &json!({})).await.expect(201);
    let path = format!("{}/messages", path_of(&conversation));
    let three = json!({"messages": vec![said("user", &"x".repeat(LONGEST)); 3]});
    for _ in 0..6 {
        client.post(&path, &three).await.expect(201);
    }
    let first = client.get(&format!("{path}?limit=100")).await.expect(200);
    assert_eq!(first["items"].as_array().unwrap().len(), 16, "4 MiB");
    let next = format!("{path}?limit=100&cursor={}", first["next_cursor"].as_str().unwrap());
    let second = client.get(&next).await.expect(200);
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (2, &Value::Null));
    assert_eq!(second["items"][1]["number"], 18);
}
