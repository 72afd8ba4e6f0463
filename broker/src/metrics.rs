//! Counters for `/metrics`, in the text format of Prometheus.

use std::time::Duration;

use prometheus::{Encoder as _, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use crate::ledger::Backlog;

/// All counters of an instance.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: Histogram,
    settled: IntCounterVec,
    provider: IntCounterVec,
    reversing: IntGauge,
    reversing_age: IntGauge,
}

impl Metrics {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let requests = counter("imagxp_broker_requests_total", "Requests by path and code.", &["path", "code"])?;
        let settled = counter("imagxp_broker_settled_total", "Payments settled, by state.", &["state"])?;
        let provider = counter("imagxp_broker_provider_total", "Answers of the payment provider.", &["reply"])?;
        let gauge = |name: &str, help: &str| -> prometheus::Result<IntGauge> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let reversing = gauge("imagxp_broker_reversing", "Charges that the payment provider has not voided yet.")?;
        let reversing_age = gauge("imagxp_broker_reversing_age_seconds", "Age of the oldest of them.")?;
        let options = HistogramOpts::new("imagxp_broker_issue_seconds", "Time from request to answer of /issue-visa.");
        let seconds = Histogram::with_opts(
            options.buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]),
        )?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { registry, requests, seconds, settled, provider, reversing, reversing_age })
    }

    /// Both labels are constants of this crate: a stranger makes no new series.
    pub(crate) fn request(&self, path: &'static str, code: &'static str, took: Duration) {
        self.requests.with_label_values(&[path, code]).inc();
        if path == "/issue-visa" {
            self.seconds.observe(took.as_secs_f64());
        }
    }

    pub(crate) fn settled(&self, state: &'static str) {
        self.settled.with_label_values(&[state]).inc();
    }

    pub(crate) fn released(&self, count: usize) {
        self.settled.with_label_values(&["released"]).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn provider(&self, reply: &'static str) {
        self.provider.with_label_values(&[reply]).inc();
    }

    pub(crate) fn reversing(&self, backlog: Backlog, now_s: i64) {
        self.reversing.set(backlog.count);
        self.reversing_age.set(if backlog.count == 0 { 0 } else { now_s.saturating_sub(backlog.oldest_s) });
    }

    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8(text).unwrap_or_default()
    }
}
