//! Rules of the house that no compiler keeps. A rule that must give way somewhere says where and why in its list.

use crate::tree;

const MOST_LINES: usize = 400;

/// A word that only a few files may spell in code (comments may), and these files: whoever else spells it is about to ask
/// "which back end is it?" outside the one place that chooses.
struct Rare {
    word: &'static str,
    allowed: &'static [(&'static str, &'static str)],
}

const RARE: &[Rare] = &[
    Rare {
        word: "Sqlite",
        allowed: &[
            ("migrations/", "the few parts of SQL that the dialects do not share"),
            ("shared/store/", "the store chooses between files and a server"),
            ("shared/runtime/src/config/", "the setting that says which"),
            ("api/src/open.rs", "hands the setting to the store"),
        ],
    },
    Rare {
        word: "Memory",
        allowed: &[
            ("shared/broker/", "the broker chooses between Redis and this process"),
            ("shared/runtime/src/config/", "the setting that says which"),
        ],
    },
    Rare {
        word: "embedded",
        allowed: &[
            ("api/src/embedded.rs", "the roles with a worker in the same process"),
            ("api/src/main.rs", "declares that module"),
            ("api/src/lib.rs", "declares that module"),
            ("api/src/cli/", "starts those roles"),
        ],
    },
    Rare {
        word: "acm2_worker",
        allowed: &[("worker/", "itself"), ("api/src/embedded.rs", "the only place of the api that knows the worker")],
    },
];

const VAGUE: [&str; 5] = ["utils", "util", "helpers", "common", "manager"];

/// Folders that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = ["root", "work", "home"];

fn sources() -> impl Iterator<Item = String> {
    let sources: Vec<String> = tree::files().into_iter().filter(|path| ending(path) == "rs").collect();
    assert!(
        sources.iter().any(|path| path.ends_with("runtime/src/lib.rs")),
        "the listing must hold this crate's own source"
    );
    sources.into_iter()
}

fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

fn is_text(path: &str) -> bool {
    !["png", "ico", "gz", "woff2", "snap"].contains(&ending(path))
}

fn none(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// The code of a line, without its comment. A `//` inside a string cuts too much, which only loses a finding.
fn code(line: &str) -> &str {
    line.split_once("//").map_or(line, |(code, _)| code)
}

fn spells(code: &str, word: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

#[test]
fn files_are_short() {
    let broken: Vec<String> = sources()
        .filter_map(|path| {
            let lines = tree::read(&path).lines().count();
            (lines > MOST_LINES).then(|| format!("{path}: {lines} lines"))
        })
        .collect();
    none(&broken, "a source file has at most 400 lines; split it by what its parts are for");
}

#[test]
fn every_source_file_says_what_lives_in_it() {
    let broken: Vec<String> = sources().filter(|path| !tree::read(path).starts_with("//!")).collect();
    none(&broken, "a source file begins with `//!`: what lives here, who calls it, what it must not know");
}

#[test]
fn rare_words_stay_where_they_belong() {
    let mut broken = Vec::new();
    for path in sources().filter(|path| path.contains("src/")) {
        let text = tree::read(&path);
        for rare in RARE {
            if rare.allowed.iter().any(|(prefix, _)| path.starts_with(prefix)) {
                continue;
            }
            let lines = text.lines().enumerate().filter(|(_, line)| spells(code(line), rare.word));
            broken.extend(lines.map(|(number, _)| format!("{path}:{}: {}", number + 1, rare.word)));
        }
    }
    none(&broken, "a word that only a few files may spell; see RARE in shared/runtime/tests/it/tidy.rs");
}

#[test]
fn names_say_what_is_inside() {
    let vague = |path: &String| {
        let stems = path.split('/').filter_map(|part| part.split('.').next());
        stems.clone().any(|stem| VAGUE.contains(&stem))
    };
    let broken: Vec<String> = sources().filter(vague).collect();
    none(&broken, "no module is named utils, helpers, common or manager: name what it holds");
}

#[test]
fn no_line_ends_in_a_blank_and_every_file_in_a_newline() {
    let mut broken = Vec::new();
    for path in tree::files().into_iter().filter(|path| is_text(path) && path != "Cargo.lock") {
        let Ok(text) = std::fs::read_to_string(tree::root().join(&path)) else { continue };
        let blanks = text.lines().enumerate().filter(|(_, line)| line.ends_with([' ', '\t', '\r']));
        broken.extend(blanks.map(|(number, _)| format!("{path}:{}", number + 1)));
        if !text.is_empty() && !text.ends_with('\n') {
            broken.push(format!("{path}: no newline at the end"));
        }
    }
    none(&broken, "blanks at the end of lines, or no newline at the end of a file");
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let wrong: Vec<String> = MACHINE_PATHS.iter().map(|folder| format!("/{folder}/")).collect();
    let alone = |line: &str, wrong: &str| {
        line.match_indices(wrong).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|letter| !letter.is_alphanumeric() && !"_-.}{*/~".contains(letter))
        })
    };
    let mut broken = Vec::new();
    for path in tree::files().into_iter().filter(|path| is_text(path)) {
        let Ok(text) = std::fs::read_to_string(tree::root().join(&path)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if wrong.iter().any(|wrong| alone(line, wrong)) {
                broken.push(format!("{path}:{}", number + 1));
            }
        }
    }
    none(&broken, "a path that exists on one machine only");
}

#[test]
fn the_rules_themselves_can_fail() {
    assert!(
        spells("Database::Sqlite { dir }", "Sqlite")
            && !spells("SqlitePool", "Sqlite")
            && !spells("is_sqlite", "Sqlite")
    );
    assert!(spells(code("let x = 1; // plain"), "x") && !spells(code("// Sqlite"), "Sqlite"));
}
