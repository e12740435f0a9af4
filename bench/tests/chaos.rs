//! A short seed of faults over real processes: what was promised of runs, calls, money and webhooks is kept.

use std::process::{Command, Stdio};

/// The servers that it breaks are its own, started from the programs of Debian's packages.
#[expect(clippy::disallowed_methods, reason = "the wrapper of the tests says whether there are servers")]
fn has_servers() -> bool {
    let programs = std::path::Path::new("/usr/lib/postgresql").is_dir();
    programs
        && ["TEST_DATABASE_URL", "TEST_BROKER_URL"]
            .iter()
            .all(|name| std::env::var(name).is_ok_and(|url| !url.is_empty()))
}

#[test]
fn a_short_seed_of_faults_loses_nothing_repeats_nothing_and_mixes_nothing_up() {
    if !has_servers() {
        eprintln!(
            "SKIPPED over PostgreSQL + Redis, for want of TEST_DATABASE_URL, TEST_BROKER_URL or /usr/lib/postgresql: chaos"
        );
        return;
    }
    let mut bench = Command::new(env!("CARGO_BIN_EXE_bench"));
    // Patience with a slow machine: it ends once all work has ended.
    bench.args(["chaos", "--seed", "47", "--faults", "25", "--settle", "240"]).stdin(Stdio::null());
    let output = bench.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{}: {said}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    // A promise that nothing was asked of is easily kept.
    for figure in
        ["of these for want of budget", "runs under a budget", "runs with on_in_doubt: fail", "skips accepted"]
    {
        assert!(figure_of(&said, figure) > Some(0), "{figure}: {said}");
    }
    assert_eq!(figure_of(&said, "of these for a mistake of the load"), Some(0), "{said}");
}

/// A figure of the table.
fn figure_of(said: &str, words: &str) -> Option<u64> {
    let row = said.lines().find_map(|line| line.strip_prefix(&format!("| {words} | ")))?;
    row.trim_end_matches(" |").parse().ok()
}
