//! How much verifying there may be (threats.md section 5): a verification costs as much as hundreds of refusals by text,
//! and anybody can send a well-formed request with a signature that is none.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Instant;

use imagxp::Error;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::bucket::Clients;

/// The limits of one publisher. What is beyond them is refused with `BUSY`, 503 and `Retry-After`.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Verifications at one time.
    pub verifying: usize,
    /// Refusals that took a signature check or a document to find out, a second, of one client address.
    pub failures_per_s: u32,
    /// So many at once.
    pub failures_burst: u32,
}

impl Default for Load {
    /// threats.md section 5: twice the processors; 20 a second, 40 at once.
    fn default() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self { verifying: processors.saturating_mul(2), failures_per_s: 20, failures_burst: 40 }
    }
}

/// Who may have a signature checked now.
pub(crate) struct Gate {
    places: Semaphore,
    failures: Mutex<Clients>,
}

impl Gate {
    pub(crate) fn new(load: &Load) -> Self {
        let failures = Clients::new(load.failures_per_s, load.failures_burst);
        Self { places: Semaphore::new(load.verifying), failures: Mutex::new(failures) }
    }

    /// Leave for one verification, given back when dropped.
    pub(crate) fn enter(&self, client: Option<IpAddr>) -> Result<SemaphorePermit<'_>, Error> {
        let good = client.is_none_or(|client| self.lock().has_one(client, Instant::now()));
        if good { self.places.try_acquire().map_err(|_| Error::Busy) } else { Err(Error::Busy) }
    }

    /// Counts a refusal against the client, if it took a check or a document to find out. None of them spends the nonce:
    /// the same message would cost as much again and again.
    pub(crate) fn count(&self, client: Option<IpAddr>, error: Error, fetched: bool) {
        let dear = error != Error::Busy && (fetched || error.is_behind_signature());
        if let Some(client) = client.filter(|_| dear) {
            self.lock().take(client, Instant::now());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Clients> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_and_come_back() {
        let gate = Gate::new(&Load { verifying: 2, ..Load::default() });
        let (one, other) = (gate.enter(None), gate.enter(None));
        assert!(one.is_ok() && other.is_ok());
        assert_eq!(gate.enter(None).err(), Some(Error::Busy));
        drop(one);
        assert!(gate.enter(None).is_ok());
    }

    #[test]
    fn failures_are_counted_against_their_client() {
        let gate = Gate::new(&Load { failures_per_s: 1, failures_burst: 3, ..Load::default() });
        let (one, other) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        for error in [Error::KeyMismatch, Error::TimestampStale, Error::ReplayDetected, Error::KeyInvalid] {
            gate.count(one, error, false);
        }
        assert!(gate.enter(one).is_ok(), "two of them took no check");
        gate.count(one, Error::KeyMismatch, true);
        assert_eq!(gate.enter(one).err(), Some(Error::Busy));
        assert!(gate.enter(other).is_ok() && gate.enter(None).is_ok());
    }
}
