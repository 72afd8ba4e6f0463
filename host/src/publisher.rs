//! The publisher's loop for servers with threads: verify, fetch what is missing, verify again, admit.
//!
//! Two states, two rules (docs/design.md, sharing). The key cache is a snapshot that is never written while it is read:
//! a writer clones it, supplies, and swaps; readers take no lock. The replay cache is one, behind a lock that is held for
//! `admit` only.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use http::HeaderMap;
use imagxp::story::{Fetch, Missing, Visited};
use imagxp::{
    Error, Grant, Headers, KeyCache, KeyId, Keys, Kind, Need, Policy, Refusal, ReplayCache, Request, Sizes, Step,
    Story, UnixMillis, Verified, Visit,
};

use crate::fetch::{Fetched, Fetcher, Wanted};
use crate::load::{Gate, Load};
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
    gate: Gate,
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
    pub outcome: Result<Grant<'r>, Refused<'r>>,
}

/// A document that a decision had to wait for.
#[derive(Clone, Debug)]
pub struct Document {
    /// Which one.
    pub wanted: Wanted,
    /// When it was asked for.
    pub asked: UnixMillis,
    /// When the answer was there.
    pub answered: UnixMillis,
    /// The answer.
    pub fetched: Arc<Fetched>,
}

/// Why not, and what to tell the client.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'r> {
    /// The precise code, for the log.
    pub error: Error,
    /// Status, body and headers.
    pub answer: Refusal<'r>,
    /// For `Retry-After`.
    pub retry_after_s: Option<u32>,
}

impl<'r> Refused<'r> {
    /// A refusal under this policy.
    #[must_use]
    pub fn new(error: Error, policy: &Policy<'r>) -> Self {
        let answer = Refusal::new(error, policy);
        Self { error, answer, retry_after_s: answer.retry_after_s() }
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
        Ok(Self { policy: words, keys, writer: Mutex::default(), replay, fetcher, gate: Gate::new(&Load::default()) })
    }

    /// The same with other limits than [`Load::default`].
    #[must_use]
    pub fn with_load(self, load: &Load) -> Self {
        Self { gate: Gate::new(load), ..self }
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

    /// Decides about a request, as [`Request::parse`] read or refused it. `client` is the address that it came from,
    /// for the budgets of fetches and of signatures that fail.
    ///
    /// # Errors
    /// `ABI_STATE`, in practice never: a refusal is a decision, too.
    pub async fn decide<'r>(
        &'r self,
        request: Result<&'r Request<'_>, Error>,
        client: Option<IpAddr>,
    ) -> Result<Decision<'r>, Error> {
        let received = system::now();
        let policy = self.policy()?;
        let mut documents = Vec::new();
        let verified = match request {
            Ok(request) => self.verify(request, client, &mut documents).await,
            Err(error) => Err(error),
        };
        let outcome = match verified {
            Ok(verified) => {
                self.admit(verified, &policy).inspect_err(|refused| self.gate.count(client, refused.error, false))
            }
            Err(error) => Err(Refused::new(error, &policy)),
        };
        Ok(Decision { received, decided: system::now(), documents, outcome })
    }

    /// Verifies a request without admitting it: for servers to whom a repeated request does no harm, since what it asks
    /// for is done once by their own books (a broker's sale). Nothing is written into the replay cache. The documents
    /// that it had to wait for are added to `documents`.
    ///
    /// # Errors
    /// Every refusal of [`Request::verify`].
    pub async fn identify<'r>(
        &'r self,
        request: &'r Request<'_>,
        client: Option<IpAddr>,
        documents: &mut Vec<Document>,
    ) -> Result<Verified<'r>, Error> {
        self.verify(request, client, documents).await
    }

    /// At most three times, once for each document.
    async fn verify<'r>(
        &'r self,
        request: &'r Request<'_>,
        client: Option<IpAddr>,
        documents: &mut Vec<Document>,
    ) -> Result<Verified<'r>, Error> {
        let count = |error: &Error, fetched| self.gate.count(client, *error, fetched);
        let mut fetched = false;
        loop {
            match self.step(request, client).inspect_err(|error| count(error, fetched))? {
                Step::Verified(verified) => return Ok(verified),
                Step::Need(need) => {
                    fetched = true;
                    documents.push(self.fetch(&need, client).await.inspect_err(|error| count(error, true))?);
                }
            }
        }
    }

    /// One look at the request. A visitor without headers costs no check, and takes no place.
    fn step<'r>(&'r self, request: &'r Request<'_>, client: Option<IpAddr>) -> Result<Step<'r>, Error> {
        let _place = request.payload_json().map(|_| self.gate.enter(client)).transpose()?;
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
        Ok(Document { wanted: Wanted::from(need), asked, answered, fetched })
    }

    fn admit<'r>(&self, verified: Verified<'r>, policy: &Policy<'r>) -> Result<Grant<'r>, Refused<'r>> {
        let mut words = self.replay.lock().unwrap_or_else(PoisonError::into_inner);
        let mut replay = ReplayCache::attach(&mut words).map_err(|error| Refused::new(error, policy))?;
        let grant = verified.grant().clone();
        verified.admit(&mut replay, system::now()).map_err(|error| {
            let answer = Refusal::at_admission(error, &grant, policy);
            let full = (error == Error::ReplayCacheFull).then(|| replay.retry_after_s());
            Refused { error, answer, retry_after_s: full.or(answer.retry_after_s()) }
        })
    }

    /// Follows the hints of an admission: call it once the visitor has been answered.
    ///
    /// # Errors
    /// `CLOCK_UNKNOWN`
    pub async fn follow_up(&self, hints: Hints) -> Result<(), Error> {
        if let Some(wanted) = hints.refresh
            && let Ok(fetched) = self.fetcher.refresh(wanted.clone()).await
        {
            self.write(|keys| keys.supply(&wanted.need(), fetched.answer(), system::now()))?;
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
    prepare: Option<KeyId>,
}

impl Hints {
    /// Those of an admission, or of what was only identified.
    #[must_use]
    pub fn of(grant: &Grant<'_>) -> Self {
        Self { refresh: grant.refresh.as_ref().map(Wanted::from), prepare: grant.prepare }
    }

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
        self.outcome.as_ref().map_or_else(|_| Hints::default(), Hints::of)
    }

    /// The HTTP status: 200 if admitted.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.outcome.as_ref().map_or_else(|refused| refused.answer.status(), |_| 200)
    }

    /// The precise code: `OK` if admitted. For the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.outcome.as_ref().map_or_else(|refused| refused.error.name(), |_| "OK")
    }

    /// The story, a line each, for a log that people read (protocol.md section 8).
    #[must_use]
    pub fn story(&self, visit: &Visit<'_>, request: Option<&Request<'_>>, policy: &Policy<'_>) -> Vec<String> {
        self.told(visit, request, policy, lines)
    }

    /// The story, told by `tell`: for logs of a form of their own.
    pub fn told<T>(
        &self,
        visit: &Visit<'_>,
        request: Option<&Request<'_>>,
        policy: &Policy<'_>,
        tell: impl FnOnce(&Story<'_>) -> T,
    ) -> T {
        let fetches: Vec<_> = self.documents.iter().map(Document::told).collect();
        tell(&Story::publisher(&Visited {
            visit,
            claims: request.and_then(Request::claims),
            policy: *policy,
            fetches: &fetches,
            verdict: self.outcome.as_ref().map_err(|refused| refused.error),
            received: self.received,
            judged: self.decided,
        }))
    }
}

/// A story's lines.
#[must_use]
pub fn lines(story: &Story<'_>) -> Vec<String> {
    let mut out = [0; 2_800];
    (0..story.len()).filter_map(|index| story.line(index, &mut out).ok().map(str::to_owned)).collect()
}

impl Document {
    fn told(&self) -> Fetch<'_> {
        let found = match &*self.fetched {
            Fetched::Found { body, .. } => Ok(body.len()),
            Fetched::NotThere(_) => Err(Missing::NotThere),
            Fetched::Unreachable(_) => Err(Missing::Unreachable),
        };
        Fetch { need: self.wanted.need(), asked: self.asked, answered: self.answered, found }
    }
}

impl Refused<'_> {
    /// The body that the client gets: the public code, and nothing of the input.
    #[must_use]
    pub fn body(&self) -> String {
        let mut out = [0; imagxp::spec::refusal::BODY_MAX];
        self.answer.body(&mut out).unwrap_or_default().to_owned()
    }

    /// The headers beside it: the media type, when to come again, where to pay.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        headers.extend(self.retry_after_s.map(|seconds| ("retry-after", seconds.to_string())));
        if let Some(hints) = self.answer.hints() {
            headers.extend(hints.iter().map(|(name, value)| (name, value.to_owned())));
        }
        headers
    }
}

fn zeroed(words: usize) -> Box<[u64]> {
    vec![0; words].into_boxed_slice()
}
