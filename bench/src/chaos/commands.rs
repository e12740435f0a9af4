//! What tenants change their minds about: one row for each command without a body that a run can be given. Only those that the server's
//! specification has are used. A new command is a row here; the one with a body stands in `skips`.

/// A command on a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    /// The last part of `POST /api/v1/runs/{run_id}/…`.
    pub(crate) path: &'static str,
    /// Of how many runs in a hundred.
    pub(crate) percent: u32,
    /// What is sent a while later, so that the run goes on.
    pub(crate) then: Option<&'static str>,
}

/// All of them.
pub(crate) const COMMANDS: &[Command] = &[
    Command { path: "cancel", percent: 4, then: None },
    Command { path: "cancel", percent: 5, then: Some("retry") },
    Command { path: "pause", percent: 8, then: Some("resume") },
];
