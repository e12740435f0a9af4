//! The fair queue on Redis: turns calls into scripts (each touches one queue's slot, is atomic, and uses the server's
//! clock) and their answers into leases.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::redis::{Script, ScriptInvocation, cmd, pipe};
use acm2_domain::ids::{JobId, TenantId, WorkerId};
use acm2_domain::job::{Job, Queue};
use acm2_domain::standing::Standing;
use async_trait::async_trait;
use tokio::time::Instant;
use tracing::warn;

use super::LAYOUT;
use super::entry::{FIELDS, from_fields, to_fields};
use super::link::Link;
use super::scripts::Scripts;
use super::wake::Waits;
use crate::charge::{self, cost, micros};
use crate::dispatch::{BrokerError, Claimant, Depth, Dispatch, Lease, Load, Renewal, Used};
use crate::open::BrokerOptions;

/// How much one script call is given to do: the server does nothing else while it runs.
const BATCH: usize = 500;
/// The shortest wait between two claims, where due times lie so near that they would follow each other at once.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// The longest, where nothing says when something comes.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// The fair queue on Redis.
pub(crate) struct RedisDispatch {
    link: Arc<Link>,
    waits: Waits,
    scripts: Scripts,
    options: BrokerOptions,
    /// Who claims through this process.
    claimants: Mutex<HashMap<(Queue, WorkerId), Claims>>,
}

/// What is kept of a worker's claims.
#[derive(Debug, Clone, Copy)]
struct Claims {
    /// A full worker does not claim; its renewals tell that its permits still count.
    permits: usize,
    /// The last claim left nothing to claim; `Some` with the time at which that changes by itself. Whatever else changes it leaves
    /// a wake, so that the next claim may wait for that first.
    nothing_until: Option<Instant>,
}

/// An answer to a claim.
struct Claimed {
    leases: Vec<Lease>,
    /// How long until a lease ends or a delayed job is due.
    next: Option<Duration>,
    /// Whether there may be more to claim.
    more: bool,
}

impl fmt::Debug for RedisDispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDispatch").field("options", &self.options).finish_non_exhaustive()
    }
}

impl RedisDispatch {
    pub(crate) fn new(link: Arc<Link>, options: BrokerOptions) -> Self {
        Self {
            waits: Waits::new(Arc::clone(&link)),
            link,
            scripts: Scripts::new(),
            options,
            claimants: Mutex::default(),
        }
    }

    /// What the names of a queue's keys begin with; the braces are the hash tag that keeps them in one slot.
    fn prefix(&self, queue: Queue) -> String {
        format!("{}:{LAYOUT}:{{{}}}:", self.options.namespace, queue.as_str())
    }

    /// One key for all queues: what loses one of them whole has lost the others.
    fn mark(&self) -> String {
        format!("{}mark", self.prefix(Queue::Runs))
    }

    fn invocation<'a>(&self, script: &'a Script, queue: Queue) -> ScriptInvocation<'a> {
        script.key(self.prefix(queue))
    }

    fn claimants(&self) -> std::sync::MutexGuard<'_, HashMap<(Queue, WorkerId), Claims>> {
        self.claimants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One claim without waiting.
    async fn claim_now(&self, queue: Queue, claimant: Claimant, most: usize) -> Result<Claimed, BrokerError> {
        let token: u64 = rand::random();
        let mut script = self.invocation(&self.scripts.claim, queue);
        script.arg(most.min(BATCH)).arg(millis(self.options.lease)).arg(token.to_string());
        script.arg(self.options.tenant_share_percent).arg(claimant.worker.to_string()).arg(claimant.permits);
        script.arg(charge::FIRST).arg(charge::LEAST);
        let answer: Vec<String> = self.link.invoke(&script).await?;
        let [next, more, jobs @ ..] = answer.as_slice() else {
            return Err(BrokerError("a claim was answered with nothing".to_owned()));
        };
        let mut leases = Vec::with_capacity(jobs.len() / FIELDS);
        for fields in jobs.chunks(FIELDS) {
            if let Some(job) = from_fields(fields) {
                leases.push(Lease { job, token });
            } else {
                // A process of a later version may understand it: it is free again when the lease ends.
                warn!(job.id = fields.first(), "a job of an unknown kind was left to others");
            }
        }
        Ok(Claimed { leases, next: next.parse().ok().map(Duration::from_millis), more: !more.is_empty() })
    }

    async fn renew_in(&self, queue: Queue, leases: &[Lease]) -> Result<Vec<Renewal>, BrokerError> {
        let workers: Vec<(WorkerId, usize)> = self
            .claimants()
            .iter()
            .filter(|((of, _), _)| *of == queue)
            .map(|((_, worker), claims)| (*worker, claims.permits))
            .collect();
        let mut script = self.invocation(&self.scripts.renew, queue);
        script.arg(millis(self.options.lease)).arg(workers.len());
        for (worker, permits) in workers {
            script.arg(worker.to_string()).arg(permits);
        }
        for lease in leases {
            script.arg(lease.job.id.to_string()).arg(lease.token.to_string());
        }
        let answers: Vec<String> = self.link.invoke(&script).await?;
        if answers.len() != leases.len() {
            return Err(BrokerError("a renewal was answered with another number of answers".to_owned()));
        }
        answers
            .iter()
            .map(|answer| match answer.as_str() {
                "kept" => Ok(Renewal::Kept),
                "taken" => Ok(Renewal::Taken),
                "unknown" => Ok(Renewal::Unknown),
                _ => Err(BrokerError("a renewal was answered with an unknown word".to_owned())),
            })
            .collect()
    }
}

#[async_trait]
impl Dispatch for RedisDispatch {
    async fn push(&self, jobs: &[Job], delay: Duration) -> Result<(), BrokerError> {
        for queue in Queue::ALL {
            let of_queue: Vec<&Job> = jobs.iter().filter(|job| job.work.queue() == queue).collect();
            for batch in of_queue.chunks(BATCH) {
                let mut script = self.invocation(&self.scripts.push, queue);
                script.arg(millis(delay));
                for job in batch {
                    script
                        .arg(&to_fields(job))
                        .arg(job.weight.map_or(String::new(), |weight| weight.max(1).to_string()));
                }
                self.link.invoke::<()>(&script).await?;
            }
        }
        Ok(())
    }

    async fn claim(
        &self,
        queue: Queue,
        claimant: Claimant,
        most: usize,
        wait: Duration,
    ) -> Result<Vec<Lease>, BrokerError> {
        let deadline = Instant::now() + wait;
        let claims = Claims { permits: claimant.permits, nothing_until: None };
        let before = self.claimants().insert((queue, claimant.worker), claims);
        let list = format!("{}wake", self.prefix(queue));
        let mut nothing_until = before.and_then(|claims| claims.nothing_until);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(until) = nothing_until.filter(|_| !left.is_zero() && most > 0) {
                let longest = until.saturating_duration_since(Instant::now()).max(SHORTEST_WAIT);
                self.waits.wait(&list, longest.min(left)).await?;
            }
            let Claimed { leases, next, more } = self.claim_now(queue, claimant, most).await?;
            let now = Instant::now();
            let until = now + next.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
            if !leases.is_empty() || now >= deadline || most == 0 {
                let nothing_until = (!more).then_some(until);
                self.claimants().insert((queue, claimant.worker), Claims { nothing_until, ..claims });
                return Ok(leases);
            }
            nothing_until = Some(until);
        }
    }

    async fn renew(&self, leases: &[Lease]) -> Result<Vec<Renewal>, BrokerError> {
        let mut answers = vec![Renewal::Unknown; leases.len()];
        for queue in Queue::ALL {
            let places: Vec<usize> =
                (0..leases.len()).filter(|place| leases[*place].job.work.queue() == queue).collect();
            for batch in places.chunks(BATCH) {
                let of_batch: Vec<Lease> = batch.iter().map(|place| leases[*place].clone()).collect();
                for (place, answer) in batch.iter().zip(self.renew_in(queue, &of_batch).await?) {
                    answers[*place] = answer;
                }
            }
        }
        Ok(answers)
    }

    async fn restore(&self, lease: &Lease) -> Result<(), BrokerError> {
        let mut script = self.invocation(&self.scripts.restore, lease.job.work.queue());
        script.arg(millis(self.options.lease)).arg(lease.token.to_string()).arg(&to_fields(&lease.job));
        self.link.invoke(&script).await
    }

    async fn ack(&self, lease: &Lease, used: Used) -> Result<(), BrokerError> {
        let mut script = self.invocation(&self.scripts.ack, lease.job.work.queue());
        script.arg(lease.job.id.to_string()).arg(lease.token.to_string()).arg(cost(used)).arg(micros(used.held));
        self.link.invoke(&script).await
    }

    async fn give_back(&self, lease: &Lease, delay: Duration, used: Used) -> Result<(), BrokerError> {
        let mut script = self.invocation(&self.scripts.give_back, lease.job.work.queue());
        script.arg(lease.job.id.to_string()).arg(lease.token.to_string()).arg(millis(delay)).arg(cost(used));
        self.link.invoke(&script).await
    }

    async fn remove(&self, queue: Queue, tenant: TenantId, job: JobId) -> Result<(), BrokerError> {
        let mut script = self.invocation(&self.scripts.remove, queue);
        script.arg(job.to_string()).arg(tenant.to_string());
        self.link.invoke(&script).await
    }

    async fn load(&self, queue: Queue, tenant: TenantId) -> Result<Load, BrokerError> {
        let prefix = self.prefix(queue);
        let mut reads = pipe();
        reads.cmd("ZCARD").arg(format!("{prefix}ready:{tenant}"));
        reads.cmd("HGET").arg(format!("{prefix}account:{tenant}")).arg("late");
        reads.cmd("ZCARD").arg(format!("{prefix}leases"));
        let (ready, late, leased): (u64, Option<u64>, u64) = self.link.query_all(&reads).await?;
        Ok(Load { waiting: ready + late.unwrap_or(0), leased })
    }

    async fn standing(&self, queue: Queue, tenant: TenantId, job: JobId) -> Result<Option<Standing>, BrokerError> {
        let mut script = self.invocation(&self.scripts.standing, queue);
        script.arg(tenant.to_string()).arg(job.to_string()).arg(charge::FIRST);
        script.arg(millis(self.options.lease));
        let answer: Vec<String> = self.link.invoke(&script).await?;
        if answer.is_empty() {
            return Ok(None);
        }
        let standing = standing_of(&answer, u64::from(self.options.tenant_share_percent));
        standing.map(Some).ok_or_else(|| BrokerError("a standing was answered with something else".to_owned()))
    }

    async fn depth(&self, queue: Queue) -> Result<Depth, BrokerError> {
        let prefix = self.prefix(queue);
        let mut reads = pipe();
        reads.cmd("HGET").arg(format!("{prefix}state")).arg("waiting");
        reads.cmd("ZCARD").arg(format!("{prefix}delayed")).cmd("ZCARD").arg(format!("{prefix}leases"));
        let (ready, delayed, leased): (Option<u64>, u64, u64) = self.link.query_all(&reads).await?;
        Ok(Depth { ready: ready.unwrap_or(0), delayed, leased })
    }

    async fn has_mark(&self) -> Result<bool, BrokerError> {
        self.link.query(cmd("EXISTS").arg(self.mark())).await
    }

    async fn set_mark(&self) -> Result<(), BrokerError> {
        self.link.query(cmd("SET").arg(self.mark()).arg(1)).await
    }

    async fn ping(&self) -> Result<(), BrokerError> {
        self.link.query::<String>(&cmd("PING")).await.map(drop)
    }
}

fn standing_of(answer: &[String], share_percent: u64) -> Option<Standing> {
    let [before, rivals, turns, others, held, held_of_tenant, permits, mean_held, mean_held_of_tenant] = answer else {
        return None;
    };
    let permits: u64 = permits.parse().ok()?;
    Some(Standing {
        before: before.parse().ok()?,
        rivals: rivals.parse().ok()?,
        turns: turns.parse().ok()?,
        others: others.parse().ok()?,
        held: held.parse().ok()?,
        held_of_tenant: held_of_tenant.parse().ok()?,
        permits,
        cap: (permits.saturating_mul(share_percent) / 100).max(1),
        mean_held: mean_held.parse().ok().map(Duration::from_micros),
        mean_held_of_tenant: mean_held_of_tenant.parse().ok().map(Duration::from_micros),
    })
}

/// Milliseconds, rounded up: a delay that is not zero stays one, and nothing ends early.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_rounded_up_to_milliseconds() {
        assert_eq!(millis(Duration::ZERO), 0);
        assert_eq!(millis(Duration::from_nanos(1)), 1);
        assert_eq!(millis(Duration::from_secs(15)), 15_000);
    }
}
