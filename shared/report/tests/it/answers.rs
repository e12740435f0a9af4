//! The answers can be read in the page, also where nobody judged them, and never more of them than a page bears.

use acm2_domain::run::{FinalAnswer, RunStatus, Task};
use acm2_domain::stages::CombineStrategy;
use acm2_report::archive::Export;
use acm2_report::page::{LONGEST_OTHER_TEXT, Texts, render, texts};

use crate::sample::{DOCUMENTS, SCRIPT, export, reported};

fn page(export: &Export) -> String {
    render(reported(export)).unwrap()
}

fn shown(export: &Export) -> Texts {
    texts(&export.run, &export.tasks, export.judging.as_deref().unwrap())
}

/// The sample as a run that asks nobody to judge, with the first answer to each document as the final one.
fn unjudged() -> Export {
    let mut export = export();
    export.judging = Some(Vec::new());
    export.tasks.retain(|task| task.stage == "generate");
    let first = |document: &str| {
        let key = format!("generate/{document}/m0/1");
        let task = export.tasks.iter().find(|task| task.key == key).unwrap();
        FinalAnswer { task_key: key, model: task.model.clone(), stage: task.stage.clone() }
    };
    export.run.final_answers = Some(DOCUMENTS.map(first).to_vec());
    export
}

#[test]
fn a_run_without_judges_shows_its_final_answers_and_the_others() {
    let mut export = unjudged();
    let page_of_all = page(&export);
    let top = page_of_all.split("<h2>Final answers</h2>").nth(1).unwrap().split("</section>").next().unwrap();
    assert_eq!(top.matches("as the first in the order of the run: no judge was asked").count(), 2, "{top}");
    assert!(!page_of_all.contains("tells the answers apart") && !page_of_all.contains("<h2>Winner"));
    assert_eq!(page_of_all.matches("<summary>The final answer</summary>").count(), 2);
    let other = "<summary><span class=\"number\">2</span> <bdi>openai/gpt-5.5-with-a-name-that-is-rather-long-2026-11-27</bdi></summary>";
    assert_eq!(page_of_all.matches(other).count(), 2);
    assert_eq!(shown(&export).main.len(), 2);
    assert_eq!(shown(&export).others.len(), 4);

    // A run that has not ended has no final answer, and shows what has come.
    export.run.status = RunStatus::Running;
    export.run.final_answers = Some(Vec::new());
    export.tasks[0].text = None;
    export.tasks[1].text = Some(" \n".to_owned());
    let page = page(&export);
    assert!(!page.contains("The final answer") && page.contains("<h3>The answers</h3>"));
    assert_eq!((shown(&export).main.len(), shown(&export).others.len()), (0, 4), "blank is no answer");

    // Nothing has come: nothing is shown.
    export.tasks.clear();
    assert!(!render(reported(&export)).unwrap().contains("class=\"subject\""));
}

#[test]
fn the_other_answers_can_be_read_best_first() {
    let export = export();
    let judging = &export.judging.as_ref().unwrap()[0];
    let winner = &judging.winner.as_ref().unwrap().task_key;
    let board = &judging.pairwise.as_ref().unwrap().leaderboard;
    let others: Vec<String> = board.iter().map(|place| place.candidate.clone()).filter(|key| key != winner).collect();
    assert_eq!((&shown(&export).main[0], &shown(&export).others[..2]), (winner, &*others));
    let page = page(&export);
    assert_eq!(page.matches("<h3>The other answers</h3>").count(), 2);
    for model in ["sandbox/echo", "anthropic/slow"] {
        assert_eq!(page.matches(&format!("the answer of {model}</pre>")).count(), 2, "{model}");
    }
}

#[test]
fn many_and_long_answers_leave_the_page_bounded() {
    let mut export = unjudged();
    let sample = Task { text: Some("ä".repeat(LONGEST_OTHER_TEXT + 1)), ..export.tasks[0].clone() };
    let document = |number: usize| {
        let mut document = sample.document.clone().unwrap();
        document.id = format!("doc_{number:026}").parse().unwrap();
        Some(document)
    };
    let of = |documents: usize, answers: usize| -> Vec<Task> {
        let task = |at: usize| Task {
            key: format!("generate/doc_{}/m{}/1", at / answers, at % answers),
            document: document(at / answers),
            ..sample.clone()
        };
        (0..documents * answers).map(task).collect()
    };
    // Documents, answers to each, and how many of each are shown.
    for (documents, answers, most) in [(1, 30, 24), (2, 30, 24), (10, 30, 10), (100, 30, 1), (1, 25, 24)] {
        export.tasks = of(documents, answers);
        export.run.results = Some(export.tasks.clone());
        assert_eq!(shown(&export).others.len(), documents * most);
        let page = page(&export);
        let left_out = if answers - most == 1 {
            "1 more answer is in the export.".to_owned()
        } else {
            format!("{} more answers are in the export.", answers - most)
        };
        assert_eq!(page.matches(&left_out).count(), documents, "{documents} × {answers}");
        assert_eq!(page.matches("The rest is in the export.").count(), documents * most);
        assert!(page.matches('ä').count() == documents * most * LONGEST_OTHER_TEXT);
    }
}

#[test]
fn while_a_run_is_under_way_no_call_looks_sure() {
    let mut export = export();
    export.run.status = RunStatus::Running;
    let page = page(&export);
    assert!(page.contains("<h2>Winners so far</h2>") && page.contains(" so far</b>"));
    assert!(page.contains("<summary>The winning answer so far</summary>"));
    assert!(!page.contains("class=\"clear\""), "nothing is sure yet");
    let ended = render(reported(&crate::sample::export())).unwrap();
    assert!(!ended.contains("so far</b>"));
    // Where nothing was found.
    for judging in export.judging.as_mut().unwrap() {
        judging.winner = None;
    }
    assert!(render(reported(&export)).unwrap().contains("Nothing was found yet that tells"));
    export.run.status = RunStatus::Completed;
    assert!(render(reported(&export)).unwrap().contains("Nothing was found that tells"));
}

#[test]
fn a_combined_text_is_named_by_how_it_was_made() {
    let mut export = unjudged();
    let combined = Task {
        key: format!("combine/{}/c0/1", DOCUMENTS[0]),
        stage: "combine".to_owned(),
        model: format!("sandbox/chair{SCRIPT}"),
        ..export.tasks[0].clone()
    };
    export.run.results.as_mut().unwrap().push(combined.clone());
    export.tasks.push(combined);
    for (combine, said) in [
        (CombineStrategy::Merge, "(merged)"),
        (CombineStrategy::Synthesis, "(chair&#39;s synthesis)"),
        (CombineStrategy::BestOf, "(best of)"),
        (CombineStrategy::Sections, "(sections)"),
        (CombineStrategy::Concatenation, "(concatenated)"),
    ] {
        export.combine = Some(combine);
        assert!(page(&export).contains(&format!("&#60;/script&#62;&#60;img src=x onerror=alert(2)&#62; {said}</bdi>")));
    }
}
