//! How much fetching there may be: in all, a second, for one client, and towards one network (SSRF-9).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;
use super::address::network_of;
use super::reason::Reason;
use crate::bucket::{Bucket, Clients};

/// The budget of one fetcher.
pub(crate) struct Budget {
    fetches: Arc<Semaphore>,
    names: Mutex<Names>,
    networks: Arc<Mutex<HashMap<IpAddr, u32>>>,
    per_network: u32,
}

struct Names {
    all: Bucket,
    clients: Clients,
}

/// Leave to fetch one document; given back when dropped. Configured documents are few and need no leave.
pub(crate) struct Ticket(#[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>);

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let names = Names {
            all: Bucket::new(limits.names_per_s, limits.names_per_s, Instant::now()),
            clients: Clients::new(limits.per_client_per_s, limits.per_client_per_s),
        };
        Self {
            fetches: Arc::new(Semaphore::new(limits.fetches)),
            names: Mutex::new(names),
            networks: Arc::default(),
            per_network: limits.per_network,
        }
    }

    /// Leave for a document that may be new; none if the budget is used up.
    pub(crate) fn begin(&self, configured: bool, client: Option<IpAddr>) -> Option<Ticket> {
        let ticket = self.begin_known(configured)?;
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        (configured || names.take(client, Instant::now())).then_some(ticket)
    }

    /// Leave for a document that is known and due again.
    pub(crate) fn begin_known(&self, configured: bool) -> Option<Ticket> {
        if configured {
            return Some(Ticket(None));
        }
        Arc::clone(&self.fetches).try_acquire_owned().ok().map(|permit| Ticket(Some(permit)))
    }

    /// A place among the connections to an address's network.
    pub(crate) fn occupy(&self, address: IpAddr) -> Result<Place, Reason> {
        let network = network_of(address);
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        let count = networks.entry(network).or_default();
        if *count >= self.per_network {
            return Err(Reason::Crowded);
        }
        *count = count.saturating_add(1);
        Ok(Place { network, networks: Arc::clone(&self.networks) })
    }
}

/// One connection to a network; given back when dropped.
pub(crate) struct Place {
    network: IpAddr,
    networks: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        match networks.get_mut(&self.network) {
            Some(count @ 2..) => *count = count.saturating_sub(1),
            _ => {
                networks.remove(&self.network);
            }
        }
    }
}

impl Names {
    /// The client's own bucket first: who floods must not empty everybody's.
    fn take(&mut self, client: Option<IpAddr>, now: Instant) -> bool {
        client.is_none_or(|client| self.clients.take(client, now)) && self.all.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_cannot_use_up_the_budget_of_all() {
        let limits = Limits { names_per_s: 4, per_client_per_s: 2, ..Limits::default() };
        let budget = Budget::new(&limits);
        let (one, other) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
        let passed = |client| (0..10).filter(|_| budget.begin(false, client).is_some()).count();
        assert_eq!(passed(one), 2);
        assert_eq!(passed(other), 2);
        assert_eq!(passed(None), 0, "four in all");
        assert!(budget.begin(true, None).is_some(), "the operator's own");
        assert!(budget.begin_known(false).is_some(), "a refresh");
    }

    #[test]
    fn places_come_back() {
        let budget = Budget::new(&Limits { per_network: 2, ..Limits::default() });
        let place = |last| budget.occupy([203, 0, 113, last].into());
        let (first, second) = (place(1), place(2));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(place(3).err(), Some(Reason::Crowded));
        drop(first);
        assert!(place(3).is_ok());
        drop(second);
        assert!(budget.networks.lock().unwrap().is_empty());
    }

    #[test]
    fn tickets_come_back() {
        let budget = Budget::new(&Limits { fetches: 1, ..Limits::default() });
        let ticket = budget.begin_known(false);
        assert!(ticket.is_some() && budget.begin_known(false).is_none());
        drop(ticket);
        assert!(budget.begin_known(false).is_some());
    }
}
