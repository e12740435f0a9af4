//! What the doctor wants to know of the server. Asks `INFO` and `TIME` only: managed servers forbid `CONFIG`.

use std::collections::HashMap;

use ::redis::cmd;
use acm2_domain::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};

use super::link::Link;
use crate::dispatch::BrokerError;
use crate::finding::Finding;

/// The oldest server that knows all commands of the scripts.
const OLDEST: (u64, u64) = (6, 2);
/// How far clocks may be apart before it is worth a word. Leases use the server's clock alone.
const SKEW: TimeDelta = TimeDelta::seconds(1);

/// What a person should change about the server.
pub(crate) async fn diagnose(link: &Link, clock: &dyn Clock) -> Vec<Finding> {
    let asked = async {
        let info: String = link.query(&cmd("INFO")).await?;
        let before = clock.now();
        let (seconds, micros): (i64, u32) = link.query(&cmd("TIME")).await?;
        let ours = before + (clock.now() - before) / 2;
        Ok::<_, BrokerError>((info, DateTime::from_timestamp(seconds, micros * 1_000), ours))
    };
    match asked.await {
        Ok((info, theirs, ours)) => {
            let mut findings = of_info(&info);
            findings.extend(of_clocks(theirs, ours));
            findings
        }
        Err(error) => vec![Finding::error(error.to_string())],
    }
}

fn of_info(info: &str) -> Vec<Finding> {
    let lines: HashMap<&str, &str> = info.lines().filter_map(|line| line.trim_end().split_once(':')).collect();
    let is = |key: &str, value: &str| lines.get(key) == Some(&value);
    let mut findings = Vec::new();

    let version = lines.get("redis_version").copied().unwrap_or("unknown");
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0_u64));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST {
        let (major, minor) = OLDEST;
        findings.push(Finding::error(format!("the broker's version is {version}: {major}.{minor} or later is needed")));
    }
    if is("cluster_enabled", "1") {
        findings.push(Finding::error("the broker runs in cluster mode, which is not supported: use a single server"));
    }
    if is("role", "slave") {
        findings.push(Finding::error("the broker is a read-only replica: give the URL of the primary"));
    }
    match lines.get("maxmemory_policy") {
        Some(&"noeviction") => {}
        Some(policy) => findings.push(Finding::error(format!(
            "the broker's maxmemory-policy is {policy}: set it to noeviction, else queued jobs vanish when memory is short"
        ))),
        None => findings.push(Finding::warning("the broker does not tell its maxmemory-policy: it must be noeviction")),
    }
    if is("aof_enabled", "0") {
        findings.push(Finding::warning(
            "the broker does not append to disk: set appendonly to yes, else a restart empties it and queued runs wait for \
             the sweeper",
        ));
    }
    findings
}

fn of_clocks(theirs: Option<DateTime<Utc>>, ours: DateTime<Utc>) -> Option<Finding> {
    let ahead = theirs? - ours;
    (ahead.abs() > SKEW).then(|| {
        let way = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
        let seconds = ahead.abs().as_seconds_f64();
        Finding::warning(format!("the broker's clock is {seconds:.1} s {way} this machine's: synchronise both"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;

    const GOOD: &str = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n\
                        # Persistence\r\naof_enabled:1\r\n# Replication\r\nrole:master\r\ncluster_enabled:0\r\n";

    #[test]
    fn a_good_server_gives_no_findings() {
        assert_eq!(of_info(GOOD), []);
    }

    #[test]
    fn each_fault_of_a_server_is_told() {
        for (good, bad, severity, word) in [
            ("redis_version:7.0.15", "redis_version:6.0.16", Severity::Error, "6.0.16"),
            ("noeviction", "allkeys-lru", Severity::Error, "allkeys-lru"),
            ("aof_enabled:1", "aof_enabled:0", Severity::Warning, "appendonly"),
            ("role:master", "role:slave", Severity::Error, "replica"),
            ("cluster_enabled:0", "cluster_enabled:1", Severity::Error, "cluster"),
        ] {
            let findings = of_info(&GOOD.replace(good, bad));
            assert_eq!(findings.len(), 1, "{bad}: {findings:?}");
            assert_eq!(findings[0].severity, severity);
            assert!(findings[0].text.contains(word), "{findings:?}");
        }
    }

    #[test]
    fn clocks_that_are_apart_are_told_with_the_direction() {
        let ours = DateTime::from_timestamp(1_000, 0).unwrap();
        assert_eq!(of_clocks(Some(ours + TimeDelta::milliseconds(400)), ours), None);
        let ahead = of_clocks(Some(ours + TimeDelta::seconds(90)), ours).unwrap();
        assert!(ahead.text.contains("90.0 s ahead of"), "{ahead:?}");
        let behind = of_clocks(Some(ours - TimeDelta::seconds(2)), ours).unwrap();
        assert!(behind.text.contains("2.0 s behind"), "{behind:?}");
    }
}
