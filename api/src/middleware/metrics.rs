//! The process's metrics in Prometheus' text format. Labels are methods, route templates and statuses: a bounded set, and
//! nothing of any tenant.

use std::time::Duration;

use poem::http::Method;
use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// All metrics of the HTTP side, in a registry that other parts of the process add theirs to.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
    queue: IntGaugeVec,
}

impl Metrics {
    /// Metrics at zero.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("acm2_http_requests_total", "HTTP requests that were answered"),
            &["method", "route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new("acm2_http_request_duration_seconds", "time from request to answer")
                .buckets(vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]),
            &["method", "route"],
        )?;
        let in_flight = IntGauge::new("acm2_http_requests_in_flight", "HTTP requests that are being answered")?;
        let queue = IntGaugeVec::new(
            Opts::new("acm2_queue_jobs", "jobs in the broker at the time of this scrape"),
            &["queue", "state"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(queue.clone()))?;
        Ok(Self { registry, requests, durations, in_flight, queue })
    }

    /// Where other parts of the process register their metrics.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts a request as being answered until the guard is dropped, also by a caller who went away.
    pub(super) fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(super) fn observe(&self, method: &Method, route: &str, status: u16, took: Duration) {
        let method = known(method);
        self.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.durations.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }

    /// Notes how many jobs of a queue are in a state.
    pub fn set_queue(&self, queue: &str, state: &str, jobs: u64) {
        self.queue.with_label_values(&[queue, state]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    /// Everything in the text format, also what libraries put into the process's default registry.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend(prometheus::gather());
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

/// A caller may invent methods; labels must stay bounded.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// One request that is being answered.
#[derive(Debug)]
pub(super) struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_makes_no_new_series() {
        let metrics = Metrics::new().unwrap();
        for name in ["BREW", "WHEN"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.observe(&method, "unmatched", 405, Duration::from_millis(1));
        }
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(
            text.contains(r#"acm2_http_requests_total{method="other",route="unmatched",status="405"} 2"#),
            "{text}"
        );
    }
}
