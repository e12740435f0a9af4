//! How much a run holds in memory of what models have said: whatever later stages read stays until it ends, so there is a bound on
//! it. A run whose answers nobody reads holds none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use acm2_domain::judging::Defect;
use acm2_domain::run::RunSpec;
use acm2_domain::stages;
use acm2_store::runs::TaskOutcome;

use super::claim::Past;
use crate::answer_room::RunRoom;

/// As many bytes of answers one run may have where stages read them: as many as can be shown of one subject.
const MOST: u64 = 64 * 1024 * 1024;
/// However much a run takes over of what another was answered, so much may come.
const AT_LEAST: u64 = MOST / 2;

/// The bytes of the answers of a run.
#[derive(Debug)]
pub(super) struct HeldTexts {
    bytes: AtomicU64,
    is_full: AtomicBool,
    /// Whether stages read them.
    are_read: bool,
    in_process: RunRoom,
}

impl HeldTexts {
    /// Those that earlier claims have left.
    pub(super) fn of(past: &Past, spec: &RunSpec, in_process: RunRoom) -> Self {
        let is_given = |key: &str| spec.answers_of.is_some() && key.starts_with(stages::GENERATE);
        let (mut asked, mut given, mut other, mut is_full) = (0, 0, 0, false);
        for (key, task) in &past.tasks {
            match &task.outcome {
                TaskOutcome::Answered(answer) if task.attempts > 0 => asked += answer.text.len() as u64,
                TaskOutcome::Answered(answer) if is_given(key) => given += answer.text.len() as u64,
                // Pages, and what was put together without a call.
                TaskOutcome::Answered(answer) => other += answer.text.len() as u64,
                TaskOutcome::Failed(error) => is_full |= error.message.ends_with(&too_much().0) && !is_given(key),
            }
        }
        in_process.add(asked + given + other);
        let bytes = AtomicU64::new((asked + given.min(MOST - AT_LEAST)).min(MOST));
        Self { bytes, is_full: AtomicBool::new(is_full), are_read: !spec.has_answers_alone(), in_process }
    }

    /// Why nothing more is asked, once there was no room for an answer.
    pub(super) fn full(&self) -> Option<Defect> {
        self.is_full.load(Ordering::Relaxed).then(too_much)
    }

    /// Counts one more answer; what is wrong with it where there is no room for it.
    pub(super) fn take(&self, text: &str) -> Option<Defect> {
        if !self.are_read {
            return None;
        }
        let length = text.len() as u64;
        let with_it = |bytes: u64| Some(bytes.saturating_add(length)).filter(|bytes| *bytes <= MOST);
        let taken = self.bytes.try_update(Ordering::Relaxed, Ordering::Relaxed, with_it);
        if taken.is_err() {
            self.is_full.store(true, Ordering::Relaxed);
            return Some(too_much());
        }
        self.in_process.add(length);
        None
    }

    /// Counts a text that no call brought.
    pub(super) fn add_uncalled(&self, text: &str) {
        if self.are_read {
            self.in_process.add(text.len() as u64);
        }
    }

    /// Counts an answer that came late to an earlier claim: there is room for it, for it is paid for.
    pub(super) fn add_late(&self, text: &str) {
        if self.are_read {
            self.bytes.fetch_add(text.len() as u64, Ordering::Relaxed);
            self.in_process.add(text.len() as u64);
        }
    }

    /// Whether the run must make room for others, once what it has under way is stored.
    pub(super) fn is_to_go(&self) -> bool {
        self.are_read && self.in_process.is_to_go()
    }

    /// What stays in memory of an answer once its stage has it.
    pub(super) fn kept(&self, text: &str) -> String {
        if self.are_read { text.to_owned() } else { String::new() }
    }
}

fn too_much() -> Defect {
    Defect(format!("the answers of this run come to more than {} MiB together", MOST >> 20))
}

#[cfg(test)]
mod tests {
    use acm2_domain::call::{CostSource, ErrorClass, FinishReason};
    use acm2_domain::ids::{RunId, TenantId};
    use acm2_domain::prices::Prices;
    use acm2_domain::run::{NewRun, TaskError};
    use acm2_store::runs::{StoredAnswer, TaskRow};
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::answer_room::AnswerRoom;

    fn spec(stages: &serde_json::Value) -> RunSpec {
        let run = json!({"prompt": "hi", "models": ["sandbox/a"], "stages": stages});
        serde_json::from_value::<NewRun>(run).unwrap().compile(&Prices::built_in()).unwrap()
    }

    fn judged() -> RunSpec {
        spec(&json!({"evaluate": {"judges": ["sandbox/j"]}}))
    }

    fn past(tasks: impl IntoIterator<Item = (u32, TaskOutcome)>) -> Past {
        let row = |(attempts, outcome)| TaskRow { outcome, attempts, finished_at: DateTime::UNIX_EPOCH };
        let key = |index| format!("{}/{index}", stages::GENERATE);
        let tasks = tasks.into_iter().enumerate().map(|(index, task)| (key(index), row(task))).collect();
        Past { tasks, ..Past::default() }
    }

    fn answered(bytes: u64) -> TaskOutcome {
        TaskOutcome::Answered(StoredAnswer {
            text: "x".repeat(bytes as usize),
            artifacts: Vec::new(),
            question: None,
            finish_reason: FinishReason::Stop,
            usage: None,
            cost: None,
            cost_source: CostSource::Unknown,
            provider_model: None,
            provider_request_id: None,
            latency_ms: 0,
        })
    }

    #[test]
    fn what_a_run_was_answered_counts_at_its_next_claim_and_what_it_took_over_to_the_half() {
        let tenant = AnswerRoom::new(u64::MAX, 1).of(TenantId::generate());
        let (own, taken_over) = (judged(), RunSpec { answers_of: Some(RunId::generate()), ..judged() });
        let held = |past: Past, spec: &RunSpec| HeldTexts::of(&past, spec, tenant.run());
        let quarter = "x".repeat(MOST as usize / 4);
        let asked = held(past([(1, answered(MOST / 2)), (2, answered(MOST / 4))]), &own);
        assert_eq!((asked.take(&quarter), asked.take("x").is_some()), (None, true));
        let given = held(past([(0, answered(MOST / 2)), (0, answered(MOST / 4))]), &taken_over);
        assert_eq!((given.take(&quarter), given.take(&quarter), given.take("x").is_some()), (None, None, true));
        let message = format!("not asked: {}", too_much());
        let failed = TaskError { class: ErrorClass::UnusableAnswer, message, http_status: None, provider_code: None };
        let failed = past([(0, TaskOutcome::Failed(failed))]);
        // What another run did not ask for is no reason not to judge what it was answered.
        assert!(HeldTexts::of(&failed, &own, tenant.run()).full().is_some());
        assert!(HeldTexts::of(&failed, &taken_over, tenant.run()).full().is_none());
    }

    #[test]
    fn a_run_holds_so_much_where_its_answers_are_read_and_nothing_else() {
        let half = "x".repeat(MOST as usize / 2);
        let tenant = AnswerRoom::new(u64::MAX, 1).of(TenantId::generate());
        let read = HeldTexts::of(&Past::default(), &judged(), tenant.run());
        assert_eq!((read.take(&half), read.take(&half)), (None, None));
        assert_eq!(read.full(), None);
        assert!(read.take("x").unwrap().to_string().contains("64 MiB"));
        assert_eq!(read.full(), Some(too_much()));
        assert_eq!(read.kept("text"), "text");
        let unread = HeldTexts::of(&Past::default(), &spec(&json!({})), tenant.run());
        assert!((0..4).all(|_| unread.take(&half).is_none()));
        assert_eq!(unread.kept("text"), "");
    }
}
