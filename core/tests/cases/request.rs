//! Requests made by the test itself, signed by the agent of the cases.

use std::sync::OnceLock;

use imagxp::codec::json::Limits;
use imagxp::key::sha256;
use imagxp::{KeyPair, Signing, UnixMillis};
use serde_json::{Value, json};

use super::bytes::{base64, canonical, hex};

/// Header names and values, as raw on the wire.
pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// The domain of the agent of the cases.
pub(crate) const AGENT: &str = "bot.example.com";
/// Its private key: `key-agent` of `interop/keys.json`, published there and good for nothing else.
const AGENT_KEY: &str = "a29bb6c68b3d4a7ef62986aa446057ffe4e5f2e9b614b6bcfd251cf612460f81";
/// A key that nobody publishes.
const STRANGERS_KEY: &str = "706e2877f55cb8769e448bbd97a88c454903bda02fdda5a28a2064ddab1b28fa";

/// The scalar of `key-agent` of the set that runs, if it is another.
static OTHER_KEY: OnceLock<String> = OnceLock::new();

/// Takes the agent's key of another set of cases.
pub(crate) fn take_agent_key(scalar: &str) {
    let _ = OTHER_KEY.set(scalar.to_owned());
}

/// The agent's key.
pub(crate) fn agent_key() -> KeyPair {
    let scalar = OTHER_KEY.get().map_or(AGENT_KEY, String::as_str);
    KeyPair::from_text(scalar.as_bytes()).expect("a good scalar")
}

/// Somebody else's key.
pub(crate) fn strangers_key() -> KeyPair {
    KeyPair::from_text(STRANGERS_KEY.as_bytes()).expect("a good scalar")
}

/// The payload of a good request, as JSON that a test may then spoil.
pub(crate) fn payload(now: UnixMillis) -> Value {
    let mut ts = [0; UnixMillis::TEXT_LEN];
    json!({
        "v": "1.1",
        "ts": now.write(&mut ts).expect("a time of our age"),
        "nonce": "0f0e0d0c-0b0a-4908-8706-050403020100",
        "agent_id": AGENT,
        "resource": "https://pub.example.com/posts/a",
        "purpose": "RAG_RETRIEVAL",
        "context": { "ads_displayed": false },
    })
}

/// A payload with one member changed.
pub(crate) fn payload_with(now: UnixMillis, name: &str, value: Value) -> Value {
    let mut payload = payload(now);
    payload[name] = value;
    payload
}

/// A payload without one of its members.
pub(crate) fn payload_without(now: UnixMillis, name: &str) -> Value {
    let mut payload = payload(now);
    payload.as_object_mut().expect("an object").remove(name);
    payload
}

/// The headers of a request with this payload, signed over its canonical form, or over its bytes if it has none.
pub(crate) fn signed(json: &[u8], key: &KeyPair) -> Headers {
    let message = canonical(json, &Limits::WIDE).unwrap_or_else(|_| json.to_vec());
    let signature = key.sign(&sha256(&message), Signing::default()).expect("no check was asked for");
    vec![
        ("x-imagxp-payload".to_owned(), base64(json).into_bytes()),
        ("x-imagxp-signature".to_owned(), hex(&signature).into_bytes()),
        ("x-imagxp-public-key".to_owned(), key.public().to_text().as_str().as_bytes().to_vec()),
    ]
}

/// The same, of a JSON value.
pub(crate) fn signed_value(payload: &Value, key: &KeyPair) -> Headers {
    signed(payload.to_string().as_bytes(), key)
}

/// Headers with one set, replaced, or, when the value is empty, removed.
pub(crate) fn with(mut headers: Headers, name: &str, value: &[u8]) -> Headers {
    headers.retain(|(other, _)| other != name);
    if !value.is_empty() {
        headers.push((name.to_owned(), value.to_vec()));
    }
    headers
}
