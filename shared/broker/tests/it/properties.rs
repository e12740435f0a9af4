//! Any sequence of operations does to the broker what it does to the model.

use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Lease, Used};
use acm2_domain::ids::{TenantId, WorkerId};
use acm2_domain::job::{Job, Queue};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::home::{HOUR, Home, LEASE, NOW, job, of};
use crate::model::Model;

const TENANTS: usize = 4;

#[derive(Debug, Clone)]
enum Step {
    Push { tenant: usize, priority: i16, weight: Option<u8>, delayed: bool },
    PushAgain { job: Index, delayed: bool },
    Claim { worker: usize, permits: usize, most: usize },
    Renew { lease: Index },
    Restore { lease: Index },
    Ack { lease: Index, used: Used },
    GiveBack { lease: Index, delayed: bool, used: Used },
    Remove { job: Index },
    Pass { long: bool },
    Lose,
}

fn used() -> impl Strategy<Value = Used> {
    let time = || prop_oneof![Just(Duration::ZERO), (0..20_000_000_u64).prop_map(Duration::from_micros)];
    (time(), time()).prop_map(|(calls, held)| Used { calls, held })
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    prop_oneof![
        8 => (0..TENANTS, -2..3_i16, prop::option::of(1..6_u8), prop::bool::weighted(0.2))
            .prop_map(|(tenant, priority, weight, delayed)| Step::Push { tenant, priority, weight, delayed }),
        1 => (index(), any::<bool>()).prop_map(|(job, delayed)| Step::PushAgain { job, delayed }),
        6 => (0..2_usize, 1..9_usize, 0..5_usize)
            .prop_map(|(worker, permits, most)| Step::Claim { worker, permits, most }),
        2 => index().prop_map(|lease| Step::Renew { lease }),
        2 => index().prop_map(|lease| Step::Restore { lease }),
        4 => (index(), used()).prop_map(|(lease, used)| Step::Ack { lease, used }),
        2 => (index(), any::<bool>(), used())
            .prop_map(|(lease, delayed, used)| Step::GiveBack { lease, delayed, used }),
        1 => index().prop_map(|job| Step::Remove { job }),
        2 => prop_oneof![
            6 => Just(Step::Pass { long: false }),
            3 => Just(Step::Pass { long: true }),
            1 => Just(Step::Lose),
        ],
    ]
}

/// What happened so far: everything ever pushed, and every lease ever had, so that old tokens are used too.
struct World {
    home: Home,
    model: Model,
    tenants: Vec<TenantId>,
    workers: Vec<WorkerId>,
    jobs: Vec<Job>,
    leases: Vec<Lease>,
    /// The virtual clock, as it was last seen.
    clock: i64,
}

impl World {
    async fn take(&mut self, step: Step) {
        let delay = |delayed: bool| if delayed { HOUR } else { NOW };
        let queue = self.home.broker.dispatch.clone();
        let pick = |lease: Index| (!self.leases.is_empty()).then(|| lease.get(&self.leases).clone());
        match step {
            Step::Push { tenant, priority, weight, delayed } => {
                let job = Job { priority, weight, ..job(self.tenants[tenant]) };
                self.jobs.push(Job { weight: None, ..job });
                queue.push(&[job], delay(delayed)).await.unwrap();
                self.model.push(job, delay(delayed));
            }
            Step::PushAgain { job, delayed } if !self.jobs.is_empty() => {
                let job = *job.get(&self.jobs);
                queue.push(&[job], delay(delayed)).await.unwrap();
                self.model.push(job, delay(delayed));
            }
            Step::Claim { worker, permits, most } => {
                let claimant = Claimant { worker: self.workers[worker], permits };
                let leases = queue.claim(Queue::Runs, claimant, most, NOW).await.unwrap();
                let token = |job: Job| leases.iter().find(|lease| lease.job == job).map_or(0, |lease| lease.token);
                assert_eq!(of(&leases), self.model.claim(claimant, most, token));
                self.leases.extend(leases);
            }
            Step::Renew { lease } => {
                if let Some(lease) = pick(lease) {
                    let expected = self.model.renew(lease.job.id, lease.token);
                    assert_eq!(queue.renew(&[lease]).await.unwrap(), [expected]);
                }
            }
            Step::Restore { lease } => {
                if let Some(lease) = pick(lease) {
                    queue.restore(&lease).await.unwrap();
                    self.model.restore(lease.job, lease.token);
                }
            }
            Step::Ack { lease, used } => {
                if let Some(lease) = pick(lease) {
                    queue.ack(&lease, used).await.unwrap();
                    self.model.ack(lease.job, lease.token, used);
                }
            }
            Step::GiveBack { lease, delayed, used } => {
                if let Some(lease) = pick(lease) {
                    queue.give_back(&lease, delay(delayed), used).await.unwrap();
                    self.model.give_back(lease.job, lease.token, delay(delayed), used);
                }
            }
            Step::Remove { job } if !self.jobs.is_empty() => {
                let job = *job.get(&self.jobs);
                queue.remove(Queue::Runs, job.tenant, job.id).await.unwrap();
                self.model.remove(job.id);
            }
            Step::Pass { long } => {
                let time = if long { HOUR + LEASE } else { LEASE + Duration::from_secs(1) };
                self.home.pass(time).await;
                self.model.pass(time);
            }
            Step::Lose => {
                self.home.lose_everything().await;
                self.model = Model::default();
                self.clock = 0;
            }
            Step::PushAgain { .. } | Step::Remove { .. } => {}
        }
        let queue = self.home.queue();
        assert_eq!(queue.depth(Queue::Runs).await.unwrap(), self.model.depth());
        self.clock = self.model.check(self.clock);
        for job in self.jobs.iter().rev().take(5) {
            let standing = queue.standing(Queue::Runs, job.tenant, job.id).await.unwrap();
            assert_eq!(standing, self.model.standing(job.id));
        }
        for tenant in &self.tenants {
            assert_eq!(queue.load(Queue::Runs, *tenant).await.unwrap().waiting, self.model.waiting(*tenant));
        }
    }
}

async fn follows_the_model(home: Home, steps: Vec<Step>) {
    let mut world = World {
        home,
        model: Model::default(),
        tenants: (0..TENANTS).map(|_| TenantId::generate()).collect(),
        workers: (0..2).map(|_| WorkerId::generate()).collect(),
        jobs: Vec::new(),
        leases: Vec::new(),
        clock: 0,
    };
    for step in steps {
        world.take(step).await;
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn memory_follows_the_model(steps in prop::collection::vec(step(), 1..80)) {
        runtime().block_on(async { follows_the_model(Home::memory(), steps).await });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn redis_follows_the_model(steps in prop::collection::vec(step(), 1..80)) {
        runtime().block_on(async {
            if let Some(home) = Home::redis().await {
                follows_the_model(home, steps).await;
            }
        });
    }
}
