//! What tenants get over time: a simulation in which claims, ends of jobs and corrections follow a clock of their own.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Lease, Used};
use acm2_domain::ids::TenantId;
use acm2_domain::job::{Job, Queue};

use crate::home::{Home, claimant, job, jobs, on_both};
use crate::model::Model;

on_both! {
    equal_tenants_get_equal_time_whatever_their_jobs_take,
    a_weight_of_three_gets_three_times_the_time,
    a_late_small_tenant_starts_next_whatever_others_are_owed,
    who_had_the_workers_to_itself_is_not_punished_for_it,
    the_time_of_a_dead_workers_job_stays_charged,
    a_place_in_the_queue_counts_what_goes_first,
}

const PERMITS: usize = 20;

/// The seconds that the jobs of a tenant take, one after another, again and again.
type Pattern = &'static [u64];

struct Simulation<'a> {
    home: &'a Home,
    worker: Claimant,
    now: u64,
    /// When jobs end, a number that tells equal ones apart, and when they began.
    running: BinaryHeap<Reverse<(u64, usize, u64)>>,
    leases: HashMap<usize, Lease>,
    patterns: HashMap<TenantId, Pattern>,
    begun: HashMap<TenantId, usize>,
    /// Seconds of ended jobs.
    given: HashMap<TenantId, u64>,
}

impl<'a> Simulation<'a> {
    fn new(home: &'a Home) -> Self {
        Self {
            home,
            worker: claimant(PERMITS),
            now: 0,
            running: BinaryHeap::new(),
            leases: HashMap::new(),
            patterns: HashMap::new(),
            begun: HashMap::new(),
            given: HashMap::new(),
        }
    }

    async fn tenant(&mut self, pattern: Pattern, backlog: usize, weight: Option<u8>) -> TenantId {
        let tenant = TenantId::generate();
        self.patterns.insert(tenant, pattern);
        self.home.push(&(0..backlog).map(|_| Job { weight, ..job(tenant) }).collect::<Vec<_>>()).await;
        tenant
    }

    /// Fills the free permits; whose jobs began, in order.
    async fn start(&mut self) -> Vec<TenantId> {
        let leases = self.home.claim(self.worker, PERMITS - self.running.len()).await;
        let mut started = Vec::new();
        for lease in leases {
            let tenant = lease.job.tenant;
            let begun = self.begun.entry(tenant).or_default();
            let takes = self.patterns[&tenant][*begun % self.patterns[&tenant].len()];
            *begun += 1;
            let number = self.begun.values().sum();
            self.running.push(Reverse((self.now + takes, number, self.now)));
            self.leases.insert(number, lease);
            started.push(tenant);
        }
        started
    }

    /// Ends the job whose time comes first.
    async fn end_one(&mut self) {
        let Some(Reverse((end, number, began))) = self.running.pop() else { return };
        self.now = end;
        let lease = self.leases.remove(&number).unwrap();
        let time = Duration::from_secs(end - began);
        self.home.queue().ack(&lease, Used { calls: time, held: time }).await.unwrap();
        *self.given.entry(lease.job.tenant).or_default() += end - began;
    }

    async fn until(&mut self, end: u64) {
        self.start().await;
        while self.now < end {
            self.end_one().await;
            self.start().await;
        }
    }

    /// Seconds that a tenant was given so far, those of running jobs too.
    fn time_of(&self, tenant: TenantId) -> f64 {
        let running = self.running.iter().filter(|Reverse((_, number, _))| self.leases[number].job.tenant == tenant);
        let so_far: u64 = running.map(|Reverse((_, _, began))| self.now - began).sum();
        (self.given.get(&tenant).copied().unwrap_or(0) + so_far) as f64
    }
}

fn jain(times: &[f64]) -> f64 {
    let sum: f64 = times.iter().sum();
    sum * sum / (times.len() as f64 * times.iter().map(|time| time * time).sum::<f64>())
}

#[expect(clippy::print_stderr, reason = "figures are to be seen")]
fn print(what: &str, times: &[f64]) {
    eprintln!("{what}: seconds {times:?}, Jain's index {:.4}", jain(times));
}

async fn equal_tenants_get_equal_time_whatever_their_jobs_take(home: Home) {
    let mut simulation = Simulation::new(&home);
    let patterns: [(Pattern, usize); 5] =
        [(&[1], 1_500), (&[10], 200), (&[1, 19], 300), (&[3, 1, 7, 1], 600), (&[2, 2, 2, 2, 2, 2, 2, 46], 300)];
    let mut tenants = Vec::new();
    for (pattern, backlog) in patterns {
        tenants.push(simulation.tenant(pattern, backlog, None).await);
    }
    simulation.until(300).await;
    let times: Vec<f64> = tenants.iter().map(|tenant| simulation.time_of(*tenant)).collect();
    print("five equal tenants", &times);
    assert!(jain(&times) >= 0.99, "{times:?}");
}

async fn a_weight_of_three_gets_three_times_the_time(home: Home) {
    let mut simulation = Simulation::new(&home);
    let one = simulation.tenant(&[2], 1_200, None).await;
    let other = simulation.tenant(&[5], 600, None).await;
    let three = simulation.tenant(&[1, 3], 3_000, Some(3)).await;
    simulation.until(300).await;
    let times = [one, other, three].map(|tenant| simulation.time_of(tenant));
    print("weights 1, 1, 3", &times);
    for (time, ratio) in [(times[0], 0.2), (times[1], 0.2), (times[2], 0.6)] {
        let share = time / times.iter().sum::<f64>();
        assert!((share - ratio).abs() < 0.02, "{share} instead of {ratio}");
    }
}

async fn a_late_small_tenant_starts_next_whatever_others_are_owed(home: Home) {
    let mut simulation = Simulation::new(&home);
    // Long jobs first, so that estimates are far too high when the short ones end.
    let mut large = Vec::new();
    for pattern in [&[60, 60, 60, 60, 60, 60, 60, 60, 1, 1, 1, 1, 1, 1, 1, 1], &[50; 16]] {
        large.push(simulation.tenant(pattern, 400, None).await);
    }
    for round in 1..10 {
        simulation.until(round * 61).await;
        let small = simulation.tenant(&[1], 1, None).await;
        simulation.end_one().await;
        let started = simulation.start().await;
        let others_first = started.iter().take_while(|tenant| **tenant != small).count();
        assert!(started.contains(&small) && others_first <= large.len(), "round {round}: {others_first} came first");
    }
}

async fn who_had_the_workers_to_itself_is_not_punished_for_it(home: Home) {
    let mut simulation = Simulation::new(&home);
    let first = simulation.tenant(&[5], 2_000, None).await;
    simulation.until(300).await;
    let alone = simulation.time_of(first);
    let second = simulation.tenant(&[5], 2_000, None).await;
    simulation.until(600).await;
    let times = [simulation.time_of(first) - alone, simulation.time_of(second)];
    print("one was there before", &times);
    assert!(jain(&times) >= 0.99, "{times:?}");
}

async fn the_time_of_a_dead_workers_job_stays_charged(home: Home) {
    let (unlucky, other) = (TenantId::generate(), TenantId::generate());
    let worker = claimant(1_000);
    home.push(&jobs(unlucky, 20)).await;
    home.push(&jobs(other, 20)).await;
    let held = home.claim(worker, 8).await;
    let (lost, kept): (Vec<Lease>, Vec<Lease>) = held.into_iter().partition(|lease| lease.job.tenant == unlucky);
    assert_eq!((lost.len(), kept.len()), (4, 4));
    home.pass(home.options.lease * 2 / 3).await;
    home.queue().renew(&kept).await.unwrap();
    home.pass(home.options.lease * 2 / 3).await;
    // The four came back, but their turns are gone: a refund would let them all go first.
    let next = home.claim(worker, 4).await;
    assert_eq!(next.iter().filter(|lease| lease.job.tenant == unlucky).count(), 2, "{next:?}");
    assert_eq!(home.queue().depth(Queue::Runs).await.unwrap().leased, 8);
}

async fn a_place_in_the_queue_counts_what_goes_first(home: Home) {
    let mut simulation = Simulation::new(&home);
    let tenant = TenantId::generate();
    let mine = jobs(tenant, 40);
    let queue = home.queue();
    home.push(&mine).await;
    let place = async |job: &Job| queue.standing(Queue::Runs, tenant, job.id).await.unwrap().map(|found| found.place());
    // No worker has come yet, and no job was ever done.
    let lonely = place(&mine[39]).await.unwrap();
    assert_eq!((lonely.position, lonely.ahead, lonely.eta_seconds), (40, 39, None));
    simulation.patterns.insert(tenant, &[10]);
    let other = simulation.tenant(&[10], 40, None).await;
    simulation.until(20).await;
    assert_eq!(place(&mine[0]).await, None, "it has begun");
    let waiting = home.queue().load(Queue::Runs, tenant).await.unwrap().waiting;
    let last = place(&mine[39]).await.unwrap();
    assert_eq!(last.position, waiting);
    let others = home.queue().load(Queue::Runs, other).await.unwrap().waiting;
    // Both have equal backlogs of equal jobs: about as many of the other go first.
    assert!(last.ahead >= waiting - 1 + others.saturating_sub(2), "{last:?} of {waiting} and {others}");
    let eta = last.eta_seconds.unwrap();
    let really = f64::from(u32::try_from(last.ahead + 1).unwrap()) * 10.0 / PERMITS as f64;
    assert!(eta.low as f64 <= really && really <= eta.high as f64, "{eta:?} around {really}");
    let unknown = queue.standing(Queue::Runs, other, mine[39].id).await.unwrap();
    assert_eq!(unknown, None, "of another tenant nothing is told");
}

/// Of a tenant that always has jobs to be done, all time is charged once, however wrong the estimates were.
#[test]
fn charged_time_is_conserved() {
    let mut model = Model::default();
    // So many permits that nobody comes to its share and leaves the ring.
    let worker = claimant(100);
    let weights = [1_u8, 2, 7];
    let tenants: Vec<TenantId> = weights.iter().map(|_| TenantId::generate()).collect();
    for (tenant, weight) in tenants.iter().zip(weights) {
        for _ in 0..300 {
            model.push(Job { weight: Some(weight), ..job(*tenant) }, Duration::ZERO);
        }
    }
    let (mut spent, mut held, mut clock) = (HashMap::<TenantId, i64>::new(), Vec::new(), 0);
    for step in 0..250_u64 {
        held.extend(model.claim(worker, 12 - held.len(), |_| step));
        // Neither the order in which jobs end nor what they take has to do with the estimates.
        let job: Job = held.remove((step * 7 % held.len() as u64) as usize);
        let calls = Duration::from_millis(1 + step * step * 37 % 9_000);
        let weight = i64::from(weights[tenants.iter().position(|tenant| *tenant == job.tenant).unwrap()]);
        *spent.entry(job.tenant).or_default() += calls.as_micros() as i64 / weight;
        let token = model.token(job.id).unwrap();
        model.ack(job, token, Used { calls, held: calls });
        clock = model.check(clock);
    }
    for job in &held {
        let token = model.token(job.id).unwrap();
        model.ack(*job, token, Used { calls: Duration::from_millis(1), held: Duration::ZERO });
        let weight = i64::from(weights[tenants.iter().position(|tenant| *tenant == job.tenant).unwrap()]);
        *spent.entry(job.tenant).or_default() += 1_000 / weight;
    }
    for tenant in &tenants {
        assert_eq!(model.charged(*tenant), spent.get(tenant).copied());
    }
}
