//! Whether what people open can do harm: a page is read tag by tag, a table cell by cell. Each finds what it is to find, see the
//! tests here, else a page full of holes would pass.

use std::collections::BTreeMap;

/// The elements of a report.
const ELEMENTS: &str = " html head meta link title style body header main section footer h1 h2 h3 h4 p code span dl div dt dd bdi b \
    ul ol li details summary pre small table thead tbody tr th td svg rect line ";
/// Their attributes. None of them is an event handler, and none loads anything.
const ATTRIBUTES: &str = " lang charset http-equiv content name rel href class dir open tabindex scope viewBox preserveAspectRatio role \
    aria-label x y width height x1 y1 x2 y2 ";

/// What a page could do besides being read, or show in another order than it stands there; none where it can do nothing.
pub(crate) fn page_defect(page: &str) -> Option<String> {
    let Some(page) = page.strip_prefix("<!DOCTYPE html>") else { return Some("it is no page".to_owned()) };
    let mut open: Vec<(&str, bool)> = Vec::new();
    let mut rest = page;
    while let Some((text, after)) = rest.split_once('<') {
        if let Some(defect) = text_defect(text, &open) {
            return Some(defect);
        }
        let Some((tag, after)) = after.split_once('>') else { return Some("a tag does not end".to_owned()) };
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop().is_none_or(|(opened, _)| opened != name) {
                return Some(format!("</{name}> closes nothing"));
            }
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        if !ELEMENTS.contains(&format!(" {name} ")) {
            return Some(format!("element {name}"));
        }
        if let Some(defect) = attributes_defect(attributes.trim_end_matches('/')) {
            return Some(format!("{name}: {defect}"));
        }
        if name == "style" {
            let Some((_, behind)) = rest.split_once("</style>") else { return Some("a style does not end".to_owned()) };
            rest = behind;
        } else if !tag.ends_with('/') && name != "meta" && name != "link" {
            // As the style sheet and the standard say: none of these lets the direction of its text out.
            let isolates = ["bdi", "pre"].contains(&name) || attributes.contains("class=\"reason\"");
            open.push((name, isolates));
        }
    }
    text_defect(rest, &[]).or_else(|| (!open.is_empty()).then(|| "an element does not end".to_owned()))
}

fn text_defect(text: &str, open: &[(&str, bool)]) -> Option<String> {
    if text.contains('>') {
        return Some("a > that is not escaped".to_owned());
    }
    let turns = |letter: char| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (text.contains(turns) && !open.iter().any(|element| element.1)).then(|| format!("turned text in {open:?}"))
}

fn attributes_defect(attributes: &str) -> Option<String> {
    let mut rest = attributes.trim();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if !ATTRIBUTES.contains(&format!(" {name} ")) {
            return Some(format!("attribute {name}"));
        }
        rest = behind;
        if let Some(value) = behind.strip_prefix('=') {
            let Some((value, after)) = value.strip_prefix('"').and_then(|value| value.split_once('"')) else {
                return Some(format!("{name} has no quotes"));
            };
            if name == "href" && value != "data:," {
                return Some(format!("leads to {value}"));
            }
            rest = after;
        }
        rest = rest.trim_start();
    }
    None
}

/// The cells of a table.
pub(crate) fn cells(table: &str) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(table.as_bytes());
    // Rows of unequal length are an error here.
    reader.records().flat_map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Whether a spreadsheet would compute this cell: it begins like a formula, also behind what is not seen, and is no number.
pub(crate) fn is_formula(cell: &str) -> bool {
    let unseen = |letter: char| {
        letter.is_whitespace() || letter.is_control() || "\u{200e}\u{200f}\u{202e}\u{2066}\u{feff}".contains(letter)
    };
    let begins =
        cell.starts_with(['\t', '\r', '\n']) || cell.trim_start_matches(unseen).starts_with(['=', '+', '-', '@']);
    begins && cell.parse::<f64>().is_err()
}

/// The names of an archive that could be written outside of the folder where it is opened.
pub(crate) fn names_that_climb(files: &BTreeMap<String, String>) -> Vec<&String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    files.keys().filter(|name| !name.split('/').all(is_part)).collect()
}

#[test]
fn a_page_that_can_do_something_is_found() {
    let page = |inner: &str| format!("<!DOCTYPE html><html><style>a>b{{}}</style><p class=\"x\">{inner}</p></html>");
    for fine in [
        "",
        "&#60;script&#62;",
        "<bdi>\u{202e}x</bdi>",
        "<span class=\"reason\" dir=\"auto\">\u{202e}</span>",
        "<rect x=\"1\"/>",
    ] {
        assert_eq!(page_defect(&page(fine)), None, "{fine}");
    }
    for hole in [
        "<script>alert(1)</script>",
        "</p><img src=x>",
        "<b onclick=\"x\">a</b>",
        "<b class=x>a</b>",
        "<b class=\"\" onload=\"x\">a</b>",
        "<link href=\"//x\">",
        "\u{202e}x",
        "<b>\u{202e}x</b>",
        "</bdi>",
        "<bdi>",
        "a > b",
    ] {
        assert!(page_defect(&page(hole)).is_some(), "{hole}");
    }
}

#[test]
fn a_formula_and_a_climbing_name_are_found() {
    let table = "\"a\",\"=cmd()\"\r\n-0.5,\"'=cmd()\"\r\n\"x\n=1\",\"\u{202e}@x\"\r\n";
    assert_eq!(
        cells(table).iter().map(|cell| is_formula(cell)).collect::<Vec<_>>(),
        [false, true, false, false, false, true]
    );
    let files = ["a/b.txt", "../a", "/a", "a/../b", "a\\b", "a/"].map(|name| (name.to_owned(), String::new()));
    assert_eq!(names_that_climb(&files.into()), ["../a", "/a", "a/", "a/../b", "a\\b"]);
}
