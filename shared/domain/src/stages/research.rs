//! How a draft is researched: in each round the model plans queries, each is searched for, the best pages of each are read, and the
//! model takes notes on them; at the end it writes a report that cites the pages by number. `generate` calls it where the run asks
//! for research.
//!
//! Every step is a task whose key follows from its place, so that the number of tasks is known before the run starts: places that
//! turn out not to be needed are settled without a call. A page that cannot be read is no failure; a search that fails takes only
//! its own pages with it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::generate;
use super::lane::Lane;
use super::planned::PlannedTask;
use super::subject::{Draft, Subject, question};
use crate::call::{Call, CallSize, Message, Role};
use crate::journal::{Stopped, TaskKey};
use crate::judging::Expectation;
use crate::research::prompt::{self, MOST_NOTES_BYTES, MOST_QUESTION_BYTES, ShownPage};
use crate::research::{MOST_QUERY_BYTES, Queries, Sources, only};
use crate::run::{ModelSpec, ResearchSpec, RunSpec};
use crate::web::{Page, SearchResult, SearchResults, cut};

/// No search takes longer that is to come to anything.
const SEARCH_TIMEOUT: Duration = Duration::from_mins(1);

/// The research of one draft.
pub(super) struct Work<'a> {
    research: &'a ResearchSpec,
    /// The draft's task, which the report stands under.
    report: TaskKey,
    /// Who plans and takes notes.
    reader: &'a ModelSpec,
    /// Who writes.
    writer: &'a ModelSpec,
}

/// What one query has found.
struct Found {
    /// The pages that are to be read; `None` where the search has failed.
    chosen: Option<Vec<SearchResult>>,
    query: String,
}

impl<'a> Work<'a> {
    /// The research of a draft, where the run asks for any.
    pub(super) fn of(spec: &'a RunSpec, draft: &Draft<'a>) -> Option<Self> {
        let (research, writer) = (spec.research.as_ref()?, draft.writer?);
        let reader = spec.models.iter().position(|model| std::ptr::eq(model, writer))?;
        Some(Self { research, report: draft.key.clone(), reader: research.readers.get(reader)?, writer })
    }

    fn plan_key(&self, round: u32) -> TaskKey {
        self.report.below(&format!("plan/{round}"))
    }

    fn search_key(&self, round: u32, query: u32) -> TaskKey {
        self.report.below(&format!("search/{round}.{query}"))
    }

    fn page_key(&self, round: u32, query: u32, page: u32) -> TaskKey {
        self.report.below(&format!("page/{round}.{query}.{page}"))
    }

    fn notes_key(&self, round: u32, query: u32) -> TaskKey {
        self.report.below(&format!("notes/{round}.{query}"))
    }

    fn write_key(&self) -> TaskKey {
        self.report.below("write/1")
    }

    fn queries(&self) -> std::ops::RangeInclusive<u32> {
        1..=self.research.breadth
    }

    fn pages(&self) -> std::ops::RangeInclusive<u32> {
        1..=self.research.pages
    }

    /// What rests on the search of a query.
    fn keys_behind_search(&self, round: u32, query: u32) -> Vec<TaskKey> {
        let pages = self.pages().map(|page| self.page_key(round, query, page));
        pages.chain([self.notes_key(round, query)]).collect()
    }

    /// What rests on the plan of a round.
    fn keys_behind_plan(&self, round: u32) -> Vec<TaskKey> {
        let of = |query| [vec![self.search_key(round, query)], self.keys_behind_search(round, query)].concat();
        self.queries().flat_map(of).collect()
    }

    /// The keys in the order in which what stands behind rests on what stands before.
    fn steps(&self) -> Vec<Vec<TaskKey>> {
        let rounds = 1..=self.research.depth;
        let rounds = rounds.flat_map(|round| [vec![self.plan_key(round)], self.keys_behind_plan(round)]);
        rounds.chain([vec![self.write_key()], vec![self.report.clone()]]).collect()
    }

    /// The tasks that have an answer and rest on one that has none: once that is there, they are asked anew.
    pub(super) fn outdated(&self, is_settled: &impl Fn(&str) -> bool) -> Vec<TaskKey> {
        let (mut outdated, mut has_gap) = (Vec::new(), false);
        for step in self.steps() {
            let (settled, missing): (Vec<TaskKey>, Vec<TaskKey>) =
                step.into_iter().partition(|key| is_settled(key.as_str()));
            if has_gap {
                outdated.extend(settled);
            }
            has_gap |= !missing.is_empty();
        }
        outdated
    }

    /// The tasks, the report's last, in the order that people see.
    pub(super) fn plan(&self, spec: &'a RunSpec, subject: Subject, iteration: u32) -> Vec<PlannedTask<'a>> {
        let task = |key: TaskKey, model: Option<&'a ModelSpec>, size: CallSize| PlannedTask {
            key,
            stage: generate::NAME,
            is_result: false,
            document_index: subject.document_index,
            model,
            iteration,
            size,
            reads: 0,
            repair: None,
        };
        let repaired = |task: PlannedTask<'a>, expected: &Expectation| PlannedTask {
            repair: Some(expected.repair_size()),
            ..task
        };
        let nothing = CallSize { bytes: 0, messages: 0 };
        let mut tasks = Vec::new();
        for round in 1..=self.research.depth {
            let size = spec.size_about(subject, |task| self.plan_call(spec, task, round, "").size());
            let notes = if round > 1 { MOST_NOTES_BYTES as u64 } else { 0 };
            let size = CallSize { bytes: size.bytes + notes, ..size };
            tasks.push(repaired(task(self.plan_key(round), Some(self.reader), size), &Expectation::Queries));
            for query in self.queries() {
                let size = CallSize { bytes: MOST_QUERY_BYTES as u64, messages: 1 };
                tasks.push(task(self.search_key(round, query), Some(&self.research.search), size));
                tasks.extend(self.pages().map(|page| task(self.page_key(round, query, page), None, nothing)));
                let size = CallSize { bytes: prompt::overhead::notes(self.research.pages), messages: 1 };
                tasks.push(task(self.notes_key(round, query), Some(self.reader), size));
            }
        }
        let asked = spec.call_size(subject.document(spec));
        let bytes = asked.bytes + prompt::overhead::report(self.research.most_pages());
        let write = task(self.write_key(), Some(self.writer), CallSize { bytes, ..asked });
        tasks.push(repaired(write, &Expectation::Report(Vec::new())));
        tasks.push(PlannedTask { is_result: true, ..task(self.report.clone(), None, nothing) });
        tasks
    }

    fn plan_call(&self, spec: &RunSpec, task: &str, round: u32, notes: &str) -> Call {
        let content = prompt::plan(task, round, self.research.breadth, notes);
        let call = spec.call_about(self.reader, vec![Message { role: Role::User, content }]);
        Call { expects: Some(Expectation::Queries), ..call }
    }

    fn search_call(&self, spec: &RunSpec, query: &str) -> Call {
        let message = Message { role: Role::User, content: query.to_owned() };
        let call = spec.call_about(&self.research.search, vec![message]);
        Call { timeout: call.timeout.min(SEARCH_TIMEOUT), ..call }
    }

    /// Researches, and writes the report: its text, or `None` where there will be none.
    pub(super) async fn write(&self, lane: &Lane<'_>) -> Result<Option<String>, Stopped> {
        let (mut sources, mut notes, mut seen) = (Sources::default(), Vec::new(), BTreeSet::new());
        for round in 1..=self.research.depth {
            notes.extend(self.round(lane, round, &notes.join("\n\n"), &mut sources, &mut seen).await?);
        }
        if notes.is_empty() {
            let keys = vec![self.write_key(), self.report.clone()];
            lane.lack(keys, "no page was found and read that a report could rest on").await?;
            return Ok(None);
        }
        let (all, numbers) = (notes.join("\n\n"), sources.numbers());
        let document = lane.subject.document(lane.spec);
        let ask = |text: Option<&str>| {
            let mut call = lane.spec.call(self.writer, document.zip(text));
            if let Some(last) = call.messages.last_mut() {
                last.content = prompt::report(&last.content, &all, &numbers);
            }
            Call { expects: Some(Expectation::Report(numbers.clone())), ..call }
        };
        let written = lane.ask(self.write_key(), Some(question([all.as_str()])), ask).await?;
        // That a report cites its sources was checked when it came.
        let Some(report) = written.and_then(|text| sources.finish(&text).ok()) else {
            lane.lack(vec![self.report.clone()], "the report could not be written").await?;
            return Ok(None);
        };
        lane.keep(vec![self.report.clone()], Some(question([report.as_str()])), report).await?;
        // A command may have left it out meanwhile.
        Ok(lane.find(&self.report, None))
    }

    /// One round: the notes on what its queries have found.
    async fn round(
        &self,
        lane: &Lane<'_>,
        round: u32,
        known: &str,
        sources: &mut Sources,
        seen: &mut BTreeSet<String>,
    ) -> Result<Vec<String>, Stopped> {
        let ask = |text: Option<&str>| self.plan_call(lane.spec, &lane.task(text), round, known);
        let planned = lane.ask(self.plan_key(round), Some(question([known])), ask).await?;
        let Some(Queries(queries)) = planned.and_then(|answer| Queries::read(&answer).ok()) else {
            lane.lack(self.keys_behind_plan(round), "the queries could not be planned").await?;
            return Ok(Vec::new());
        };
        let query_of = |number: u32| queries.get(number as usize - 1).map(String::as_str);
        lane.all(self.queries().map(|number| self.search(lane, round, number, query_of(number)))).await?;
        let mut found: Vec<Found> = Vec::new();
        for number in self.queries() {
            let results =
                lane.find(&self.search_key(round, number), None).map(|text| SearchResults::read(&text).results);
            let choose = |results: Vec<SearchResult>| {
                let new = results.into_iter().filter(|result| seen.insert(result.url.clone()));
                new.take(self.research.pages as usize).collect()
            };
            found.push(Found { chosen: results.map(choose), query: query_of(number).unwrap_or_default().to_owned() });
        }
        let numbered = || self.queries().zip(&found);
        lane.all(numbered().map(|(number, found)| self.read(lane, round, number, found))).await?;
        // Numbers are given in the order of the places, whichever page came first.
        let mut noted = Vec::new();
        for (number, found) in numbered() {
            noted.push((number, found, self.pages_read(lane, round, number, found, sources)));
        }
        lane.all(noted.iter().map(|(number, found, pages)| self.note(lane, round, *number, found, pages))).await?;
        let most = MOST_NOTES_BYTES / (self.research.breadth * self.research.depth) as usize;
        let notes = noted.iter().filter_map(|(number, _, pages)| {
            let text = lane.find(&self.notes_key(round, *number), None)?;
            // A page that made the model name another page's number has its words marked.
            let text = only(cut(&text, most), &pages.iter().map(|page| page.0).collect::<Vec<_>>());
            // What marks them may be longer than what was marked.
            let text = cut(&text, most.saturating_sub(2));
            (!text.trim().is_empty()).then(|| text.to_owned())
        });
        Ok(notes.collect())
    }

    /// Searches for a query, where there is one in this place.
    async fn search(&self, lane: &Lane<'_>, round: u32, number: u32, query: Option<&str>) -> Result<(), Stopped> {
        let key = self.search_key(round, number);
        match query {
            Some(query) => {
                lane.ask(key, Some(question([query])), |_| self.search_call(lane.spec, query)).await.map(|_| ())
            }
            None => lane.keep(vec![key], Some(question([])), SearchResults::default().to_text()).await,
        }
    }

    /// Reads the pages that were chosen for a query.
    async fn read(&self, lane: &Lane<'_>, round: u32, number: u32, found: &Found) -> Result<(), Stopped> {
        let Some(chosen) = &found.chosen else {
            return lane.lack(self.keys_behind_search(round, number), "the search has failed").await;
        };
        let places = self.pages().map(|page| {
            let (key, result) = (self.page_key(round, number, page), chosen.get(page as usize - 1));
            async move {
                match result {
                    Some(result) => lane.fetch(key, &result.url).await.map(|_| ()),
                    None => lane.keep(vec![key], Some(question([])), Page::NotNeeded.to_text()).await,
                }
            }
        });
        lane.all(places).await
    }

    /// The pages that were read for a query: number, address and text.
    fn pages_read(
        &self,
        lane: &Lane<'_>,
        round: u32,
        number: u32,
        found: &Found,
        sources: &mut Sources,
    ) -> Vec<(u32, String, String)> {
        let chosen = self.pages().zip(found.chosen.iter().flatten());
        let read = chosen.filter_map(|(page, result)| {
            match Page::of_text(&lane.find(&self.page_key(round, number, page), None)?) {
                Page::Read { url, text } => Some((sources.add(&url, &result.title), url, text)),
                Page::Unavailable { .. } | Page::NotNeeded => None,
            }
        });
        read.collect()
    }

    /// Takes notes on the pages of a query.
    async fn note(
        &self,
        lane: &Lane<'_>,
        round: u32,
        number: u32,
        found: &Found,
        pages: &[(u32, String, String)],
    ) -> Result<(), Stopped> {
        let key = self.notes_key(round, number);
        if found.chosen.is_none() {
            return Ok(());
        }
        if pages.is_empty() {
            return lane.keep(vec![key], Some(question([])), String::new()).await;
        }
        let ask = |text: Option<&str>| {
            let document = lane.subject.document(lane.spec).zip(text);
            let asked = lane.spec.task_within(document, MOST_QUESTION_BYTES);
            let shown: Vec<ShownPage<'_>> =
                pages.iter().map(|(number, url, text)| ShownPage { number: *number, url, text }).collect();
            let content = prompt::notes(&asked, &found.query, &shown);
            lane.spec.call_about(self.reader, vec![Message { role: Role::User, content }])
        };
        // The numbers too: they are others once a search before this one has found pages after all.
        let numbers: Vec<String> = pages.iter().map(|(number, ..)| number.to_string()).collect();
        let shown = pages.iter().zip(&numbers).flat_map(|((_, url, text), number)| [number.as_str(), url, text]);
        let asked = question(shown.chain([found.query.as_str()]));
        lane.ask(key, Some(asked), ask).await.map(|_| ())
    }
}
