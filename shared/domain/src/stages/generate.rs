//! `generate`: every model is asked, about each document where there are any, `iterations` times each. A failed task leaves the others alone.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{PlannedTask, Stage};
use crate::journal::{Journal, Stopped, TaskFailure, TaskKey};
use crate::run::RunSpec;

pub(super) const STAGE: Stage = Stage { name: "generate", plan, run };

fn plan(spec: &RunSpec) -> Vec<PlannedTask> {
    documents(spec).flat_map(|document| plan_of(spec, document)).collect()
}

/// The documents by index, or one time none.
fn documents(spec: &RunSpec) -> impl Iterator<Item = Option<usize>> + use<> {
    let alone = spec.documents.is_empty().then_some(None);
    alone.into_iter().chain((0..spec.documents.len()).map(Some))
}

/// The tasks about one document, or about the prompt alone.
fn plan_of(spec: &RunSpec, document_index: Option<usize>) -> impl Iterator<Item = PlannedTask> {
    let about = document_index.map_or_else(|| "prompt".to_owned(), |index| spec.documents[index].id.to_string());
    (0..spec.models.len()).flat_map(move |model_index| {
        let about = about.clone();
        (1..=spec.iterations).map(move |iteration| PlannedTask {
            key: TaskKey::new(STAGE.name, &about, model_index, iteration),
            document_index,
            model_index,
            iteration,
        })
    })
}

/// Bytes that a document's text takes at most: itself, and each call under way with it, once as it is asked and once as it is sent.
fn held(spec: &RunSpec, document_index: usize) -> u64 {
    let calls = (spec.models.len() as u64 * u64::from(spec.iterations)).min(u64::from(spec.concurrency));
    spec.documents[document_index].bytes.saturating_mul(1 + 2 * calls)
}

fn run<'a>(journal: &'a dyn Journal, spec: &'a RunSpec) -> BoxFuture<'a, Result<(), Stopped>> {
    // The text of a document is read when the first of its calls begins, and let go after the last, so that few are held at a time.
    let calls = documents(spec).flat_map(move |document| {
        let text = document.map(|index| journal.text(spec.documents[index].hash, held(spec, index)).shared());
        plan_of(spec, document).map(move |task| {
            let text = text.clone();
            async move {
                let text = match text {
                    Some(text) => Some(text.await?),
                    None => None,
                };
                let text = text.as_deref().map(AsRef::as_ref);
                let document = document.map(|index| &spec.documents[index]).zip(text);
                match journal.call(task.key, spec.call(&spec.models[task.model_index], document)).await {
                    Ok(_) | Err(TaskFailure::Failed(_)) => Ok(()),
                    Err(TaskFailure::Stopped) => Err(Stopped),
                }
            }
            .boxed()
        })
    });
    stream::iter(calls).buffer_unordered(spec.concurrency as usize).try_collect::<()>().boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::FutureExt;

    use super::*;
    use crate::call::{Call, ErrorClass, FinishReason};
    use crate::content_hash::ContentHash;
    use crate::journal::{SharedText, TaskAnswer};
    use crate::prices::Prices;
    use crate::run::NewRun;

    /// Remembers what it was asked; the model `fails` fails, the model `stops` stops the run.
    #[derive(Default)]
    struct Recorder(Mutex<Vec<String>>);

    impl Journal for Recorder {
        fn call(&self, key: TaskKey, call: Call) -> BoxFuture<'_, Result<TaskAnswer, TaskFailure>> {
            self.0.lock().unwrap().push(key.to_string());
            let answer = match call.model.as_str() {
                "fails" => Err(TaskFailure::Failed(ErrorClass::ProviderAuth)),
                "stops" => Err(TaskFailure::Stopped),
                model => Ok(TaskAnswer { text: model.to_owned(), finish_reason: FinishReason::Stop }),
            };
            std::future::ready(answer).boxed()
        }

        fn text(&self, hash: ContentHash, _held: u64) -> BoxFuture<'_, Result<SharedText, Stopped>> {
            self.0.lock().unwrap().push(format!("text {hash}"));
            let text = ["one", "two"].into_iter().find(|text| ContentHash::of(text) == hash);
            std::future::ready(text.map(|text| Arc::new(text) as SharedText).ok_or(Stopped)).boxed()
        }
    }

    fn spec(models: &[&str]) -> RunSpec {
        spec_about(models, &serde_json::json!([]))
    }

    fn spec_about(models: &[&str], documents: &serde_json::Value) -> RunSpec {
        let body = serde_json::json!({
            "prompt": "hi", "models": models, "iterations": 2, "concurrency": 1, "documents": documents,
        });
        serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
    }

    #[test]
    fn every_model_is_asked_in_every_iteration_even_if_one_fails() {
        let journal = Recorder::default();
        let spec = spec(&["sandbox/fails", "sandbox/echo"]);
        assert_eq!(run(&journal, &spec).now_or_never(), Some(Ok(())));
        let asked = journal.0.into_inner().unwrap();
        let expected = ["generate/prompt/m0/1", "generate/prompt/m0/2", "generate/prompt/m1/1", "generate/prompt/m1/2"];
        assert_eq!(asked, expected);
        assert_eq!(plan(&spec).iter().map(|task| task.key.to_string()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_stop_ends_the_stage() {
        let journal = Recorder::default();
        assert_eq!(run(&journal, &spec(&["sandbox/stops", "sandbox/echo"])).now_or_never(), Some(Err(Stopped)));
        assert_eq!(journal.0.into_inner().unwrap().len(), 1);
    }

    #[test]
    fn every_document_is_asked_about_by_itself_and_read_once() {
        let journal = Recorder::default();
        let documents = serde_json::json!([{"name": "a", "text": "one"}, {"name": "b", "text": "two"}]);
        let spec = spec_about(&["sandbox/fails", "sandbox/echo"], &documents);
        assert_eq!(run(&journal, &spec).now_or_never(), Some(Ok(())));
        let asked = journal.0.into_inner().unwrap();
        let mut expected = Vec::new();
        for document in &spec.documents {
            expected.push(format!("text {}", document.hash));
            for (model, iteration) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
                expected.push(format!("generate/{}/m{model}/{iteration}", document.id));
            }
        }
        assert_eq!(asked, expected);
        assert_eq!(plan(&spec).len(), 8);
    }
}
