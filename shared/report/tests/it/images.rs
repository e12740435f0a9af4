//! Images are in the page, as far as they are not too large for it, and in the export.

use acm2_domain::artifact::{Artifact, ArtifactType};
use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::ArtifactId;
use acm2_domain::run::ArtifactRef;
use acm2_report::Reported;
use acm2_report::archive::{Content, Export, Whole};
use acm2_report::images::{Images, MOST_BYTES, to_hold};
use acm2_report::page::render;
use acm2_report::tables::Table;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::sample::{ATTRIBUTE, SCRIPT, export, reported};

const BYTES: [&[u8]; 3] = [
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\xff\"<>",
    b"\xff\xd8\xff\xe0\x00\x10JFIF",
    b"RIFF\x24\x00\x00\x00WEBPVP8 ",
];

fn id(number: usize) -> ArtifactId {
    format!("art_{number:026}").parse().unwrap()
}

/// The sample as a run that has made images: its first answers are one of each type, of these sizes as they say.
fn painted(sizes: [u64; 3]) -> (Export, Images) {
    let mut export = export();
    let mut images = Images::new();
    let results = export.run.results.as_mut().unwrap();
    for (number, (data, bytes)) in (0_usize..).zip(BYTES.into_iter().zip(sizes)) {
        let image = Artifact::new(data).unwrap();
        let id = id(number + 1);
        let artifact = ArtifactRef {
            id,
            content_type: image.content_type(),
            bytes,
            sha256: ContentHash::of(data),
            path: format!("/api/v1/runs/{}/artifacts/{id}", export.run.id),
        };
        results[number].artifacts = vec![artifact];
        results[number].text = Some([SCRIPT, "", ATTRIBUTE][number].to_owned());
        *export.tasks.iter_mut().find(|task| task.key == results[number].key).unwrap() = results[number].clone();
        images.insert(id, image);
    }
    (export, images)
}

fn page(export: &Export, images: &Images) -> String {
    render(Reported { images, ..reported(export) }).unwrap()
}

#[test]
fn every_image_is_in_the_page_under_the_type_of_its_bytes() {
    let (export, images) = painted([1, 2, 3]);
    let page = page(&export, &images);
    for (data, content_type) in BYTES.into_iter().zip([ArtifactType::Png, ArtifactType::Jpeg, ArtifactType::Webp]) {
        let source =
            format!("<img src=\"data:{};base64,{}\" alt=\"Image by ", content_type.as_str(), STANDARD.encode(data));
        assert!(page.contains(&source), "{source}");
    }
    assert_eq!(page.matches("<img ").count(), 3);
    assert_eq!(page.matches(" src=\"").count(), page.matches(" src=\"data:image/").count());
    for markup in ["<script", "onerror=alert(2)>", "\" onload=\"", "svg+xml", "http:", "https:", "Not in this page"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:;"));
}

#[test]
fn what_is_too_large_for_the_page_is_named_with_its_size_and_place() {
    let sizes = [MOST_BYTES - 10, 11, 10];
    let (export, mut images) = painted(sizes);
    assert_eq!(to_hold(&export.tasks), [id(1), id(3)], "the second one is too much, the third is not");
    images.remove(&id(2));
    let page = page(&export, &images);
    assert_eq!(page.matches("<img ").count(), 2);
    let (_, rest) = page.split_once("Not in this page, which holds 8.0 MiB of images at most.").unwrap();
    let caption = rest.split("</figcaption>").next().unwrap();
    let path = format!("<code>/api/v1/runs/{}/artifacts/{}</code>", export.run.id, id(2));
    let file = "<code>images/0002-generate-doc_00000000000000000000000001-m1-1.jpg</code>";
    for said in ["image/jpeg, 11 bytes", &path, file] {
        assert!(caption.contains(said), "{said}: {caption}");
    }
}

#[test]
fn an_export_lists_every_image_with_its_task_and_says_nothing_of_empty_texts() {
    let (export, images) = painted([1, 2, 3]);
    let entries = export.entries(&[]);
    let files: Vec<(&str, Content)> = entries.iter().map(|entry| (&*entry.name, entry.content)).collect();
    let about = "generate-doc_00000000000000000000000001";
    for (number, ending) in [(1, "png"), (2, "jpg"), (3, "webp")] {
        let name = format!("images/000{number}-{about}-m{}-1.{ending}", number - 1);
        let content = Content::Image(id(number));
        assert!(files.contains(&(&name, content)), "{name}");
    }
    // The second image has no text beside it.
    let has_text = |number: u8| files.iter().any(|(name, _)| name.starts_with(&format!("answers/000{number}-")));
    assert_eq!([has_text(1), has_text(2), has_text(3)], [true, false, true]);
    let table = String::from_utf8(Table::Tasks.write(reported(&export)).unwrap()).unwrap();
    assert_eq!(table.matches("\"answers/").count(), 5);

    let list = export.whole(Whole::Images, &images).unwrap();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 3);
    let second = &list["items"][1];
    assert_eq!(second["file"], format!("images/0002-{about}-m1-1.jpg"));
    assert_eq!(second["task_key"], export.tasks[1].key);
    assert_eq!((&second["artifact"]["content_type"], &second["artifact"]["bytes"]), (&json!("image/jpeg"), &json!(2)));
    let report = export.whole(Whole::Report, &images).unwrap();
    assert_eq!(report, page(&export, &images).into_bytes());
}
