//! What a call expects, against a provider that obeys schemas and refuses wrong ones: the sandbox, which has its own idea of each
//! wire.

use std::net::Ipv4Addr;
use std::time::Duration;

use acm2_domain::call::{Call, CallError, Message, Role};
use acm2_domain::ids::AttemptId;
use acm2_domain::judging::{Expectation, Reviewing, Scoring};
use acm2_outbound::{Outbound, OutboundOptions};
use acm2_sandbox::{Options, Sandbox};
use secrecy::SecretString;
use url::Url;

use crate::calls::target;
use crate::wires::call;

/// Each wire, and where the sandbox speaks it.
const WIRES: [(&str, &str); 4] =
    [("openai", "v1"), ("anthropic", "anthropic/v1"), ("google", "gemini/v1beta"), ("sandbox", "openrouter/api/v1")];

async fn said(sandbox: &Sandbox, slug: &str, call: &Call) -> Result<String, CallError> {
    let base_urls = [WIRES.as_slice(), &[("openrouter", "openrouter/api/v1")]]
        .concat()
        .into_iter()
        .map(|(slug, path)| (slug.to_owned(), Url::parse(&format!("http://{}/{path}", sandbox.address())).unwrap()));
    let outbound =
        Outbound::new(OutboundOptions { base_urls: base_urls.collect(), ..OutboundOptions::default() }).unwrap();
    let key = SecretString::from("sk-test-0123456789");
    let answer = outbound.call(&target(slug), key, call, AttemptId::generate(), Duration::from_mins(1)).await;
    answer.map(|answer| answer.text)
}

fn asking(slug: &str, prompt: &str, expects: Expectation) -> Call {
    let messages = vec![Message { role: Role::User, content: prompt.to_owned() }];
    Call { messages, expects: Some(expects), ..call(slug, "judge") }
}

async fn start() -> Sandbox {
    Sandbox::start(Options { bind: (Ipv4Addr::LOCALHOST, 0).into(), log_file: None }).await.unwrap()
}

fn scores() -> Expectation {
    Expectation::Scores(Scoring { criteria: vec!["Clarity".to_owned(), "How \"deep\" it is — 深さ".to_owned()] })
}

#[tokio::test]
async fn a_provider_that_is_told_the_schema_answers_what_is_expected() {
    let sandbox = start().await;
    for (slug, _) in WIRES {
        for expected in [scores(), Expectation::Preference, Expectation::Ranking(Reviewing::of(30))] {
            // The prompt does not say what is wanted, so that only the schema can have told it.
            let text = said(&sandbox, slug, &asking(slug, "some answer", expected.clone())).await.unwrap();
            assert_eq!(expected.check(&text), Ok(()), "{slug}: {text}");
        }
    }
}

#[tokio::test]
async fn a_provider_that_is_not_told_answers_by_the_prompt() {
    let sandbox = start().await;
    let text = said(&sandbox, "openrouter", &asking("openrouter", "some answer", scores())).await.unwrap();
    assert_eq!(text, "Echo: some answer");
    let prompt = "some answer\nCriteria: [\"Clarity\",\"How \\\"deep\\\" it is — 深さ\"]";
    let text = said(&sandbox, "openrouter", &asking("openrouter", prompt, scores())).await.unwrap();
    assert_eq!(scores().check(&text), Ok(()), "{text}");
}
