//! A publisher in a closed world: its policy, its caches, and the only documents that can be fetched. It drives the
//! loop that every host drives, and counts what each step costs.

use std::collections::HashMap;

use imagxp::key::checks;
use imagxp::key_cache::Sizes;
use imagxp::{
    Answer, Bound, Error, Headers, KeyCache, Keys, Kind, Need, Policy, Proof, ReplayCache, Request, Step, UnixMillis,
    Visit, Visitor,
};
use serde_json::{Value, json};

use super::{Outcome, holds, request};

/// What a fetch finds.
#[derive(Clone)]
pub(crate) enum Document {
    /// A body with status 200 and a good media type.
    Found(Vec<u8>),
    /// An answer, but not the document.
    NotThere,
}

/// A publisher, its memory, and its network.
pub(crate) struct Site {
    policy: Vec<u64>,
    keys: Vec<u64>,
    replay: Vec<u64>,
    /// By URL; what is not here cannot be reached.
    pub(crate) documents: HashMap<String, Document>,
}

/// Where a request goes, and what the host vouches for.
#[derive(Clone, Copy)]
pub(crate) struct Target<'t> {
    pub(crate) scheme: &'t str,
    pub(crate) authority: &'t str,
    pub(crate) target: &'t str,
    pub(crate) vouched: u32,
}

impl Target<'_> {
    /// The page that the cases ask for.
    pub(crate) const PAGE: Target<'static> =
        Target { scheme: "https", authority: "pub.example.com", target: "/posts/a", vouched: 0 };
}

/// An admission, without borrows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) visitor: Visitor,
    pub(crate) proof: Proof,
    pub(crate) bound: Bound,
}

/// One request's way through a site.
pub(crate) struct Story {
    pub(crate) result: Result<Admission, Error>,
    /// The documents that were asked for.
    pub(crate) needs: Vec<String>,
    /// Signature checks of `parse`, of each `verify`, and of `admit`.
    pub(crate) parse_checks: u64,
    pub(crate) verify_checks: Vec<u64>,
    pub(crate) admit_checks: u64,
    tokens: u64,
}

impl Site {
    /// A publisher with this policy that remembers nothing.
    ///
    /// # Errors
    /// `POLICY_INVALID`
    pub(crate) fn new(policy: &Value) -> Result<Self, Error> {
        let mut words = vec![0; Policy::WORDS];
        Policy::parse(policy.to_string().as_bytes(), &mut words)?;
        let sizes = Sizes { names: 64, tables: 0, ..Sizes::EMBEDDED };
        let mut keys = vec![0; KeyCache::words(&sizes)];
        KeyCache::new(&mut keys, &sizes, &[7; 32])?;
        let mut replay = vec![0; ReplayCache::words(256)];
        ReplayCache::new(&mut replay, &[9; 32], UnixMillis::EPOCH)?;
        Ok(Self { policy: words, keys, replay, documents: HashMap::new() })
    }

    /// The same with a replay cache that knows nothing from before `accept_from`.
    pub(crate) fn restarted(mut self, accept_from: UnixMillis) -> Self {
        ReplayCache::new(&mut self.replay, &[9; 32], accept_from).expect("the memory is large enough");
        self
    }

    /// A site that takes the cases' requests whatever their resource.
    pub(crate) fn unbound() -> Self {
        Self::new(&json!({ "allowTraining": true, "allowRAG": true, "resource_binding": "off" }))
            .expect("a good policy")
    }

    /// Publishes a key as an agent's manifest.
    pub(crate) fn publish(mut self, agent_id: &str, spki: &str) -> Self {
        let body = json!({ "agent_id": agent_id, "public_key": spki }).to_string().into_bytes();
        self.documents.insert(manifest_url(agent_id), Document::Found(body));
        self
    }

    /// Publishes the key of the cases' agent.
    pub(crate) fn with_agent(self) -> Self {
        self.publish(request::AGENT, request::agent_key().public().to_text().as_str())
    }

    /// Puts an agent's key into the cache as its manifest would have, fetched at `then`.
    pub(crate) fn learn(&mut self, agent_id: &str, spki: &str, then: UnixMillis) {
        let url = manifest_url(agent_id);
        let need = Need { kind: Kind::Manifest, url: &url, host: agent_id, configured: false, max_len: 8_192 };
        let body = json!({ "agent_id": agent_id, "public_key": spki }).to_string();
        self.supply(&need, Some(&Document::Found(body.into_bytes())), then);
    }

    fn supply(&mut self, need: &Need<'_>, document: Option<&Document>, now: UnixMillis) {
        let answer = match document {
            Some(Document::Found(body)) => {
                Answer::Found { body: &body[..body.len().min(need.max_len + 1)], max_age_s: None }
            }
            Some(Document::NotThere) => Answer::NotThere,
            None => Answer::Unreachable,
        };
        let mut cache = KeyCache::attach(&mut self.keys).expect("our own memory");
        cache.supply(need, answer, now).expect("the clock is set");
    }

    /// Judges one request, fetching what it takes.
    pub(crate) fn judge(&mut self, headers: &request::Headers, at: Target<'_>, now: UnixMillis) -> Story {
        let mut story = Story { tokens: tokens(headers), ..Story::refused(Error::Busy) };
        story.result = self.run(headers, at, now, &mut story);
        story
    }

    fn run(
        &mut self,
        headers: &request::Headers,
        at: Target<'_>,
        now: UnixMillis,
        story: &mut Story,
    ) -> Result<Admission, Error> {
        let words = self.policy.clone();
        let policy = Policy::attach(&words)?;
        let mut taken = Headers::new();
        headers.iter().try_for_each(|(name, value)| taken.add(name.as_bytes(), value))?;
        let Target { scheme, authority, target, vouched } = at;
        let visit = Visit { method: "GET", scheme, authority, target, vouched, headers: taken };
        let mut scratch = vec![0; Request::SCRATCH];
        let (request, checks) = counted(|| Request::parse(&visit, &mut scratch));
        story.parse_checks = checks;
        let request = request?;
        loop {
            let keys = self.keys.clone();
            let keys = Keys::attach(&keys)?;
            let (step, checks) = counted(|| request.verify(&policy, &keys, now));
            story.verify_checks.push(checks);
            match step? {
                Step::Need(_) if story.needs.len() > 3 => return Err(Error::AbiState),
                Step::Need(need) => {
                    story.needs.push(need.url.to_owned());
                    let document = self.documents.get(need.url).cloned();
                    self.supply(&need, document.as_ref(), now);
                }
                Step::Verified(verified) => {
                    let mut replay = ReplayCache::attach(&mut self.replay)?;
                    let (grant, checks) = counted(|| verified.admit(&mut replay, now));
                    story.admit_checks = checks;
                    let grant = grant?;
                    return Ok(Admission { visitor: grant.visitor, proof: grant.proof, bound: grant.bound });
                }
            }
        }
    }
}

impl Story {
    /// A request that cost nothing and was refused: before a publisher whose policy is refused, for one.
    pub(crate) fn refused(error: Error) -> Self {
        let verify_checks = Vec::new();
        Self { result: Err(error), needs: Vec::new(), parse_checks: 0, verify_checks, admit_checks: 0, tokens: 0 }
    }

    /// The refusal, or `OK`.
    pub(crate) fn code(&self) -> &'static str {
        self.result.map_or_else(Error::name, |_| "OK")
    }

    /// What threats.md section 5 promises of every request: nothing is verified for one whose text is bad, nothing is
    /// fetched for one that did not sign, one signature check a token besides the request's own.
    pub(crate) fn check_order(&self) -> Outcome {
        holds(self.parse_checks == 0, "parse verified a signature")?;
        holds(self.admit_checks == 0, "admit verified a signature")?;
        holds(self.needs.len() <= 3, "more than three needs")?;
        for (call, checks) in self.verify_checks.iter().enumerate() {
            holds(*checks <= 1 + self.tokens, "more than one signature check a signature")?;
            holds(call >= self.needs.len() || *checks >= 1, "a need without a valid signature")?;
        }
        let malformed = self.result.is_err_and(|error| matches!(error.status(), 400 | 401 | 431));
        let cost = self.verify_checks.iter().sum::<u64>();
        holds(!malformed || cost == 0 && self.needs.is_empty(), "a malformed request got as far as a signature check")
    }
}

fn tokens(headers: &request::Headers) -> u64 {
    let has = |names: &[&str]| {
        u64::from(
            headers.iter().any(|(name, value)| !value.is_empty() && names.contains(&name.to_lowercase().as_str())),
        )
    };
    has(&["x-imagxp-credential", "x-imagxp-payment"]) + has(&["x-imagxp-proof"])
}

/// The result of a call and how many signature checks it made.
fn counted<T>(call: impl FnOnce() -> T) -> (T, u64) {
    let before = checks::counted();
    let result = call();
    (result, checks::counted() - before)
}

/// Where an agent's manifest is.
pub(crate) fn manifest_url(agent_id: &str) -> String {
    format!("https://{agent_id}/.well-known/imagxp-agent.json")
}
