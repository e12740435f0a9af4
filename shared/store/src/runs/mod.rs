//! Runs and all that belongs to one: tasks, attempts, events. Every function takes a `&TenantTx`; every write of a worker goes
//! through `fence`, so that a worker that lost a run cannot change it. Called by api (submit, read, command) and worker.

mod attempt_entity;
mod attempts;
mod claim;
mod command;
mod delete;
mod documents;
mod end;
mod event_entity;
mod events;
mod fence;
mod list;
mod row;
mod run_document_entity;
mod run_entity;
mod skip;
mod submit;
mod task_entity;
mod tasks;
mod view;

pub use attempts::{
    AttemptOutcome, AttemptRow, NewAttempt, StoredAnswer, find_late_answer, find_reserved, list_attempts,
    open_attempts, settle_attempt, settle_late, settle_late_failure,
};
pub use claim::{Claimed, Released, claim, claim_first, release};
pub use command::{Commanded, command, end_waiting_run, retried_deadline, set_max_cost};
pub use delete::{DeleteOutcome, delete};
pub use documents::name_texts;
pub use end::{Ended, Ending, end, end_settled};
pub use events::{Mark, find_last_claim, find_mark, list_events, write_events};
pub use fence::{Change, Fence, FenceError, Fenced, Orders, TaskCounts, find_orders, lock, reserve, write};
pub use list::{Filter, list};
pub use row::{RunRow, find};
pub use skip::{Skipped, Unskippable, list_skipped, skip};
pub use submit::{NewRunRow, insert, insert_unless_bound};
pub use tasks::{NewTask, TaskOutcome, TaskRow, find_task, insert_task, insert_tasks, list_tasks};
pub use view::assemble;
