//! Research, from the plan to the report: real searches and pages of the sandbox, workers that die in the middle, pages that cannot
//! be read, and models that cite what there is not.

use std::collections::BTreeMap;

use acm2_domain::call::ErrorClass;
use acm2_domain::money::Usd;
use acm2_domain::run::machine::{Command, Effect};
use acm2_domain::run::{Run, RunStatus};
use acm2_domain::web::Page;
use acm2_sandbox::{CallRecord, Event, Wire};
use acm2_store::runs::{self, TaskOutcome, TaskRow};
use serde_json::{Value, json};

use crate::account::Account;
use crate::house::{House, eventually, on_both};
use crate::outcomes::events_have_no_gap;

on_both!(
    a_report_rests_on_pages_that_were_read_and_every_search_is_paid_for,
    research_that_is_killed_twice_ends_as_if_it_were_not,
    pages_that_cannot_be_read_are_no_failure,
    no_page_of_the_inside_is_read_unless_the_operator_lists_it_for_pages,
    a_report_that_cites_nothing_is_none_and_one_that_cites_too_much_is_mended,
    a_search_whose_key_is_refused_is_done_by_a_retry,
);

const REPORT: &str = "generate/prompt/m0/1";

/// A tenant with keys for the sandbox and a search, whom the operator lets read the sandbox's pages.
async fn researcher<'a>(house: &'a House, provider: &str) -> Account<'a> {
    let account = house.account_with_key().await;
    account.add_key_of(provider, "key-of-the-tests-0123456789").await;
    let hosts = [format!("page:{}", house.sandbox.address())];
    house.store.tenants().set_private_hosts(account.id, &hosts).await.unwrap();
    account
}

fn body(model: &str, provider: &str, prompt: &str, research: &Value) -> Value {
    let mut body = json!({"prompt": prompt, "models": [format!("sandbox/{model}")], "generator": "research", "research": research});
    body["research"]["provider"] = json!(provider);
    body
}

fn report_of(run: &Run) -> Option<&str> {
    let results = run.results.as_ref().unwrap();
    assert_eq!(results.len(), 1, "the steps of research are no results");
    results[0].text.as_deref()
}

async fn tasks(account: &Account<'_>, run: &Run) -> BTreeMap<String, TaskRow> {
    runs::list_tasks(&account.begin().await, run.id).await.unwrap()
}

async fn page(account: &Account<'_>, run: &Run, place: &str) -> Page {
    match &tasks(account, run).await[&format!("{REPORT}/page/{place}")].outcome {
        TaskOutcome::Answered(answer) => Page::of_text(&answer.text),
        TaskOutcome::Failed(error) => panic!("{error:?}"),
    }
}

/// What reached the sandbox since a record, by wire.
fn since(house: &House, seq: u64, wire: Wire) -> Vec<CallRecord> {
    let records = house.records(Event::Received).into_iter();
    records.filter(|record| record.seq > seq && record.wire == wire).collect()
}

fn last_seq(house: &House) -> u64 {
    house.sandbox.calls().last().map_or(0, |record| record.seq)
}

fn times(house: &House, seq: u64, path: &str) -> usize {
    since(house, seq, Wire::Page).iter().filter(|record| record.path == path).count()
}

async fn a_report_rests_on_pages_that_were_read_and_every_search_is_paid_for(house: &House) {
    let worker = house.worker();
    for (provider, wire, depth, price) in [
        ("exa", Wire::ExaSearch, 1, "0.014"),
        ("tavily", Wire::TavilySearch, 1, "0.016"),
        ("serper", Wire::SerperSearch, 2, "0.004"),
    ] {
        let account = researcher(house, provider).await;
        let start = last_seq(house);
        let research = json!({"breadth": 2, "depth": depth, "pages": 3});
        let mut asked = body("researcher", provider, "why plain pdf cats purr", &research);
        asked["stages"] = json!({"evaluate": {"judges": ["sandbox/judge"], "criteria": ["wit"]}});
        let run = account.run(asked).await;
        assert_eq!(run.status, RunStatus::Completed, "{run:?}");
        // A round has a plan, and twice a search, three pages and notes; then the writing, the report, and what a judge says of it.
        let tasks = depth * 11 + 3;
        assert_eq!((run.progress.tasks_expected, run.progress.tasks_completed), (tasks, tasks));
        assert_eq!(since(house, start, wire).len(), 2 * depth as usize);
        let report = report_of(&run).unwrap();
        let (text, sources) = report.split_once("\n\n## Sources\n\n").unwrap();
        for (number, line) in (1..).zip(sources.lines()) {
            assert!(text.contains(&format!("[{number}]")), "{report}");
            let path = line.split_once("/pages/").unwrap().1.trim_end_matches('>');
            assert_eq!(times(house, start, &format!("/pages/{path}")), 1, "{report}");
        }
        assert!(sources.contains("/pages/plain>") && sources.contains("/pages/pdf>"), "{report}");
        let Page::Read { text, .. } = page(&account, &run, "1.1.2").await else { panic!("the PDF was not read") };
        assert_eq!(text.trim(), "A page of a PDF.");
        // What the sandbox says that the model's calls cost, and the searches.
        let answered = house.records(Event::Answered).into_iter().filter(|record| record.seq > start);
        let said: u64 =
            answered.filter(|record| record.model.is_some()).filter_map(|record| record.cost_micro_usd).sum();
        let searches: Usd = price.parse().unwrap();
        assert_eq!(run.cost_usd, Some(Usd::from_pico(i64::try_from(said).unwrap() * 1_000_000) + searches));
        assert_eq!(run.results.as_ref().unwrap()[0].model, "sandbox/researcher");
        events_have_no_gap(&account, run.id).await;
    }
    worker.stop().await;
}

async fn research_that_is_killed_twice_ends_as_if_it_were_not(house: &House) {
    let account = researcher(house, "tavily").await;
    let asked =
        body("researcher+slow-1500ms", "tavily", "why plain slow cats purr", &json!({"breadth": 1, "pages": 2}));
    let undisturbed = {
        let worker = house.worker();
        let run = account.run(asked.clone()).await;
        worker.stop().await;
        run
    };
    let start = last_seq(house);
    let first = house.worker();
    let run = account.submit(asked).await;
    eventually("the slow page is asked for", async || times(house, start, "/pages/slow") == 1).await;
    eventually("the quick one is written down", async || account.row(run).await.tasks_completed >= 3).await;
    first.kill();
    let second = house.worker();
    let model_calls = || since(house, start, Wire::OpenaiChat).len();
    eventually("the notes are asked for", async || model_calls() == 2).await;
    second.kill();
    let third = house.worker();
    let view = account.ended(run).await;
    assert_eq!((view.status, report_of(&view)), (RunStatus::Completed, report_of(&undisturbed)));
    // Plan, notes twice, report.
    assert_eq!((model_calls(), since(house, start, Wire::TavilySearch).len()), (4, 1));
    assert_eq!((times(house, start, "/pages/plain"), times(house, start, "/pages/slow")), (1, 2));
    assert_eq!(view.cost_usd, undisturbed.cost_usd);
    let attempts = account.attempts(run).await;
    let doubted: Vec<&str> = attempts
        .iter()
        .filter(|attempt| attempt.status == "in_doubt")
        .map(|attempt| attempt.task_key.as_str())
        .collect();
    assert_eq!(doubted, [format!("{REPORT}/notes/1.1")]);
    events_have_no_gap(&account, run).await;
    third.stop().await;
}

async fn pages_that_cannot_be_read_are_no_failure(house: &House) {
    let worker = house.worker();
    let account = researcher(house, "exa").await;
    let prompt = "hostile missing private picture blank circle huge silent";
    let run = account.run(body("researcher", "exa", prompt, &json!({"breadth": 1, "pages": 8}))).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    for (place, reason) in [
        ("1.1.2", "the site answered 404"),
        ("1.1.3", "the site's robots.txt does not let this page be read"),
        ("1.1.4", "the page is neither HTML nor text nor PDF"),
        ("1.1.6", "the page redirects more than 5 times"),
        ("1.1.8", "the site did not answer within the time allowed"),
    ] {
        assert_eq!(page(&account, &run, place).await, Page::Unavailable { reason: reason.to_owned() }, "{place}");
    }
    assert!(matches!(page(&account, &run, "1.1.5").await, Page::Unavailable { .. }), "a page without text");
    assert_eq!(times(house, 0, "/pages/private"), 0);
    let Page::Read { text, .. } = page(&account, &run, "1.1.7").await else { panic!("the long page was not read") };
    assert_eq!(text.len(), acm2_domain::web::MOST_PAGE_BYTES);
    let report = report_of(&run).unwrap();
    assert!(report.starts_with("The sandbox has read source 1 [1]. The sandbox has read source 2 [2]."), "{report}");
    assert!(!report.contains("[77]") && !report.contains("PWNED"), "a page gave orders: {report}");
    worker.stop().await;
}

async fn no_page_of_the_inside_is_read_unless_the_operator_lists_it_for_pages(house: &House) {
    let worker = house.worker();
    let account = researcher(house, "serper").await;
    let address = house.sandbox.address();
    let hosts = [address.to_string(), format!("base-url:{address}"), "page:127.0.0.1:1".to_owned()];
    house.store.tenants().set_private_hosts(account.id, &hosts).await.unwrap();
    let run = account.run(body("researcher", "serper", "why cats purr", &json!({"breadth": 1, "pages": 2}))).await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(since(house, 0, Wire::Page).len(), 0);
    let Page::Unavailable { reason } = page(&account, &run, "1.1.1").await else { panic!("it was read") };
    assert!(reason.contains("no public address"), "{reason}");
    let missing = run.missing.as_ref().unwrap();
    let report = missing.iter().find(|missing| missing.key == REPORT).unwrap();
    assert_eq!(report.class, Some(ErrorClass::InputMissing));
    worker.stop().await;
}

async fn a_report_that_cites_nothing_is_none_and_one_that_cites_too_much_is_mended(house: &House) {
    let worker = house.worker();
    let account = researcher(house, "exa").await;
    let research = json!({"breadth": 2, "pages": 1});
    let run = account.run(body("researcher-mute", "exa", "why cats purr", &research.clone())).await;
    assert_eq!((run.status, report_of(&run)), (RunStatus::Failed, None));
    let TaskOutcome::Failed(error) = &tasks(&account, &run).await[&format!("{REPORT}/write/1")].outcome else {
        panic!("a report without citations was taken")
    };
    assert_eq!(error.class, ErrorClass::UnusableAnswer);
    // A plan, two notes, the report, and the report once more.
    assert_eq!(house.calls_of("researcher-mute").len(), 5);
    let run = account.run(body("researcher-wild", "exa", "why cats purr", &research)).await;
    assert_eq!(run.status, RunStatus::Completed);
    let report = report_of(&run).unwrap();
    assert!(report.contains("[1]") && report.contains("And one more [?].") && !report.contains("[99]"), "{report}");
    worker.stop().await;
}

async fn a_search_whose_key_is_refused_is_done_by_a_retry(house: &House) {
    let worker = house.worker();
    let account = house.account_with_key().await;
    let hosts = [format!("page:{}", house.sandbox.address())];
    house.store.tenants().set_private_hosts(account.id, &hosts).await.unwrap();
    let key = account.add_key_of("tavily", "a-bad-key-of-the-tests").await;
    let run = account.run(body("researcher-few", "tavily", "why cats purr", &json!({"breadth": 2, "pages": 1}))).await;
    assert_eq!((run.status, report_of(&run)), (RunStatus::Failed, None));
    let settled = tasks(&account, &run).await;
    let class = |key: &str| match &settled[&format!("{REPORT}/{key}")].outcome {
        TaskOutcome::Failed(error) => Some(error.class),
        TaskOutcome::Answered(_) => None,
    };
    assert_eq!(class("search/1.1"), Some(ErrorClass::ProviderAuth));
    assert_eq!((class("page/1.1.1"), class("search/1.2")), (Some(ErrorClass::InputMissing), None));
    account.replace_key_of("tavily", key, "a-key-of-the-tests-0123456789").await;
    assert_eq!(account.command(run.id, Command::Retry).await, Effect::Become(RunStatus::Queued));
    let run = account.ended(run.id).await;
    assert_eq!(run.status, RunStatus::Completed, "{run:?}");
    assert!(report_of(&run).unwrap().contains("## Sources"));
    // The plan was kept: plan, notes, report.
    assert_eq!(house.calls_of("researcher-few").len(), 3);
    worker.stop().await;
}
