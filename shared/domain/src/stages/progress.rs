//! Which stages of a run have begun and which are through, as its timeline tells. Pure; the worker asks it what a transaction has
//! to tell beside its tasks, and the store tells what the timeline says already.

use super::to_do;
use crate::run::{EventType, NewEvent, RunSpec};

/// How far each stage of a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageProgress {
    /// Those that have anything to do, in the order of the pipeline.
    stages: Vec<One>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct One {
    name: &'static str,
    /// How many tasks it has.
    tasks: usize,
    /// How many of them are not settled.
    left: usize,
    started_told: bool,
    completed_told: bool,
}

impl One {
    fn start(&mut self, events: &mut Vec<NewEvent>) {
        if !self.started_told {
            self.started_told = true;
            events.push(NewEvent::of_stage(EventType::StageStarted, self.name));
        }
    }

    fn complete(&mut self, events: &mut Vec<NewEvent>) {
        if !self.completed_told {
            self.start(events);
            self.completed_told = true;
            events.push(NewEvent::of_stage(EventType::StageCompleted, self.name));
        }
    }
}

impl StageProgress {
    /// That of a run of which nothing is settled and nothing told.
    pub fn of(spec: &RunSpec) -> Self {
        let mut stages: Vec<One> = Vec::new();
        for task in to_do(spec) {
            match stages.last_mut() {
                Some(one) if one.name == task.stage => one.tasks += 1,
                _ => {
                    stages.push(One {
                        name: task.stage,
                        tasks: 1,
                        left: 0,
                        started_told: false,
                        completed_told: false,
                    });
                }
            }
        }
        for one in &mut stages {
            one.left = one.tasks;
        }
        Self { stages }
    }

    /// Takes in how the run stands: the keys of its settled tasks, and what its timeline tells of stages.
    pub fn read<'a>(
        &mut self,
        settled: impl IntoIterator<Item = &'a str>,
        told: impl IntoIterator<Item = (EventType, &'a str)>,
    ) {
        for one in &mut self.stages {
            (one.left, one.started_told, one.completed_told) = (one.tasks, false, false);
        }
        for key in settled {
            if let Some(one) = self.find(stage_of(key)) {
                one.left = one.left.saturating_sub(1);
            }
        }
        for (event, stage) in told {
            match (event, self.find(stage)) {
                (EventType::StageStarted, Some(one)) => one.started_told = true,
                // What was completed before a retry is not, while some of it is done anew.
                (EventType::StageCompleted, Some(one)) => one.completed_told = one.left == 0,
                _ => {}
            }
        }
    }

    /// These tasks are asked for, or about to be settled: the stages that begin with them.
    pub fn start<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) -> Vec<NewEvent> {
        let mut events = Vec::new();
        for key in keys {
            if let Some(one) = self.find(stage_of(key)) {
                one.start(&mut events);
            }
        }
        events
    }

    /// These tasks are settled: the stages that are through, also those of which a command has settled the last.
    pub fn settle<'a>(&mut self, keys: impl IntoIterator<Item = &'a str>) -> Vec<NewEvent> {
        for key in keys {
            if let Some(one) = self.find(stage_of(key)) {
                one.left = one.left.saturating_sub(1);
            }
        }
        let mut events = Vec::new();
        for one in self.stages.iter_mut().filter(|one| one.left == 0) {
            one.complete(&mut events);
        }
        events
    }

    /// All tasks of the run are settled: the stages of which that was not told yet.
    pub fn end(&mut self) -> Vec<NewEvent> {
        let mut events = Vec::new();
        for one in &mut self.stages {
            one.left = 0;
            one.complete(&mut events);
        }
        events
    }

    /// The answer of this task is taken away: it is to be settled anew.
    pub fn reopen(&mut self, key: &str) {
        if let Some(one) = self.find(stage_of(key)) {
            one.left = (one.left + 1).min(one.tasks);
            one.completed_told = false;
        }
    }

    fn find(&mut self, name: &str) -> Option<&mut One> {
        self.stages.iter_mut().find(|one| one.name == name)
    }
}

/// The stage of a task: the first part of its key.
fn stage_of(key: &str) -> &str {
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::plan;
    use super::*;
    use crate::ids::RunId;
    use crate::prices::Prices;
    use crate::run::NewRun;

    fn spec(body: Value) -> RunSpec {
        serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap()
    }

    fn judged() -> RunSpec {
        spec(json!({
            "prompt": "hi", "models": ["sandbox/a", "sandbox/b"],
            "documents": [{"name": "one", "text": "x"}, {"name": "two", "text": "y"}],
            "stages": {"evaluate": {"judges": ["sandbox/j"]}, "combine": {"models": ["sandbox/a"]},
                       "title": {"model": "sandbox/t"}},
        }))
    }

    fn keys(spec: &RunSpec, stage: &str) -> Vec<String> {
        plan(spec).into_iter().filter(|task| task.stage == stage).map(|task| task.key.to_string()).collect()
    }

    fn told(events: &[NewEvent]) -> Vec<String> {
        let told =
            |event: &NewEvent| format!("{} {}", event.event_type.as_str(), event.data["stage"].as_str().unwrap());
        events.iter().map(told).collect()
    }

    fn strs(keys: &[String]) -> impl Iterator<Item = &str> {
        keys.iter().map(String::as_str)
    }

    #[test]
    fn the_key_of_every_task_begins_with_its_stage() {
        let research = spec(json!({"prompt": "hi", "models": ["sandbox/a"], "generator": "research",
            "research": {"provider": "tavily"}}));
        for spec in [judged(), research] {
            assert!(plan(&spec).iter().all(|task| stage_of(task.key.as_str()) == task.stage));
        }
    }

    #[test]
    fn a_stage_begins_with_its_first_task_and_is_through_with_its_last() {
        let spec = judged();
        let mut progress = StageProgress::of(&spec);
        let (answers, scores) = (keys(&spec, "generate"), keys(&spec, "evaluate"));
        assert_eq!(told(&progress.start(strs(&answers))), ["stage.started generate"]);
        assert_eq!(progress.start(strs(&answers)), []);
        assert_eq!(progress.settle(strs(&answers[1..])), []);
        assert_eq!(told(&progress.start(strs(&scores[..1]))), ["stage.started evaluate"]);
        assert_eq!(told(&progress.settle(strs(&answers[..1]))), ["stage.completed generate"]);
        assert_eq!(told(&progress.settle(strs(&scores))), ["stage.completed evaluate"]);
        assert_eq!(
            told(&progress.end()),
            ["stage.started combine", "stage.completed combine", "stage.started title", "stage.completed title"]
        );
        assert_eq!(progress.end(), []);
    }

    #[test]
    fn what_is_read_again_is_told_once() {
        let spec = judged();
        let (mut progress, answers) = (StageProgress::of(&spec), keys(&spec, "generate"));
        progress.read(strs(&answers[1..]), [(EventType::StageStarted, "generate")]);
        assert_eq!(progress.start(strs(&answers)), []);
        assert_eq!(told(&progress.settle(strs(&answers[..1]))), ["stage.completed generate"]);
        let whole = [(EventType::StageStarted, "generate"), (EventType::StageCompleted, "generate")];
        progress.read(strs(&answers), whole);
        assert_eq!(progress.settle([]), []);
        // A command has settled the last: nobody has told yet.
        progress.read(strs(&answers), whole.into_iter().take(1));
        assert_eq!(told(&progress.settle([])), ["stage.completed generate"]);
    }

    #[test]
    fn what_a_retry_does_anew_is_completed_again_and_started_once() {
        let spec = judged();
        let (mut progress, answers) = (StageProgress::of(&spec), keys(&spec, "generate"));
        let whole = [(EventType::StageStarted, "generate"), (EventType::StageCompleted, "generate")];
        progress.read(strs(&answers[1..]), whole);
        assert_eq!(progress.start(strs(&answers[..1])), []);
        assert_eq!(told(&progress.settle(strs(&answers[..1]))), ["stage.completed generate"]);
        progress.reopen(&answers[2]);
        assert_eq!(progress.settle([]), []);
        assert_eq!(told(&progress.settle(strs(&answers[2..3]))), ["stage.completed generate"]);
    }

    #[test]
    fn answers_that_are_taken_over_are_no_stage_of_the_run() {
        let spec = RunSpec { answers_of: Some(RunId::generate()), ..judged() };
        let (mut progress, answers) = (StageProgress::of(&spec), keys(&spec, "generate"));
        progress.read(strs(&answers), []);
        assert_eq!(progress.settle([]), []);
        assert!(told(&progress.end()).iter().all(|event| !event.ends_with(" generate")));
    }
}
