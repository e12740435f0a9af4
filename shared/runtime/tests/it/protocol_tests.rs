//! `docs/protocol-tests.md` names tests that exist, for every rule of the run protocol.

use std::collections::BTreeSet;

use crate::tree;

const PAGE: &str = "docs/protocol-tests.md";

/// The words in backticks of the last column of a row.
fn tests_of(row: &str) -> Vec<&str> {
    let last = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
    last.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_clause_of_the_protocol_names_tests_that_exist() {
    let mut functions = BTreeSet::new();
    for path in tree::files().iter().filter(|path| path.rsplit('.').next() == Some("rs")) {
        let source = tree::read(path);
        let names = source.split("fn ").skip(1).filter_map(|after| after.split(['(', '<']).next());
        functions.extend(names.map(str::to_owned));
    }
    let page = tree::read(PAGE);
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| rule")).collect();
    for row in &rows {
        let tests = tests_of(row);
        assert!(!tests.is_empty(), "without a test: {row}");
        for test in tests {
            assert!(functions.contains(test), "{PAGE} names `{test}`, which is nowhere");
        }
    }
    for rule in 1..=16 {
        assert!(rows.iter().any(|row| row.starts_with(&format!("| {rule} |"))), "rule {rule} has no row");
    }
}
