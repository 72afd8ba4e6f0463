//! One GET, and what counts as the document (SSRF-5 to SSRF-8, SSRF-12).

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::reason::Reason;
use super::target::Target;
use super::{Fetched, Limits};

/// What every fetch calls itself.
const AGENT: &str = concat!("imagxp-verifier/", env!("CARGO_PKG_VERSION"));

/// Asks for the target's path and reads at most `max_len` bytes and one.
pub(crate) async fn get<S>(stream: S, target: &Target, max_len: usize, limits: &Limits) -> Result<Fetched, Reason>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut client = http1::Builder::new();
    client.max_buf_size(limits.header_bytes);
    let (mut sender, connection) = client.handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends with this call, whatever the server has still to say.
    let mut driver = JoinSet::new();
    driver.spawn(connection);

    let answered = timeout(limits.first_byte, sender.send_request(request(target)?)).await;
    let response = answered.map_err(|_| Reason::TimedOut("the first byte of the answer", limits.first_byte))?;
    let response = response.map_err(broken)?;
    if let Some(refusal) = judge(&response) {
        return Ok(refusal);
    }
    let max_age_s = max_age(response.headers());
    let body = read(response.into_body(), max_len.saturating_add(1)).await?;
    Ok(Fetched::Found { body, max_age_s })
}

fn request(target: &Target) -> Result<Request<Empty<Bytes>>, Reason> {
    Request::get(&*target.path)
        .header(HOST, &*target.authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "identity")
        .body(Empty::new())
        .map_err(|_| Reason::Url("not a URL that HTTP can ask for"))
}

fn broken(error: hyper::Error) -> Reason {
    let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
    Reason::Http(format!("{error}{source}"))
}

/// Why the answer is not the document; none if it is.
fn judge(response: &Response<Incoming>) -> Option<Fetched> {
    let status = response.status();
    match status.as_u16() {
        200 => {}
        429 | 500.. => return Some(Fetched::Unreachable(Reason::Status(status.as_u16()))),
        code if status.is_redirection() => return Some(Fetched::NotThere(Reason::Redirect(code))),
        code => return Some(Fetched::NotThere(Reason::Status(code))),
    }
    let headers = response.headers();
    if headers.get_all(CONTENT_ENCODING).iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Some(Fetched::NotThere(Reason::Encoded));
    }
    match headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or("not ASCII")) {
        Some(media) if !is_json(media) => Some(Fetched::NotThere(Reason::MediaType(media.to_owned()))),
        _ => None,
    }
}

/// `application/json`, or any type `+json`; parameters do not matter.
fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.contains('/') && essence.ends_with("+json")
}

/// The first `max-age` of `Cache-Control`; 0 where nothing may be stored (RFC 9111 section 5.2.2).
fn max_age(headers: &HeaderMap) -> Option<u32> {
    let values = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let mut age = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
        match &*name.trim().to_ascii_lowercase() {
            "no-store" | "no-cache" => return Some(0),
            "max-age" => age = age.or_else(|| seconds(value.trim().trim_matches('"'))),
            _ => {}
        }
    }
    age
}

/// Digits; more than fit are the most there is (RFC 9111 section 1.2.2).
fn seconds(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

async fn read(mut body: Incoming, most: usize) -> Result<Bytes, Reason> {
    let mut bytes = BytesMut::new();
    while bytes.len() < most {
        let Some(frame) = body.frame().await else { break };
        if let Ok(data) = frame.map_err(broken)?.into_data() {
            let room = most.saturating_sub(bytes.len());
            bytes.extend_from_slice(data.get(..room).unwrap_or(&data));
        }
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types() {
        for good in
            ["application/json", "Application/JSON; charset=utf-8", "application/vnd.imagxp+json", "text/x+json;a"]
        {
            assert!(is_json(good), "{good}");
        }
        for bad in ["", "text/html", "application/jsonp", "text/json", "+json", "application/x-json", "text/html;+json"]
        {
            assert!(!is_json(bad), "{bad}");
        }
    }

    #[test]
    fn ages() {
        let age = |value: &'static str| {
            max_age(&HeaderMap::from_iter([(CACHE_CONTROL, http::HeaderValue::from_static(value))]))
        };
        assert_eq!(age("public, max-age=60"), Some(60));
        assert_eq!(age("MAX-AGE=\"60\", max-age=7"), Some(60));
        assert_eq!(age("max-age=99999999999"), Some(u32::MAX));
        assert_eq!(age("max-age=600, no-store"), Some(0));
        assert_eq!(age("s-maxage=60"), None);
        assert_eq!(age("max-age=-1"), None);
        assert_eq!(max_age(&HeaderMap::new()), None);
    }
}
