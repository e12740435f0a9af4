//! Runs that judge the answers of another run (`answers_of`): the other run is found before the new one is compiled, and held while
//! its answers are copied. Called by `material` and `submit`.

use std::borrow::Cow;

use acm2_domain::error::{Error, FieldError, Kind};
use acm2_domain::ids::RunId;
use acm2_domain::run::{Material, NewRun, RunSpec};
use acm2_store::TenantTx;
use acm2_store::runs::{self, AnswersOf, RunRow};

use crate::auth::{Caller, Scope};
use crate::material::{self, Compiled};
use crate::problem::Failure;

/// Compiles a request over the run whose answers it takes over, for which the caller's key needs `runs:read`.
pub(crate) async fn compile<'a>(caller: &Caller, body: &'a NewRun, source: RunId) -> Result<Compiled<'a>, Failure> {
    material::require(caller, Scope::RunsRead)?;
    if material::names_library(body) {
        material::require(caller, Scope::LibraryRead)?;
    }
    let tx = caller.store().begin().await?;
    let source = usable(runs::find_answers(&tx, source).await?)?;
    if source.spec.conversation.is_some() {
        let detail = "goes on a conversation, whose messages a run over its answers would show to others; ask anew";
        return Err(Error::invalid(vec![FieldError::new("/answers_of", detail)]).into());
    }
    let longest_answer = runs::find_longest_answer(&tx, &source).await?;
    let found = Material { longest_answer, ..material::find(&tx, body).await? };
    tx.commit().await?;
    let spec = body.compile_over(&source.spec, &caller.app.prices, &found).map_err(Error::invalid)?;
    Ok(Compiled { body: Cow::Borrowed(body), spec })
}

/// Holds the run whose answers a new run takes over, if it takes any over, until the end of the transaction. It may have been
/// deleted or retried since it was found: on a failure nothing of the transaction may be committed.
pub(crate) async fn hold(tx: &TenantTx, spec: &RunSpec) -> Result<(), Failure> {
    let Some(source) = spec.answers_of else { return Ok(()) };
    let source = usable(runs::hold_answers(tx, source).await?)?;
    // The new run's money is reserved by the length of what it reads.
    if runs::find_longest_answer(tx, &source).await? > spec.longest_answer {
        let detail = "the answers of the run in /answers_of changed while this was being accepted; submit it again";
        return Err(Error::new(Kind::Conflict, "answers_changed", detail).into());
    }
    Ok(())
}

fn usable(answers: AnswersOf) -> Result<Box<RunRow>, Error> {
    let detail = match answers {
        AnswersOf::Run(run) => return Ok(run),
        AnswersOf::Missing => "there is no such run",
        AnswersOf::NotEnded => "has not ended; wait for its end or cancel it",
        AnswersOf::Unanswered => "has no answer that could be taken over",
    };
    Err(Error::invalid(vec![FieldError::new("/answers_of", detail)]))
}
