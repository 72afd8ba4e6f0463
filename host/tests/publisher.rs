//! The publisher's loop with threads: one admission a request, one fetch a document.
#![allow(missing_docs, reason = "tests")]

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imagxp::{Claims, Error, Headers, KeyPair, Manifest, Purpose, Request, Signing, Sizes, UnixMillis, Visit, spec};
use imagxp_host::publisher::Memory;
use imagxp_host::{Fetcher, Load, Publisher, Settings, system};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

const POLICY: &str = r#"{"development":true,"allowRAG":true}"#;

/// An agent with its manifest host, and a publisher.
struct World {
    agent_id: String,
    key: KeyPair,
    fetches: Arc<AtomicUsize>,
    publisher: Arc<Publisher>,
}

impl World {
    async fn new(policy: &str, accept_from: UnixMillis) -> Self {
        let key = KeyPair::from_random(&[7; 32]).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let agent_id = format!("localhost:{}", listener.local_addr().unwrap().port());
        let manifest =
            Manifest { agent_id: &agent_id, public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
        let mut out = [0; spec::document::MANIFEST_MAX];
        let body = imagxp::write_manifest(&manifest, &mut out).unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let fetches = Arc::new(AtomicUsize::new(0));
        tokio::spawn(serve(listener, answer, Arc::clone(&fetches)));
        let publisher = Arc::new(publisher(policy, accept_from));
        Self { agent_id, key, fetches, publisher }
    }

    /// Another publisher in the same world, with these limits.
    fn limited(&self, load: &Load) -> Publisher {
        publisher(POLICY, UnixMillis::EPOCH).with_load(load)
    }

    fn sign(&self, nonce: u8) -> Vec<(&'static str, String)> {
        self.sign_with(&self.key, nonce)
    }

    fn sign_with(&self, key: &KeyPair, nonce: u8) -> Vec<(&'static str, String)> {
        let claims = Claims {
            agent_id: &self.agent_id,
            resource: "http://localhost:80/a",
            purpose: Purpose::RagRetrieval,
            ads_displayed: false,
        };
        let mut out = [0; imagxp::SignedHeaders::BYTES_MAX];
        let signed = imagxp::sign_request(key, &claims, &[nonce; 16], system::now(), Signing::default(), &mut out);
        signed.unwrap().iter().map(|(name, value)| (name, value.to_owned())).collect()
    }
}

fn publisher(policy: &str, accept_from: UnixMillis) -> Publisher {
    let memory = Memory { keys: Sizes { tables: 0, ..Sizes::EMBEDDED }, replay_slots: 1_024, accept_from };
    let fetcher = Fetcher::new(Settings::this_machine().unwrap());
    Publisher::new(policy.as_bytes(), &memory, fetcher).unwrap()
}

async fn serve(listener: TcpListener, answer: String, fetches: Arc<AtomicUsize>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        fetches.fetch_add(1, Ordering::SeqCst);
        let mut request = [0; 2_048];
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(answer.as_bytes()).await;
    }
}

async fn visit(
    publisher: &Publisher,
    lines: &[(&str, String)],
    target: &str,
) -> (&'static str, u16, Vec<String>, String) {
    visit_from(publisher, lines, target, None).await
}

async fn visit_from(
    publisher: &Publisher,
    lines: &[(&str, String)],
    target: &str,
    client: Option<IpAddr>,
) -> (&'static str, u16, Vec<String>, String) {
    let mut headers = Headers::new();
    lines.iter().for_each(|(name, value)| headers.add(name.as_bytes(), value.as_bytes()).unwrap());
    let visit = Visit { method: "GET", scheme: "http", authority: "localhost", target, vouched: 0, headers };
    let mut scratch = vec![0; Request::SCRATCH];
    let request = Request::parse(&visit, &mut scratch);
    let request = request.as_ref().map_err(|error| *error);
    let decision = publisher.decide(request, client).await.unwrap();
    let story = decision.story(&visit, request.ok(), &publisher.policy().unwrap());
    let body = decision.outcome.as_ref().err().map_or(String::new(), imagxp_host::Refused::body);
    publisher.follow_up(decision.hints()).await.unwrap();
    (decision.code(), decision.status(), story, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_copies_one_is_admitted_and_one_fetch_made() {
    let world = World::new(POLICY, UnixMillis::EPOCH).await;
    let lines = Arc::new(world.sign(1));
    let mut visits = JoinSet::new();
    for _ in 0..64 {
        let (publisher, lines) = (Arc::clone(&world.publisher), Arc::clone(&lines));
        visits.spawn(async move { visit(&publisher, &lines, "/a").await });
    }
    let codes: Vec<_> = visits.join_all().await.into_iter().map(|(code, ..)| code).collect();
    assert_eq!(codes.iter().filter(|code| **code == "OK").count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == "REPLAY_DETECTED").count(), 63, "{codes:?}");
    assert_eq!(world.fetches.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn refusals_and_what_is_told() {
    let world = World::new(POLICY, UnixMillis::EPOCH).await;
    let (code, status, story, _) = visit(&world.publisher, &world.sign(1), "/a").await;
    assert_eq!((code, status), ("OK", 200));
    assert!(story.iter().any(|line| line.contains("| IMAGXP DNS | Manifest received")), "{story:#?}");

    let (code, _, _, body) = visit(&world.publisher, &world.sign(2), "/b").await;
    assert_eq!(code, "RESOURCE_MISMATCH");
    assert_eq!(body, r#"{"error":"RESOURCE_MISMATCH","visitor_type":"UNIDENTIFIED_BOT"}"#);

    let foreign = World { key: KeyPair::from_random(&[8; 32]).unwrap(), ..world };
    let (code, status, _, body) = visit(&foreign.publisher, &foreign.sign(3), "/a").await;
    assert_eq!((code, status), ("KEY_MISMATCH", 403));
    assert!(body.contains("IDENTITY_UNVERIFIED") && !body.contains("KEY_MISMATCH"), "{body}");

    let (code, status, ..) = visit(&foreign.publisher, &world_sign_partial(&foreign), "/a").await;
    assert_eq!((code, status), ("HEADERS_PARTIAL", 401), "refused while it was read: a decision, too");
}

fn world_sign_partial(world: &World) -> Vec<(&'static str, String)> {
    world.sign(4).into_iter().take(1).collect()
}

/// The request with a signature by somebody else's key.
fn forged(world: &World, nonce: u8) -> Vec<(&'static str, String)> {
    let other = KeyPair::from_random(&[8; 32]).unwrap();
    let (mut lines, foreign) = (world.sign(nonce), world.sign_with(&other, nonce));
    lines[1].1.clone_from(&foreign[1].1);
    assert_eq!(lines[1].0, spec::header::SIGNATURE);
    lines
}

#[tokio::test]
async fn a_client_whose_signatures_fail_has_to_wait() {
    let world = World::new(POLICY, UnixMillis::EPOCH).await;
    let (one, other) = (Some([192, 0, 2, 1].into()), Some([192, 0, 2, 2].into()));
    // Nothing comes back, so that the test's own duration does not count.
    let load = Load { failures_per_s: 0, failures_burst: 3, ..Load::default() };
    let publisher = world.limited(&load);
    for nonce in 0..3 {
        let (code, status, ..) = visit_from(&publisher, &forged(&world, nonce), "/a", one).await;
        assert_eq!((code, status), ("SIGNATURE_INVALID", 403));
    }
    for lines in [forged(&world, 3), world.sign(3)] {
        let (code, status, _, body) = visit_from(&publisher, &lines, "/a", one).await;
        assert_eq!((code, status, &*body), ("BUSY", 503, r#"{"error":"BUSY","visitor_type":"UNIDENTIFIED_BOT"}"#));
    }
    assert_eq!(world.fetches.load(Ordering::SeqCst), 0);
    assert_eq!(visit_from(&publisher, &world.sign(4), "/a", other).await.0, "OK", "nobody else");
    assert_eq!(visit_from(&publisher, &world.sign(5)[..1], "/a", one).await.0, "HEADERS_PARTIAL", "text costs nothing");
    assert_eq!(visit_from(&publisher, &[], "/a", one).await.0, "OK", "nor does a visitor without headers");
}

#[tokio::test]
async fn without_a_place_to_verify_everybody_has_to_wait() {
    let world = World::new(POLICY, UnixMillis::EPOCH).await;
    let publisher = world.limited(&Load { verifying: 0, ..Load::default() });
    assert_eq!(visit(&publisher, &world.sign(1), "/a").await.0, "BUSY");
    assert_eq!(visit(&publisher, &[], "/a").await.0, "OK");
}

#[tokio::test]
async fn after_a_restart_older_requests_are_refused() {
    let world = World::new(POLICY, system::now().saturating_add(60_000)).await;
    let (code, status, ..) = visit(&world.publisher, &world.sign(1), "/a").await;
    assert_eq!((code, status), ("RESTART_GUARD", 503));
}

#[tokio::test]
async fn a_bad_policy_is_refused_at_the_start() {
    let memory = Memory { keys: Sizes::EMBEDDED, replay_slots: 16, accept_from: UnixMillis::EPOCH };
    let fetcher = Fetcher::new(Settings::this_machine().unwrap());
    let refused = Publisher::new(br#"{"allowRag":true}"#, &memory, fetcher);
    assert_eq!(refused.err(), Some(Error::PolicyInvalid));
}
