//! What happens without a request: payments become due, charges are reversed, quiet clients are forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::service::{Service, seconds};

/// Between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// Rounds between two tidyings of the limits.
const TIDY: u64 = 60;
/// A charge that was asked for so long before, beyond the provider's time-out, has lost its instance.
const LOST_S: i64 = 30;

/// Until `stop` says so.
pub(crate) async fn run(service: Arc<Service>, mut stop: watch::Receiver<bool>) {
    for round in 1_u64.. {
        release(&service).await;
        reverse(&service).await;
        if round % TIDY == 0 {
            service.limits.tidy();
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Releases what is due. Instances share the work: each takes what no other holds.
async fn release(service: &Service) {
    while let Ok(count) = service.ledger.release_due(seconds(imagxp_host::system::now())).await {
        if count == 0 {
            return;
        }
        service.metrics.released(count);
        tracing::info!(count, "payments released: their dispute window has ended");
    }
}

async fn reverse(service: &Service) {
    let Some(provider) = &service.provider else { return };
    let before = seconds(imagxp_host::system::now()) - LOST_S;
    let Ok(charges) = service.ledger.overdue_charges(before).await else { return };
    for charge in charges {
        if !provider.reverse(&charge).await {
            // The others would wait for the same provider; the next round begins with this one.
            return;
        }
        tracing::info!(sale = charge.jti, "charge reversed");
        if service.ledger.charge_reversed(charge.jti).await.is_err() {
            return;
        }
    }
}
