//! Exa, Tavily and Serper: the searches of the web.

use acm2_domain::call::Usage;
use acm2_domain::web::{SearchResult, SearchResults};
use rust_decimal::Decimal;

use super::*;

const SEARCHES: [&str; 3] = ["exa", "tavily", "serper"];

fn search_call(slug: &str, query: &str) -> Call {
    let mut call = full_call(slug, "search");
    query.clone_into(&mut call.messages.last_mut().unwrap().content);
    call
}

fn found(answer: &Answer) -> Vec<SearchResult> {
    SearchResults::read(&answer.text).results
}

fn result(title: &str, url: &str, snippet: &str) -> SearchResult {
    SearchResult::new(title, url, snippet).unwrap()
}

#[test]
fn the_last_message_is_the_query_and_nothing_else_is_sent() {
    let bodies = SEARCHES.map(|slug| body(slug, &search_call(slug, "cats")));
    assert_eq!(
        bodies,
        [
            json!({"query": "cats", "type": "auto", "numResults": 10, "contents": {"highlights": true}}),
            json!({"query": "cats", "search_depth": "basic", "max_results": 10}),
            json!({"q": "cats", "num": 10}),
        ]
    );
    for slug in SEARCHES {
        assert_eq!(request(slug, &search_call(slug, "cats")).url.as_str(), "https://llm.example/v1/search");
        assert_eq!(added_for_judging(slug), json!({}), "{slug}");
    }
    let long = body("tavily", &search_call("tavily", &"é".repeat(300)));
    assert_eq!(long["query"], "é".repeat(200), "Tavily refuses more");
}

#[test]
fn results_are_read_the_same_whoever_searched() {
    let exa = answer("exa", "exa_search/success.json");
    let snippet = "Such requirements have limited their adoption... … LLMs have been widely applied.";
    let title = "A Comprehensive Overview of Large Language Models";
    assert_eq!(
        found(&exa),
        [result(title, "https://arxiv.org/pdf/2307.06435.pdf", snippet), result("", "https://example.org/2", "")]
    );
    assert_eq!(exa.provider_request_id.as_deref(), Some("b5947044c4b78efa9552a7c89b306d95"));
    let tavily = answer("tavily", "tavily_search/success.json");
    assert_eq!(found(&tavily).len(), 1, "each page once");
    assert_eq!(found(&tavily)[0].title, "Lionel Messi Facts | Britannica");
    assert_eq!(tavily.provider_request_id.as_deref(), Some("123e4567-e89b-12d3-a456-426614174111"));
    let serper = answer("serper", "serper_search/success.json");
    assert_eq!(
        found(&serper),
        [
            result("Apple", "https://www.apple.com/", "Discover the innovative world of Apple."),
            result("Apple Inc. - Wikipedia", "https://en.wikipedia.org/wiki/Apple_Inc.", ""),
        ]
    );
    assert_eq!(found(&answer("serper", "serper_search/nothing_found.json")), []);
}

#[test]
fn a_search_takes_no_tokens_and_exa_tells_what_it_cost() {
    for (slug, cost) in [("exa", Some(Decimal::new(7, 3))), ("tavily", None), ("serper", None)] {
        let answer = answer(slug, &format!("{slug}_search/success.json"));
        assert_eq!((answer.usage, answer.reported_cost), (Some(Usage::default()), cost), "{slug}");
        assert_eq!(answer.finish_reason, FinishReason::Stop);
    }
}

#[test]
fn every_error_class_is_told() {
    for (slug, status, file, class) in [
        ("exa", 401, "error_key_401", ErrorClass::ProviderAuth),
        ("exa", 402, "error_credits_402", ErrorClass::ProviderQuota),
        ("tavily", 401, "error_key_401", ErrorClass::ProviderAuth),
        ("tavily", 432, "error_plan_432", ErrorClass::ProviderQuota),
        ("serper", 403, "error_key_403", ErrorClass::ProviderAuth),
        ("serper", 400, "error_credits_400", ErrorClass::ProviderQuota),
    ] {
        assert_eq!(error(slug, status, &format!("{slug}_search/{file}.json")).class, class, "{slug} {file}");
    }
    let exa = error("exa", 402, "exa_search/error_credits_402.json");
    assert_eq!(exa.provider_code.as_deref(), Some("NO_MORE_CREDITS"));
    assert_eq!(exa.provider_request_id.as_deref(), Some("67207943fab9832d162b5317f4cac831"));
    assert!(error("tavily", 401, "tavily_search/error_key_401.json").message.starts_with("Unauthorized"));
}
