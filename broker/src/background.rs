//! What happens without a request: payments become due, charges are reversed, quiet clients are forgotten. Each is a task
//! of its own, so that none waits for another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ledger::Reversal;
use crate::service::{Service, seconds};

/// Between two rounds of releases, and of reversals.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two tidyings of the limits.
const TIDY: Duration = Duration::from_secs(60);
/// A charge that was asked for so long before, beyond the provider's time-out, has lost its instance.
const LOST_S: i64 = 30;
/// The provider is told of so many charges at a time.
const TOGETHER: usize = 8;
/// A reversal is repeated after 2, 4, 8, … seconds, and once an hour in the end.
const PAUSE_MAX_S: i64 = 3_600;

type Stop = watch::Receiver<bool>;

/// Until `stop` says so.
pub(crate) fn start(service: &Arc<Service>, stop: &Stop) -> Vec<JoinHandle<()>> {
    let (service, stop) = (|| Arc::clone(service), || stop.clone());
    vec![
        tokio::spawn(every(PAUSE, service(), stop(), release)),
        tokio::spawn(every(PAUSE, service(), stop(), reverse)),
        tokio::spawn(every(TIDY, service(), stop(), tidy)),
    ]
}

async fn every<F: Future<Output = ()>>(
    pause: Duration,
    service: Arc<Service>,
    mut stop: Stop,
    work: fn(Arc<Service>, Stop) -> F,
) {
    while !*stop.borrow() {
        work(Arc::clone(&service), stop.clone()).await;
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Releases what is due. Instances share the work: each takes what no other holds.
async fn release(service: Arc<Service>, stop: Stop) {
    while let Ok(count) = service.ledger.release_due(seconds(imagxp_host::system::now())).await {
        if count == 0 {
            return;
        }
        service.metrics.released(count);
        tracing::info!(count, "payments released: their dispute window has ended");
        if *stop.borrow() {
            return;
        }
    }
}

/// Has the provider void what nobody got a visa for. One that it does not take note of keeps no other waiting.
async fn reverse(service: Arc<Service>, stop: Stop) {
    if service.provider.is_none() {
        return;
    }
    let now = seconds(imagxp_host::system::now());
    if let Ok(backlog) = service.ledger.backlog().await {
        service.metrics.reversing(backlog, now);
    }
    let Ok(reversals) = service.ledger.overdue_charges(now - LOST_S, now).await else { return };
    for group in reversals.chunks(TOGETHER) {
        if *stop.borrow() {
            return;
        }
        let telling: JoinSet<_> = group.iter().cloned().map(|one| void(Arc::clone(&service), one)).collect();
        telling.join_all().await;
    }
}

async fn tidy(service: Arc<Service>, _: Stop) {
    service.limits.tidy();
}

async fn void(service: Arc<Service>, Reversal { charge, attempts }: Reversal) {
    let Some(provider) = &service.provider else { return };
    // Where the books cannot be written the provider is told once more: the same reversal twice is one.
    match provider.reverse(&charge).await {
        Ok(()) => {
            tracing::info!(sale = charge.jti, "charge reversed");
            let _ = service.ledger.charge_reversed(charge.jti).await;
        }
        Err(why) => {
            let attempts = attempts.saturating_add(1);
            let pause_s = (1_i64 << attempts.clamp(0, 12)).min(PAUSE_MAX_S);
            tracing::warn!(sale = charge.jti, attempts, why, pause_s, "charge not reversed");
            let next_s = seconds(imagxp_host::system::now()) + pause_s;
            let _ = service.ledger.postpone_reversal(charge.jti, next_s).await;
        }
    }
}
