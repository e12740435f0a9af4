//! A Journal in memory, for tests of stages: it remembers what it was asked, and answers as the name of the model says.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::call::{Call, ErrorClass, FinishReason};
use crate::content_hash::ContentHash;
use crate::journal::{Carried, Finder, Journal, Place, SharedText, Stopped, TaskAnswer, TaskFailure, TaskKey, Turn};
use crate::judging::Expectation;
use crate::web::{Page, SearchResult, SearchResults};

impl Carried for &'static str {
    fn turn(&self) -> BoxFuture<'_, Turn> {
        std::future::ready(Box::new(()) as Turn).boxed()
    }
}

type Settled = Result<TaskAnswer, TaskFailure>;
/// How a task was settled, and the question that it answered.
type Answered = (Settled, Option<ContentHash>);

/// `fails` fails, `stops` stops the run, a judge whose name ends in a number gives that score, `judge-first` and any other judge
/// choose the answer that is shown first, `judge-low` the one that is less in the order of texts. Any other answers its name, or plans
/// the queries `one` and `two`, or cites all sources. What stands before a `/` in a name plays no part.
#[derive(Default)]
pub(crate) struct Recorder {
    /// What happened, in order: keys of calls, `text {hash}`, `fail {key}`, `keep {key}`.
    pub(crate) asked: Mutex<Vec<String>>,
    /// The calls, by key.
    pub(crate) calls: Mutex<BTreeMap<String, Call>>,
    settled: Arc<Mutex<BTreeMap<TaskKey, Answered>>>,
    /// How often a task was looked up.
    pub(crate) looked_up: AtomicUsize,
    /// How often something was worked out elsewhere.
    pub(crate) computed: AtomicUsize,
    /// Whether the search for `flaky` is well again.
    is_well: bool,
}

impl Recorder {
    /// One whose search for `flaky` has never been ill.
    pub(crate) fn well() -> Self {
        Self { is_well: true, ..Self::default() }
    }

    /// One that goes on where another run of the stages was.
    pub(crate) fn resumed(self) -> Self {
        Self { settled: self.settled, ..Self::default() }
    }

    /// How the tasks were settled: answers, or `!class`.
    pub(crate) fn outcome(&self) -> BTreeMap<String, String> {
        let told = |settled: &Settled| match settled {
            Ok(answer) => answer.text.clone(),
            Err(failure) => format!("!{failure}"),
        };
        self.settled.lock().unwrap().iter().map(|(key, (settled, _))| (key.to_string(), told(settled))).collect()
    }

    /// Forgets what failed, as a retry does.
    pub(crate) fn retried(self) -> Self {
        self.settled.lock().unwrap().retain(|_, (settled, _)| settled.is_ok());
        Self { is_well: true, ..self.resumed() }
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

fn answer_of(call: &Call) -> Result<String, TaskFailure> {
    let name = call.model.rsplit('/').next().unwrap_or_default();
    let text = match (name, &call.expects) {
        ("search", _) if call.messages[0].content == "fails" => {
            return Err(TaskFailure::Failed(ErrorClass::ProviderAuth));
        }
        ("fails", _) => return Err(TaskFailure::Failed(ErrorClass::ProviderAuth)),
        ("stops", _) => return Err(TaskFailure::Stopped),
        // Three pages, of which all queries find the first.
        ("search", _) => {
            let query = &call.messages[0].content;
            let urls = ["same".to_owned(), format!("{query}/a"), format!("{query}/missing")];
            let found = urls.iter().filter_map(|url| SearchResult::new(url, &format!("https://a.example/{url}"), ""));
            SearchResults::of(found).to_text()
        }
        (model, None) => model.to_owned(),
        (model, Some(Expectation::Scores(scoring))) => {
            let score: u8 = model.rsplit('-').next().and_then(|last| last.parse().ok()).unwrap_or(3);
            let entry = |name: &String| serde_json::json!({"criterion": name, "score": score, "reason": model});
            let entries: Vec<serde_json::Value> = scoring.criteria.iter().map(entry).collect();
            serde_json::json!({ "evaluations": entries }).to_string()
        }
        ("flaky", Some(Expectation::Queries)) => r#"{"queries": ["flaky", "two"]}"#.to_owned(),
        ("half", Some(Expectation::Queries)) => r#"{"queries": ["fails", "two"]}"#.to_owned(),
        (_, Some(Expectation::Queries)) => r#"{"queries": ["one", "two"]}"#.to_owned(),
        (model, Some(Expectation::Report(numbers))) => format!("{model} says so {numbers:?}."),
        (_, Some(Expectation::Ranking(reviewing))) => {
            serde_json::json!({"critiques": [], "ranking": reviewing.labels}).to_string()
        }
        (_, Some(Expectation::Preference)) => r#"{"winner": "A", "reason": "the first"}"#.to_owned(),
    };
    Ok(text)
}

impl Journal for Recorder {
    fn call(&self, key: TaskKey, call: Call) -> BoxFuture<'_, Settled> {
        self.note(key.to_string());
        let is_ill = call.messages[0].content == "flaky" && !self.is_well;
        let told = if is_ill { Err(TaskFailure::Failed(ErrorClass::ProviderOverloaded)) } else { answer_of(&call) };
        let settled = told.map(|text| TaskAnswer { text, finish_reason: FinishReason::Stop });
        if settled != Err(TaskFailure::Stopped) {
            self.settled.lock().unwrap().insert(key.clone(), (settled.clone(), call.question));
        }
        self.calls.lock().unwrap().insert(key.to_string(), call);
        std::future::ready(settled).boxed()
    }

    fn find(&self, key: &TaskKey, question: Option<ContentHash>) -> Option<Settled> {
        self.looked_up.fetch_add(1, Ordering::Relaxed);
        (self.finder())(key, question)
    }

    fn finder(&self) -> Finder {
        let all = Arc::clone(&self.settled);
        Arc::new(move |key, question| {
            let (settled, answered) = all.lock().unwrap().get(key).cloned()?;
            (settled.is_err() || question.is_none() || answered == question).then_some(settled)
        })
    }

    fn place(&self) -> BoxFuture<'_, Result<Place, Stopped>> {
        std::future::ready(Ok(Box::new(()) as Place)).boxed()
    }

    fn fail(&self, keys: Vec<TaskKey>, class: ErrorClass, _reason: String) -> BoxFuture<'_, Result<(), Stopped>> {
        for key in keys {
            self.note(format!("fail {key}"));
            self.settled.lock().unwrap().entry(key).or_insert((Err(TaskFailure::Failed(class)), None));
        }
        std::future::ready(Ok(())).boxed()
    }

    fn keep(
        &self,
        keys: Vec<TaskKey>,
        question: Option<ContentHash>,
        text: String,
    ) -> BoxFuture<'_, Result<(), Stopped>> {
        for key in keys {
            self.note(format!("keep {key}"));
            let answer = TaskAnswer { text: text.clone(), finish_reason: FinishReason::Stop };
            self.settled.lock().unwrap().insert(key, (Ok(answer), question));
        }
        std::future::ready(Ok(())).boxed()
    }

    fn fetch(&self, key: TaskKey, url: String) -> BoxFuture<'_, Settled> {
        self.note(key.to_string());
        let page = if url.contains("missing") {
            Page::Unavailable { reason: "it is not there".to_owned() }
        } else {
            Page::read(&url, &format!("text of {url}"))
        };
        let settled = Ok(TaskAnswer { text: page.to_text(), finish_reason: FinishReason::Stop });
        self.settled.lock().unwrap().insert(key, (settled.clone(), Some(ContentHash::of(&url))));
        std::future::ready(settled).boxed()
    }

    fn text(&self, hash: ContentHash, _held: u64) -> BoxFuture<'_, Result<SharedText, Stopped>> {
        self.note(format!("text {hash}"));
        let text = ["one", "two"].into_iter().find(|text| ContentHash::of(text) == hash);
        std::future::ready(text.map(|text| Arc::new(text) as SharedText).ok_or(Stopped)).boxed()
    }

    fn compute(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'_, Result<(), Stopped>> {
        self.computed.fetch_add(1, Ordering::Relaxed);
        work();
        std::future::ready(Ok(())).boxed()
    }
}
