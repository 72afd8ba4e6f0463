//! What all requests share, and which request goes where.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use imagxp::{UnixMillis, spec};

use crate::admin::AdminToken;
use crate::answer::{Refusal, json_response, ok};
use crate::config::Config;
use crate::identity::Agents;
use crate::keys::KeyRing;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::provider::Provider;

/// A running broker's parts.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) keys: ArcSwap<KeyRing>,
    pub(crate) ledger: Ledger,
    pub(crate) agents: Agents,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) admin: Option<AdminToken>,
    pub(crate) provider: Option<Provider>,
}

/// Of any request.
const BODY_MAX: usize = 4_096;
/// From the request to its answer; a payment provider has 20 s at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// The operator's reports read all of the books.
const REPORT_PATIENCE: Duration = Duration::from_secs(600);

/// Who asks, as far as the network tells.
#[derive(Clone, Copy)]
struct Client(Option<IpAddr>);

type Shared = State<Arc<Service>>;
type Body = Result<Bytes, BytesRejection>;

pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/issue-visa", post(issue_visa))
        .route("/feedback", post(feedback))
        .route(spec::JWKS_PATH, get(jwks))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics))
        .route("/admin/credit", post(credit))
        .route("/admin/payout", post(payout))
        .route("/admin/settlement", get(settlement))
        .route("/admin/balance", get(balance))
        .route("/admin/audit", get(audit))
        .fallback(async || Refusal::NotFound)
        .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&service), observe))
        .with_state(service)
}

/// Around every request: its client's limit, its time, its counter.
async fn observe(State(service): Shared, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let client = client(&request, &service);
    request.extensions_mut().insert(Client(client));
    let path = request.extensions().get::<MatchedPath>().map_or("other", |path| known(path.as_str()));
    // Publishers look keys up whatever somebody else behind the same proxy or network asks for.
    let limited = if path == spec::JWKS_PATH { Ok(()) } else { service.limits.client(client) };
    let patience = if path == "/admin" { REPORT_PATIENCE } else { PATIENCE };
    let response = match limited {
        Ok(()) => match tokio::time::timeout(patience, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal::TimedOut.into_response(),
        },
        Err(refusal) => refusal.into_response(),
    };
    let code = response.extensions().get::<Refusal>().map_or("OK", |refusal| refusal.code());
    service.metrics.request(path, code, began.elapsed());
    tracing::debug!(path, code, status = response.status().as_u16(), "request");
    response
}

/// A constant text, for the metrics.
fn known(path: &str) -> &'static str {
    const PATHS: [&str; 5] = ["/issue-visa", "/feedback", spec::JWKS_PATH, "/healthz", "/metrics"];
    PATHS.into_iter().find(|known| *known == path).unwrap_or("/admin")
}

/// The peer, or whom a trusted proxy names: the last address that is no trusted proxy's.
fn client(request: &Request, service: &Service) -> Option<IpAddr> {
    let trusted = |address: &IpAddr| service.config.trusted_proxies.iter().any(|range| range.contains(*address));
    let peer = request.extensions().get::<SocketAddr>()?.ip().to_canonical();
    if !trusted(&peer) {
        return Some(peer);
    }
    let forwarded = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let named: Vec<_> =
        forwarded.flat_map(|value| value.split(',')).map(|name| name.trim().parse::<IpAddr>()).collect();
    let mut named = named.into_iter().rev().map_while(Result::ok).map(|address| address.to_canonical());
    named.find(|address| !trusted(address)).or(Some(peer))
}

async fn issue_visa(
    State(service): Shared,
    Extension(Client(client)): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let answer = service.issue_visa(target(&uri), &headers, whole(body)?, client).await?;
    Ok(json_response(StatusCode::OK, answer))
}

async fn feedback(
    State(service): Shared,
    Extension(Client(client)): Extension<Client>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    service.feedback(target(&uri), &headers, whole(body)?, client).await.map(|answer| ok(&answer))
}

async fn jwks(State(service): Shared) -> Response {
    let mut response = json_response(StatusCode::OK, service.keys.load().jwks(imagxp_host::system::now()));
    let age = format!("public, max-age={}", service.config.jwks_max_age_s);
    if let Ok(age) = HeaderValue::from_str(&age) {
        response.headers_mut().insert(CACHE_CONTROL, age);
    }
    response
}

async fn healthz(State(service): Shared) -> Result<Response, Refusal> {
    service.ledger.ping().await.map_err(|_| Refusal::LedgerUnavailable)?;
    Ok(json_response(StatusCode::OK, r#"{"status":"ok"}"#.to_owned()))
}

async fn metrics(State(service): Shared) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], service.metrics.text()).into_response()
}

async fn credit(State(service): Shared, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    service.check_admin(&headers)?;
    service.credit(&headers, whole(body)?).await.map(|answer| ok(&answer))
}

async fn payout(State(service): Shared, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    service.check_admin(&headers)?;
    service.payout(&headers, whole(body)?).await.map(|answer| ok(&answer))
}

async fn settlement(State(service): Shared, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    service.check_admin(&headers)?;
    service.settlement(uri.query()).await.map(|answer| ok(&answer))
}

async fn balance(State(service): Shared, headers: HeaderMap, uri: Uri) -> Result<Response, Refusal> {
    service.check_admin(&headers)?;
    service.agent_balance(uri.query()).await.map(|answer| ok(&answer))
}

async fn audit(State(service): Shared, headers: HeaderMap) -> Result<Response, Refusal> {
    service.check_admin(&headers)?;
    service.audit().await.map(|answer| ok(&answer))
}

fn target(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

fn whole(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|_| Refusal::BodyInvalid)
}

pub(crate) fn seconds(time: UnixMillis) -> i64 {
    time.s()
}
