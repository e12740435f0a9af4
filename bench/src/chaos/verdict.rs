//! What the comparison found: one line for each promise, with examples of where it was broken.

use std::collections::BTreeMap;

macro_rules! lines {
    ($($(#[doc = $doc:literal])+ $line:ident = $words:literal;)+) => {
        /// A promise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Line { $($(#[doc = $doc])+ $line,)+ }

        impl Line {
            /// All, in the order in which they are printed.
            pub(crate) const ALL: &[(Self, &str)] = &[$((Self::$line, $words)),+];
        }
    };
}

lines! {
    /// A 202 whose run is not in the store.
    Lost = "runs lost";
    /// One key, two runs.
    Doubled = "runs doubled under one idempotency key";
    /// A run that waits or runs for ever.
    Unended = "runs not terminal";
    /// A job of something that has ended.
    JobLeft = "jobs left behind";
    /// A call after the task had its answer, or two calls of one attempt.
    Repeated = "calls repeated after a committed answer";
    /// A call that no store knows.
    Unknown = "calls without an attempt";
    /// An attempt that nobody settled, an answer that no provider gave.
    Unsettled = "attempts not settled as they ended";
    /// What the run says of its tasks.
    Miscounted = "runs whose tasks do not add up";
    /// What the run says of its money.
    Money = "runs whose money does not add up";
    /// More spent or possibly spent than allowed.
    Ceiling = "ceilings exceeded";
    /// More consumed and reserved in a period of a budget than it allows.
    Budget = "budgets exceeded";
    /// Something reserved in a budget by a run that has ended.
    Reserved = "reservations left over";
    /// What a budget says that its runs have consumed.
    BudgetSums = "budgets that do not add up";
    /// Another attempt after one in doubt, though the run says `on_in_doubt: fail`.
    Doubted = "calls repeated against on_in_doubt: fail";
    /// A skip was accepted, and the task was not left out.
    Unskipped = "skips lost";
    /// A call of a task whose skip had been answered.
    CalledSkipped = "calls of skipped tasks";
    /// A task that was settled, and settled otherwise afterwards.
    Resettled = "tasks settled twice";
    /// A number that is missing or there twice, an end that is not the last or not the only one.
    Events = "runs with events lost or doubled";
    /// A call with another tenant's or provider's key.
    Keys = "calls with a wrong key";
    /// An event that an endpoint was owed and never got, or not as it was written.
    Deliveries = "deliveries lost or altered";
    /// A process that did not end after SIGTERM.
    Stubborn = "processes that did not end when asked";
}

/// The findings and the figures beside them.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    found: BTreeMap<Line, Vec<String>>,
    /// What is no violation, in words and numbers.
    pub(crate) figures: Vec<(&'static str, usize)>,
}

impl Verdict {
    /// A promise was broken here.
    pub(crate) fn broken(&mut self, line: Line, example: impl Into<String>) {
        self.found.entry(line).or_default().push(example.into());
    }

    /// Where a promise was broken.
    pub(crate) fn of(&self, line: Line) -> &[String] {
        self.found.get(&line).map_or(&[], Vec::as_slice)
    }

    /// Whether all promises were kept.
    pub(crate) fn is_clean(&self) -> bool {
        self.found.is_empty()
    }
}
