//! The parts of a subject: what is told of each, and what is left out where nothing has come.

use acm2_domain::judged::{Coverage, Judging};
use acm2_domain::run::RunStatus;
use acm2_report::archive::Export;
use acm2_report::page::render;

use crate::sample::{DOCUMENTS, export, reported};

fn page(export: &Export) -> String {
    render(reported(export)).unwrap()
}

#[test]
fn notes_name_answers_as_the_page_does() {
    let mut export = export();
    let keys = [1, 0].map(|model| format!("generate/{}/m{model}/1", DOCUMENTS[0]));
    export.judging.as_mut().unwrap()[0].notes = vec![
        format!("evaluate: {} has no score", keys[0]),
        format!("review: {} was not ranked", keys[1]),
        format!("evaluate: {}0 has no score", keys[0]),
    ];
    let page = page(&export);
    let long = "openai/gpt-5.5-with-a-name-that-is-rather-long-2026-11-27";
    assert!(page.contains(&format!("evaluate: answer 2 ({long}) has no score")), "{page}");
    assert!(page.contains("review: answer 1 (sandbox/echo) was not ranked"));
    assert!(page.contains(&format!("evaluate: {}0 has no score", keys[0])), "a key of nobody stays");
}

/// As if nothing had come of a subject.
fn emptied(judging: &mut Judging) {
    let nothing = Coverage { given: 0, missing: 0, expected: 0, note: None };
    let votes = judging.pairwise.as_mut().unwrap();
    (votes.leaderboard, votes.pairs, votes.votes) = (Vec::new(), Vec::new(), Vec::new());
    (votes.call, votes.coverage) = (None, nothing.clone());
    let reviews = judging.review.as_mut().unwrap();
    (reviews.leaderboard, reviews.rankings, reviews.call) = (Vec::new(), Vec::new(), None);
    reviews.coverage = nothing;
    for place in &mut judging.evaluate.as_mut().unwrap().leaderboard {
        (place.rank, place.score) = (None, None);
    }
}

#[test]
fn where_nothing_has_come_nothing_is_drawn() {
    let mut export = export();
    let full = page(&export);
    for part in ["<h4>Every pair</h4>", "axis board-axis", "Every ranking (2)", "Every vote with its reason"] {
        assert!(full.contains(part), "{part}");
    }
    export.judging.as_mut().unwrap().iter_mut().for_each(emptied);
    let empty = page(&export);
    for part in ["<h4>Every pair</h4>", "board-axis\"", "Every ranking", "Every vote with its reason"] {
        assert!(!empty.contains(part), "{part}");
    }
    assert_eq!((empty.matches("Nothing came.").count(), empty.matches("<ol class=\"board\">").count()), (4, 2));
    export.run.status = RunStatus::Running;
    assert_eq!(page(&export).matches("Nothing has come yet.").count(), 4);
}

#[test]
fn each_ranking_is_told_by_the_numbers_of_the_answers() {
    let mut export = export();
    let page_of_two = page(&export);
    let row = "<bdi>sandbox/strict</bdi></th><td><bdi>1</bdi></td><td class=\"wide\"><bdi>3 › 2 › 1</bdi></td>";
    assert_eq!(page_of_two.matches(row).count(), 2);
    assert_eq!(page_of_two.matches("<td class=\"wide\"><bdi>missing</bdi></td>").count(), 2);
    let reviews = export.judging.as_mut().unwrap()[0].review.as_mut().unwrap();
    reviews.rankings[0].order = Some(vec![format!("generate/{}/m0/1", DOCUMENTS[0]); 60]);
    reviews.rankings = vec![reviews.rankings[0].clone(); 230];
    let page = page(&export);
    assert!(page.contains("Every ranking (200)") && page.contains("30 more are in the export."));
    assert!(page.contains("1 › …") && !page.contains(&"1 › ".repeat(51)));
}

#[test]
fn what_can_be_scrolled_is_reached_by_the_keyboard_and_seen() {
    let page = page(&export());
    let regions = page.matches("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table: ").count();
    assert_eq!(regions, page.matches("<table>").count());
    assert_eq!(
        page.matches("<pre dir=\"auto\" tabindex=\"0\" role=\"region\" aria-label=").count(),
        page.matches("<pre").count()
    );
    assert!(page.contains("var(--shade), transparent) right / 1rem 100% no-repeat scroll"));
    // No word of the legend is torn from its colour.
    assert_eq!(page.matches("<span><span class=\"key ").count(), 5);
}
