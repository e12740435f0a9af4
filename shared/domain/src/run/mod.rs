//! A run: what callers ask for (`new_run`, over a `preset` or not, about a `document` or not, with `material` of the library),
//! what it is compiled to (`compile`, `reuse`, `asked`, `council`, `switch`, `image_choice`, `research_choice`, `spec`, `question`, `frame`, and `place`
//! for the way back), where it stands (`status`) and what may follow (`machine`), what callers see (`view`), its timeline (`event`), and when to look again
//! (`poll_hint`).

#[cfg(test)]
pub(crate) mod arbitrary;
mod asked;
mod compile;
mod council;
mod document;
mod event;
mod frame;
mod generator;
mod image_choice;
pub mod machine;
mod material;
mod model_choice;
mod new_run;
mod place;
mod poll_hint;
mod preset;
mod priority;
mod question;
mod research_choice;
mod reuse;
mod spec;
mod status;
mod switch;
mod totals;
mod view;

pub use council::Council;
pub use document::{
    DocumentChoice, DocumentRef, DocumentSpec, InlineDocument, MAX_NAME, leaves_line, name_defect, storable,
};
pub use event::{Event, EventType, NewEvent};
pub use generator::Generator;
pub use image_choice::ImageChoice;
pub use material::{Material, PresetRef, StoredDocument, StoredTemplate};
pub use model_choice::ModelChoice;
pub use new_run::NewRun;
pub use poll_hint::{Outlook, poll_hint};
pub use priority::Priority;
pub use research_choice::{ResearchChoice, ResearchSpec};
pub use spec::{ModelSpec, OnInDoubt, RunSpec};
pub use status::{Requested, RunStatus, TaskStatus};
pub use switch::Switch;
pub use totals::{Progress, Totals, TotalsRow, display_cost};
pub use view::{ArtifactRef, Estimate, FinalAnswer, Missing, Run, RunList, RunProblem, Task, TaskError, TaskList};
