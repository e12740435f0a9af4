//! A broker under test: opened anew for each test, in memory or in a namespace of its own on the Redis server.

use std::time::Duration;

use acm2_broker::dispatch::{Claimant, Dispatch, Lease};
use acm2_broker::{Broker, BrokerOptions, BrokerUrl, open};
use acm2_domain::ids::{JobId, RunId, TenantId, WorkerId};
use acm2_domain::job::{Job, Queue, Work};
use redis::aio::MultiplexedConnection;
use secrecy::ExposeSecret;

/// Long enough that no lease ends unless a test lets time pass.
pub(crate) const LEASE: Duration = Duration::from_mins(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);
pub(crate) const NOW: Duration = Duration::ZERO;

pub(crate) struct Home {
    pub(crate) broker: Broker,
    pub(crate) options: BrokerOptions,
    url: BrokerUrl,
    server: Option<MultiplexedConnection>,
}

/// The URL of the Redis server, or a loud line.
pub(crate) fn server_url() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "tests are told their server by the environment")]
    let url = std::env::var("TEST_BROKER_URL").ok();
    if url.is_none() {
        #[expect(clippy::print_stderr, reason = "a skipped half must be seen")]
        {
            eprintln!("SKIPPED: set TEST_BROKER_URL to a Redis server to run this test");
        }
    }
    url
}

impl Home {
    pub(crate) fn memory() -> Self {
        Self::open(BrokerUrl::Memory, None)
    }

    pub(crate) async fn redis() -> Option<Self> {
        let url = server_url()?;
        let server = redis::Client::open(url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap();
        Some(Self::open(url.parse().unwrap(), Some(server)))
    }

    fn open(url: BrokerUrl, server: Option<MultiplexedConnection>) -> Self {
        let namespace = format!("test:{}", uuid::Uuid::now_v7());
        let options = BrokerOptions { namespace, ..BrokerOptions::new(LEASE) };
        let broker = open(&url, options.clone()).unwrap();
        Self { broker, options, url, server }
    }

    pub(crate) fn queue(&self) -> &dyn Dispatch {
        self.broker.dispatch.as_ref()
    }

    /// Another process of the same broker; in memory there is none but this one.
    pub(crate) fn other_process(&self) -> Broker {
        match self.server {
            Some(_) => open(&self.url, self.options.clone()).unwrap(),
            None => self.broker.clone(),
        }
    }

    /// Lets time pass for leases, delays and workers.
    pub(crate) async fn pass(&self, time: Duration) {
        let Some(server) = &self.server else {
            tokio::time::pause();
            tokio::time::advance(time).await;
            tokio::time::resume();
            return;
        };
        let earlier = redis::Script::new(
            "for place = 1, 2 do
               local all = redis.call('ZRANGE', KEYS[place], 0, -1, 'WITHSCORES')
               for at = 1, #all, 2 do redis.call('ZADD', KEYS[place], all[at + 1] - ARGV[1], all[at]) end
             end
             local workers = redis.call('HGETALL', KEYS[3])
             for at = 1, #workers, 2 do
               local permits, seen = string.match(workers[at + 1], '(%d+) (%d+)')
               redis.call('HSET', KEYS[3], workers[at], permits .. string.format(' %.0f', seen - ARGV[1]))
             end",
        );
        for queue in Queue::ALL {
            let mut script = earlier.arg(u64::try_from(time.as_millis()).unwrap());
            for set in ["leases", "delayed", "workers"] {
                script.key(self.key(queue, set));
            }
            script.invoke_async::<()>(&mut server.clone()).await.unwrap();
        }
    }

    /// Loses all that the broker knows; processes start anew, since memory has only the one.
    pub(crate) async fn lose_everything(&mut self) {
        self.clear().await;
        self.broker = open(&self.url, self.options.clone()).unwrap();
    }

    async fn clear(&self) {
        let Some(mut server) = self.server.clone() else { return };
        for keys in self.keys().await.chunks(1_000) {
            redis::cmd("UNLINK").arg(keys).exec_async(&mut server).await.unwrap();
        }
    }

    /// All keys of the namespace, sorted.
    pub(crate) async fn keys(&self) -> Vec<String> {
        let pattern = format!("{}:*", self.options.namespace);
        let mut keys: Vec<String> =
            redis::cmd("KEYS").arg(pattern).query_async(&mut self.server.clone().unwrap()).await.unwrap();
        keys.sort();
        keys
    }

    /// The 2 is the version of the layout that this tests.
    pub(crate) fn key(&self, queue: Queue, name: &str) -> String {
        format!("{}:2:{{{}}}:{name}", self.options.namespace, queue.as_str())
    }

    pub(crate) fn server(&self) -> MultiplexedConnection {
        self.server.clone().unwrap()
    }

    pub(crate) async fn push(&self, jobs: &[Job]) {
        self.queue().push(jobs, NOW).await.unwrap();
    }

    /// Claims runs without waiting.
    pub(crate) async fn claim(&self, claimant: Claimant, most: usize) -> Vec<Lease> {
        self.queue().claim(Queue::Runs, claimant, most, NOW).await.unwrap()
    }
}

impl Drop for Home {
    /// Leaves nothing on a server that may be somebody's.
    fn drop(&mut self) {
        let BrokerUrl::Redis(url) = &self.url else { return };
        let cleared = redis::Client::open(url.expose_secret()).and_then(|client| {
            let mut server = client.get_connection()?;
            let keys: Vec<String> =
                redis::cmd("KEYS").arg(format!("{}:*", self.options.namespace)).query(&mut server)?;
            keys.chunks(1_000).try_for_each(|keys| redis::cmd("UNLINK").arg(keys).exec(&mut server))
        });
        // A test that failed has more to say than this.
        drop(cleared);
    }
}

pub(crate) fn claimant(permits: usize) -> Claimant {
    Claimant { worker: WorkerId::generate(), permits }
}

pub(crate) fn job(tenant: TenantId) -> Job {
    Job { id: JobId::generate(), tenant, work: Work::RunV1(RunId::generate()), priority: 0, weight: None }
}

pub(crate) fn jobs(tenant: TenantId, count: usize) -> Vec<Job> {
    (0..count).map(|_| job(tenant)).collect()
}

/// The jobs of leases, in order.
pub(crate) fn of(leases: &[Lease]) -> Vec<Job> {
    leases.iter().map(|lease| lease.job).collect()
}

/// Runs each test over memory and over Redis.
macro_rules! on_both {
    ($($test:ident,)+) => {
        mod in_memory {
            $(#[tokio::test]
            async fn $test() {
                super::$test(crate::home::Home::memory()).await;
            })+
        }
        mod on_redis {
            $(#[tokio::test]
            async fn $test() {
                if let Some(home) = crate::home::Home::redis().await {
                    super::$test(home).await;
                }
            })+
        }
    };
}
pub(crate) use on_both;
