//! Whole files, made by hand: fine ones and hostile ones. What a hostile one does to its process is tested with the binary.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Cursor, Write as _};

use acm2_extract::{FileType, Refusal, extract};
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const MOST: usize = 1 << 20;

fn docx(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn document(text: &str) -> Vec<u8> {
    let markup = format!(
        "<?xml version=\"1.0\"?><w:document><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    );
    docx(&[("[Content_Types].xml", b"<Types/>"), ("word/document.xml", markup.as_bytes())])
}

/// A PDF of one page that says this.
fn pdf(text: &str) -> Vec<u8> {
    let content = format!("BT /F1 12 Tf 72 720 Td ({text}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let mut file = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).as_bytes());
    }
    let start = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    for offset in offsets {
        file.extend(format!("{offset:010} 00000 n \n").as_bytes());
    }
    let trailer = format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    file.extend(trailer.as_bytes());
    file
}

#[test]
fn a_pdf_has_a_text() {
    let text = extract(FileType::Pdf, &pdf("Hello, world"), MOST).unwrap();
    assert_eq!(text.trim(), "Hello, world");
    assert_eq!(extract(FileType::Pdf, &pdf("Hello, world"), 5), Err(Refusal::TooLong));
    assert_eq!(extract(FileType::Pdf, &pdf(""), MOST), Err(Refusal::NoText));
}

#[test]
fn a_docx_has_a_text() {
    assert_eq!(extract(FileType::Docx, &document("Grüße &amp; {{x}}"), MOST).unwrap(), "Grüße & {{x}}\n");
    assert_eq!(extract(FileType::Docx, &document(" "), MOST), Err(Refusal::NoText));
    assert_eq!(extract(FileType::Docx, &docx(&[("other.xml", b"<a/>")]), MOST), Err(Refusal::Damaged));
}

#[test]
fn a_zip_bomb_is_stopped_while_it_is_unpacked() {
    let markup = [b"<d><t>".to_vec(), vec![b'x'; 80 << 20], b"</t></d>".to_vec()].concat();
    let bomb = docx(&[("word/document.xml", &markup)]);
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    assert_eq!(extract(FileType::Docx, &bomb, MOST), Err(Refusal::TooLarge));
    let parts: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert_eq!(extract(FileType::Docx, &docx(&parts), MOST), Err(Refusal::TooComplex));
}

#[test]
fn a_page_has_a_text_without_scripts_and_styles() {
    let page = "<html><head><title>t</title><style>p{color:red}</style></head><body><h1>Title</h1>\
                <p>One &amp; <a href=\"https://example.org/x\">two</a></p><script>alert('no')</script>\
                <ul><li>a</li><li>b</li></ul><table><tr><td>1</td><td>2</td></tr></table></body></html>";
    let text = extract(FileType::Html, page.as_bytes(), MOST).unwrap();
    for part in ["# Title", "One & [two]", "a", "b", "1", "2"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    for part in ["alert", "color", "example.org", "<"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
    assert_eq!(extract(FileType::Html, b"<p>\xff</p>", MOST), Err(Refusal::Damaged));
    assert_eq!(extract(FileType::Html, "<script>x</script>".as_bytes(), MOST), Err(Refusal::NoText));
}

#[test]
fn one_type_is_not_another() {
    for file_type in [FileType::Pdf, FileType::Docx] {
        for bytes in [&b""[..], b"plain text", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", b"%PDF-1.4"] {
            assert_eq!(extract(file_type, bytes, MOST), Err(Refusal::Damaged), "{file_type:?} {bytes:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_damaged_docx_is_a_text_or_a_refusal(at in 0_usize..400, byte: u8, cut in 0_usize..400) {
        let mut file = document("some text");
        let length = file.len();
        file[at % length] = byte;
        file.truncate(length - cut % length);
        let _ = extract(FileType::Docx, &file, MOST);
    }

    #[test]
    fn any_markup_is_a_text_or_a_refusal(page in "(<[a-z]{1,6}>|</[a-z]{1,6}>|&[a-z#0-9]{1,5};|[ -~é]){0,60}") {
        let _ = extract(FileType::Html, page.as_bytes(), MOST);
    }
}
