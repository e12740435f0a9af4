//! The command `bench figures`: all phases in order, then the table, on standard output and in docs/benchmarks.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use super::stage::Stage;
use super::table::Table;
use super::{auth, bases, end_to_end, in_flight, pick_up, recovery, submit, tenants};
use crate::outcome::Outcome;
use crate::say;

/// Where the table stands in the file.
const MARKS: [&str; 2] = ["<!-- table: begin -->\n", "<!-- table: end -->"];

#[derive(Debug, Args)]
pub(crate) struct FiguresArgs {
    /// Small numbers, for trying: the figures mean little.
    #[arg(long)]
    quick: bool,
    /// The most tenants of the curve.
    #[arg(long, default_value_t = 1_000)]
    tenants: usize,
    /// Only this phase, after the bases.
    #[arg(long)]
    only: Option<Phase>,
    /// The file whose table is written anew.
    #[arg(long)]
    write: Option<PathBuf>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Phase {
    /// Submissions, runs from end to end, and how soon a call begins.
    Runs,
    InFlight,
    Recovery,
    Auth,
    Tenants,
}

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    quick: bool,
}

impl Size {
    pub(super) fn of<T>(self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    pub(super) fn is_quick(self) -> bool {
        self.quick
    }
}

/// Runs it.
pub(crate) async fn run(arguments: FiguresArgs, acm2: &Path) -> Outcome<bool> {
    let temporary = tempfile::Builder::new().prefix("acm2-bench-").tempdir()?;
    crate::place::house::open_to_postgres(temporary.path())?;
    let size = Size { quick: arguments.quick };
    let mut stage = Stage::start(temporary.path(), acm2).await?;
    let mut table = Table::default();
    // Taken now: the work tree may have gone on by the end.
    let conditions = conditions();
    let wanted = |phase: Phase| arguments.only.is_none_or(|only| only == phase);
    bases::measure(&mut stage, size, &mut table).await?;
    if wanted(Phase::Runs) {
        submit::measure(&mut stage, size, &mut table).await?;
        let rate = end_to_end::measure(&mut stage, size, &mut table).await?;
        pick_up::measure(&mut stage, size, rate, &mut table).await?;
    }
    if wanted(Phase::InFlight) {
        in_flight::measure(&mut stage, size, &mut table).await?;
    }
    stage.stop_workers().await?;
    if wanted(Phase::Recovery) {
        recovery::measure(&mut stage, size, &mut table).await?;
    }
    if wanted(Phase::Auth) {
        auth::measure(&mut stage, &mut table, size.of(20, 200)).await?;
    }
    if wanted(Phase::Tenants) {
        let counts: Vec<usize> =
            [10, 100, 1_000, 10_000].into_iter().filter(|count| *count <= arguments.tenants).collect();
        tenants::measure(&mut stage, size, &counts, &mut table).await?;
    }
    let text = format!("{conditions}\n{}", table.text());
    say::line(&format!("\n{text}"));
    if let Some(file) = &arguments.write {
        write(file, &text)?;
    }
    Ok(true)
}

/// The machine and the commit, in a line.
fn conditions() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = memory.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "Machine: {} × {}, {} GiB; commit {}, {}; load average at the start: {}.\n",
        said("nproc", &[]),
        model.trim_start_matches([' ', '\t', ':']),
        kib / 1_048_576,
        said("git", &["rev-parse", "--short", "HEAD"]),
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}

fn write(file: &Path, table: &str) -> Outcome<()> {
    let text = fs::read_to_string(file)?;
    let [begin, end] = MARKS;
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{} has no marks around its table", file.display()))?;
    Ok(fs::write(file, format!("{before}{begin}{table}{end}{after}"))?)
}
