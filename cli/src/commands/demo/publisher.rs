//! The publisher: one page, and every request judged before it is served.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request as HttpRequest;
use http::header::{HeaderName, HeaderValue};
use hyper::body::Incoming;
use imagxp::{Request, Shape, Sizes, Visit};
use imagxp_host::publisher::{Memory, headers};
use imagxp_host::{Decision, Fetcher, Publisher, Settings, system};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::failure::Failure;
use crate::serve::{self, Answer};

/// Retrieval is welcome, training is not, and nobody comes in unsigned.
pub(super) const POLICY: &str = r#"{"development":true,"allowRAG":true,"allowTraining":false,"strategy":"STRICT"}"#;

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
    told: mpsc::Receiver<Told>,
}

impl Site {
    pub(super) fn open(listener: TcpListener, authority: &str, settings: Settings) -> Result<Self, Failure> {
        let memory = Memory {
            keys: Sizes { names: 256, issuers: 1, tables: 8, shape: Shape::Kib8 },
            replay_slots: 1_024,
            accept_from: system::now(),
        };
        let publisher = Publisher::new(POLICY.as_bytes(), &memory, Fetcher::new(settings)).map_err(Failure::of)?;
        let (publisher, name) = (Arc::new(publisher), Arc::<str>::from(authority));
        let (teller, told) = mpsc::channel(16);
        tokio::spawn(serve::serve(listener, move |request, peer| {
            let (publisher, name, teller) = (Arc::clone(&publisher), Arc::clone(&name), teller.clone());
            async move { answer(&publisher, &name, &request, peer, &teller).await }
        }));
        Ok(Self { told })
    }

    /// The account of the last visit.
    pub(super) async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
    }
}

/// Every header in, a decision out; what a publisher's own middleware looks like.
async fn answer(
    publisher: &Arc<Publisher>,
    authority: &str,
    http: &HttpRequest<Incoming>,
    peer: SocketAddr,
    teller: &mpsc::Sender<Told>,
) -> Answer {
    let began = Instant::now();
    let target = http.uri().path_and_query().map_or("/", |path| path.as_str());
    let headers = headers(http.headers());
    let visit = Visit {
        method: http.method().as_str(),
        scheme: "http",
        authority,
        target,
        vouched: 0,
        headers: headers.unwrap_or_default(),
    };
    let mut scratch = vec![0; Request::SCRATCH];
    let request = headers.and_then(|_| Request::parse(&visit, &mut scratch));
    let request = request.as_ref().map_err(|error| *error);
    let Ok(decision) = publisher.decide(request, Some(peer.ip())).await else {
        return serve::answer(500, "text/plain", "");
    };
    let took = began.elapsed();
    let _ = teller.send(tell(publisher, &visit, request.ok(), &decision, took)).await;

    let hints = decision.hints();
    if !hints.is_empty() {
        let publisher = Arc::clone(publisher);
        tokio::spawn(async move { publisher.follow_up(hints).await });
    }
    match &decision.outcome {
        Ok(_) => serve::answer(200, "text/plain", "The page.\n"),
        Err(refused) => {
            let mut answer = serve::answer(decision.status(), "application/json", refused.body());
            for (name, value) in refused.headers() {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    answer.headers_mut().insert(HeaderName::from_static(name), value);
                }
            }
            answer
        }
    }
}

fn tell(
    publisher: &Publisher,
    visit: &Visit<'_>,
    request: Option<&Request<'_>>,
    decision: &Decision<'_>,
    took: Duration,
) -> Told {
    let fetching = decision.documents.iter().map(|document| document.answered.ms_since(document.asked));
    let fetching = Duration::from_millis(fetching.sum::<i64>().unsigned_abs());
    let lines = publisher.policy().map(|policy| decision.story(visit, request, &policy)).unwrap_or_default();
    Told { lines, code: decision.code(), status: decision.status(), took, fetching }
}
