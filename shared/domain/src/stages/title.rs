//! `title`: a model gives a short title to what was asked, for lists and conversations. It looks at no answer.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::lane::Lane;
use super::planned::PlannedTask;
use super::subject::{Find, Subject};
use super::{Asked, Compiling, Stage};
use crate::call::{Call, Message, Role};
use crate::frame::framed;
use crate::journal::{Stopped, TaskKey};
use crate::run::{ModelChoice, ModelSpec, RunSpec};

pub(super) const NAME: &str = "title";
/// What the model may say where nobody has set a limit: some think before they write five words.
const OUTPUT_TOKENS: u32 = 2_048;

/// A model gives a title to what was asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename = "TitleStage", deny_unknown_fields))]
pub struct NewTitle {
    /// Who is asked, as in `models`. It may say 2048 tokens where nothing else is set.
    pub model: ModelChoice,
}

/// The same with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Title {
    /// Who is asked; nobody where the model was wrong.
    pub model: Option<ModelSpec>,
}

impl Asked for NewTitle {
    type Stage = Title;

    fn compile(&self, compiling: &mut Compiling<'_>) -> Title {
        let pointer = format!("{}/model", compiling.at);
        Title { model: self.model.resolve(&pointer, Some(OUTPUT_TOKENS), compiling.prices, compiling.errors) }
    }

    #[cfg(test)]
    fn any() -> proptest::strategy::BoxedStrategy<Self> {
        use proptest::prelude::*;

        crate::run::arbitrary::any_model().prop_map(|model| Self { model }).boxed()
    }
}

impl Title {
    fn key(about: &str) -> TaskKey {
        TaskKey::of(NAME, about, "t0", 1)
    }

    fn call(spec: &RunSpec, model: &ModelSpec, task: &str) -> Call {
        let content = format!(
            "Give the task below a title of three to five words, in its own language. Say nothing but the title: no quotation \
             marks, no full stop.\n\n{}",
            framed("The task", "task", task)
        );
        spec.call_about(model, vec![Message { role: Role::User, content }])
    }
}

impl Stage for Title {
    fn models(&self) -> Vec<(String, &ModelSpec)> {
        self.model.iter().map(|model| ("/model".to_owned(), model)).collect()
    }

    fn count(&self, _spec: &RunSpec) -> u64 {
        1
    }

    fn plan<'a>(&'a self, spec: &'a RunSpec, subject: Subject) -> Vec<PlannedTask<'a>> {
        let planned = |model: &'a ModelSpec| PlannedTask {
            key: Self::key(&subject.about(spec)),
            stage: NAME,
            is_result: true,
            document_index: subject.document_index,
            model: Some(model),
            iteration: 1,
            size: spec.size_about(subject, |task| Self::call(spec, model, task).size()),
            reads: 0,
            repair: None,
        };
        self.model.iter().map(planned).collect()
    }

    fn on_subject<'a, 'run: 'a>(&'a self, lane: &'a Lane<'run>) -> BoxFuture<'a, Result<(), Stopped>> {
        async move {
            let Some(model) = &self.model else { return Ok(()) };
            let make = |text: Option<&str>| Self::call(lane.spec, model, &lane.task(text));
            lane.ask(Self::key(&lane.about), None, make).await.map(|_| ())
        }
        .boxed()
    }
}

/// What the model calls a subject; `None` where the run asks none, or it gave no title.
pub fn title(spec: &RunSpec, subject: Subject, find: Find<'_>) -> Option<String> {
    spec.stages.title.as_ref()?;
    read(&find(&Title::key(&subject.about(spec)), None)?)
}

/// What models put around a title although they are told not to.
const AROUND: [(&str, &str); 12] = [
    ("**", "**"),
    ("__", "__"),
    ("*", "*"),
    ("_", "_"),
    ("`", "`"),
    ("\"", "\""),
    ("'", "'"),
    ("“", "”"),
    ("„", "“"),
    ("‘", "’"),
    ("«", "»"),
    ("「", "」"),
];

/// The first line of what was said that has words in it, without marks of Markdown and quotation.
fn read(said: &str) -> Option<String> {
    let line = said.lines().map(bare).find(|line| line.chars().any(char::is_alphanumeric))?;
    Some(line.to_owned())
}

fn bare(line: &str) -> &str {
    let mut title = line.trim();
    loop {
        let heading = title.trim_start_matches('#');
        // `"yes" or "no"` is two quotations, and keeps its marks.
        let inner = AROUND.iter().find_map(|(left, right)| {
            let inner = title.strip_prefix(*left)?.strip_suffix(*right)?;
            (!inner.contains(*left) && !inner.contains(*right)).then_some(inner)
        });
        title = match inner {
            _ if heading.len() < title.len() && heading.starts_with(char::is_whitespace) => heading.trim(),
            Some(inner) => inner.trim(),
            None => return title,
        };
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use serde_json::json;

    use super::super::recorder::Recorder;
    use super::super::{plan, run};
    use super::*;
    use crate::prices::Prices;
    use crate::run::NewRun;

    #[test]
    fn each_document_is_given_a_title_whatever_becomes_of_its_answers() {
        let documents = json!([{"name": "a", "text": "one"}, {"name": "b", "text": "two"}]);
        let body = json!({"prompt": "hi", "models": ["sandbox/fails"], "documents": documents,
            "stages": {"title": {"model": "sandbox/short"}}});
        let spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap();
        let journal = Recorder::default();
        assert_eq!(run(&journal, &spec).now_or_never(), Some(Ok(())));
        let planned: Vec<_> = plan(&spec).into_iter().filter(|task| task.stage == "title").collect();
        assert_eq!(planned.len(), 2);
        for task in planned {
            let call = &journal.calls.lock().unwrap()[task.key.as_str()];
            assert_eq!((call.model.as_str(), call.size()), ("short", task.size));
        }
        let wrong = json!({"prompt": "hi", "models": ["sandbox/a"], "stages": {"title": {"model": "x/y"}}});
        let errors = serde_json::from_value::<NewRun>(wrong).unwrap().compile(&Prices::built_in()).unwrap_err();
        assert_eq!(errors[0].pointer, "/stages/title/model");
    }

    #[test]
    fn a_title_is_read_without_the_marks_around_it() {
        for said in [
            "Why Skies Are Blue",
            "\n  \"Why Skies Are Blue\" \r\n",
            "**Why Skies Are Blue**",
            "# **“Why Skies Are Blue”**\n\nThis title says what was asked.",
            "```\n'Why Skies Are Blue'\n```",
            "«_`Why Skies Are Blue`_»",
        ] {
            assert_eq!(read(said).as_deref(), Some("Why Skies Are Blue"), "{said}");
        }
        for kept in [
            "#hashtags today",
            "\"Yes\" or \"no\"",
            "*Do* or *do not*",
            "The Beatles'",
            "2 * 3 * 4",
            "C#",
            "__init__.py",
        ] {
            assert_eq!(read(kept).as_deref(), Some(kept));
        }
        for none in ["", " \n", "***", "\"\"", "#", "# ", "----"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_said_a_title_is_one_line_of_it(said in "[#*_`\"'a \n“”é]{0,24}") {
            if let Some(title) = read(&said) {
                proptest::prop_assert!(said.contains(&title) && title.trim() == title && !title.contains('\n'));
            }
        }
    }
}
