//! The lane of one subject through the pipeline: what its stages share, and how they ask.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_util::future::{BoxFuture, Shared};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::subject::{Draft, Find, Subject};
use crate::call::{Call, ErrorClass};
use crate::content_hash::ContentHash;
use crate::journal::{Journal, SharedText, Stopped, TaskAnswer, TaskFailure, TaskKey};
use crate::run::RunSpec;

/// The text of a subject's document, read when it is first needed.
type Text<'a> = Shared<BoxFuture<'a, Result<Option<SharedText>, Stopped>>>;

/// One subject on its way.
pub struct Lane<'a> {
    /// What the run does.
    pub spec: &'a RunSpec,
    /// What the answers are about.
    pub subject: Subject,
    /// How keys name the subject.
    pub about: String,
    journal: &'a dyn Journal,
    text: Text<'a>,
    drafts: Mutex<Vec<Draft<'a>>>,
    owned: &'a OnceLock<Arc<RunSpec>>,
}

impl<'a> Lane<'a> {
    /// A lane in which nothing has happened.
    /// `owned`: where all lanes of the run keep a copy of what it does, once one of them needs it.
    pub fn new(
        journal: &'a dyn Journal,
        spec: &'a RunSpec,
        owned: &'a OnceLock<Arc<RunSpec>>,
        subject: Subject,
    ) -> Self {
        let text = async move {
            match subject.document(spec) {
                Some(document) => journal.text(document.hash, held(spec, document.bytes)).await.map(Some),
                None => Ok(None),
            }
        };
        Self {
            spec,
            subject,
            about: subject.about(spec),
            journal,
            text: text.boxed().shared(),
            drafts: Mutex::default(),
            owned,
        }
    }

    /// The answers that compete, those that have failed among them.
    pub fn drafts(&self) -> Vec<Draft<'a>> {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// More answers compete from now on.
    pub fn enter(&self, drafts: impl IntoIterator<Item = Draft<'a>>) {
        self.drafts.lock().unwrap_or_else(PoisonError::into_inner).extend(drafts);
    }

    /// The answer of a task, if it has been given.
    pub fn find(&self, key: &TaskKey, question: Option<ContentHash>) -> Option<String> {
        self.journal.find(key, question)?.ok().map(|answer| answer.text)
    }

    /// Asks, unless the task is settled: its answer, or `None` where it has failed. `make` is given the text of the document.
    /// `question`: where what is asked follows from earlier answers, what tells these from others.
    pub async fn ask<F>(&self, key: TaskKey, question: Option<ContentHash>, make: F) -> Result<Option<String>, Stopped>
    where
        F: FnOnce(Option<&str>) -> Call + Send,
    {
        if let Some(settled) = self.journal.find(&key, question) {
            return told(settled);
        }
        // Before the place: whoever holds the text waits for turns and places only, and whoever has its turn for places only.
        let text = self.text.clone().await?;
        let turn = match &text {
            Some(text) => Some(text.turn().await),
            None => None,
        };
        let place = self.journal.place().await?;
        let call = Call { question, ..make(text.as_deref().map(AsRef::as_ref)) };
        let answer = self.journal.call(key, call).await;
        drop((place, turn));
        told(answer)
    }

    /// Reads a page of the web, unless the task is settled: what became of it, or `None` where it was left out.
    pub async fn fetch(&self, key: TaskKey, url: &str) -> Result<Option<String>, Stopped> {
        if let Some(settled) = self.journal.find(&key, Some(ContentHash::of(url))) {
            return told(settled);
        }
        let place = self.journal.place().await?;
        let page = self.journal.fetch(key, url.to_owned()).await;
        drop(place);
        told(page)
    }

    /// Settles tasks that cannot be asked, because answers that they are about are missing.
    pub async fn lack(&self, mut keys: Vec<TaskKey>, reason: &str) -> Result<(), Stopped> {
        keys.retain(|key| self.journal.find(key, None).is_none());
        if keys.is_empty() {
            return Ok(());
        }
        self.journal.fail(keys, ErrorClass::InputMissing, reason.to_owned()).await
    }

    /// Settles tasks that need no call with this answer.
    pub async fn keep(
        &self,
        mut keys: Vec<TaskKey>,
        question: Option<ContentHash>,
        text: String,
    ) -> Result<(), Stopped> {
        keys.retain(|key| self.journal.find(key, question).is_none());
        if keys.is_empty() {
            return Ok(());
        }
        self.journal.keep(keys, question, text).await
    }

    /// Works something out where it keeps nobody waiting.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Stopped> {
        let found = Arc::new(Mutex::new(None));
        let place = Arc::clone(&found);
        let work = move || *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(work());
        self.journal.compute(Box::new(work)).await?;
        found.lock().unwrap_or_else(PoisonError::into_inner).take().ok_or(Stopped)
    }

    /// Works something out of what was answered so far, where it keeps nobody waiting.
    pub async fn consider<T: Send + 'static>(
        &self,
        work: impl FnOnce(&RunSpec, Find<'_>) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let spec = Arc::clone(self.owned.get_or_init(|| Arc::new(self.spec.clone())));
        let finder = self.journal.finder();
        let find = move |key: &TaskKey, question| finder(key, question)?.ok().map(|answer| answer.text);
        self.compute(move || work(&spec, &find)).await
    }

    /// What the models were asked about this subject, for judges to read. `document`: the text of the document.
    pub fn task(&self, document: Option<&str>) -> String {
        self.spec.task(self.subject.document(self.spec).zip(document))
    }

    /// Does all of this, no more of it at a time than the run allows.
    pub async fn all<F>(&self, work: impl IntoIterator<Item = F> + Send) -> Result<(), Stopped>
    where
        F: Future<Output = Result<(), Stopped>> + Send,
    {
        let work: Vec<F> = work.into_iter().collect();
        stream::iter(work).buffer_unordered(self.spec.concurrency as usize).try_collect().await
    }
}

fn told(settled: Result<TaskAnswer, TaskFailure>) -> Result<Option<String>, Stopped> {
    match settled {
        Ok(answer) => Ok(Some(answer.text)),
        Err(TaskFailure::Failed(_)) => Ok(None),
        Err(TaskFailure::Stopped) => Err(Stopped),
    }
}

/// Bytes that a document's text takes at most: itself, and each call under way with it, once as it is asked and once as it is sent.
fn held(spec: &RunSpec, bytes: u64) -> u64 {
    bytes.saturating_mul(1 + 2 * u64::from(spec.concurrency))
}
