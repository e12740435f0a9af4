//! Files that a text has to be taken out of: fine ones, and hostile ones, of which none may take the process down or be answered
//! with a 5xx.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};
use std::time::Duration;

use serde_json::json;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::form::{self, upload};
use crate::harness::{World, on_both};

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

on_both! {
    the_text_of_a_file_is_taken_and_what_it_was_is_kept,
    no_file_takes_the_process_down,
}

fn docx(markup: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("word/document.xml", SimpleFileOptions::default()).unwrap();
    zip.write_all(markup).unwrap();
    zip.finish().unwrap().into_inner()
}

/// A PDF of these objects, whose first one is the catalogue.
fn pdf(objects: &[String]) -> Vec<u8> {
    let mut file = String::from("%PDF-1.4\n");
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", index + 1).unwrap();
    }
    let start = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    let size = objects.len() + 1;
    write!(file, "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").unwrap();
    file.into_bytes()
}

/// A page that shows a content stream.
fn page(content: &str) -> Vec<u8> {
    pdf(&[
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ])
}

async fn the_text_of_a_file_is_taken_and_what_it_was_is_kept(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let markup = "<w:document><w:body><w:p><w:r><w:t>From Word</w:t></w:r></w:p></w:body></w:document>";
    for (name, content_type, bytes, text) in [
        ("a.pdf", "application/pdf", page("BT /F1 12 Tf 72 720 Td (From a page) Tj ET"), "From a page"),
        ("a.docx", DOCX, docx(markup.as_bytes()), "From Word"),
        ("a.html", "text/html", b"<h1>From</h1> the web<script>alert(1)</script>".to_vec(), "the web"),
    ] {
        for sent in [content_type, "application/octet-stream"] {
            let document = upload(&client, &[form::file(name, sent, &bytes)]).await.expect(201);
            assert_eq!((&document["content_type"], &document["bytes"]), (&json!(content_type), &json!(bytes.len())));
            let path = format!("/api/v1/documents/{}/text", document["id"].as_str().unwrap());
            let read = client.get(&path).await.text;
            assert!(read.contains(text) && !read.contains("alert"), "{name}: {read}");
            assert_eq!(document["text_bytes"], read.len());
        }
    }
}

async fn no_file_takes_the_process_down(world: &World) {
    let (_process, _tenant, client) = world.ready();
    let catalogue = "<< /Type /Catalog /Pages 2 0 R >>".to_owned();
    let deep_array = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_dictionary = "<< /A ".repeat(100_000);
    let pdfs = [
        // Pages that are their own children, and their own parents.
        pdf(&[catalogue.clone(), "<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>".to_owned()]),
        pdf(&[
            catalogue.clone(),
            "<< /Type /Pages /Parent 2 0 R /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 3 0 R >>".to_owned(),
        ]),
        pdf(&[catalogue.clone(), "2 0 R".to_owned()]),
        pdf(&[catalogue.clone(), deep_array.clone()]),
        pdf(&[catalogue, deep_dictionary]),
        page(&format!("BT {deep_array} TJ ET")),
        page(&"q ".repeat(500_000)),
        page("BT /F1 1e308 Tf -1e308 1e308 Td (x) Tj 0 0 0 0 0 0 Tm (y) Tj ET"),
        page("BT (unknown font) Tj ET /None Do"),
        b"%PDF-1.7\nstartxref\n-1\n%%EOF".to_vec(),
        b"%PDF-1.7\nxref\n0 99999999999\ntrailer\n<< /Size 4294967295 /Root 1 0 R /Prev 9 >>\nstartxref\n9\n%%EOF"
            .to_vec(),
    ];
    let bomb = [b"<d><t>".to_vec(), vec![b'x'; 100 << 20], b"</t></d>".to_vec()].concat();
    let laughs = "<!DOCTYPE d [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><d><t>&b;</t></d>";
    let words = [
        docx(&bomb),
        docx("<a>".repeat(1_000_000).as_bytes()),
        docx(laughs.as_bytes()),
        docx(b"<d><t>\xff\xfe</t></d>"),
        docx(b"")[..40].to_vec(),
        b"PK\x05\x06".iter().copied().chain([0xff; 18]).collect(),
    ];
    let pages = [
        "<div>".repeat(500_000).into_bytes(),
        "<table><tr><td>".repeat(20_000).into_bytes(),
        format!("<p {}>x</p>", "a=b ".repeat(200_000)).into_bytes(),
        "<table><td colspan=4294967295 rowspan=4294967295>x".to_owned().into_bytes(),
        "&".repeat(1_000_000).into_bytes(),
    ];
    let all = pdfs.iter().map(|bytes| ("a.pdf", "application/pdf", bytes));
    let all = all.chain(words.iter().map(|bytes| ("a.docx", DOCX, bytes)));
    let all = all.chain(pages.iter().map(|bytes| ("a.html", "text/html", bytes)));
    for (number, (name, content_type, bytes)) in all.enumerate() {
        let began = std::time::Instant::now();
        let answer = upload(&client, &[form::file(name, content_type, bytes)]).await;
        let shown: String = answer.text.chars().take(300).collect();
        assert!(answer.status == 201 || answer.status == 422, "{name} {number}: {} {shown}", answer.status);
        if answer.status == 422 {
            assert_eq!(answer.json()["code"], "document_unreadable", "{name} {number}: {shown}");
        }
        assert!(began.elapsed() < Duration::from_mins(1), "{name} {number} took {:?}", began.elapsed());
        client.get("/healthz").await.expect(200);
    }
    // Of one type, sent as another.
    let image = form::file("a.pdf", "application/pdf", b"\x89PNG\r\n\x1a\n");
    upload(&client, &[image]).await.problem(422, "document_unreadable");
}
