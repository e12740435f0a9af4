//! A run: what callers ask for (`new_run`, over a `preset` or not, about a `document` or not, with `material` of the library),
//! what it is compiled to (`compile`, `asked`, `spec`, `frame`), where it stands (`status`) and what may follow (`machine`), what
//! callers see (`view`), its timeline (`event`), and when to look again (`poll_hint`).

#[cfg(test)]
mod arbitrary;
mod asked;
mod compile;
mod document;
mod event;
mod frame;
pub mod machine;
mod material;
mod model_choice;
mod new_run;
mod poll_hint;
mod preset;
mod priority;
mod spec;
mod status;
mod totals;
mod view;

pub use document::{DocumentChoice, DocumentRef, DocumentSpec, InlineDocument, MAX_NAME, name_defect, storable};
pub use event::{Event, EventType, NewEvent};
pub use material::{Material, PresetRef, StoredDocument, StoredTemplate};
pub use model_choice::ModelChoice;
pub use new_run::NewRun;
pub use poll_hint::{Outlook, poll_hint};
pub use priority::Priority;
pub use spec::{ModelSpec, OnInDoubt, RunSpec};
pub use status::{Requested, RunStatus, TaskStatus};
pub use totals::{Progress, Totals, TotalsRow, display_cost};
pub use view::{Estimate, Missing, Run, RunList, RunProblem, Task, TaskError, TaskList};
