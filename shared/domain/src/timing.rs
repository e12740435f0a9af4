//! Every duration of the run protocol, in one value; tests run at a fifth of it. What concerns one connection only, such as the
//! time-outs of connecting to a server or of waiting for a lock, stands where the connection is made: in broker/redis and store.

use std::time::Duration;

/// The durations of the run protocol. Numbers in brackets are the rules of the protocol that use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How long after submission the sweeper pushes a job that nobody pushed (2).
    pub job_due: Duration,
    /// How often the sweeper looks (3).
    pub sweep: Duration,
    /// The first and the longest step by which the sweeper moves a job's due time on (3).
    pub sweep_backoff: (Duration, Duration),
    /// After which a jobs row whose run never came into being is deleted (2).
    pub orphan_job: Duration,
    /// How often a process writes its heartbeat (4).
    pub heartbeat: Duration,
    /// How long writing a heartbeat may take (4).
    pub heartbeat_timeout: Duration,
    /// A heartbeat older than this is stale (4).
    pub heartbeat_stale: Duration,
    /// A row whose heartbeat is older than this is deleted by the next process that starts (4).
    pub lost_process: Duration,
    /// A gap in its own heartbeats after which a process distrusts its view of the others (4).
    pub heartbeat_gap: Duration,
    /// How long such a process, and one that has just started, steals nothing (4).
    pub steal_hold: Duration,
    /// How long a run over which two workers died is left alone after its last claim, on average; twice that after each
    /// further one (5).
    pub poison_hold: Duration,
    /// After which a refused claim comes back (5).
    pub claim_retry: Duration,
    /// How long a lease in the broker lasts (8).
    pub lease: Duration,
    /// How often it is renewed (8).
    pub lease_renew: Duration,
    /// How long a claim waits for work before it asks again.
    pub claim_wait: Duration,
    /// The pause, on average, before a broker that did not answer is asked again (8).
    pub broker_retry: Duration,
    /// The wait of a task above which its run is released, if nothing else of it can go on (7).
    pub release_after: Duration,
    /// How long a lane stays closed whose key the provider refused (7).
    pub lane_closed: Duration,
    /// The delay after which a lane that opened its breaker lets a probe through: first step and cap (7).
    pub lane_breaker: (Duration, Duration),
    /// The space between the calls of a lane after a 429 that told no limit: first step and cap (7).
    pub lane_slow: (Duration, Duration),
    /// The space between the calls of a lane of which nothing is known yet, after the first few (7).
    pub lane_cold: Duration,
    /// How often one who waits for a free place in a lane asks (7).
    pub lane_poll: Duration,
    /// After how long without a call a lane is forgotten (7).
    pub lane_forget: Duration,
    /// How much later than planned a call may reach its provider; spacing allows for it (7).
    pub lane_jitter: Duration,
    /// How much longer than its time-out a call counts that was never reported (7).
    pub lane_margin: Duration,
    /// How often a worker looks for a command on its run (9), and `Prefer: wait` and streams of
    /// events for news of one, where no signal tells.
    pub command_poll: Duration,
    /// For how long a worker gathers runs whose timeline has grown, before it tells those who stream events.
    pub progress_pause: Duration,
    /// How often a stream of events says that it still lives, where nothing happens: sooner than proxies cut silent connections.
    pub stream_heartbeat: Duration,
    /// How long a stream of events lasts at most: whoever goes on comes back, and shows its key again.
    pub stream_life: Duration,
    /// How long calls in flight may go on after the first SIGTERM (15).
    pub shutdown_grace: Duration,
    /// How often a write that met a database that is away is tried again (7).
    pub store_retry: Duration,
    /// The backoff between attempts of a task: first step and cap (7).
    pub attempt_backoff: (Duration, Duration),
    /// Delays after each failed attempt of a delivery (Standard Webhooks, with jitter).
    pub delivery_delays: Vec<Duration>,
    /// How long one attempt of a delivery may take.
    pub delivery_timeout: Duration,
    /// After the first failure without a success, an endpoint is disabled.
    pub endpoint_disable: Duration,
    /// How long a rotated webhook secret still signs.
    pub secret_overlap: Duration,
    /// How exact the time of a provider key's last use is.
    pub last_used: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency: Duration,
    /// How long the body of a request may take to arrive.
    pub body_read: Duration,
    /// How long the reading of a page of the web may take, with its redirects and its site's robots.txt.
    pub page_read: Duration,
    /// How long a connection to our HTTP server may last in which nothing is answered. Longer than a caller may wait for a run
    /// (60 s) after sending a body.
    pub connection_idle: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

impl Default for Timing {
    fn default() -> Self {
        Self {
            job_due: 10 * SECOND,
            sweep: 5 * SECOND,
            sweep_backoff: (10 * SECOND, 5 * MINUTE),
            orphan_job: 24 * HOUR,
            heartbeat: 5 * SECOND,
            heartbeat_timeout: 3 * SECOND,
            heartbeat_stale: 15 * SECOND,
            lost_process: 24 * HOUR,
            heartbeat_gap: 10 * SECOND,
            steal_hold: 15 * SECOND,
            poison_hold: 10 * SECOND,
            claim_retry: 5 * SECOND,
            lease: 15 * SECOND,
            lease_renew: 5 * SECOND,
            claim_wait: SECOND,
            broker_retry: SECOND / 4,
            release_after: MINUTE,
            lane_closed: MINUTE,
            lane_breaker: (SECOND, MINUTE),
            lane_slow: (SECOND / 10, 10 * SECOND),
            lane_cold: SECOND / 20,
            lane_poll: SECOND / 4,
            lane_forget: 10 * MINUTE,
            lane_jitter: SECOND / 4,
            lane_margin: 30 * SECOND,
            command_poll: 5 * SECOND,
            progress_pause: SECOND / 5,
            stream_heartbeat: 10 * SECOND,
            stream_life: 15 * MINUTE,
            shutdown_grace: 11 * MINUTE,
            store_retry: SECOND,
            attempt_backoff: (SECOND / 2, 8 * SECOND),
            delivery_delays: [
                5 * SECOND,
                5 * MINUTE,
                30 * MINUTE,
                2 * HOUR,
                5 * HOUR,
                10 * HOUR,
                14 * HOUR,
                20 * HOUR,
                24 * HOUR,
            ]
            .to_vec(),
            delivery_timeout: 15 * SECOND,
            endpoint_disable: 5 * 24 * HOUR,
            secret_overlap: 24 * HOUR,
            last_used: MINUTE,
            idempotency: 24 * HOUR,
            body_read: 15 * SECOND,
            page_read: 30 * SECOND,
            connection_idle: 100 * SECOND,
        }
    }
}

impl Timing {
    /// Every duration divided by `by`, but for `connection_idle` and `lane_jitter`; for tests.
    #[must_use]
    pub fn faster(&self, by: u32) -> Self {
        let pair = |(first, last): (Duration, Duration)| (first / by, last / by);
        Self {
            job_due: self.job_due / by,
            sweep: self.sweep / by,
            sweep_backoff: pair(self.sweep_backoff),
            orphan_job: self.orphan_job / by,
            heartbeat: self.heartbeat / by,
            heartbeat_timeout: self.heartbeat_timeout / by,
            heartbeat_stale: self.heartbeat_stale / by,
            lost_process: self.lost_process / by,
            heartbeat_gap: self.heartbeat_gap / by,
            steal_hold: self.steal_hold / by,
            poison_hold: self.poison_hold / by,
            claim_retry: self.claim_retry / by,
            lease: self.lease / by,
            lease_renew: self.lease_renew / by,
            claim_wait: self.claim_wait / by,
            broker_retry: self.broker_retry / by,
            release_after: self.release_after / by,
            lane_closed: self.lane_closed / by,
            lane_breaker: pair(self.lane_breaker),
            lane_slow: pair(self.lane_slow),
            lane_cold: self.lane_cold / by,
            lane_poll: self.lane_poll / by,
            lane_forget: self.lane_forget / by,
            // The way to a provider does not become shorter.
            lane_jitter: self.lane_jitter,
            lane_margin: self.lane_margin / by,
            command_poll: self.command_poll / by,
            progress_pause: self.progress_pause / by,
            stream_heartbeat: self.stream_heartbeat / by,
            stream_life: self.stream_life / by,
            shutdown_grace: self.shutdown_grace / by,
            store_retry: self.store_retry / by,
            attempt_backoff: pair(self.attempt_backoff),
            delivery_delays: self.delivery_delays.iter().map(|delay| *delay / by).collect(),
            delivery_timeout: self.delivery_timeout / by,
            endpoint_disable: self.endpoint_disable / by,
            secret_overlap: self.secret_overlap / by,
            last_used: self.last_used / by,
            idempotency: self.idempotency / by,
            body_read: self.body_read / by,
            page_read: self.page_read / by,
            // Callers say how long they wait, and that is not made shorter.
            connection_idle: self.connection_idle,
        }
    }
}
