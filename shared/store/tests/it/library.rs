//! Items of the library: lists that do not read what is in them, and versions, of which the oldest go.

use acm2_domain::ids::PresetId;
use acm2_store::library::items::{self, ItemKind, ItemRow, NewItem};
use acm2_store::library::versions;
use serde_json::{Value, json};

use crate::fixture::{Fixture, now, on_both};
use crate::runs::Bench;

on_both!(an_item_keeps_its_newest_versions, a_list_does_not_read_what_is_in_the_items);

async fn insert(bench: &Bench<'_>, name: &str, body: &Value) -> ItemRow<Value> {
    let tx = bench.begin().await;
    let id = PresetId::generate().uuid();
    let new = NewItem { kind: ItemKind::Preset, id, name, description: "why", body };
    let row = items::insert(&tx, new, now()).await.unwrap();
    versions::add(&tx, &row, 3).await.unwrap();
    tx.commit().await.unwrap();
    row
}

async fn an_item_keeps_its_newest_versions(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    let other = insert(&bench, "other", &json!(0)).await;
    let mut row = insert(&bench, "one", &json!(1)).await;
    for version in 2..=5 {
        let tx = bench.begin().await;
        row = items::update(&tx, ItemRow { body: json!(version), ..row }, now()).await.unwrap();
        versions::add(&tx, &row, 3).await.unwrap();
        tx.commit().await.unwrap();
    }
    let tx = bench.begin().await;
    let kept = versions::list(&tx, row.id, None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|version| version.version).collect::<Vec<_>>(), [5, 4, 3]);
    assert_eq!(versions::find::<Value>(&tx, row.id, 2).await.unwrap(), None);
    assert_eq!(versions::find::<Value>(&tx, row.id, 3).await.unwrap().unwrap().body, json!(3));
    assert_eq!(versions::list(&tx, other.id, None, 10).await.unwrap().len(), 1, "of another item none goes");
}

async fn a_list_does_not_read_what_is_in_the_items(fixture: &Fixture) {
    let bench = Bench::new(fixture).await;
    // What cannot be read as anything else than it is stands in no list's way.
    let row = insert(&bench, "one", &json!({"of": "a later version"})).await;
    let tx = bench.begin().await;
    let listed = items::list(&tx, ItemKind::Preset, None, 10).await.unwrap();
    assert_eq!(listed, [row.split().1]);
    assert_eq!(listed[0].description, "why");
}
