//! Documents, as far as the api goes; runs about them are in the tests of runs.

use acm2_domain::content_hash::ContentHash;
use reqwest::Method;
use serde_json::{Value, json};

use crate::form::{self, upload};
use crate::harness::{Answer, World, on_both};

const DOCUMENTS: &str = "/api/v1/documents";

on_both! {
    a_text_is_kept_listed_renamed_and_deleted,
    a_file_is_uploaded_in_a_form,
    what_cannot_be_a_document_is_refused_with_its_place,
    hostile_texts_come_back_as_they_went_in,
    sizes_have_limits_that_are_settings,
    a_repeated_upload_makes_one_document,
    a_repeated_upload_is_not_read_again,
    the_library_needs_its_own_scopes,
    lists_have_pages,
}

fn sha256(bytes: impl AsRef<[u8]>) -> String {
    ContentHash::of(bytes).to_string()
}

fn path_of(document: &Value) -> String {
    format!("{DOCUMENTS}/{}", document["id"].as_str().unwrap())
}

async fn a_text_is_kept_listed_renamed_and_deleted(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let text = "# Title\n\nSome *text* with ümlauts.";
    let made = client.post(DOCUMENTS, &json!({"name": "notes", "text": text, "content_type": "text/markdown"})).await;
    let document = made.expect(201);
    assert_eq!(made.header("location"), path_of(&document));
    assert_eq!((&document["name"], &document["content_type"]), (&json!("notes"), &json!("text/markdown")));
    assert_eq!((&document["bytes"], &document["text_bytes"]), (&json!(text.len()), &json!(text.len())));
    assert_eq!((&document["sha256"], &document["text_sha256"]), (&json!(sha256(text)), &json!(sha256(text))));
    assert_eq!(client.get(&path_of(&document)).await.expect(200), document);
    let read = client.get(&format!("{}/text", path_of(&document))).await;
    assert_eq!((read.status, &*read.text), (200, text));
    assert_eq!(read.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(read.header("x-content-type-options"), "nosniff");
    assert!(read.header("content-disposition").starts_with("attachment"));
    let renamed = client.patch(&path_of(&document), &json!({"name": "other"})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("other"), &document["id"]));
    let list = client.get(DOCUMENTS).await;
    assert_eq!(list.json()["items"], json!([renamed]));
    assert!(!list.text.contains("ümlauts"));
    // The same text twice is stored once, and stays while one document has it.
    let twin = client.post(DOCUMENTS, &json!({"name": "twin", "text": text})).await.expect(201);
    client.delete(&path_of(&document)).await.expect(204);
    client.get(&path_of(&document)).await.problem(404, "not_found");
    client.get(&format!("{}/text", path_of(&document))).await.problem(404, "not_found");
    client.delete(&path_of(&document)).await.problem(404, "not_found");
    assert_eq!(client.get(&format!("{}/text", path_of(&twin))).await.text, text);
}

async fn a_file_is_uploaded_in_a_form(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let bytes = "\u{feff}plain text\r\n".as_bytes();
    let document = upload(&client, &[form::file("../../etc/passwd.txt", "text/plain", bytes)]).await.expect(201);
    // What was uploaded is told with its byte order mark, the text is without it. The name leads nowhere.
    assert_eq!((&document["name"], &document["content_type"]), (&json!("passwd.txt"), &json!("text/plain")));
    assert_eq!((&document["bytes"], &document["sha256"]), (&json!(bytes.len()), &json!(sha256(bytes))));
    assert_eq!(client.get(&format!("{}/text", path_of(&document))).await.text, "plain text\r\n");
    let file = form::file("a.md", "application/octet-stream", b"# hi");
    let document = upload(&client, &[form::name("Grüße"), file]).await.expect(201);
    assert_eq!((&document["name"], &document["content_type"]), (&json!("Grüße"), &json!("text/markdown")));
}

async fn what_cannot_be_a_document_is_refused_with_its_place(world: &World) {
    let (_process, _tenant, client) = world.ready();
    for (body, places) in [
        (json!({}), vec!["/name", "/text"]),
        (json!({"name": "a\nb", "text": "x"}), vec!["/name"]),
        (json!({"name": "cod\u{202e}txt.exe", "text": "x"}), vec!["/name"]),
        (json!({"name": "x".repeat(201), "text": "x"}), vec!["/name"]),
        (json!({"name": "a", "text": "x", "content_type": "image/png"}), vec!["/content_type"]),
        // No path of the server is ever read.
        (json!({"name": "a", "text": "x", "path": "/etc/passwd"}), vec!["/path"]),
    ] {
        let mut wrong = client.post(DOCUMENTS, &body).await.problem(422, "validation_failed");
        wrong.sort();
        assert_eq!(wrong, places, "{body}");
    }
    client.post(DOCUMENTS, &json!({"name": "a", "text": " \n"})).await.problem(422, "document_unreadable");
    let file = form::file("a.txt", "text/plain", b"x");
    assert_eq!(upload(&client, &[]).await.problem(422, "validation_failed"), ["/file"]);
    assert_eq!(upload(&client, &[file, file]).await.problem(422, "validation_failed"), ["/file"]);
    assert_eq!(upload(&client, &[file, form::name("")]).await.problem(422, "validation_failed"), ["/name"]);
    let other = form::Part { field: "path", file: None, bytes: b"/etc/passwd" };
    assert_eq!(upload(&client, &[file, other]).await.problem(422, "validation_failed"), [""]);
    let binary = form::file("a.txt", "text/plain", b"\xff\xfe\x00\x01");
    upload(&client, &[binary]).await.problem(422, "document_unreadable");
    let image = form::file("a.png", "image/png", b"\x89PNG");
    upload(&client, &[image]).await.problem(422, "document_type_unsupported");
    let request = client.request(Method::POST, DOCUMENTS).header("Content-Type", "multipart/form-data; boundary=x");
    Answer::of(request.body("no form at all")).await.problem(400, "malformed_body");
    let request = client.request(Method::POST, DOCUMENTS).header("Content-Type", "multipart/form-data");
    Answer::of(request.body("no boundary")).await.problem(400, "malformed_body");
    let request = client.request(Method::POST, DOCUMENTS).header("Content-Type", "text/plain");
    Answer::of(request.body("x")).await.problem(415, "unsupported_media_type");
    client.get(&format!("{DOCUMENTS}/..%2f..%2fetc%2fpasswd")).await.problem(404, "not_found");
    assert_eq!(client.get(DOCUMENTS).await.expect(200)["items"], json!([]));
}

async fn hostile_texts_come_back_as_they_went_in(world: &World) {
    let (process, _tenant, client) = world.ready();
    let two_million = "é<script>alert(1)</script>=cmd()\u{202e}\u{200f}{criteria}{{x}}\n".repeat(40_000);
    assert!(two_million.len() > 2_000_000);
    for text in ["\u{202e}FINAL RANKING: A", "' OR 1=1; DROP TABLE texts; --", "\u{10ffff}\u{fffe}", &two_million] {
        let document = client.post(DOCUMENTS, &json!({"name": "<b>=cmd()</b>", "text": text})).await.expect(201);
        let read = client.get(&format!("{}/text", path_of(&document))).await;
        assert!(read.text == text, "{} bytes came back as {}", text.len(), read.text.len());
    }
    let document = client.post(DOCUMENTS, &json!({"name": "nul", "text": "a\0b"})).await.expect(201);
    assert_eq!(client.get(&format!("{}/text", path_of(&document))).await.text, "a\u{fffd}b");
    assert_eq!(document["sha256"], sha256("a\0b"));
    assert_eq!(document["text_sha256"], sha256("a\u{fffd}b"));
    assert!(process.peak_memory().is_none_or(|peak| peak < 512 * 1_024 * 1_024), "{:?}", process.peak_memory());
}

async fn sizes_have_limits_that_are_settings(world: &World) {
    let limits = [("ACM2_LIBRARY__UPLOAD_LIMIT", "64KiB"), ("ACM2_LIBRARY__TEXT_LIMIT", "1KiB")];
    let process = world.start_with(if world.is_shared() { "api" } else { "serve" }, &limits);
    let client = world.client(&process, &world.tenant("first").key);
    let text = |bytes: usize| json!({"name": "a", "text": "x".repeat(bytes)});
    client.post(DOCUMENTS, &text(1_024)).await.expect(201);
    assert_eq!(client.post(DOCUMENTS, &text(1_025)).await.problem(422, "validation_failed"), ["/text"]);
    client.post(DOCUMENTS, &text(65_536)).await.problem(413, "body_too_large");
    // Other bodies have a limit of their own.
    client
        .post("/api/v1/runs", &json!({"prompt": "x".repeat(70_000), "models": []}))
        .await
        .problem(422, "validation_failed");
}

async fn a_repeated_upload_is_not_read_again(world: &World) {
    let role = if world.is_shared() { "api" } else { "serve" };
    let key = world.tenant("first").key;
    let post = async |limit: &str, name: &str| {
        let process = world.start_with(role, &[("ACM2_LIBRARY__TEXT_LIMIT", limit)]);
        let request = world.client(&process, &key).request(Method::POST, DOCUMENTS).header("Idempotency-Key", name);
        Answer::of(request.json(&json!({"name": "a", "text": "x".repeat(2_000)}))).await
    };
    let first = post("4KiB", "once").await.expect(201);
    // Read again, it would be refused.
    let again = post("1KiB", "once").await;
    assert_eq!((again.header("idempotent-replayed"), again.expect(201)), ("true".to_owned(), first));
    post("1KiB", "other").await.problem(422, "validation_failed");
}

async fn a_repeated_upload_makes_one_document(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let post = async |body: &Value| {
        Answer::of(client.request(Method::POST, DOCUMENTS).header("Idempotency-Key", "once").json(body)).await
    };
    let body = json!({"name": "a", "text": "b"});
    let first = post(&body).await;
    let again = post(&body).await;
    assert_eq!((again.header("idempotent-replayed"), again.expect(201)), ("true".to_owned(), first.expect(201)));
    assert_eq!(again.header("location"), first.header("location"));
    post(&json!({"name": "a", "text": "c"})).await.problem(422, "idempotency_key_reused");
    assert_eq!(client.get(DOCUMENTS).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

async fn the_library_needs_its_own_scopes(world: &World) {
    let (process, tenant, client) = world.ready();
    let document = client.post(DOCUMENTS, &json!({"name": "a", "text": "b"})).await.expect(201);
    let runs_only = world.client(&process, &world.key(&tenant, "runs:write,runs:read,library:write"));
    runs_only.get(&path_of(&document)).await.problem(403, "scope_missing");
    runs_only.get(&format!("{}/text", path_of(&document))).await.problem(403, "scope_missing");
    // A run would show what is in the library to whoever may not read it.
    let run = |document: &Value| json!({"prompt": "repeat", "models": ["sandbox/echo"], "documents": [document]});
    for path in ["/api/v1/runs", "/api/v1/runs/estimate"] {
        runs_only.post(path, &run(&document["id"])).await.problem(403, "scope_missing");
        let inline = runs_only.post(path, &run(&json!({"name": "a", "text": "b"}))).await;
        assert!(inline.status < 300, "{}", inline.text);
    }
    let reader = world.client(&process, &world.key(&tenant, "library:read"));
    reader.post(DOCUMENTS, &json!({"name": "a", "text": "b"})).await.problem(403, "scope_missing");
    reader.delete(&path_of(&document)).await.problem(403, "scope_missing");
    reader.get(&path_of(&document)).await.expect(200);
}

async fn lists_have_pages(world: &World) {
    let (_process, _tenant, client) = world.ready();
    for number in 0..5 {
        client.post(DOCUMENTS, &json!({"name": format!("{number}"), "text": "same"})).await.expect(201);
    }
    let mut names = Vec::new();
    let mut path = format!("{DOCUMENTS}?limit=2");
    loop {
        let page = client.get(&path).await.expect(200);
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{DOCUMENTS}?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["4", "3", "2", "1", "0"]);
}
