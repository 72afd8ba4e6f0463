//! A small HTTP/1.1 server, for `serve-manifest` and the demo.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A page, or an error.
pub(crate) type Answer = Response<Full<Bytes>>;

/// Connections at a time.
const CONNECTIONS: usize = 256;
/// A client that has not sent its headers by then is let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers every request that comes in on `listener`, until the future is dropped.
pub(crate) async fn serve<H, F>(listener: TcpListener, handler: H)
where
    H: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let Ok((stream, peer)) = listener.accept().await else {
            // Out of descriptors, mostly: some connection must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let handler = handler.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = handler(request, peer);
                async move { Ok::<_, Infallible>(answer.await) }
            });
            let mut server = http1::Builder::new();
            server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

/// An answer of text.
pub(crate) fn answer(status: u16, media_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = http::HeaderValue::from_str(media_type) {
        answer.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    answer
}

/// The manifest at its path, and nothing anywhere else.
pub(crate) fn manifest(request: &Request<Incoming>, document: &Bytes) -> Answer {
    let is_read = [http::Method::GET, http::Method::HEAD].contains(request.method());
    if request.uri().path() != imagxp::spec::MANIFEST_PATH {
        return answer(404, "text/plain", "the manifest is at /.well-known/imagxp-agent.json\n");
    }
    if !is_read {
        return answer(405, "text/plain", "GET\n");
    }
    let mut found = answer(200, "application/json", document.clone());
    let age = http::HeaderValue::from_static("max-age=300");
    found.headers_mut().insert(http::header::CACHE_CONTROL, age);
    found
}
