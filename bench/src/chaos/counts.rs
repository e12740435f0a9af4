//! What is no violation, in words and numbers: how much was asked for, and what became of it. Called by `check`.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::check::{Calls, skips_of};
use super::evidence::{Books, BudgetPeriod, Evidence};
use super::records::Stage;
use super::{check_budgets, check_tasks};

/// The status that says that a budget does not leave enough.
const WITHOUT_BUDGET: u16 = 402;

/// All of them, in the order in which they are printed.
pub(super) fn counts(evidence: &Evidence, calls: &Calls<'_>) -> Vec<(&'static str, usize)> {
    let attempts = || evidence.books.iter().flat_map(|books| &books.attempts);
    let of = |status: &str| attempts().filter(|attempt| attempt.status == status).count();
    let runs = || evidence.books.iter().flat_map(|books| &books.runs);
    let names: BTreeSet<&str> = evidence.submissions.iter().map(|line| line.name.as_str()).collect();
    let accepted = evidence.submissions.iter().filter(|line| matches!(line.stage, Stage::Accepted(_)));
    let refused = evidence.submissions.iter().filter(|line| matches!(line.stage, Stage::Refused(_)));
    let mut unanswered = names.clone();
    for line in evidence.submissions.iter().filter(|line| line.stage != Stage::Sent) {
        unanswered.remove(line.name.as_str());
    }
    let poisoned = runs().filter(|run| run.problem_code.as_deref() == Some("poisoned")).count();
    let unsent = attempts().filter(|attempt| attempt.status == "in_doubt" && !calls.contains_key(&attempt.id)).count();
    let known: BTreeSet<Uuid> = runs().map(|run| run.id).collect();
    let named: BTreeSet<Uuid> = runs().map(|run| run.job_id).collect();
    let unnamed = evidence.jobs.iter().filter(|job| known.contains(&job.subject_id) && !named.contains(&job.id));
    let of_deliveries: BTreeSet<Uuid> =
        evidence.books.iter().flat_map(|books| &books.deliveries).map(|delivery| delivery.id).collect();
    let orphans =
        evidence.jobs.iter().filter(|job| !known.contains(&job.subject_id) && !of_deliveries.contains(&job.subject_id));
    let without_budget =
        evidence.submissions.iter().filter(|line| line.stage == Stage::Refused(WITHOUT_BUDGET)).count();
    let own_fault = |status: u16| status < 500 && ![WITHOUT_BUDGET, 409, 429].contains(&status);
    let otherwise = |stage: &Stage| matches!(stage, Stage::Refused(status) if own_fault(*status));
    let otherwise = evidence.submissions.iter().filter(|line| otherwise(&line.stage)).count();
    let bounded = |books: &Books| books.runs.iter().filter(|run| check_budgets::is_bounded(books, run)).count();
    let wished = |name: &str, usual: &str| runs().filter(|run| run.wish(name) != usual).count();
    let tasks = |class: &str| {
        let tasks = evidence.books.iter().flat_map(|books| &books.tasks);
        tasks.filter(|task| task.error_class.as_deref() == Some(class)).count()
    };
    let skips = |accepted: bool| {
        let answered = evidence.skips.iter().filter_map(|skip| skip.answer);
        answered.filter(|(status, _)| (*status == 202) == accepted).count()
    };
    let by_tenant = evidence.books.iter().enumerate();
    let overtaken = by_tenant.map(|(number, books)| check_tasks::overtaken(&skips_of(evidence, number), books, calls));
    vec![
        ("runs asked for", names.len()),
        ("202 answers", accepted.count()),
        ("submissions without an answer (an outage)", unanswered.len()),
        ("submissions refused", refused.count()),
        ("of these for want of budget", without_budget),
        ("of these for a mistake of the load", otherwise),
        ("runs in the stores", runs().count()),
        ("runs completed", runs().filter(|run| run.status == "completed").count()),
        ("runs under a budget", evidence.books.iter().map(bounded).sum()),
        ("periods of budgets", evidence.books.iter().map(|books| books.periods.len()).sum()),
        ("of these nearly used up", evidence.books.iter().map(used_up).sum()),
        ("runs of a high or low priority", wished("priority", "normal")),
        ("runs with on_in_doubt: fail", wished("on_in_doubt", "retry")),
        ("tasks failed for it", tasks("in_doubt")),
        ("tasks skipped", tasks("skipped")),
        ("skips accepted", skips(true)),
        ("skips refused", skips(false)),
        ("calls of tasks that were skipped afterwards", evidence.books.iter().map(called_before).sum()),
        ("calls that the answer of a skip overtook", overtaken.sum()),
        ("attempts", attempts().count()),
        ("calls that reached the provider", calls.len()),
        ("attempts in doubt", of("in_doubt")),
        ("of these never sent", unsent),
        ("late answers", of("late")),
        ("runs ended as poisoned", poisoned),
        ("jobs without a run (a submission was cut off)", orphans.count()),
        ("jobs that their run no longer names, or never did (a command was cut off)", unnamed.count()),
        ("deliveries owed", of_deliveries.len()),
        ("webhooks received", evidence.received.len()),
    ]
}

/// Periods of budgets of which four fifths and more are spent: less is left than most runs reserve.
fn used_up(books: &Books) -> usize {
    let limits: BTreeMap<Uuid, i64> = books.budgets.iter().map(|budget| (budget.id, budget.limit)).collect();
    let spent =
        |period: &&BudgetPeriod| limits.get(&period.budget_id).is_some_and(|limit| period.spent >= limit / 5 * 4);
    books.periods.iter().filter(spent).count()
}

/// Attempts of tasks that a skip left out.
fn called_before(books: &Books) -> usize {
    let tasks = books.tasks.iter().filter(|task| task.error_class.as_deref() == Some("skipped"));
    let skipped: BTreeSet<(Uuid, &str)> = tasks.map(|task| (task.run_id, task.key.as_str())).collect();
    books.attempts.iter().filter(|attempt| skipped.contains(&(attempt.run_id, attempt.task_key.as_str()))).count()
}
