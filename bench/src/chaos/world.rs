//! All that is driven: PostgreSQL, Redis, two api processes, three workers, the sandbox provider, the receiver. Each process
//! reaches the database and Redis through proxies of its own.

use std::path::Path;
use std::time::Duration;

use super::customers::{self, Places};
use super::models;
use super::records::Customer;
use crate::outcome::Outcome;
use crate::place::house::House;
use crate::place::http::Http;
use crate::place::port;
use crate::place::postgres::Postgres;
use crate::place::process::Process;
use crate::place::proxy::{Proxy, Weather};
use crate::place::receiver::Receiver;
use crate::place::redis::Redis;

const PATIENCE: Duration = Duration::from_mins(1);

/// A process of the product with its way to the servers.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    role: &'static str,
    pub(crate) to_database: Proxy,
    pub(crate) to_redis: Proxy,
    /// Of an api.
    port: u16,
    pub(crate) process: Option<Process>,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) house: House,
    // Processes go before the servers that they use.
    pub(crate) members: Vec<Member>,
    sandbox_port: u16,
    pub(crate) sandbox: Option<Process>,
    pub(crate) receiver: Receiver,
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
    pub(crate) customers: Vec<Customer>,
}

impl World {
    /// Starts everything in a folder, on what an earlier driver left there.
    pub(crate) async fn start(dir: &Path, acm2: &Path, faster: u32) -> Outcome<Self> {
        let faster = faster.to_string();
        let mut house = House::open(dir, acm2, &[("ACM2_TIMING__FASTER", &faster)]).await?;
        let dir = house.dir.clone();
        let (postgres, redis) =
            (Postgres::start(&dir.join("postgres"), "").await?, Redis::start(&dir.join("redis")).await?);
        house.set("ACM2_DATABASE__URL", &postgres.url(postgres.port));
        house.set("ACM2_BROKER__URL", &Redis::url(redis.port));
        let sandbox_port = port::free()?;
        let sandbox = format!("http://127.0.0.1:{sandbox_port}");
        house.set("ACM2_PROVIDERS__SANDBOX__BASE_URL", &format!("{sandbox}/openrouter/api/v1"));
        house.set("ACM2_PROVIDERS__OPENAI__BASE_URL", &format!("{sandbox}/openai/v1"));
        let prices = dir.join("prices.csv");
        std::fs::write(&prices, models::price_table())?;
        house.set("ACM2_PRICES__FILE", &prices.display().to_string());
        house.cli(&["migrate"]).await?;
        let mut members = Vec::new();
        for (name, role) in
            [("api-1", "api"), ("api-2", "api"), ("worker-1", "worker"), ("worker-2", "worker"), ("worker-3", "worker")]
        {
            members.push(Member {
                name: name.to_owned(),
                role,
                to_database: Proxy::start(postgres.port).await?,
                to_redis: Proxy::start(redis.port).await?,
                port: port::free()?,
                process: None,
            });
        }
        let receiver = Receiver::start(&dir.join("received"), kept_port(&dir.join("receiver-port"))?).await?;
        let mut world =
            Self { house, members, sandbox_port, sandbox: None, receiver, postgres, redis, customers: Vec::new() };
        world.mend().await?;
        for api in world.apis() {
            let port = api.rsplit_once(':').map_or(Ok(0), |(_, port)| port.parse())?;
            port::wait_for(port, "the api", PATIENCE).await?;
        }
        world.open_customers().await?;
        Ok(world)
    }

    /// Starts whatever of ours does not run, as a supervisor would.
    pub(crate) async fn mend(&mut self) -> Outcome<()> {
        if !self.postgres.runs() {
            self.postgres.give_back().await?;
        }
        self.redis.give_back().await?;
        if !self.sandbox.as_mut().is_some_and(Process::runs) {
            let bind = format!("127.0.0.1:{}", self.sandbox_port);
            let log = self.house.dir.join("calls").display().to_string();
            self.sandbox = Some(self.house.start(&["sandbox", "--bind", &bind, "--log-file", &log], "sandbox", &[])?);
        }
        for member in &mut self.members {
            if !member.process.as_mut().is_some_and(Process::runs) {
                member.process = Some(member.start(&self.house, &self.postgres)?);
            }
        }
        Ok(())
    }

    /// Ends all that the schedule did.
    pub(crate) async fn heal(&mut self) -> Outcome<()> {
        for member in &self.members {
            member.to_database.set(Weather::Fair);
            member.to_redis.set(Weather::Fair);
        }
        self.mend().await
    }

    /// SIGTERM to every process of the product; the names of those that had to be killed.
    pub(crate) async fn stop(&mut self) -> Outcome<Vec<String>> {
        let mut stubborn = Vec::new();
        for member in &mut self.members {
            if let Some(process) = member.process.take()
                && !process.stop(PATIENCE).await?
            {
                stubborn.push(member.name.clone());
            }
        }
        Ok(stubborn)
    }

    /// The base URLs of the apis.
    pub(crate) fn apis(&self) -> Vec<String> {
        let apis = self.members.iter().filter(|member| member.role == "api");
        apis.map(|api| format!("http://127.0.0.1:{}", api.port)).collect()
    }

    /// The places of the members of a role.
    pub(crate) fn of_role(&self, role: &str) -> Vec<usize> {
        (0..self.members.len()).filter(|at| self.members[*at].role == role).collect()
    }

    /// Makes the tenants; those of an earlier driver stay, if there was one.
    async fn open_customers(&mut self) -> Outcome<()> {
        let file = self.house.dir.join("customers.json");
        if let Ok(text) = std::fs::read_to_string(&file) {
            self.customers = serde_json::from_str(&text)?;
            return Ok(());
        }
        let (api, receiver) = (self.apis()[0].clone(), self.receiver.url(""));
        let places = Places { api: &api, receiver: &receiver };
        self.customers = customers::open(&self.house, &Http::new(PATIENCE)?, places).await?;
        std::fs::write(file, serde_json::to_string(&self.customers)?)?;
        Ok(())
    }
}

/// The port of the receiver, the same at each start: deliveries know it.
fn kept_port(file: &Path) -> Outcome<u16> {
    if let Ok(text) = std::fs::read_to_string(file) {
        return Ok(text.parse()?);
    }
    let port = port::free()?;
    std::fs::write(file, port.to_string())?;
    Ok(port)
}

impl Member {
    fn start(&self, house: &House, postgres: &Postgres) -> Outcome<Process> {
        let settings = [
            ("ACM2_DATABASE__URL", postgres.url(self.to_database.port)),
            ("ACM2_BROKER__URL", Redis::url(self.to_redis.port)),
            ("ACM2_HTTP__BIND", format!("127.0.0.1:{}", self.port)),
        ];
        house.start(&[self.role], &self.name, &settings)
    }
}
