//! Runs and all that belongs to one: tasks, attempts, events. Every function takes a `&TenantTx`; every write of a worker goes
//! through `fence`, so that a worker that lost a run cannot change it. Called by api (submit, read, command) and worker.

mod artifact_entity;
mod artifacts;
mod attempt_entity;
mod attempts;
mod claim;
mod command;
mod costs;
mod delete;
mod documents;
mod end;
mod event_entity;
mod events;
mod fence;
mod final_answers;
mod going_on;
mod list;
mod outcomes;
mod reuse;
mod row;
mod run_document_entity;
mod run_entity;
mod settled;
mod skip;
mod submit;
mod task_entity;
mod task_texts;
mod tasks;
mod view;

pub use artifacts::{StoredArtifact, get_artifact, read_artifact};
pub use attempts::{
    AttemptRow, NewAttempt, StoredAnswer, find_defect, find_late_answer, find_reserved, list_attempts, open_attempts,
    refuse_late_answer, settle_late, settle_late_failure,
};
pub use claim::{Claimed, Released, claim, claim_first, release};
pub use command::{Commanded, command, end_waiting_run, retried_deadline, set_max_cost, standing_for};
pub use delete::{DeleteOutcome, delete};
pub use documents::name_texts;
pub use end::{Ended, EndedAtOnce, Ending, end, end_settled, lock_and_end};
pub use events::{Mark, find_last_claim, find_mark, list_events, list_stage_events, write_events};
pub use fence::{Change, Fence, FenceError, Fenced, Orders, TaskCounts, find_orders, lock, reserve, write};
pub use final_answers::final_answer;
pub use going_on::go_on;
pub use list::{Filter, list};
pub use outcomes::{AttemptOutcome, settle_attempt, settle_attempts};
pub use reuse::{AnswersOf, find_answers, find_longest_answer, hold_answers, take_over};
pub use row::{RunRow, find};
pub use settled::{Settled, list_results, list_settled_of, list_settled_without_texts, list_textless};
pub use skip::{Skipped, Unskippable, list_skipped, skip};
pub use submit::{NewRunRow, insert, insert_all_unless_bound, insert_unless_bound};
pub use task_texts::{list_beginnings, list_some_tasks, list_texts, measure_run, measure_texts};
pub use tasks::{
    NewTask, TaskOutcome, TaskRow, find_task, forget_task, insert_task, insert_tasks, list_settled, list_tasks,
};
pub use view::{assemble, assemble_tasks};
