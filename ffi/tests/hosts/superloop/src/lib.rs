//! The loop of a chip: everything in static memory, nothing waits. A request that needs a document stays where it is,
//! and is judged again when the network has brought it, some rounds later.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use imagxp::key_cache::Sizes;
use imagxp::{
    Answer, Bounds, Error, Headers, KeyCache, Kind, Need, Policy, ReplayCache, Request, Shape, Step, UnixMillis, Visit,
};

/// Eight agents, no tables.
pub const SIZES: Sizes = Sizes { names: 8, issuers: 1, tables: 0, shape: Shape::ALL[0] };
const URL: usize = 320;

/// The device's memory, a `static` of its own.
pub struct Memory {
    /// The policy, compiled at start or at the desk.
    pub policy: [u64; Policy::WORDS],
    /// Words of the key cache.
    pub keys: [u64; 1_024],
    /// Words of the replay cache.
    pub replay: [u64; 256],
    /// Where a request is taken apart.
    pub scratch: [u8; Bounds::EMBEDDED.scratch()],
}

/// What the device is waiting for.
#[derive(Default)]
pub enum State {
    /// Nothing: the next request may come.
    #[default]
    Idle,
    /// A manifest: GET this URL.
    Waiting {
        /// The URL's bytes.
        url: heapless_url::Url,
    },
}

/// A URL that is kept over rounds.
pub mod heapless_url {
    /// Bytes and how many of them.
    pub struct Url(pub [u8; super::URL], pub usize);

    impl Url {
        /// The text.
        pub fn as_str(&self) -> &str {
            self.0.get(..self.1).and_then(|url| core::str::from_utf8(url).ok()).unwrap_or_default()
        }
    }
}

/// Makes policy and caches.
///
/// # Errors
/// `POLICY_INVALID`, `ABI_STORAGE`
pub fn start(memory: &mut Memory, policy: &[u8], seed: &[u8; 32], now: UnixMillis) -> Result<(), Error> {
    Policy::parse(policy, &mut memory.policy)?;
    KeyCache::new(&mut memory.keys, &SIZES, seed)?;
    ReplayCache::new(&mut memory.replay, seed, now)?;
    Ok(())
}

/// One round for a request: admitted (`true`), or waiting (`false`), or refused.
///
/// # Errors
/// The refusal.
pub fn round(memory: &mut Memory, state: &mut State, lines: &[(&str, &[u8])], now: UnixMillis) -> Result<bool, Error> {
    let mut headers = Headers::new();
    lines.iter().try_for_each(|(name, value)| headers.add(name.as_bytes(), value))?;
    let visit =
        Visit { method: "GET", scheme: "http", authority: "gate.example.com", target: "/open", vouched: 0, headers };
    let request = Request::parse_within(&visit, &Bounds::EMBEDDED, &mut memory.scratch)?;
    let policy = Policy::attach(&memory.policy)?;
    let keys = KeyCache::attach(&mut memory.keys)?;
    let verified = match request.verify(&policy, &keys.read(), now)? {
        Step::Need(need) => {
            *state = State::Waiting { url: keep(need.url)? };
            return Ok(false);
        }
        Step::Verified(verified) => verified,
    };
    verified.admit(&mut ReplayCache::attach(&mut memory.replay)?, now)?;
    Ok(true)
}

fn keep(url: &str) -> Result<heapless_url::Url, Error> {
    let mut bytes = [0; URL];
    bytes.get_mut(..url.len()).ok_or(Error::BufferTooSmall)?.copy_from_slice(url.as_bytes());
    Ok(heapless_url::Url(bytes, url.len()))
}

/// The network has an answer.
///
/// # Errors
/// `CLOCK_UNKNOWN`
pub fn arrived(memory: &mut Memory, state: &mut State, body: Option<&[u8]>, now: UnixMillis) -> Result<(), Error> {
    let State::Waiting { url } = core::mem::take(state) else { return Ok(()) };
    let url = url.as_str();
    let host = url.split('/').nth(2).unwrap_or_default();
    let need = Need { kind: Kind::Manifest, url, host, configured: false, max_len: 8_192 };
    let answer = body.map_or(Answer::Unreachable, |body| Answer::Found { body, max_age_s: None });
    KeyCache::attach(&mut memory.keys)?.supply(&need, answer, now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use imagxp::{Claims, KeyPair, Manifest, Purpose, SignedHeaders, Signing, sign_request, write_manifest};

    #[test]
    fn a_request_waits_for_its_manifest() {
        let mut memory = Memory { policy: [0; Policy::WORDS], keys: [0; 1_024], replay: [0; 256], scratch: [0; Bounds::EMBEDDED.scratch()] };
        let (mut state, now) = (State::default(), UnixMillis::from_ms(1_769_428_800_000));
        start(&mut memory, br#"{"allowRAG":true}"#, &[1; 32], now).unwrap();
        let key = KeyPair::from_random(&[7; 32]).unwrap();
        let resource = "http://gate.example.com/open";
        let claims =
            Claims { agent_id: "bot.example.com", resource, purpose: Purpose::RagRetrieval, ads_displayed: false };
        let mut out = [0; SignedHeaders::BYTES_MAX];
        let signed = sign_request(&key, &claims, &[3; 16], now, Signing::default(), &mut out).unwrap();
        let lines: Vec<_> = signed.iter().map(|(name, value)| (name, value.as_bytes())).collect();
        assert_eq!(round(&mut memory, &mut state, &lines, now), Ok(false));
        let State::Waiting { url } = &state else { panic!("nothing to wait for") };
        assert_eq!(url.as_str(), "https://bot.example.com/.well-known/imagxp-agent.json");
        let mut out = [0; 1_024];
        let public_key = key.public();
        let manifest =
            Manifest { agent_id: "bot.example.com", public_key, contact_email: None, keys: &[], revoked: &[] };
        let body = write_manifest(&manifest, &mut out).unwrap();
        arrived(&mut memory, &mut state, Some(body.as_bytes()), now).unwrap();
        assert_eq!(round(&mut memory, &mut state, &lines, now), Ok(true));
        assert_eq!(round(&mut memory, &mut state, &lines, now), Err(Error::ReplayDetected));
    }
}
