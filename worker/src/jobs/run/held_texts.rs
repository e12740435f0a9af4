//! How much a run holds in memory of what models have said: whatever later stages read stays until it ends, so there is a bound on
//! it. A run whose answers nobody reads holds none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use acm2_domain::judging::Defect;
use acm2_store::runs::TaskOutcome;

use super::claim::Past;

/// As many bytes of answers one run may have where stages read them: as many as can be shown of one subject.
const MOST: u64 = 64 * 1024 * 1024;
/// However much there is at a claim, as of a run that takes over what another was answered, so much may come.
const AT_LEAST: u64 = MOST / 2;

/// The bytes of the answers of a run.
#[derive(Debug)]
pub(super) struct HeldTexts {
    bytes: AtomicU64,
    is_full: AtomicBool,
    /// Whether stages read them.
    are_read: bool,
}

impl HeldTexts {
    /// Those that earlier claims have left.
    pub(super) fn of(past: &Past, are_read: bool) -> Self {
        let length = |outcome: &TaskOutcome| match outcome {
            TaskOutcome::Answered(answer) => answer.text.len() as u64,
            TaskOutcome::Failed(_) => 0,
        };
        let bytes: u64 = past.tasks.values().map(|task| length(&task.outcome)).sum();
        Self { bytes: AtomicU64::new(bytes.min(MOST - AT_LEAST)), is_full: AtomicBool::new(false), are_read }
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
        taken.err().map(|_| {
            self.is_full.store(true, Ordering::Relaxed);
            too_much()
        })
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
    use super::*;

    #[test]
    fn a_run_holds_so_much_where_its_answers_are_read_and_nothing_else() {
        let half = "x".repeat(MOST as usize / 2);
        let read = HeldTexts::of(&Past::default(), true);
        assert_eq!((read.take(&half), read.take(&half)), (None, None));
        assert_eq!(read.full(), None);
        assert!(read.take("x").unwrap().to_string().contains("64 MiB"));
        assert_eq!(read.full(), Some(too_much()));
        assert_eq!(read.kept("text"), "text");
        let unread = HeldTexts::of(&Past::default(), false);
        assert!((0..4).all(|_| unread.take(&half).is_none()));
        assert_eq!(unread.kept("text"), "");
    }
}
