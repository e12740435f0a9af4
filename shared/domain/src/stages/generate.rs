//! `generate`: every model is asked, `iterations` times each. A failed task leaves the others alone.

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{PlannedTask, Stage};
use crate::journal::{Journal, Stopped, TaskFailure, TaskKey};
use crate::run::RunSpec;

pub(super) const STAGE: Stage = Stage { name: "generate", plan, run };

fn plan(spec: &RunSpec) -> Vec<PlannedTask> {
    let tasks_of = |model_index| {
        (1..=spec.iterations).map(move |iteration| PlannedTask {
            key: TaskKey::new(STAGE.name, "prompt", model_index, iteration),
            model_index,
            iteration,
        })
    };
    (0..spec.models.len()).flat_map(tasks_of).collect()
}

fn run<'a>(journal: &'a dyn Journal, spec: &'a RunSpec) -> BoxFuture<'a, Result<(), Stopped>> {
    let calls = plan(spec).into_iter().map(move |task| {
        async move {
            match journal.call(task.key, spec.call(&spec.models[task.model_index])).await {
                Ok(_) | Err(TaskFailure::Failed(_)) => Ok(()),
                Err(TaskFailure::Stopped) => Err(Stopped),
            }
        }
        .boxed()
    });
    stream::iter(calls).buffer_unordered(spec.concurrency as usize).try_collect::<()>().boxed()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::FutureExt;

    use super::*;
    use crate::call::{Call, ErrorClass, FinishReason};
    use crate::journal::TaskAnswer;
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
    }

    fn spec(models: &[&str]) -> RunSpec {
        let body = serde_json::json!({"prompt": "hi", "models": models, "iterations": 2, "concurrency": 1});
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
}
