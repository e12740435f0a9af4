//! A run: what callers ask for (`new_run`), what it is compiled to (`spec`), where it stands (`status`) and what may follow
//! (`machine`), what callers see (`view`), its timeline (`event`), and when to look again (`poll_hint`).

mod event;
pub mod machine;
mod model_choice;
mod new_run;
mod poll_hint;
mod priority;
mod spec;
mod status;
mod totals;
mod view;

pub use event::{Event, EventType, NewEvent};
pub use model_choice::ModelChoice;
pub use new_run::NewRun;
pub use poll_hint::{Outlook, poll_hint};
pub use priority::Priority;
pub use spec::{ModelSpec, OnInDoubt, RunSpec};
pub use status::{Requested, RunStatus, TaskStatus};
pub use totals::{Progress, Totals, TotalsRow, display_cost};
pub use view::{Estimate, Missing, Run, RunList, RunProblem, Task, TaskError, TaskList};
