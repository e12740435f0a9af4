//! The searches of the web, and the pages that they find.

use acm2_sandbox::{Event, Wire};
use serde_json::{Value, json};

use crate::client::{Call, KEY, start};

fn searches(query: &str) -> [(Wire, &'static str, Call); 3] {
    let bearer = format!("Bearer {KEY}");
    [
        (Wire::ExaSearch, "url", Call::post("/exa/search", &json!({"query": query})).header("x-api-key", KEY)),
        (
            Wire::TavilySearch,
            "url",
            Call::post("/tavily/search", &json!({"query": query})).header("authorization", &bearer),
        ),
        (Wire::SerperSearch, "link", Call::post("/serper/search", &json!({"q": query})).header("X-API-KEY", KEY)),
    ]
}

#[tokio::test]
async fn each_search_finds_the_same_pages_in_its_own_words() {
    let sandbox = start().await;
    let mut seen: Vec<Vec<String>> = Vec::new();
    for (wire, field, call) in searches("plain cats") {
        let answer = call.send(sandbox.address()).await.unwrap();
        assert_eq!(answer.status, 200, "{wire:?}");
        let answer = answer.json();
        let list = if wire == Wire::SerperSearch { &answer["organic"] } else { &answer["results"] };
        let urls = list.as_array().unwrap().iter().map(|result| result[field].as_str().unwrap().to_owned());
        seen.push(urls.collect());
        let logged = sandbox.calls().pop().unwrap();
        assert_eq!((logged.wire, logged.event), (wire, Event::Answered));
        assert_eq!(logged.cost_micro_usd, (wire == Wire::ExaSearch).then_some(7_000));
    }
    assert_eq!((&seen[0], &seen[1]), (&seen[1], &seen[2]));
    assert_eq!(seen[0][0], format!("http://{}/pages/plain", sandbox.address()));
}

#[tokio::test]
async fn a_refused_key_and_a_broken_search_are_told_in_its_own_words() {
    let sandbox = start().await;
    let status = async |call: Call| call.send(sandbox.address()).await.unwrap().status;
    for (_, _, call) in searches("broken cats") {
        assert_eq!(status(call).await, 500);
    }
    for (path, header, value, expected) in [
        ("/exa/search", "x-api-key", "bad", 401),
        ("/exa/search", "x-api-key", "quota", 402),
        ("/tavily/search", "authorization", "Bearer bad", 401),
        ("/tavily/search", "authorization", "Bearer quota", 432),
        ("/serper/search", "x-api-key", "bad", 403),
        ("/serper/search", "x-api-key", "quota", 400),
    ] {
        let call = Call::post(path, &json!({"query": "cats", "q": "cats"})).header(header, value);
        assert_eq!(status(call).await, expected, "{path} {value}");
    }
    assert_eq!(status(Call::post("/exa/search", &json!({})).header("x-api-key", KEY)).await, 400);
    assert_eq!(status(Call::get("/tavily/usage").header("authorization", "Bearer good")).await, 200);
    assert_eq!(status(Call::get("/serper/account").header("x-api-key", "revoked")).await, 403);
}

#[tokio::test]
async fn pages_are_what_their_names_say() {
    let sandbox = start().await;
    let page = async |name: &str| Call::get(&format!("/pages/{name}")).send(sandbox.address()).await.unwrap();
    for (name, status, content_type) in [
        ("plain", 200, "text/plain; charset=utf-8"),
        ("markdown", 200, "text/markdown"),
        ("pdf", 200, "application/pdf"),
        ("picture", 200, "image/png"),
        ("missing", 404, "text/html"),
        ("anything-else", 200, "text/html; charset=utf-8"),
    ] {
        let answer = page(name).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, Some(content_type)), "{name}");
        assert!(answer.whole);
    }
    let moved = page("moved").await;
    assert_eq!((moved.status, moved.header("location")), (302, Some("/pages/plain")));
    assert_eq!(page("huge").await.body.len(), 8 * 1024 * 1024);
    let robots = Call::get("/robots.txt").send(sandbox.address()).await.unwrap();
    assert!(String::from_utf8(robots.body).unwrap().contains("Disallow: /pages/private"));
    assert!(sandbox.calls().iter().all(|record| record.wire == Wire::Page));
}

#[tokio::test]
async fn a_researcher_answers_on_every_wire() {
    let sandbox = start().await;
    for (name, call) in Call::everywhere("researcher", "Write.\nCite: [3]") {
        let answer: Value = call.to(&sandbox).await.json();
        assert!(answer.to_string().contains("source 3 [3]"), "{name}: {answer}");
    }
}
