//! One fetch a URL: whoever wants the same waits for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::Fetched;

type Landing = watch::Receiver<Option<Arc<Fetched>>>;

/// The fetches under way, by URL.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    flights: Arc<Mutex<HashMap<String, Landing>>>,
}

/// A fetch that is under way.
pub(crate) struct Flight(Landing);

impl Flights {
    /// Joins the flight to `url`, or begins it as a task of its own: it lands even if all who wait are gone.
    pub(crate) fn join<F>(&self, url: &str, begin: impl FnOnce() -> Option<F>) -> Option<Flight>
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = flights.get(url) {
            return Some(Flight(landing.clone()));
        }
        let fetch = begin()?;
        let (sender, landing) = watch::channel(None);
        flights.insert(url.to_owned(), landing.clone());
        let gone = Gone { flights: Arc::clone(&self.flights), url: url.to_owned() };
        tokio::spawn(async move {
            let fetched = fetch.await;
            // Off the list before the news is out: who asks after it wants a newer one.
            drop(gone);
            let _ = sender.send(Some(Arc::new(fetched)));
        });
        Some(Flight(landing))
    }
}

impl Flight {
    /// What came of it; none if its task was killed.
    pub(crate) async fn landed(mut self) -> Option<Arc<Fetched>> {
        self.0.wait_for(Option::is_some).await.ok().and_then(|landed| landed.clone())
    }
}

/// Takes the flight off the list, even if its task panics.
struct Gone {
    flights: Arc<Mutex<HashMap<String, Landing>>>,
    url: String,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.url);
    }
}
