//! What goes into an export, in which order and under which names.

use acm2_domain::content_hash::ContentHash;
use acm2_domain::ids::ArtifactId;
use acm2_domain::judged::Judging;
use acm2_domain::run::{DocumentSpec, Event, Run, Task};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::names::{ImageFile, answer_name, document_name, images};
use crate::images::Images;
use crate::tables::Table;
use crate::{Failed, Reported, page};

const README: &str = "What is in this archive\r\n\r\n\
    report.html          everything at a glance; open it in a browser\r\n\
    run.json             the run with every answer, as the API shows it\r\n\
    tasks.json           every call, those of judges too, with what came of it\r\n\
    judging.json         every figure about the answers and the judges, by document, and the final answers\r\n\
    events.json          the timeline\r\n\
    tables/*.csv         the same as tables, in UTF-8\r\n\
    answers/*.txt        the text of each answer; tables/tasks.csv says which is whose\r\n\
    images/*             the images; images.json says which is whose\r\n\
    images.json          the images, with the task and the model of each\r\n\
    documents/*.txt      the documents that the run is about\r\n\r\n\
    In the tables an apostrophe stands before a text that a spreadsheet would take for a formula.\r\n";

/// Everything of a run but the texts of its documents and the bytes of its images.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The run, with results and what it ended without.
    pub run: Run,
    /// All its tasks.
    pub tasks: Vec<Task>,
    /// How each subject was judged, with every single judgement.
    pub judging: Vec<Judging>,
    /// Its timeline.
    pub events: Vec<Event>,
    /// When the export is made.
    pub made_at: DateTime<Utc>,
}

/// One file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub name: String,
    /// What is in it.
    pub content: Content,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What the archive holds.
    Readme,
    /// The page.
    Report,
    /// The run.
    Run,
    /// The tasks.
    Tasks,
    /// The judging.
    Judging,
    /// The events.
    Events,
    /// A table.
    Table(Table),
    /// The list of images.
    Images,
    /// The answer of the task at this place of the results.
    Answer(usize),
    /// The image with this id, which only the store has.
    Image(ArtifactId),
    /// The text with this hash, which only the store has.
    Document(ContentHash),
}

impl Export {
    /// Every file, in the order of the archive. `documents`: those of the run's specification.
    pub fn entries(&self, documents: &[DocumentSpec]) -> Vec<Entry> {
        let entry = |name: &str, content| Entry { name: name.to_owned(), content };
        let mut entries = vec![
            entry("README.txt", Content::Readme),
            entry("report.html", Content::Report),
            entry("run.json", Content::Run),
            entry("tasks.json", Content::Tasks),
            entry("judging.json", Content::Judging),
            entry("events.json", Content::Events),
            entry("images.json", Content::Images),
        ];
        entries.extend(
            Table::ALL
                .map(|table| Entry { name: format!("tables/{}.csv", table.name()), content: Content::Table(table) }),
        );
        let tasks = self.run.results.iter().flatten().enumerate();
        let named = tasks.filter_map(|(at, task)| Some((at, answer_name(at, task)?)));
        entries.extend(named.map(|(at, name)| Entry { name, content: Content::Answer(at) }));
        let image =
            |ImageFile { name, artifact, .. }: ImageFile<'_>| Entry { name, content: Content::Image(artifact.id) };
        entries.extend(images(&self.run).map(image));
        let documents = documents.iter().enumerate();
        entries.extend(documents.map(|(at, document)| Entry {
            name: document_name(at, &document.name),
            content: Content::Document(document.hash),
        }));
        entries
    }

    /// What is in a file; none for a document and for an image. `held`: the images that the page holds.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn bytes(&self, content: Content, held: &Images) -> Result<Option<Vec<u8>>, Failed> {
        let reported = self.reported(held);
        Ok(Some(match content {
            Content::Readme => README.as_bytes().to_vec(),
            Content::Report => page::render(reported)?.into_bytes(),
            Content::Run => serde_json::to_vec_pretty(&self.run)?,
            Content::Tasks => serde_json::to_vec_pretty(&json!({"items": self.tasks}))?,
            Content::Judging => serde_json::to_vec_pretty(&json!({"items": self.judging}))?,
            Content::Images => serde_json::to_vec_pretty(&json!({"items": self.image_list()}))?,
            Content::Events => serde_json::to_vec_pretty(&json!({"items": self.events}))?,
            Content::Table(table) => table.write(reported)?,
            Content::Answer(at) => {
                let task = self.run.results.iter().flatten().nth(at);
                task.and_then(|task| task.text.clone()).unwrap_or_default().into_bytes()
            }
            Content::Document(_) | Content::Image(_) => return Ok(None),
        }))
    }

    /// Every image: its file, who made it and what it is.
    fn image_list(&self) -> Vec<Value> {
        let listed = |ImageFile { name, task, artifact }: ImageFile<'_>| {
            json!({"file": name, "task_key": task.key, "document": task.document, "model": task.model,
                "iteration": task.iteration, "artifact": artifact})
        };
        images(&self.run).map(listed).collect()
    }

    fn reported<'a>(&'a self, images: &'a Images) -> Reported<'a> {
        Reported {
            run: &self.run,
            tasks: &self.tasks,
            judging: &self.judging,
            events: &self.events,
            images,
            made_at: self.made_at,
        }
    }
}
