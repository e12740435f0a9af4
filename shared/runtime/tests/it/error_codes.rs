//! `docs/errors.md` names every code that a caller can meet, and no other.

use std::collections::BTreeSet;

use crate::tree;

const PAGE: &str = "docs/errors.md";

/// Codes of failures that are no `acm2_domain::Error`.
const BY_HTTP: [&str; 4] = ["method_not_allowed", "body_too_slow", "body_too_large", "unsupported_media_type"];

/// Words in quotes that follow `Kind::…,` in the code: the codes of `Error::new`.
fn codes_in(source: &str) -> BTreeSet<String> {
    source
        .split("Kind::")
        .skip(1)
        .filter_map(|after| {
            let (variant, rest) = after.split_once(',')?;
            let is_variant = variant.bytes().all(|byte| byte.is_ascii_alphabetic());
            let code = rest.trim_start().strip_prefix('"')?.split('"').next()?;
            (is_variant && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')).then(|| code.to_owned())
        })
        .collect()
}

/// The codes of the first table of the page.
fn documented(page: &str) -> BTreeSet<String> {
    let table = page.split("\n## ").find(|part| part.starts_with("Problems of a request")).expect("the section");
    table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned)).collect()
}

#[test]
fn every_code_of_a_problem_is_documented_and_no_other() {
    let mut codes: BTreeSet<String> = BY_HTTP.iter().map(|code| (*code).to_owned()).collect();
    for path in tree::files() {
        let ours = path.starts_with("api/src/") || (path.starts_with("shared/") && path.contains("/src/"));
        if ours && path.rsplit('.').next() == Some("rs") {
            codes.extend(codes_in(&tree::read(&path)));
        }
    }
    assert!(codes.contains("validation_failed") && codes.len() > 20, "the search itself finds nothing: {codes:?}");
    assert_eq!(documented(&tree::read(PAGE)), codes, "left: {PAGE}, right: the code");
}

#[test]
fn the_examples_of_the_specification_are_codes() {
    let source = tree::read("api/src/spec/errors.rs");
    let table = source.split("const RESPONSES").nth(1).unwrap().split("];").next().unwrap();
    // Status, name, code, description.
    let quoted: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    let codes: Vec<&str> = quoted.chunks(4).map(|row| row[2]).collect();
    assert_eq!((quoted.len() % 4, codes.len() > 10), (0, true), "{quoted:?}");
    let documented = documented(&tree::read(PAGE));
    let unknown: Vec<_> = codes.into_iter().filter(|code| !documented.contains(*code)).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

#[test]
fn the_search_finds_codes_over_lines() {
    let source =
        "Error::new(Kind::Conflict, \"a_code\", x); Error::new(\n Kind::Invalid,\n \"another\",\n y); Kind::Not => 1,";
    assert_eq!(codes_in(source).into_iter().collect::<Vec<_>>(), ["a_code", "another"]);
}
