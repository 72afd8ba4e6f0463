//! A publisher: its pages cost something, every request is judged before it is served, and it keeps a log of that.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::Request as HttpRequest;
use http::header::{HeaderName, HeaderValue};
use hyper::body::Incoming;
use imagxp::feedback::{self, Judgement, Signer};
use imagxp::{Grant, Request, Shape, Sizes, Story, Visit, spec};
use imagxp_host::publisher::{Memory, headers, lines};
use imagxp_host::{Decision, Fetcher, Publisher, Settings, system};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::log::EvidenceLog;
use crate::commands::keygen;
use crate::failure::Failure;
use crate::serve::{self, Answer};

/// Retrieval is welcome for a visa of this broker, bound to the agent; training is not, and nobody comes in unsigned.
pub(super) fn policy(authority: &str, broker: &str) -> String {
    format!(
        r#"{{"development":true,"allowRAG":true,"allowTraining":false,"strategy":"STRICT","audiences":["{authority}"],"price":0.001,"visa_binding":"require","monetization":{{"brokerUrl":"{broker}"}}}}"#
    )
}

/// The publisher's own account of one visit.
pub(super) struct Told {
    pub(super) lines: Vec<String>,
    pub(super) code: &'static str,
    pub(super) status: u16,
    pub(super) took: Duration,
    /// How long it waited for documents, by the clock's milliseconds.
    pub(super) fetching: Duration,
}

/// A running publisher.
pub(super) struct Site {
    pub(super) authority: String,
    pub(super) policy: String,
    told: mpsc::Receiver<Told>,
    desk: Arc<Desk>,
}

/// What every request needs.
struct Desk {
    publisher: Publisher,
    authority: String,
    page: &'static str,
    log: Mutex<EvidenceLog>,
    teller: mpsc::Sender<Told>,
}

impl Site {
    pub(super) fn open(
        (listener, authority): (TcpListener, String),
        page: &'static str,
        broker: &str,
        settings: Settings,
    ) -> Result<Self, Failure> {
        let memory = Memory {
            keys: Sizes { names: 256, issuers: 1, tables: 8, shape: Shape::Kib8 },
            replay_slots: 1_024,
            accept_from: system::now(),
        };
        let policy = policy(&authority, broker);
        let publisher = Publisher::new(policy.as_bytes(), &memory, Fetcher::new(settings)).map_err(Failure::of)?;
        let (teller, told) = mpsc::channel(16);
        let log = Mutex::new(EvidenceLog::new(log_path(&authority), keygen::generate()?));
        let desk = Arc::new(Desk { publisher, authority: authority.clone(), page, log, teller });
        let answering = Arc::clone(&desk);
        tokio::spawn(serve::serve(listener, move |request, peer| {
            let desk = Arc::clone(&answering);
            async move { desk.answer(&request, peer).await }
        }));
        Ok(Self { authority, policy, told, desk })
    }

    /// The account of the last visit.
    pub(super) async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// The URL of one of its pages.
    pub(super) fn page(&self, path: &str) -> String {
        format!("http://{}{path}", self.authority)
    }

    /// Its log, sealed.
    pub(super) fn sealed<T>(&self, read: impl FnOnce(&EvidenceLog) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut log = self.desk.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.seal()?;
        read(&log)
    }
}

fn log_path(authority: &str) -> PathBuf {
    let name = authority.replace(':', "-");
    std::env::temp_dir().join(format!("imagxp-demo-{}-{name}.jsonl", std::process::id()))
}

impl Desk {
    /// Every header in, a decision out; what a publisher's own middleware looks like.
    async fn answer(self: &Arc<Self>, http: &HttpRequest<Incoming>, peer: SocketAddr) -> Answer {
        let began = Instant::now();
        let target = http.uri().path_and_query().map_or("/", |path| path.as_str());
        let headers = headers(http.headers());
        let visit = Visit {
            method: http.method().as_str(),
            scheme: "http",
            authority: &self.authority,
            target,
            vouched: 0,
            headers: headers.unwrap_or_default(),
        };
        let mut scratch = vec![0; Request::SCRATCH];
        let request = headers.and_then(|_| Request::parse(&visit, &mut scratch));
        let request = request.as_ref().map_err(|error| *error);
        let Ok(decision) = self.publisher.decide(request, Some(peer.ip())).await else {
            return serve::answer(500, "text/plain", "");
        };
        let took = began.elapsed();
        let recorded = {
            let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.record(&visit, http.headers(), &decision)
        };
        if recorded.is_err() {
            // What cannot be recorded is not served.
            return serve::answer(500, "text/plain", "");
        }
        let mut told = self.tell(&visit, request.ok(), &decision, took);
        if let (Ok(grant), Some(word)) = (&decision.outcome, http.headers().get(spec::header::FEEDBACK)) {
            told.lines.extend(heard(grant, word.as_bytes()));
        }
        let _ = self.teller.send(told).await;
        let hints = decision.hints();
        if !hints.is_empty() {
            let desk = Arc::clone(self);
            tokio::spawn(async move { desk.publisher.follow_up(hints).await });
        }
        self.served(&decision)
    }

    fn served(&self, decision: &Decision<'_>) -> Answer {
        let Err(refused) = &decision.outcome else { return serve::answer(200, "text/plain", self.page) };
        let mut answer = serve::answer(decision.status(), "application/json", refused.body());
        for (name, value) in refused.headers() {
            if let Ok(value) = HeaderValue::from_str(&value) {
                answer.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        answer
    }

    fn tell(&self, visit: &Visit<'_>, request: Option<&Request<'_>>, decision: &Decision<'_>, took: Duration) -> Told {
        let fetching = decision.documents.iter().map(|document| document.answered.ms_since(document.asked));
        let fetching = Duration::from_millis(fetching.sum::<i64>().unsigned_abs());
        let policy = self.publisher.policy();
        let lines = policy.map(|policy| decision.story(visit, request, &policy)).unwrap_or_default();
        Told { lines, code: decision.code(), status: decision.status(), took, fetching }
    }
}

/// An admitted agent's feedback, as the publisher reads it: what it says, and what that will do to the payment.
fn heard(grant: &Grant<'_>, word: &[u8]) -> Vec<String> {
    let (Some(claims), Some(key)) = (grant.claims, &grant.key) else { return Vec::new() };
    let signer = Signer { agent_id: claims.agent_id, key, audiences: &[] };
    let mut memory = [0; Judgement::MEMORY];
    let now = system::now();
    let judgement = feedback::verify(word, &signer, now, &mut memory);
    lines(&Story::feedback(claims.agent_id, judgement.as_ref().map_err(|error| *error), now))
}
