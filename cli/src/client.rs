//! A connection to a publisher or broker: one request with its headers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use imagxp_host::fetch::connect::Connector;
use imagxp_host::fetch::{Limits, Settings, address::Reach, target::Target};
use tokio::task::JoinSet;

use crate::failure::Failure;
use crate::{print, sign};

/// An open connection; closed when dropped.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

impl Connection {
    /// Connects, for at most `patience` a step.
    pub(crate) async fn open(
        target: &Target,
        settings: &Settings,
        reach: &Reach<'_>,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let limits = Limits { resolve: patience, connect: patience, tls: patience, ..Limits::default() };
        let connector = Connector { network: &*settings.network, tls: &settings.tls, limits: &limits };
        let stream = connector.open(target, reach, |_| Ok(())).await;
        let stream = stream.map_err(|why| {
            Failure::failed(print::shown(&why.to_string()), "is the URL right, and is the server up?")
        })?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let _ = connection.await;
        });
        Ok(Self { sender, _driver: driver })
    }

    /// One GET.
    pub(crate) async fn get(
        &mut self,
        target: &Target,
        headers: &[(&str, String)],
    ) -> Result<Response<Incoming>, Failure> {
        self.send(Method::GET, target, headers, Bytes::new()).await
    }

    /// One request; its body, if there is one, is JSON.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        target: &Target,
        headers: &[(&str, String)],
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::builder().method(method).uri(&*target.path);
        request = request.header(HOST, &*target.authority).header(USER_AGENT, sign::USER_AGENT);
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body));
        let request = request.map_err(|error| Failure::usage(error, "check the URL and the visa"))?;
        self.sender.send_request(request).await.map_err(broken)
    }
}

/// The other side did not answer in HTTP.
pub(crate) fn broken(error: hyper::Error) -> Failure {
    Failure::failed(format!("no HTTP answer: {error}"), "is it an HTTP/1.1 server?")
}
