//! What becomes of the conversation that a run goes on: once the run has ended with an answer, the question and the answer are
//! added to it. Called in the transaction that ends the run.

use acm2_domain::ids::RunId;
use acm2_domain::journal::TaskKey;
use acm2_domain::stages::{self, Subject};
use chrono::{DateTime, Utc};

use super::final_answers::{final_answer, text_of};
use super::tasks::TaskOutcome;
use super::{find, list_tasks};
use crate::conversations::messages::{self, Exchange};
use crate::{StoreError, TenantTx};

/// Adds them, where the run goes on a conversation and has an answer. Once: a run that was retried ends again.
pub async fn go_on(tx: &TenantTx, run: RunId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let Some(row) = find(tx, run).await? else { return Ok(()) };
    let (Some(conversation), Some(question)) = (row.spec.conversation, row.spec.question()) else { return Ok(()) };
    let Some(subject) = Subject::all(&row.spec).next() else { return Ok(()) };
    let tasks = list_tasks(tx, run).await?;
    let Some(answer) = final_answer(&row, subject, &tasks) else { return Ok(()) };
    let Some(TaskOutcome::Answered(answer)) = tasks.get(&answer.task_key).map(|task| &task.outcome) else {
        return Ok(());
    };
    let title = stages::title(&row.spec, subject, &|key: &TaskKey, question| text_of(&tasks, key, question));
    let exchange = Exchange { run, question: &question, answer: &answer.text, title: title.as_deref() };
    messages::append_exchange(tx, conversation, exchange, now).await
}
