//! Judges on every wire: what tells them what is wanted, and what each kind answers.

use acm2_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::client::{Answer, Call, start};

const SCORES: &str = "Criteria: [\"Clarity\",\"Depth\"]";
const CHOICE: &str = "Choose: A or B";

fn schema(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn scores_schema() -> Value {
    let evaluation = json!({
        "criterion": {"type": "string", "enum": ["Clarity", "Depth"]},
        "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
        "reason": {"type": "string"},
    });
    let items = schema(&evaluation, &["criterion", "score", "reason"]);
    schema(&json!({"evaluations": {"type": "array", "items": items}}), &["evaluations"])
}

fn choice_schema() -> Value {
    let properties = json!({"winner": {"type": "string", "enum": ["A", "B"]}, "reason": {"type": "string"}});
    schema(&properties, &["winner", "reason"])
}

/// The answer in its frame, as judges are shown it.
fn framed(answer: &str, line: &str) -> String {
    format!("Judge this.\n{line}\n----- answer begins 7f3a -----\n{answer}\n----- answer ends 7f3a -----\n")
}

fn pair(first: &str, second: &str, line: &str) -> String {
    format!(
        "Which is better?\n{line}\n----- answer A begins 7f3a -----\n{first}\n----- answer A ends 7f3a -----\n\
         ----- answer B begins 91c0 -----\n{second}\n----- answer B ends 91c0 -----\n"
    )
}

/// The same conversation (turns of the user and of the model) on every wire and brand, without a key.
fn everywhere(model: &str, turns: &[&str], schema: Option<&Value>) -> [(&'static str, Call); 5] {
    let messages = |model_role: &str, content: fn(&str) -> (&'static str, Value)| -> Vec<Value> {
        let turn = |(index, text): (usize, &&str)| {
            let (name, content) = content(text);
            json!({"role": if index % 2 == 0 { "user" } else { model_role }, name: content})
        };
        turns.iter().enumerate().map(turn).collect()
    };
    let plain = messages("assistant", |text| ("content", json!(text)));
    let mut chat = json!({"model": model, "messages": plain});
    let mut responses = json!({"model": model, "input": plain, "store": false});
    let mut anthropic = json!({"model": model, "max_tokens": 100, "messages": plain});
    let mut gemini = json!({"contents": messages("model", |text| ("parts", json!([{"text": text}])))});
    if let Some(schema) = schema {
        let named = json!({"name": "judgement", "strict": true, "schema": schema});
        chat["response_format"] = json!({"type": "json_schema", "json_schema": named});
        responses["text"] = json!({"format": named});
        responses["text"]["format"]["type"] = json!("json_schema");
        anthropic["output_config"] = json!({"format": {"type": "json_schema", "schema": schema}});
        gemini["generationConfig"] = json!({"responseMimeType": "application/json", "responseJsonSchema": schema});
    }
    let version = ("anthropic-version", "2026-10-21");
    [
        ("openai chat", Call::post("/v1/chat/completions", &chat)),
        ("openai responses", Call::post("/v1/responses", &responses)),
        ("openrouter", Call::post("/openrouter/api/v1/chat/completions", &chat)),
        ("anthropic", Call::post("/anthropic/v1/messages", &anthropic).header(version.0, version.1)),
        ("gemini", Call::post(&format!("/gemini/v1beta/models/{model}:generateContent"), &gemini)),
    ]
}

fn text(wire: &str, answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{wire}: {answer:?}");
    let body = answer.json();
    let text = match wire {
        "openai responses" => &body["output"][0]["content"][0]["text"],
        "anthropic" => &body["content"][0]["text"],
        "gemini" => &body["candidates"][0]["content"]["parts"][0]["text"],
        _ => &body["choices"][0]["message"]["content"],
    };
    text.as_str().unwrap().to_owned()
}

/// What the model says to one message, which must be the same on all wires.
async fn said(sandbox: &Sandbox, model: &str, prompt: &str, schema: Option<&Value>) -> String {
    let mut texts = Vec::new();
    for (wire, call) in everywhere(model, &[prompt], schema) {
        texts.push(text(wire, &call.to(sandbox).await));
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    texts.remove(0)
}

async fn scores(sandbox: &Sandbox, model: &str, prompt: &str, schema: Option<&Value>) -> Vec<(String, u64)> {
    let answer: Value = serde_json::from_str(&said(sandbox, model, prompt, schema).await).unwrap();
    let evaluation = |entry: &Value| {
        assert!(entry["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
        (entry["criterion"].as_str().unwrap().to_owned(), entry["score"].as_u64().unwrap())
    };
    answer["evaluations"].as_array().unwrap().iter().map(evaluation).collect()
}

async fn winner(sandbox: &Sandbox, model: &str, prompt: &str, schema: Option<&Value>) -> String {
    let answer: Value = serde_json::from_str(&said(sandbox, model, prompt, schema).await).unwrap();
    answer["winner"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn scores_follow_from_model_criterion_and_answer_and_from_nothing_else() {
    let (sandbox, another) = (start().await, start().await);
    let by_line = scores(&sandbox, "judge", &framed("an answer", SCORES), None).await;
    // As `opinion`'s own test has them: no run, process or wire changes them.
    assert_eq!(by_line, [("Clarity".to_owned(), 2), ("Depth".to_owned(), 2)]);
    let schema = scores_schema();
    assert_eq!(scores(&another, "judge", &framed("an answer", ""), Some(&schema)).await, by_line);
    assert_eq!(scores(&another, "sandbox/judge", &framed("an answer", SCORES), Some(&schema)).await, by_line);
    assert_ne!(scores(&sandbox, "judge", &framed("another answer", SCORES), None).await, by_line);
    assert_ne!(scores(&sandbox, "judge-1", &framed("an answer", SCORES), None).await, by_line);
    let unframed = scores(&sandbox, "judge", "an answer", Some(&schema)).await;
    assert_eq!(unframed, by_line, "without a frame it is the whole message");
}

#[tokio::test]
async fn a_choice_follows_from_the_texts_and_only_the_biased_judge_from_their_places() {
    let sandbox = start().await;
    let schema = choice_schema();
    let mut winners = Vec::new();
    for (first, second) in [("one", "two"), ("three", "four"), ("five", "six"), ("seven", "eight")] {
        let order = winner(&sandbox, "judge", &pair(first, second, CHOICE), None).await;
        let reverse = winner(&sandbox, "judge", &pair(second, first, ""), Some(&schema)).await;
        assert_ne!(order, reverse, "{first} {second}");
        winners.push(order);
        for (first, second) in [(first, second), (second, first)] {
            assert_eq!(winner(&sandbox, "judge-first", &pair(first, second, CHOICE), None).await, "A");
        }
    }
    assert!(winners.iter().any(|winner| winner == "A") && winners.iter().any(|winner| winner == "B"), "{winners:?}");
    let halves = winner(&sandbox, "judge", "half and other half", Some(&schema)).await;
    assert_eq!(winner(&sandbox, "judge", "half and other half", Some(&schema)).await, halves);
}

#[tokio::test]
async fn each_kind_of_judge_answers_in_its_own_way_on_every_wire() {
    let sandbox = start().await;
    for answer in ["one", "two", "three", "four"] {
        let prompt = framed(answer, SCORES);
        let low = scores(&sandbox, "judge-low", &prompt, None).await;
        assert!(low.len() == 2 && low.iter().all(|(_, score)| (1..=2).contains(score)), "{low:?}");
        let high = scores(&sandbox, "judge-high", &prompt, None).await;
        assert!(high.len() == 2 && high.iter().all(|(_, score)| (4..=5).contains(score)), "{high:?}");
        let gap = scores(&sandbox, "judge-gap", &prompt, None).await;
        assert_eq!(gap.iter().map(|(criterion, _)| criterion.as_str()).collect::<Vec<_>>(), ["Clarity"]);
        for (line, prompt) in [(SCORES, &prompt), (CHOICE, &pair(answer, "other", CHOICE))] {
            let fenced = said(&sandbox, "judge-fenced", prompt, None).await;
            let inside = fenced.split("```json\n").nth(1).unwrap().split("\n```").next().unwrap();
            let inside: Value = serde_json::from_str(inside).unwrap();
            assert!(inside["evaluations"].is_array() || inside["winner"].is_string(), "{line}: {fenced}");
            assert!(serde_json::from_str::<Value>(&fenced).is_err());
            let malformed = said(&sandbox, "judge-malformed", prompt, None).await;
            assert!(malformed.starts_with('{') && serde_json::from_str::<Value>(&malformed).is_err(), "{malformed}");
        }
    }
    assert_eq!(said(&sandbox, "judge-malformed", "What is the time?", None).await, "Echo: What is the time?");
}

#[tokio::test]
async fn a_judge_mends_its_answer_once_it_is_asked_to_and_for_each_key_and_question_anew() {
    let schema = scores_schema();
    for schema in [None, Some(&schema)] {
        let sandbox = start().await;
        for (key, answer) in [("sk-one", "first"), ("sk-two", "first"), ("sk-one", "second")] {
            let question = framed(answer, SCORES);
            let wires = everywhere("judge-malformed-then-ok", &[], None).map(|(wire, _)| wire);
            for (at, wire) in wires.into_iter().enumerate() {
                // A key of its own for each wire: the count knows no wires.
                let key = format!("{key}-{at}");
                let ask = async |turns: &[&str]| {
                    let calls = everywhere("judge-malformed-then-ok", turns, schema);
                    let call = calls.into_iter().nth(at).unwrap().1;
                    text(wire, &call.key(&key).send(sandbox.address()).await.unwrap())
                };
                let wrong = ask(&[&question]).await;
                assert!(serde_json::from_str::<Value>(&wrong).is_err(), "{wire}: {wrong}");
                let mended = ask(&[&question, &wrong, "Your answer cannot be used: there is no JSON in it."]).await;
                let read: Value = serde_json::from_str(&mended).unwrap();
                assert_eq!(read["evaluations"].as_array().unwrap().len(), 2, "{wire}: {mended}");
                assert!(mended.starts_with(&wrong), "it is the same opinion: {wrong} {mended}");
                assert_eq!(ask(&[&question]).await, mended, "{wire}");
            }
        }
    }
}

#[tokio::test]
async fn a_failed_call_does_not_count_as_the_malformed_one() {
    let sandbox = start().await;
    let model = "judge-malformed-then-ok+fail-500-then-ok";
    let ask = async || Call::chat(model, &framed("an answer", SCORES)).to(&sandbox).await;
    assert_eq!(ask().await.status, 500);
    assert!(serde_json::from_str::<Value>(&text("openai chat", &ask().await)).is_err());
    assert!(serde_json::from_str::<Value>(&text("openai chat", &ask().await)).is_ok());
}

#[tokio::test]
async fn a_judge_waits_costs_and_is_counted_as_other_models_are() {
    let sandbox = start().await;
    let started = std::time::Instant::now();
    let body = Call::openrouter("slow-250ms+judge", &format!("one two\n{CHOICE}")).to(&sandbox).await.json();
    assert!(started.elapsed().as_millis() >= 250);
    let said = body["choices"][0]["message"]["content"].as_str().unwrap();
    let output = said.split_whitespace().count() as u64;
    // 2 words and the 4 of the line, and 3 for the call.
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(9), &json!(output)));
    let record = sandbox.calls().pop().unwrap();
    assert_eq!(record.cost_micro_usd, Some(9 + 2 * output));
}

#[tokio::test]
async fn a_schema_that_the_provider_would_refuse_is_refused() {
    let sandbox = start().await;
    let open = json!({"type": "object", "properties": {"evaluations": {"type": "array", "items": {"type": "object"}}},
        "required": ["evaluations"], "additionalProperties": false});
    let lacking = schema(&json!({"winner": {"type": "string"}}), &[]);
    for (wire, call) in everywhere("judge", &["text"], Some(&open)) {
        assert_eq!(call.to(&sandbox).await.status, if wire == "gemini" { 200 } else { 400 }, "{wire}");
    }
    for (wire, call) in everywhere("judge", &["text"], Some(&lacking)) {
        assert_eq!(call.to(&sandbox).await.status, if wire.starts_with("open") { 400 } else { 200 }, "{wire}");
    }
    for (wire, call) in everywhere("judge", &["text"], Some(&json!("no schema"))) {
        assert_eq!(call.to(&sandbox).await.status, 400, "{wire}");
    }
    let without = |part: &str, (wire, call): (&'static str, Call)| {
        assert!(call.body.contains(part), "{wire}: {}", call.body);
        (wire, Call { body: call.body.replace(part, ""), ..call })
    };
    let [chat, responses, openrouter, anthropic, gemini] = everywhere("judge", &["text"], Some(&choice_schema()));
    for (wire, call) in [
        without("\"name\":\"judgement\",", chat),
        without("\"name\":\"judgement\",", responses),
        without("\"name\":\"judgement\",", openrouter),
        without(",\"type\":\"json_schema\"", anthropic),
        without(",\"responseMimeType\":\"application/json\"", gemini),
    ] {
        assert_eq!(call.to(&sandbox).await.status, 400, "{wire}");
    }
}
