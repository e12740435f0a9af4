//! The contract between stages and whoever runs them: a stage asks for calls by key and never sees a database or a network.
//! `acm2-worker` implements it; tests implement it in memory. Resume comes for free: a finished key answers at once.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::call::{Call, ErrorClass, FinishReason};
use crate::content_hash::ContentHash;

/// Names a task, unique in its run and the same at every resume: `generate/prompt/m0/1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskKey(String);

impl TaskKey {
    /// `{stage}/{what}/m{index of the model}/{iteration from 1}`.
    pub fn new(stage: &str, what: &str, model_index: usize, iteration: u32) -> Self {
        Self(format!("{stage}/{what}/m{model_index}/{iteration}"))
    }

    /// `{stage}/{what}/{who}/{iteration from 1}`, for tasks of stages that ask others than the run's models.
    pub fn of(stage: &str, what: &str, who: &str, iteration: u32) -> Self {
        Self(format!("{stage}/{what}/{who}/{iteration}"))
    }

    /// The key of a step of this task: `{key}/{step}`.
    #[must_use]
    pub fn below(&self, step: &str) -> Self {
        Self(format!("{self}/{step}"))
    }

    /// As it stands in storage.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a stage gets to see of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskAnswer {
    /// The text.
    pub text: String,
    /// Why the model stopped.
    pub finish_reason: FinishReason,
}

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskFailure {
    /// The task is settled as failed; other tasks may go on.
    #[error("task failed: {0:?}")]
    Failed(ErrorClass),
    /// The run stops here (cancelled, lost to another worker, shutting down, waiting): return at once.
    #[error("run stopped")]
    Stopped,
}

/// A text that calls carry, so many of them at a time as there is room for.
pub trait Carried: AsRef<str> + Send + Sync {
    /// Waits until one more call may carry it.
    fn turn(&self) -> BoxFuture<'_, Turn>;
}

/// A text that several calls carry.
pub type SharedText = Arc<dyn Carried>;

/// The right to let one call carry a text; dropping it gives it to another.
pub type Turn = Box<dyn Any + Send + Sync>;

/// [`Journal::find`] by itself.
pub type Finder = Arc<dyn Fn(&TaskKey, Option<ContentHash>) -> Option<Result<TaskAnswer, TaskFailure>> + Send + Sync>;

/// One of the places of a run's `concurrency`; dropping it frees it.
pub type Place = Box<dyn Any + Send + Sync>;

/// Makes calls durable. An answer may be handed out before it is stored: it is stored before, or together with, whatever is asked
/// for after it and before the run ends, so a stage may rest further calls on it and nothing else.
pub trait Journal: Send + Sync {
    /// The answer of the task `key`: the stored one if there is one, else by making `call`.
    fn call(&self, key: TaskKey, call: Call) -> BoxFuture<'_, Result<TaskAnswer, TaskFailure>>;

    /// How the task was settled, if it was. Nothing is called. `question`: an answer to another one is left aside (`Call::question`).
    fn find(&self, key: &TaskKey, question: Option<ContentHash>) -> Option<Result<TaskAnswer, TaskFailure>>;

    /// The same for whoever looks tasks up elsewhere ([`Self::compute`]).
    fn finder(&self) -> Finder;

    /// Waits until one of the run's places is free. Whoever waits for a text must not hold one.
    fn place(&self) -> BoxFuture<'_, Result<Place, Stopped>>;

    /// Settles tasks without a call: they fail, for this reason. Those that are settled already stay as they are.
    fn fail(&self, keys: Vec<TaskKey>, class: ErrorClass, reason: String) -> BoxFuture<'_, Result<(), Stopped>>;

    /// Settles tasks without a call: this is the answer of each, and it cost nothing. Those that are settled already stay as they
    /// are, unless they answered another question.
    fn keep(
        &self,
        keys: Vec<TaskKey>,
        question: Option<ContentHash>,
        text: String,
    ) -> BoxFuture<'_, Result<(), Stopped>>;

    /// Reads a page of the web and settles the task with what became of it, a [`Page`](crate::web::Page) as text, at no cost. A
    /// page that cannot be read is an answer too.
    fn fetch(&self, key: TaskKey, url: String) -> BoxFuture<'_, Result<TaskAnswer, TaskFailure>>;

    /// One of the texts that are stored beside the run. `held`: how many bytes the text and the calls that carry it take at most
    /// until it is dropped; where too many are held, this waits. Of a text that needs more than it may take, fewer calls at a time
    /// carry it.
    fn text(&self, hash: ContentHash, held: u64) -> BoxFuture<'_, Result<SharedText, Stopped>>;

    /// Works something out that takes long, where it keeps nobody else waiting.
    fn compute(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, Result<(), Stopped>>;
}

/// The run stopped before the stage was through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;
