//! What the tests share: both databases, agents with manifests, and HTTP.
#![allow(dead_code, reason = "each test program uses a part")]

pub mod process;
pub mod proxy;

use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use imagxp::feedback::{Feedback, Reason};
use imagxp::{Claims, KeyPair, Manifest, Purpose, SignedHeaders, Signing, sign_request, write_manifest};
use imagxp_broker::ledger::Location;
use imagxp_broker::{Broker, Config};
use imagxp_host::system;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};
use tempfile::TempDir;

/// A database of its own.
pub struct Books {
    pub url: String,
    _folder: Option<TempDir>,
}

impl Books {
    pub fn location(&self) -> Location {
        Location::parse(&self.url).unwrap()
    }

    pub fn at(url: String) -> Self {
        Self { url, _folder: None }
    }

    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// For tests that do what no broker does.
    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let url = if self.is_postgres() { self.url.clone() } else { format!("sqlite://{}", self.url) };
        AnyConnection::connect(&url).await.unwrap()
    }
}

pub fn sqlite() -> Books {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().join("broker.sqlite").to_str().unwrap().to_owned();
    Books { url, _folder: Some(folder) }
}

/// A new database of the server that `broker/tests/with-postgres.sh` has started.
pub async fn postgres() -> Option<Books> {
    let Ok(server) = std::env::var("IMAGXP_TEST_POSTGRES") else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "IMAGXP_TEST_POSTGRES is not set: make test-broker");
        eprintln!("SKIPPED on PostgreSQL: IMAGXP_TEST_POSTGRES is not set (make test-broker sets it)");
        return None;
    };
    sqlx::any::install_default_drivers();
    let name = format!("t{}", hex(&system::random::<8>().unwrap()));
    let mut connection = AnyConnection::connect(&format!("{server}/postgres")).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    Some(Books { url: format!("{server}/{name}"), _folder: None })
}

/// SQLite, and PostgreSQL where there is one: the same test on both.
pub async fn both() -> Vec<Books> {
    let mut books = vec![sqlite()];
    books.extend(postgres().await);
    books
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A broker in this process, in development mode, on these books.
pub async fn broker(books: &Books) -> Broker {
    broker_with(books, |_| {}).await
}

pub async fn broker_with(books: &Books, change: impl FnOnce(&mut Config)) -> Broker {
    let mut config = Config { database: Some(books.location()), ..Config::development() };
    change(&mut config);
    Broker::start(config).await.unwrap()
}

/// An agent whose manifest this machine serves.
pub struct Agent {
    pub name: String,
    pub key: KeyPair,
}

impl Agent {
    pub async fn new() -> Self {
        let key = KeyPair::from_random(&system::random().unwrap()).unwrap();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let name = format!("localhost:{}", listener.local_addr().unwrap().port());
        let manifest =
            Manifest { agent_id: &name, public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
        let mut out = [0; 8_192];
        let manifest = write_manifest(&manifest, &mut out).unwrap().to_owned();
        let page = move || async move { ([("content-type", "application/json")], manifest) };
        let router = Router::new().route("/.well-known/imagxp-agent.json", get(page));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { name, key }
    }

    /// The headers of a request with a nonce of its own.
    pub fn sign(&self, url: &str) -> Vec<(String, String)> {
        sign(&self.key, &self.name, url)
    }

    /// Signed feedback on a visa's page, `score` in millionths.
    pub fn word(&self, audience: &str, url: &str, visa: &str, score: u32) -> String {
        let feedback = Feedback {
            agent_id: &self.name,
            url,
            score,
            reason: Reason::SeoSpam,
            audience,
            jti: &format!("f-{score}"),
            request: None,
            visa: Some(visa),
        };
        let mut out = [0; 2_048];
        imagxp::feedback::sign(&self.key, &feedback, system::now(), Signing::default(), &mut out).unwrap().to_owned()
    }

    /// Buys a visa: status and body.
    pub async fn buy(&self, broker: &Broker, publisher: &str, amount: &str) -> (StatusCode, Value) {
        let url = format!("{}/issue-visa", broker.url());
        let body = format!(r#"{{"publisher":"{publisher}","amount":{amount}}}"#);
        post(broker.address(), "/issue-visa", &self.sign(&url), body).await
    }
}

pub fn sign(key: &KeyPair, name: &str, url: &str) -> Vec<(String, String)> {
    let claims = Claims { agent_id: name, resource: url, purpose: Purpose::RagRetrieval, ads_displayed: false };
    let mut out = [0; SignedHeaders::BYTES_MAX];
    let nonce = system::random().unwrap();
    let signed = sign_request(key, &claims, &nonce, system::now(), Signing::default(), &mut out).unwrap();
    signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    let token = imagxp::jose::jws::Token::parse(token.as_bytes()).unwrap();
    let mut memory = [0; imagxp::jose::jws::CLAIMS_MAX];
    serde_json::from_slice(token.claims(&mut memory).unwrap()).unwrap()
}

pub async fn post(
    address: SocketAddr,
    path: &str,
    headers: &[(String, String)],
    body: impl Into<Bytes>,
) -> (StatusCode, Value) {
    let (status, _, body) = send(address, Method::POST, path, headers, body.into()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

pub async fn get_json(address: SocketAddr, path: &str, headers: &[(String, String)]) -> (StatusCode, Value) {
    let (status, _, body) = send(address, Method::GET, path, headers, Bytes::new()).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

pub async fn get_text(address: SocketAddr, path: &str) -> String {
    let (_, _, body) = send(address, Method::GET, path, &[], Bytes::new()).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

type Whole = (StatusCode, HeaderMap, Bytes);

/// One request on a connection of its own.
pub async fn send(
    address: SocketAddr,
    method: Method,
    path: &str,
    headers: &[(String, String)],
    body: Bytes,
) -> Result<Whole, Box<dyn std::error::Error + Send + Sync>> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", address.to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await?.to_bytes();
    driver.abort();
    Ok((parts.status, parts.headers, body))
}

/// The operator's headers.
pub fn admin(broker: &Broker, key: &str) -> Vec<(String, String)> {
    let token = format!("Bearer {}", broker.admin_token().unwrap());
    vec![("authorization".to_owned(), token), ("idempotency-key".to_owned(), key.to_owned())]
}
