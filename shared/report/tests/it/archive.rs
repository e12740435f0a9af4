//! The export opens as a ZIP, holds everything, and nothing in it leaves its folder.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};

use acm2_domain::content_hash::ContentHash;
use acm2_domain::run::DocumentSpec;
use acm2_report::archive::{Content, Export, TaskFile, Whole, ZipStream};
use acm2_report::images::Images;
use serde_json::Value;
use zip::ZipArchive;

use crate::sample::{CLIMBING, DOCUMENTS, SCRIPT, export};

fn documents() -> Vec<DocumentSpec> {
    let document = |(id, name): (&str, &str)| DocumentSpec {
        id: id.parse().unwrap(),
        name: name.to_owned(),
        hash: ContentHash::of(name),
        bytes: 4,
    };
    DOCUMENTS.into_iter().zip([CLIMBING, SCRIPT]).map(document).collect()
}

#[test]
fn an_export_holds_everything_under_safe_names() {
    let export = export();
    let mut zip = ZipStream::new(export.made_at);
    let mut bytes = Vec::new();
    let mut pieces = 0;
    for entry in export.entries(&documents()) {
        let (mut content, tail) = export.around(entry.content).unwrap();
        match entry.content {
            Content::Whole(file) => content.extend(export.whole(file, &Images::new()).unwrap()),
            Content::Tasks(file) => {
                for (at, task) in export.list(file).iter().enumerate() {
                    content.extend(export.task(file, at, task.text.clone()).unwrap());
                }
            }
            Content::Events(file) => {
                for event in &export.shown_events {
                    content.extend(export.events(file, std::slice::from_ref(event)).unwrap());
                }
            }
            Content::Answer(at) => content.extend(export.list(TaskFile::Run)[at].text.clone().unwrap().into_bytes()),
            Content::Image(id) => content.extend(format!("bytes of {id}").into_bytes()),
            Content::Document(hash) => content.extend(format!("text of {hash}").into_bytes()),
        }
        content.extend(tail);
        zip.begin(&entry.name).unwrap();
        let piece = zip.write(&content).unwrap();
        pieces += usize::from(!piece.is_empty());
        bytes.extend(piece);
    }
    bytes.extend(zip.finish().unwrap());
    assert!(pieces > 10, "the archive comes in pieces");

    let mut archive = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let names: BTreeSet<String> = archive.file_names().map(|name| name.unwrap().into_owned()).collect();
    assert_eq!(names.len(), archive.len());
    for name in &names {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
        assert!(name.chars().all(plain) && !name.contains("..") && !name.starts_with('/'), "{name}");
    }
    assert!(names.contains("documents/001-etc-passwd.txt"));
    let mut text = |name: &str| {
        let mut text = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(
        text("documents/002-script-alert-1-script-img-src-x-onerror-alert-2.txt"),
        format!("text of {}", ContentHash::of(SCRIPT))
    );
    let run: Value = serde_json::from_str(&text("run.json")).unwrap();
    assert_eq!(run, serde_json::to_value(&export.run).unwrap());
    let judging: Value = serde_json::from_str(&text("judging.json")).unwrap();
    assert_eq!(judging["items"].as_array().unwrap().len(), 2);
    let events: Value = serde_json::from_str(&text("events.json")).unwrap();
    assert_eq!(events["items"][1]["type"], "attempt.failed");
    let answers: Vec<&String> = names.iter().filter(|name| name.starts_with("answers/")).collect();
    assert_eq!(answers.len(), 6, "the answers of the run, not what judges said of them");
    let tasks: Value = serde_json::from_str(&text("tasks.json")).unwrap();
    assert_eq!(tasks["items"].as_array().unwrap().len(), 54);
    assert_eq!(text(answers[0]), export.run.results.as_ref().unwrap()[0].text.clone().unwrap());
    assert!(text("report.html").starts_with("<!DOCTYPE html>"));
    assert_eq!(text("images.json"), "{\n  \"items\": []\n}");
    assert!(text("tables/votes.csv").starts_with("\"document_id\""));
    let timeline = text("tables/timeline.csv");
    assert!(timeline.starts_with("\"number\"") && timeline.lines().count() == 4, "{timeline}");
}

#[test]
fn an_export_without_judging_says_so_and_keeps_the_rest() {
    let export = Export { judging: None, ..export() };
    let names: Vec<String> = export.entries(&documents()).into_iter().map(|entry| entry.name).collect();
    for kept in ["README.txt", "run.json", "tasks.json", "events.json", "tables/tasks.csv", "tables/timeline.csv"] {
        assert!(names.iter().any(|name| name == kept), "{kept}");
    }
    for gone in ["report.html", "judging.json", "tables/scores.csv", "tables/leaderboard.csv"] {
        assert!(!names.iter().any(|name| name == gone), "{gone}");
    }
    let readme = String::from_utf8(export.whole(Whole::Readme, &Images::new()).unwrap()).unwrap();
    assert!(readme.contains("Every answer of theirs is in tasks.json"), "{readme}");
}
