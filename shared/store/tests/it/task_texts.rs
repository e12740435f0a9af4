//! Texts of tasks by themselves: measured in bytes, read for some tasks, cut by characters.

use std::collections::BTreeMap;

use acm2_domain::call::ErrorClass;
use acm2_domain::run::TaskError;
use acm2_store::runs::{self, StoredAnswer, TaskOutcome};

use crate::fixture::{Fixture, now, on_both};
use crate::runs::{Bench, stored, task, two_models};

on_both!(texts_are_measured_and_read_apart_from_their_rows);

async fn texts_are_measured_and_read_apart_from_their_rows(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let run = two_models();
    bench.submit(&run).await;
    bench.claim(run.id, false).await;
    let text = format!("{}{}", " \n\u{3000}\u{a0}".repeat(200), "é".repeat(1_000));
    let answered = TaskOutcome::Answered(StoredAnswer { text: text.clone(), ..stored(1) });
    let error =
        TaskError { class: ErrorClass::Skipped, message: "x".to_owned(), http_status: None, provider_code: None };
    let tx = bench.begin().await;
    runs::insert_task(&tx, run.id, &task(0), &answered, 1, now()).await.unwrap();
    runs::insert_task(&tx, run.id, &task(1), &TaskOutcome::Failed(error), 1, now()).await.unwrap();
    let (first, second, third) = (task(0).to_string(), task(1).to_string(), task(2).to_string());
    let all = [&*first, &*second, &*third];

    let sizes = runs::measure_texts(&tx, run.id, all).await.unwrap();
    assert_eq!(sizes, BTreeMap::from([(first.clone(), 3_400)]), "bytes, of what has a text");
    assert_eq!(runs::measure_texts(&tx, run.id, [&*second]).await.unwrap(), BTreeMap::new());
    let cut = runs::list_texts(&tx, run.id, all, 3).await.unwrap();
    assert_eq!(cut, BTreeMap::from([(first.clone(), " \n\u{3000}".to_owned())]));
    let beginnings = runs::list_beginnings(&tx, run.id, all, 3).await.unwrap();
    assert_eq!(beginnings, BTreeMap::from([(first.clone(), "ééé".to_owned())]), "blanks in front do not count");
    let whole = runs::list_texts(&tx, run.id, [&*first], i32::MAX).await.unwrap();
    assert_eq!(whole[&first], text);
    let some = runs::list_some_tasks(&tx, run.id, [&*second, &*third]).await.unwrap();
    assert_eq!(some.into_keys().collect::<Vec<_>>(), [second]);
    let textless = runs::list_settled_without_texts(&tx, &bench.find_in(&tx, run.id).await).await.unwrap().tasks;
    let whole = runs::list_tasks(&tx, run.id).await.unwrap();
    assert_eq!(textless.len(), whole.len());
    let TaskOutcome::Answered(answer) = &textless[&first].outcome else { panic!("an answer") };
    assert_eq!((&*answer.text, answer.finish_reason), ("", stored(1).finish_reason));
    tx.commit().await.unwrap();
}
