//! Who asks: the request's signature, its resource (this broker's own URL), and the agent's manifest, by the publisher's
//! loop of `imagxp-host`.
//!
//! Nothing is remembered of nonces: a repeated request is the same sale, or the same word of feedback, by the books.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use imagxp::key::Kid;
use imagxp::{Error, Headers, Request, Shape, Sizes, UnixMillis, Visit};
use imagxp_host::publisher::{Decision, Document, Hints, Memory, Refused, headers};
use imagxp_host::{Fetcher, Publisher, Settings};

use crate::answer::Refusal;
use crate::problem::Problem;
use crate::story;

/// Verifies agents.
pub(crate) struct Agents {
    publisher: Arc<Publisher>,
    scheme: &'static str,
    authority: String,
}

/// A verified agent, and what it said.
pub(crate) struct Agent {
    pub(crate) agent_id: String,
    pub(crate) key: imagxp::PublicKey,
    pub(crate) kid: Kid,
    pub(crate) nonce: String,
    pub(crate) purpose: &'static str,
    pub(crate) hints: Hints,
}

impl Agents {
    /// `public_url` is the origin that agents sign for.
    pub(crate) fn new(public_url: &str, settings: Settings) -> Result<Self, Problem> {
        let development = settings.development;
        let policy =
            format!(r#"{{"development":{development},"allowRAG":true,"allowTraining":true,"strategy":"STRICT"}}"#);
        let memory = Memory {
            keys: Sizes { names: 4_096, issuers: 1, tables: 128, shape: Shape::Kib16 },
            // No nonce is ever written.
            replay_slots: 16,
            accept_from: UnixMillis::EPOCH,
        };
        let publisher = Publisher::new(policy.as_bytes(), &memory, Fetcher::new(settings));
        let publisher = publisher.map_err(|error| Problem::new(error.name(), error.help()))?;
        let (scheme, authority) = match public_url.split_once("://") {
            Some(("http", authority)) => ("http", authority),
            Some((_, authority)) => ("https", authority),
            None => ("https", public_url),
        };
        Ok(Self { publisher: Arc::new(publisher), scheme, authority: authority.to_owned() })
    }

    /// The agent behind a request for `target`.
    pub(crate) async fn verify(
        &self,
        method: &str,
        target: &str,
        map: &HeaderMap,
        client: Option<IpAddr>,
    ) -> Result<Agent, Refusal> {
        let received = imagxp_host::system::now();
        let headers: Headers<'_> = headers(map).map_err(Refusal::Identity)?;
        let visit = Visit { method, scheme: self.scheme, authority: &self.authority, target, vouched: 0, headers };
        let (mut scratch, mut documents) = (vec![0; Request::SCRATCH], Vec::new());
        let request = Request::parse(&visit, &mut scratch);
        let verified = match &request {
            Ok(request) => self.publisher.identify(request, client, &mut documents).await,
            Err(error) => Err(*error),
        };
        let verified = verified.map_err(|error| {
            self.tell(&visit, request.as_ref().ok(), documents, received, error);
            Refusal::Identity(error)
        })?;
        let grant = verified.grant();
        let nonce = request.as_ref().ok().and_then(Request::nonce);
        let proven = grant.claims.zip(grant.key).zip(nonce);
        let ((claims, key), nonce) = proven.ok_or(Refusal::Identity(Error::IdentityRequired))?;
        Ok(Agent {
            agent_id: claims.agent_id.to_owned(),
            key,
            kid: key.kid(),
            nonce: nonce.to_owned(),
            purpose: claims.purpose.name(),
            hints: Hints::of(grant),
        })
    }

    /// Into the log, how far a stranger got.
    fn tell(
        &self,
        visit: &Visit<'_>,
        request: Option<&Request<'_>>,
        documents: Vec<Document>,
        received: UnixMillis,
        error: Error,
    ) {
        let Ok(policy) = self.publisher.policy() else { return };
        let (decided, outcome) = (imagxp_host::system::now(), Err(Refused::new(error, &policy)));
        let decision = Decision { received, decided, documents, outcome };
        decision.told(visit, request, &policy, |story| story::tell(story, &story::About::default()));
    }

    /// What a verification leaves to do, behind the answer. Only a customer's key is worth a table.
    pub(crate) fn follow_up(&self, hints: Hints) {
        if !hints.is_empty() {
            let publisher = Arc::clone(&self.publisher);
            tokio::spawn(async move { publisher.follow_up(hints).await });
        }
    }
}
