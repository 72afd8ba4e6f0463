//! The publisher's loop for servers with threads: verify, fetch what is missing, verify again, admit.
//!
//! Two states, two rules (docs/design.md, sharing). The key cache is a snapshot that is never written while it is read:
//! a writer clones it, supplies, and swaps; readers take no lock. The replay cache is one, behind a lock that is held for
//! `admit` only, well under a microsecond.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::HeaderMap;
use imagxp::key_cache::Sizes;
use imagxp::{
    Error, Grant, Headers, KeyCache, Keys, Kind, Need, Policy, ReplayCache, Request, Step, UnixMillis, Verified,
    Visitor,
};

use crate::fetch::{Fetched, Fetcher, Wanted};
use crate::system;

/// How much a publisher remembers.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The key cache.
    pub keys: Sizes,
    /// Requests that the replay cache remembers: `imagxp size --rate` computes it.
    pub replay_slots: usize,
    /// Requests signed before this are refused, since an earlier process may have admitted them: the time of the start.
    pub accept_from: UnixMillis,
}

/// Decides about requests, for one policy.
pub struct Publisher {
    policy: Box<[u64]>,
    keys: ArcSwap<Box<[u64]>>,
    /// One writer at a time.
    writer: Mutex<()>,
    replay: Mutex<Box<[u64]>>,
    fetcher: Fetcher,
}

/// What was decided, when, and on what grounds.
#[derive(Debug)]
pub struct Decision<'r> {
    /// When the request came.
    pub received: UnixMillis,
    /// When it was decided.
    pub decided: UnixMillis,
    /// Which documents had to be fetched for it.
    pub documents: Vec<Document>,
    /// Admitted or refused.
    pub outcome: Result<Grant<'r>, Refusal>,
}

/// A document that a decision had to wait for.
#[derive(Clone, Debug)]
pub struct Document {
    /// Which one.
    pub kind: Kind,
    /// Where it is.
    pub url: String,
    /// When it was asked for.
    pub asked: UnixMillis,
    /// When the answer was there.
    pub answered: UnixMillis,
    /// The answer.
    pub fetched: Arc<Fetched>,
}

/// Why not, and when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The precise code, for the log.
    pub error: Error,
    /// For `Retry-After`.
    pub retry_after_s: Option<u32>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, retry_after_s: error.retry_after_s() }
    }
}

/// Takes in every header of an HTTP request, each line on its own.
///
/// # Errors
/// As [`Headers::add`].
pub fn headers(map: &HeaderMap) -> Result<Headers<'_>, Error> {
    let mut headers = Headers::new();
    map.iter().try_for_each(|(name, value)| headers.add(name.as_str().as_bytes(), value.as_bytes()))?;
    Ok(headers)
}

impl Publisher {
    /// A publisher with this policy, in its JSON.
    ///
    /// # Errors
    /// `POLICY_INVALID`; `ABI_STORAGE` and `ABI_ARGUMENT` for sizes that cannot be; `BUSY` if the system has no random bytes.
    pub fn new(policy: &[u8], memory: &Memory, fetcher: Fetcher) -> Result<Self, Error> {
        let seed = || system::random::<32>().map_err(|_| Error::Busy);
        let mut words = zeroed(Policy::WORDS);
        Policy::parse(policy, &mut words)?;
        let mut keys = zeroed(KeyCache::words(&memory.keys));
        KeyCache::new(&mut keys, &memory.keys, &seed()?)?;
        let mut replay = zeroed(ReplayCache::words(memory.replay_slots));
        ReplayCache::new(&mut replay, &seed()?, memory.accept_from)?;
        let (keys, replay) = (ArcSwap::from_pointee(keys), Mutex::new(replay));
        Ok(Self { policy: words, keys, writer: Mutex::default(), replay, fetcher })
    }

    /// The policy.
    ///
    /// # Errors
    /// None in practice: it was compiled by [`Self::new`].
    pub fn policy(&self) -> Result<Policy<'_>, Error> {
        Policy::attach(&self.policy)
    }

    /// Fetches the key sets of the configured issuers, so that the first visitor need not wait.
    ///
    /// # Errors
    /// `CLOCK_UNKNOWN`
    pub async fn warm_up(&self) -> Result<Vec<Document>, Error> {
        let mut documents = Vec::new();
        for need in self.policy()?.documents() {
            if let Ok(document) = self.fetch(&need, None).await {
                documents.push(document);
            }
        }
        Ok(documents)
    }

    /// Decides about a request. `client` is the address that it came from, for the budget of fetches.
    pub async fn decide<'r>(&'r self, request: &'r Request<'_>, client: Option<IpAddr>) -> Decision<'r> {
        let received = system::now();
        let mut documents = Vec::new();
        let outcome = match self.verify(request, client, &mut documents).await {
            Ok(verified) => self.admit(verified),
            Err(error) => Err(error.into()),
        };
        Decision { received, decided: system::now(), documents, outcome }
    }

    /// At most three times, once for each document.
    async fn verify<'r>(
        &'r self,
        request: &'r Request<'_>,
        client: Option<IpAddr>,
        documents: &mut Vec<Document>,
    ) -> Result<Verified<'r>, Error> {
        loop {
            match self.step(request)? {
                Step::Verified(verified) => return Ok(verified),
                Step::Need(need) => documents.push(self.fetch(&need, client).await?),
            }
        }
    }

    fn step<'r>(&'r self, request: &'r Request<'_>) -> Result<Step<'r>, Error> {
        let snapshot = self.keys.load();
        request.verify(&self.policy()?, &Keys::attach(&snapshot)?, system::now())
    }

    async fn fetch(&self, need: &Need<'_>, client: Option<IpAddr>) -> Result<Document, Error> {
        let asked = system::now();
        let fetched = self.fetcher.fetch(need, client).await.map_err(|_| match need.kind {
            Kind::Manifest => Error::IdentityPending,
            Kind::Jwks => Error::JwksUnavailable,
        })?;
        let answered = system::now();
        self.write(|keys| keys.supply(need, fetched.answer(), answered))?;
        Ok(Document { kind: need.kind, url: need.url.to_owned(), asked, answered, fetched })
    }

    fn admit<'r>(&self, verified: Verified<'r>) -> Result<Grant<'r>, Refusal> {
        let mut words = self.replay.lock().unwrap_or_else(PoisonError::into_inner);
        let mut replay = ReplayCache::attach(&mut words)?;
        verified.admit(&mut replay, system::now()).map_err(|error| match error {
            Error::ReplayCacheFull => Refusal { error, retry_after_s: Some(replay.retry_after_s()) },
            _ => error.into(),
        })
    }

    /// Follows the hints of an admission: call it once the visitor has been answered.
    ///
    /// # Errors
    /// `CLOCK_UNKNOWN`
    pub async fn follow_up(&self, hints: Hints) -> Result<(), Error> {
        if let Some(wanted) = hints.refresh {
            if let Ok(fetched) = self.fetcher.refresh(wanted.clone()).await {
                self.write(|keys| keys.supply(&wanted.need(), fetched.answer(), system::now()))?;
            }
        }
        if let Some(id) = hints.prepare {
            self.write(|keys| keys.prepare(id, system::now()).map(drop))?;
        }
        Ok(())
    }

    /// Clone, write, swap.
    fn write(&self, change: impl FnOnce(&mut KeyCache<'_>) -> Result<(), Error>) -> Result<(), Error> {
        let _alone = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = self.keys.load().as_ref().clone();
        change(&mut KeyCache::attach(&mut words)?)?;
        self.keys.store(Arc::new(words));
        Ok(())
    }
}

/// What an admission leaves to do.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    refresh: Option<Wanted>,
    prepare: Option<imagxp::KeyId>,
}

impl Hints {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refresh.is_none() && self.prepare.is_none()
    }
}

impl Decision<'_> {
    /// What to do after answering.
    #[must_use]
    pub fn hints(&self) -> Hints {
        let Ok(grant) = &self.outcome else { return Hints::default() };
        Hints { refresh: grant.refresh.as_ref().map(Wanted::from), prepare: grant.prepare }
    }

    /// The HTTP status: 200 if admitted.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.outcome.as_ref().map_or_else(|refusal| refusal.error.status(), |_| 200)
    }

    /// The precise code: `OK` if admitted. For the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.outcome.as_ref().map_or_else(|refusal| refusal.error.name(), |_| "OK")
    }
}

impl Refusal {
    /// The body that the client gets (protocol.md section 6): the public code and nothing of the input.
    #[must_use]
    pub fn body(&self) -> String {
        let code = self.error.public().name();
        let visitor = Visitor::UnidentifiedBot.name();
        // Refused for payment means that who came is known.
        match self.error.status() {
            402 => {
                let visitor = Visitor::VerifiedAgent.name();
                format!(r#"{{"error":"{code}","visitor_type":"{visitor}","proof_used":"NONE"}}"#)
            }
            _ => format!(r#"{{"error":"{code}","visitor_type":"{visitor}"}}"#),
        }
    }

    /// The headers that the client gets beside it: when to come again, where to pay.
    #[must_use]
    pub fn headers(&self, policy: &Policy<'_>) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if let Some(seconds) = self.retry_after_s {
            headers.push(("retry-after", seconds.to_string()));
        }
        if self.error.status() == 402 && !policy.broker_url().is_empty() {
            headers.push((imagxp::spec::header::BROKER, policy.broker_url().to_owned()));
        }
        if self.error.status() == 402 && policy.price() > 0 {
            headers.push((imagxp::spec::header::PRICE, decimal(policy.price())));
        }
        headers
    }
}

/// Millionths as a decimal number.
fn decimal(micros: i64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn zeroed(words: usize) -> Box<[u64]> {
    vec![0; words].into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money() {
        for (micros, text) in [(1_000, "0.001"), (2_000_000, "2"), (1_500_000, "1.5"), (1, "0.000001"), (10_000_000, "10")] {
            assert_eq!(decimal(micros), text);
        }
    }
}
