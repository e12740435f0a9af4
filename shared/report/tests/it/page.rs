//! The page is legible and harmless.

use acm2_report::page::render;
use chrono::TimeDelta;

use crate::sample::{ATTRIBUTE, FORMULA, SCRIPT, export, reported};

fn page() -> String {
    render(reported(&export())).unwrap()
}

#[test]
fn what_others_wrote_is_text_and_never_markup() {
    let page = page();
    for markup in ["<script", "<img", "onerror=alert(2)>", "\" onload=\"", "javascript:", "<a ", "http://", "https://"]
    {
        let found = page.find(markup).map(|at| page[at..].chars().take(80).collect::<String>());
        assert_eq!(found, None, "{markup}");
    }
    let escaped = |text: &str| {
        let text = text.replace('&', "&#38;").replace('<', "&#60;").replace('>', "&#62;");
        text.replace('"', "&#34;").replace('\'', "&#39;")
    };
    for hostile in [SCRIPT, FORMULA, ATTRIBUTE] {
        assert!(page.contains(&escaped(hostile)), "{hostile} is shown");
    }
}

#[test]
fn the_page_says_what_was_found_and_what_is_missing() {
    let page = page();
    for said in [
        "completed with errors",
        "What is missing",
        "2 calls ended without an answer",
        "evaluate/doc_00000000000000000000000001/m1.1/j1/2",
        "provider timeout",
        "computed from 33 of 36 scores",
        "computed from 9 of 12 scores",
        "By votes on pairs",
        "unknown; $0.0624 of it is known",
        "Kendall&#39;s W",
        "Krippendorff&#39;s alpha (ordinal)",
        "__TOTAL__",
        "depth (×2)",
        "aria-label=\"evaluate: 22 of 24, 2 failed\"",
        "run.completed_with_errors",
        "computed from 1 of 2 rankings",
    ] {
        assert!(page.contains(said), "{said}");
    }
}

#[test]
fn a_page_needs_nothing_else_and_allows_nothing() {
    let page = page();
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
    assert!(page.contains("http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';"));
    for outside in [" src=\"", "url(", "@import", "<link rel=\"stylesheet", "<iframe", "<form"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // Every coordinate lies on its chart.
    for part in page.split(" x=\"").skip(1).chain(page.split(" x1=\"").skip(1)) {
        let place: f64 = part.split('"').next().unwrap().parse().unwrap();
        assert!((0.0..=1000.0).contains(&place), "{place}");
    }
}

#[test]
fn a_run_without_judges_and_without_answers_has_a_page_too() {
    let mut export = export();
    export.judging = Some(Vec::new());
    assert!(!render(reported(&export)).unwrap().contains("<h2>Winner"));
    export.tasks.clear();
    export.run.missing = None;
    export.shown_events.clear();
    let page = render(reported(&export)).unwrap();
    assert!(page.contains("Cost by model and stage") && !page.contains("<h2>Timeline"));
}

#[test]
fn answers_that_were_taken_over_are_not_on_the_timeline() {
    let mut export = export();
    let of_judges = "calls, 8.0 s to ";
    assert!(render(reported(&export)).unwrap().contains(of_judges));
    for task in export.tasks.iter_mut().filter(|task| task.stage == "generate") {
        task.finished_at = task.finished_at.map(|at| at - TimeDelta::days(7));
    }
    assert!(!render(reported(&export)).unwrap().contains(of_judges), "a week of nothing");
    export.run.answers_of = Some(export.run.id);
    assert!(render(reported(&export)).unwrap().contains(of_judges));
}
