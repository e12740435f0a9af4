//! What answers compete for. Each subject has its own lane through the pipeline; answers of two subjects never meet.

use crate::content_hash::ContentHash;
use crate::journal::TaskKey;
use crate::ranking::Candidate;
use crate::run::{DocumentSpec, ModelSpec, RunSpec};

/// One of the run's documents, or the prompt alone where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// Which of the run's documents; `None` for the prompt alone.
    pub document_index: Option<usize>,
}

impl Subject {
    /// Those of a run, in the order that people see.
    pub fn all(spec: &RunSpec) -> impl Iterator<Item = Self> + use<> {
        let alone = spec.documents.is_empty().then_some(None);
        alone.into_iter().chain((0..spec.documents.len()).map(Some)).map(|document_index| Self { document_index })
    }

    /// The document, where there is one.
    pub fn document(self, spec: &RunSpec) -> Option<&DocumentSpec> {
        self.document_index.and_then(|index| spec.documents.get(index))
    }

    /// How keys of tasks name it: the document's id, or `prompt`.
    pub fn about(self, spec: &RunSpec) -> String {
        self.document(spec).map_or_else(|| "prompt".to_owned(), |document| document.id.to_string())
    }
}

/// An answer that competes for a subject: its place is known before it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft<'a> {
    /// Its position among the answers of its subject.
    pub candidate: Candidate,
    /// The task that writes it.
    pub key: TaskKey,
    /// Who writes it; `None` where no model does.
    pub writer: Option<&'a ModelSpec>,
    /// Which time the writer is asked, counted from 1.
    pub iteration: u32,
    /// Its short name in the keys of tasks that are about it, such as `m0.1`.
    pub tag: String,
}

/// How a settled task is looked up: its answer; `None` where it has none, or none yet, or one to another question
/// (`Call::question`) than the one given.
pub type Find<'a> = &'a (dyn Fn(&TaskKey, Option<ContentHash>) -> Option<String> + 'a);

/// What tells a question about these texts from one about others.
pub(super) fn question<'a>(texts: impl IntoIterator<Item = &'a str>) -> ContentHash {
    question_of(texts.into_iter().map(ContentHash::of))
}

/// The same where the hashes of the texts are known: texts that many tasks are about are hashed once.
pub(super) fn question_of(hashes: impl IntoIterator<Item = ContentHash>) -> ContentHash {
    let hashes: String = hashes.into_iter().map(|hash| hash.to_string()).collect();
    ContentHash::of(hashes)
}
