//! An agent, a publisher and their memory, ready made: what every test of a request needs.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

use imagxp::key_cache::Sizes;
use imagxp::{
    Answer, Claims, Error, Headers, KeyCache, KeyPair, Keys, Kind, Manifest, Need, Policy, Purpose, ReplayCache,
    Request, Shape, SignedHeaders, Signing, Step, UnixMillis, Visit, sign_request, write_manifest,
};

pub const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
pub const AGENT: &str = "bot.example.com";
pub const URL: &str = "https://pub.example.com/a?b=c";
pub const OPEN: &str = r#"{"allowTraining":true,"allowRAG":true}"#;
pub const SIZES: Sizes = Sizes { names: 64, issuers: 2, tables: 8, shape: Shape::Kib2 };

pub fn key(byte: u8) -> KeyPair {
    KeyPair::from_random(&[byte; 32]).unwrap()
}

pub fn claims() -> Claims<'static> {
    Claims { agent_id: AGENT, resource: URL, purpose: Purpose::RagRetrieval, ads_displayed: false }
}

/// A request as it travels: header names and values.
pub type Lines = Vec<(String, String)>;

pub fn signed(key: &KeyPair, claims: &Claims<'_>, nonce: u8, now: UnixMillis) -> Lines {
    let mut out = [0; SignedHeaders::BYTES_MAX];
    let headers = sign_request(key, claims, &[nonce; 16], now, Signing::default(), &mut out).unwrap();
    headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

pub fn manifest(agent_id: &str, key: &KeyPair) -> Vec<u8> {
    let manifest =
        Manifest { agent_id, public_key: key.public(), contact_email: Some("a@example.com"), keys: &[], revoked: &[] };
    let mut out = [0; 8_192];
    write_manifest(&manifest, &mut out).unwrap().as_bytes().to_vec()
}

pub fn visit<'a>(lines: &'a Lines, target: &'a str) -> Result<Visit<'a>, Error> {
    let mut headers = Headers::new();
    for (name, value) in lines {
        headers.add(name.as_bytes(), value.as_bytes())?;
    }
    Ok(Visit { method: "GET", scheme: "https", authority: "pub.example.com", target, vouched: 0, headers })
}

/// A publisher with caches of its own, and the documents of its network.
pub struct Site {
    pub policy: Vec<u64>,
    pub keys: Vec<u64>,
    pub replay: Vec<u64>,
    pub documents: Vec<(String, Vec<u8>)>,
    /// Every need that was answered.
    pub fetched: Vec<String>,
}

/// What an admission said, without its borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    pub agent_id: String,
    pub visitor: imagxp::Visitor,
    pub bound: imagxp::Bound,
    pub refresh: bool,
    pub prepare: Option<imagxp::KeyId>,
}

impl Site {
    pub fn new(policy: &str) -> Self {
        let mut words = vec![0; Policy::WORDS];
        Policy::parse(policy.as_bytes(), &mut words).unwrap();
        let mut keys = vec![0; KeyCache::words(&SIZES)];
        KeyCache::new(&mut keys, &SIZES, &[1; 32]).unwrap();
        let mut replay = vec![0; ReplayCache::words(1_024)];
        ReplayCache::new(&mut replay, &[2; 32], UnixMillis::EPOCH).unwrap();
        Self { policy: words, keys, replay, documents: Vec::new(), fetched: Vec::new() }
    }

    pub fn with_manifest(mut self, agent_id: &str, key: &KeyPair) -> Self {
        self.serve(agent_id, manifest(agent_id, key));
        self
    }

    pub fn serve(&mut self, agent_id: &str, body: Vec<u8>) {
        let url = format!("https://{agent_id}/.well-known/imagxp-agent.json");
        self.documents.retain(|(known, _)| *known != url);
        self.documents.push((url, body));
    }

    pub fn supply(&mut self, agent_id: &str, answer: Answer<'_>, now: UnixMillis) {
        let url = format!("https://{agent_id}/.well-known/imagxp-agent.json");
        let need = Need { kind: Kind::Manifest, url: &url, host: agent_id, configured: false, max_len: 8_192 };
        KeyCache::attach(&mut self.keys).unwrap().supply(&need, answer, now).unwrap();
    }

    pub fn decide(&mut self, lines: &Lines, now: UnixMillis) -> Result<Admission, Error> {
        self.decide_at(lines, "/a?b=c", now)
    }

    /// The loop of every host, then the one write.
    pub fn decide_at(&mut self, lines: &Lines, target: &str, now: UnixMillis) -> Result<Admission, Error> {
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(&visit(lines, target)?, &mut scratch)?;
        let policy = Policy::attach(&self.policy)?;
        let mut needs = 0;
        let verified = loop {
            match request.verify(&policy, &Keys::attach(&self.keys)?, now)? {
                Step::Verified(verified) => break verified,
                Step::Need(need) => {
                    needs += 1;
                    assert!(needs <= 3, "the loop must end");
                    self.fetched.push(need.url.to_owned());
                    let found = self.documents.iter().find(|(url, _)| url == need.url);
                    let answer = match found {
                        Some((_, body)) => Answer::Found { body, max_age_s: None },
                        None => Answer::Unreachable,
                    };
                    KeyCache::attach(&mut self.keys)?.supply(&need, answer, now)?;
                }
            }
        };
        let grant = verified.admit(&mut ReplayCache::attach(&mut self.replay)?, now)?;
        Ok(Admission {
            agent_id: grant.claims.map_or_else(String::new, |claims| claims.agent_id.to_owned()),
            visitor: grant.visitor,
            bound: grant.bound,
            refresh: grant.refresh.is_some(),
            prepare: grant.prepare,
        })
    }
}
