//! THE state machine of a run: what a command does, what a worker's step leads to (PROTOCOL rules 5, 9, 10). Pure; `store` asks
//! it with the run's row locked and writes what it answers, and nothing else moves a run's status.

use super::status::{Requested, RunStatus};

/// What a caller may ask of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Let the calls in flight finish and start no others, until resumed.
    Pause,
    /// Go on.
    Resume,
    /// End at once; calls in flight are dropped.
    Cancel,
    /// Try again what an ended run ended without.
    Retry,
}

/// What a worker that holds a run, or is about to, does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Takes it.
    Claim,
    /// Gives it back without ending it.
    Release,
    /// Ends it with this status.
    End(RunStatus),
}

/// Where a run stands, as far as commands and steps care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Its status.
    pub status: RunStatus,
    /// The command that its worker has not acted on yet; only a running run has one.
    pub requested: Option<Requested>,
    /// Whether a retry would ask for anything: a task has no answer, was not skipped, and lacks nothing but that.
    pub can_retry: bool,
}

/// What a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: it was given before, or there is nothing to do.
    Nothing,
    /// No worker has the run, so whoever commands takes the claim and gives it this status.
    Become(RunStatus),
    /// A worker has the run: the command stands until it acts.
    Ask(Requested),
    /// The command that stood is taken back.
    TakeBack,
}

/// Why a command cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// The run has ended.
    #[error("the run has ended already: it is {0}")]
    Ended(RunStatus),
    /// It has not ended.
    #[error("the run is {0}; only a run that has ended can be retried")]
    NotEnded(RunStatus),
    /// It is being cancelled, which nothing takes back.
    #[error("the run is being cancelled")]
    Cancelling,
    /// A retry would ask for nothing: all that is missing was skipped, or rests on what was skipped or is missing in the run that
    /// the answers were taken over from.
    #[error("a retry would change nothing: the run has an answer for every task that can be asked for again")]
    NothingMissing,
}

/// A step that must not be taken as the run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("a run that stands at {0:?} cannot take the step {1:?}")]
pub struct IllegalStep(pub Standing, pub Step);

impl Standing {
    /// What a command does to the run.
    pub fn command(self, command: Command) -> Result<Effect, Refusal> {
        if command == Command::Retry {
            return match self.status {
                status if !status.is_terminal() => Err(Refusal::NotEnded(status)),
                _ if !self.can_retry => Err(Refusal::NothingMissing),
                _ => Ok(Effect::Become(RunStatus::Queued)),
            };
        }
        match (self.status, self.requested, command) {
            (status, ..) if status.is_terminal() => Err(Refusal::Ended(status)),
            (RunStatus::Running, Some(Requested::Cancel), Command::Cancel)
            | (RunStatus::Running, Some(Requested::Pause), Command::Pause)
            | (RunStatus::Running, None, Command::Resume)
            | (RunStatus::Paused, _, Command::Pause)
            | (RunStatus::Queued, _, Command::Resume) => Ok(Effect::Nothing),
            (RunStatus::Running, Some(Requested::Cancel), _) => Err(Refusal::Cancelling),
            (RunStatus::Running, _, Command::Cancel) => Ok(Effect::Ask(Requested::Cancel)),
            (RunStatus::Running, None, _) => Ok(Effect::Ask(Requested::Pause)),
            (RunStatus::Running, Some(Requested::Pause), _) => Ok(Effect::TakeBack),
            (_, _, Command::Cancel) => Ok(Effect::Become(RunStatus::Cancelled)),
            (_, _, Command::Pause) => Ok(Effect::Become(RunStatus::Paused)),
            (_, _, Command::Resume | Command::Retry) => Ok(Effect::Become(RunStatus::Queued)),
        }
    }

    /// The status after a worker's step. A run that is to be cancelled only ends, and only as cancelled; one that is to pause is
    /// paused when it is given back, and may end before that.
    pub fn step(self, step: Step) -> Result<RunStatus, IllegalStep> {
        let illegal = Err(IllegalStep(self, step));
        match (self.status, step) {
            (RunStatus::Queued | RunStatus::Running, Step::Claim) => Ok(RunStatus::Running),
            (RunStatus::Running, Step::Release) => match self.requested {
                None => Ok(RunStatus::Queued),
                Some(Requested::Pause) => Ok(RunStatus::Paused),
                Some(Requested::Cancel) => illegal,
            },
            (RunStatus::Running, Step::End(end)) if end.is_terminal() => match self.requested {
                Some(Requested::Cancel) => Ok(RunStatus::Cancelled),
                None | Some(Requested::Pause) => Ok(end),
            },
            // A run that waits ends by a command or by its deadline.
            (RunStatus::Queued | RunStatus::Paused, Step::End(end)) if end.is_terminal() => Ok(end),
            _ => illegal,
        }
    }

    /// The run after an effect, with the other fields as they were.
    #[must_use]
    pub fn after(self, effect: Effect) -> Self {
        match effect {
            Effect::Nothing => self,
            Effect::Become(status) => Self { status, requested: None, ..self },
            Effect::Ask(requested) => Self { requested: Some(requested), ..self },
            Effect::TakeBack => Self { requested: None, ..self },
        }
    }

    /// The run after a step to `status`; for tests, of this machine and of the store.
    #[must_use]
    pub fn after_step(self, status: RunStatus) -> Self {
        let requested = self.requested.filter(|_| status == RunStatus::Running);
        Self { status, requested, ..self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMANDS: [Command; 4] = [Command::Pause, Command::Resume, Command::Cancel, Command::Retry];
    const STEPS: [Step; 6] = [
        Step::Claim,
        Step::Release,
        Step::End(RunStatus::Completed),
        Step::End(RunStatus::CompletedWithErrors),
        Step::End(RunStatus::Failed),
        Step::End(RunStatus::Cancelled),
    ];

    #[derive(Debug, Clone, Copy)]
    enum Move {
        Command(Command),
        Step(Step),
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let command = prop::sample::select(COMMANDS.to_vec()).prop_map(Move::Command);
        let step = prop::sample::select(STEPS.to_vec()).prop_map(Move::Step);
        prop::collection::vec(prop_oneof![command, step], 1..40)
    }

    fn is_legal(standing: Standing) -> bool {
        standing.requested.is_none() || standing.status == RunStatus::Running
    }

    proptest! {
        #[test]
        fn no_sequence_of_commands_and_steps_leads_to_an_illegal_state_or_loses_a_command(moves in moves()) {
            let mut now = Standing { status: RunStatus::Queued, requested: None, can_retry: true };
            let mut cancelled = false;
            for one in moves {
                let before = now;
                match one {
                    Move::Command(command) => if let Ok(effect) = now.command(command) {
                        now = now.after(effect);
                        // Twice is once.
                        if let Ok(again) = now.command(command) {
                            prop_assert_eq!(now.after(again), now, "{:?} twice after {:?}", command, before);
                        }
                        match command {
                            Command::Cancel => cancelled = true,
                            Command::Retry => cancelled = false,
                            Command::Pause => prop_assert!(
                                now.status == RunStatus::Paused || now.requested == Some(Requested::Pause)
                            ),
                            Command::Resume => prop_assert!(
                                now.status != RunStatus::Paused && now.requested.is_none()
                            ),
                        }
                    } else {
                        // A refused command changes nothing, and says what the run is.
                        prop_assert!(
                            before.status.is_terminal() || command == Command::Retry
                                || before.requested == Some(Requested::Cancel)
                        );
                    },
                    Move::Step(step) => if let Ok(status) = now.step(step) {
                        prop_assert!(!before.status.is_terminal(), "{:?} moved by {:?}", before, step);
                        now = now.after_step(status);
                        if before.requested == Some(Requested::Pause) {
                            prop_assert!(now.requested == before.requested || now.status != RunStatus::Queued);
                        }
                    },
                }
                prop_assert!(is_legal(now), "{:?}", now);
                if cancelled {
                    let stands = now.requested == Some(Requested::Cancel);
                    prop_assert!(stands || now.status == RunStatus::Cancelled, "a cancellation was lost: {:?}", now);
                }
            }
        }
    }

    #[test]
    fn every_run_that_has_not_ended_can_be_brought_to_an_end() {
        for status in RunStatus::ALL.into_iter().filter(|status| !status.is_terminal()) {
            let standing = Standing { status, requested: None, can_retry: true };
            let after = standing.after(standing.command(Command::Cancel).unwrap());
            let ended = after.status == RunStatus::Cancelled
                || after.step(Step::End(RunStatus::Completed)) == Ok(RunStatus::Cancelled);
            assert!(ended, "{status}");
            assert!(standing.step(Step::End(RunStatus::Failed)).is_ok(), "{status} at its deadline");
        }
    }

    #[test]
    fn an_ended_run_only_takes_a_retry_and_only_where_something_is_missing() {
        for status in RunStatus::ALL.into_iter().filter(|status| status.is_terminal()) {
            let standing = Standing { status, requested: None, can_retry: true };
            for command in [Command::Pause, Command::Resume, Command::Cancel] {
                assert_eq!(standing.command(command), Err(Refusal::Ended(status)));
            }
            assert_eq!(standing.command(Command::Retry), Ok(Effect::Become(RunStatus::Queued)));
            let whole = Standing { can_retry: false, ..standing };
            assert_eq!(whole.command(Command::Retry), Err(Refusal::NothingMissing));
            for step in STEPS {
                assert_eq!(standing.step(step), Err(IllegalStep(standing, step)));
            }
        }
    }
}
