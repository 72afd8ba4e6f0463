//! One fetch a URL: whoever wants the same waits for it, or gets what has just come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::Fetched;

type Landing = watch::Receiver<Option<Arc<Fetched>>>;

/// How long a document that has come can still be had. Whoever asks so soon again has only not yet seen the snapshot with
/// the news in it.
const LINGER: Duration = Duration::from_secs(1);

/// The fetches under way, by URL and whose it is.
#[derive(Clone, Default)]
pub(crate) struct Flights {
    flights: Arc<Mutex<HashMap<String, Landing>>>,
}

/// A fetch that is under way.
pub(crate) struct Flight(Landing);

impl Flights {
    /// Joins the flight of `key`, or begins it as a task of its own: it lands even if all who wait are gone.
    pub(crate) fn join<F>(&self, key: &str, begin: impl FnOnce() -> Option<F>) -> Option<Flight>
    where
        F: Future<Output = Fetched> + Send + 'static,
    {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = flights.get(key) {
            return Some(Flight(landing.clone()));
        }
        let fetch = begin()?;
        let (sender, landing) = watch::channel(None);
        flights.insert(key.to_owned(), landing.clone());
        let gone = Gone { flights: Arc::clone(&self.flights), key: key.to_owned() };
        tokio::spawn(async move {
            let _ = sender.send(Some(Arc::new(fetch.await)));
            sleep(LINGER).await;
            drop(gone);
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

/// Takes the flight off the list, even if its task panics or is killed.
struct Gone {
    flights: Arc<Mutex<HashMap<String, Landing>>>,
    key: String,
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
