//! One request, verified once: the publisher's loop with documents from files or from the network.

use std::path::Path;

use imagxp::{
    Answer, Bound, Error, Grant, KeyCache, Kind, Need, Policy, Proof, ReplayCache, Request, Sizes, Step, UnixMillis,
    Visit, Visitor,
};
use imagxp_host::fetch::{Fetched, Fetcher};
use tokio::runtime::Runtime;

use crate::failure::Failure;
use crate::input;
use crate::net::{self, Net};
use crate::random;

/// Where documents come from.
pub(crate) struct Sources {
    /// `--manifest`
    pub(crate) manifest: Option<Vec<u8>>,
    /// `--jwks`
    pub(crate) jwks: Option<Vec<u8>>,
    /// None with `--offline`.
    pub(crate) network: Option<(Fetcher, Runtime)>,
}

/// A document that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) url: String,
    /// `file`, `found`, `not_there`, `unreachable`, `offline`.
    pub(crate) answer: &'static str,
    pub(crate) body: Option<Vec<u8>>,
    /// Why there is none.
    pub(crate) reason: Option<String>,
}

/// An admission, in texts of its own.
pub(crate) struct Admitted {
    pub(crate) visitor: Visitor,
    pub(crate) bound: Bound,
    pub(crate) proof: Proof,
}

/// Verifies and admits. Nothing is remembered from call to call, so a replay cannot be seen.
pub(crate) fn decide(
    visit: &Visit<'_>,
    policy: &Policy<'_>,
    sources: &Sources,
    now: UnixMillis,
    asked: &mut Vec<Asked>,
) -> Result<Result<Admitted, Error>, Failure> {
    let admitted = |grant: &Grant<'_>| Admitted { visitor: grant.visitor, bound: grant.bound, proof: grant.proof };
    decide_then(visit, policy, sources, now, asked, |verdict, _| verdict.map(admitted))
}

/// The same, for callers who need the admission itself, and the documents that it rests on.
pub(crate) fn decide_then<T>(
    visit: &Visit<'_>,
    policy: &Policy<'_>,
    sources: &Sources,
    now: UnixMillis,
    asked: &mut Vec<Asked>,
    then: impl FnOnce(Result<&Grant<'_>, Error>, &[Asked]) -> T,
) -> Result<T, Failure> {
    let sizes = Sizes { tables: 0, ..Sizes::EMBEDDED };
    let seed = random::bytes::<32>()?;
    let mut words = vec![0; KeyCache::words(&sizes)];
    let mut keys = KeyCache::new(&mut words, &sizes, &seed).map_err(Failure::of)?;
    let mut words = vec![0; ReplayCache::words(16)];
    let mut replay = ReplayCache::new(&mut words, &seed, UnixMillis::EPOCH).map_err(Failure::of)?;

    let mut scratch = vec![0; Request::SCRATCH];
    let request = match Request::parse(visit, &mut scratch) {
        Ok(request) => request,
        Err(error) => return Ok(then(Err(error), asked)),
    };
    let verified = loop {
        match request.verify(policy, &keys.read(), now) {
            Ok(Step::Verified(verified)) => break verified,
            Ok(Step::Need(need)) => {
                let found = sources.get(&need);
                keys.supply(&need, found.answer(), now).map_err(Failure::of)?;
                asked.push(found);
            }
            Err(error) => return Ok(then(Err(error), asked)),
        }
    };
    let admitted = verified.admit(&mut replay, now);
    Ok(then(admitted.as_ref().map_err(|error| *error), asked))
}

impl Sources {
    /// Reads the files, and makes ready for the network unless it is not needed.
    pub(crate) fn open(
        manifest: Option<&Path>,
        jwks: Option<&Path>,
        offline: bool,
        net: &Net,
        development: bool,
    ) -> Result<Self, Failure> {
        let network = if offline {
            None
        } else {
            let runtime = net::runtime()?;
            let fetcher = {
                let _inside = runtime.enter();
                Fetcher::new(net.settings(development)?)
            };
            Some((fetcher, runtime))
        };
        Ok(Self { manifest: manifest.map(input::read).transpose()?, jwks: jwks.map(input::read).transpose()?, network })
    }

    /// The document, from its file or from where it is served.
    pub(crate) fn get(&self, need: &Need<'_>) -> Asked {
        let asked = |answer| Asked { kind: need.kind, url: need.url.to_owned(), answer, body: None, reason: None };
        let file = match need.kind {
            Kind::Manifest => &self.manifest,
            Kind::Jwks => &self.jwks,
        };
        if let Some(body) = file {
            return Asked { body: Some(body.clone()), ..asked("file") };
        }
        let Some((fetcher, runtime)) = &self.network else {
            return Asked { reason: Some("not looked for: --offline".to_owned()), ..asked("offline") };
        };
        match runtime.block_on(fetcher.fetch(need, None)).as_deref() {
            Ok(Fetched::Found { body, .. }) => Asked { body: Some(body.to_vec()), ..asked("found") },
            Ok(Fetched::NotThere(why)) => Asked { reason: Some(why.to_string()), ..asked("not_there") },
            Ok(Fetched::Unreachable(why)) => Asked { reason: Some(why.to_string()), ..asked("unreachable") },
            Err(_) => Asked { reason: Some("timed out".to_owned()), ..asked("unreachable") },
        }
    }
}

impl Asked {
    pub(crate) fn answer(&self) -> Answer<'_> {
        match (&self.body, self.answer) {
            (Some(body), _) => Answer::Found { body, max_age_s: None },
            (None, "not_there") => Answer::NotThere,
            (None, _) => Answer::Unreachable,
        }
    }
}
