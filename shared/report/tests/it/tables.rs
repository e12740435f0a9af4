//! The tables hold every judgement, and no cell that computes.

use acm2_report::tables::Table;

use crate::sample::{FORMULA, export, reported};

fn rows(table: Table) -> Vec<csv::StringRecord> {
    let export = export();
    let bytes = table.write(reported(&export)).unwrap();
    let mut reader = csv::Reader::from_reader(&*bytes);
    let head = reader.headers().unwrap().clone();
    std::iter::once(head).chain(reader.records().map(Result::unwrap)).collect()
}

#[test]
fn no_cell_of_any_table_is_a_formula() {
    let mut kept = 0;
    for table in Table::ALL {
        for row in rows(table).iter().skip(1) {
            for cell in row {
                let is_number = cell.parse::<f64>().is_ok();
                assert!(is_number || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{table:?}: {cell}");
                kept += usize::from(cell.starts_with(&format!("'{FORMULA}")));
            }
        }
    }
    assert!(kept > 20, "the hostile texts are in the tables, harmless");
}

#[test]
fn every_judgement_has_its_row() {
    let count = |table| rows(table).len() - 1;
    // Two documents: 3 answers × 2 judges × 2 iterations × 3 criteria; 3 pairs × 2 orders × 2 judges; a ranking of three and one
    // that did not come; 3 answers on three boards.
    assert_eq!(count(Table::Scores), 2 * 36);
    assert_eq!(count(Table::Votes), 2 * 12);
    assert_eq!(count(Table::Rankings), 2 * 4);
    assert_eq!(count(Table::Leaderboard), 2 * 9);
    assert_eq!(count(Table::Deviations), 2 * (2 * 4 + 2));
    assert_eq!(count(Table::Tasks), 2 * 27);
    assert_eq!(count(Table::Timeline), 3);
    let scores = rows(Table::Scores);
    let column = |name: &str| scores[0].iter().position(|head| head == name).unwrap();
    let missing = scores.iter().filter(|row| row[column("score")].is_empty());
    assert_eq!(missing.count(), 2 * 3, "what is missing is empty");
}

#[test]
fn the_cost_of_every_task_is_in_its_table() {
    let tasks = rows(Table::Tasks);
    let column = |name: &str| tasks[0].iter().position(|head| head == name).unwrap();
    let unknown = tasks.iter().skip(1).filter(|row| row[column("cost_usd")].is_empty()).count();
    let known = tasks.iter().filter(|row| &row[column("cost_usd")] == "0.0012").count();
    assert_eq!((known, unknown), (52, 2));
    assert_eq!(&tasks[1][column("file")], "answers/0001-generate-doc_00000000000000000000000001-m0-1.txt");
}
