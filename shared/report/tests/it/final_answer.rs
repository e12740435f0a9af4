//! The page and the export name the final answer, also where it is another one than the winner.

use acm2_domain::judged::CandidateName;
use acm2_domain::run::{FinalAnswer, Task};
use acm2_report::archive::{Export, Whole};
use acm2_report::images::Images;
use acm2_report::page::render;
use serde_json::Value;

use crate::sample::{SCRIPT, export, reported};

fn section(page: &str, title: &str) -> String {
    let begin = page.find(&format!("<h2>{title}</h2>")).unwrap();
    page[begin..].split("</section>").next().unwrap().to_owned()
}

/// The sample as a council: a chair has spoken about the first document.
fn council() -> Export {
    let mut export = export();
    let key = "combine/doc_00000000000000000000000001/c0/1".to_owned();
    let model = format!("sandbox/chair{SCRIPT}");
    let spoken = Task {
        key: key.clone(),
        stage: "combine".to_owned(),
        model: model.clone(),
        text: Some("the council says so".to_owned()),
        ..export.tasks[0].clone()
    };
    export.tasks.push(spoken);
    let (task_key, stage) = (key, "combine".to_owned());
    let name = CandidateName { task_key: task_key.clone(), model: model.clone(), iteration: 1, stage: stage.clone() };
    export.judging.as_mut().unwrap()[0].candidates.push(name);
    export.judging.as_mut().unwrap()[0].final_answer = Some(FinalAnswer { task_key, model, stage });
    export
}

#[test]
fn the_answer_of_a_council_stands_before_the_best_of_its_members() {
    let export = council();
    let page = render(reported(&export)).unwrap();
    let top = section(&page, "Final answer and winner");
    let (answer, winner) =
        (top.find("sandbox/chair&#60;script&#62;").unwrap(), top.find("The best of these by").unwrap());
    assert!(answer < winner && top.contains("</b>, made of the answers of the models."), "{top}");
    let (title, text) = (page.find("<summary>The final answer</summary>"), page.find("the council says so"));
    assert!(title.unwrap() < text.unwrap());
    assert!(page.contains("<summary>The winning answer</summary>"));
    let judging = export.whole(Whole::Judging, &Images::new()).unwrap();
    let judging: Value = serde_json::from_slice(&judging).unwrap();
    assert_eq!(judging["items"][0]["final_answer"]["stage"], "combine");
}

#[test]
fn a_winner_that_is_the_final_answer_is_named_once() {
    let mut export = export();
    assert!(!render(reported(&export)).unwrap().contains("final answer"), "there is none yet");
    for judging in export.judging.as_mut().unwrap() {
        let winner = judging.winner.clone().unwrap();
        let stage = "generate".to_owned();
        judging.final_answer = Some(FinalAnswer { task_key: winner.task_key, model: winner.model, stage });
    }
    let page = render(reported(&export)).unwrap();
    let top = section(&page, "Winners");
    assert_eq!(top.matches("It is the <b>final answer</b>.").count(), 2, "{top}");
    assert!(!page.contains("<summary>The winning answer</summary>"));
    assert_eq!(page.matches("<summary>The final answer</summary>").count(), 2);
}
