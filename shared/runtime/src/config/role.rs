//! The roles in which the one binary runs, as far as they ask different things of the configuration.

/// What this process is going to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process: `acm2 serve`.
    Serve,
    /// HTTP only: `acm2 api`.
    Api,
    /// Runs and deliveries only: `acm2 worker`.
    Worker,
}

impl Role {
    pub(super) const fn command(self) -> &'static str {
        match self {
            Self::Serve => "acm2 serve",
            Self::Api => "acm2 api",
            Self::Worker => "acm2 worker",
        }
    }
}
