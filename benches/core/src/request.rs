//! A whole request, parse to admit, beside the bare verification that it contains.

use std::ops::Range;
use std::time::Instant;

use imagxp::broker::{self, PublishedKey, Visa};
use imagxp::codec::{base64, hex};
use imagxp::ec::{SecretScalar, Signature, prepare, verify_prepared};
use imagxp::visa::Holder;
use imagxp::{
    Answer, Claims, Headers, KeyCache, KeyPair, Manifest, Policy, Purpose, ReplayCache, Request, Shape, SignedHeaders,
    Signing, Sizes, Step, UnixMillis, Visit, sign_request, write_manifest,
};

use crate::report::{Kind, Report};
use crate::rounds::Cost;

const REQUESTS: usize = 8_192;
/// Requests that are timed together.
const SLICE: usize = 256;
const AGENTS: usize = 4;
const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
const SIZES: Sizes = Sizes { names: 64, issuers: 2, tables: 8, shape: Shape::Kib64 };
const OPEN: &str = r#"{"allowRAG":true}"#;
const PAID: &str =
    r#"{"allowRAG":true,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#;
const JWKS_URL: &str = "https://broker.example.com/.well-known/jwks.json";

/// One request as it travels: its text in one piece, as a server's read buffer has it, and where each part lies.
struct Sent {
    text: String,
    lines: Vec<(Range<usize>, Range<usize>)>,
    target: Range<usize>,
    /// What was signed.
    digest: [u8; 32],
}

impl Sent {
    fn new(target: &str, lines: &[(String, String)], digest: [u8; 32]) -> Self {
        let mut sent = Self { text: target.to_owned(), lines: Vec::new(), target: 0..target.len(), digest };
        for (name, value) in lines {
            let line = (sent.push(name), sent.push(value));
            sent.lines.push(line);
        }
        sent
    }

    fn push(&mut self, part: &str) -> Range<usize> {
        self.text.push_str(part);
        self.text.len() - part.len()..self.text.len()
    }

    /// The value of a header.
    fn header(&self, name: &str) -> &str {
        let (_, value) = self.lines.iter().find(|(line, _)| &self.text[line.clone()] == name).expect("it is sent");
        &self.text[value.clone()]
    }

    /// The payload's JSON.
    fn payload(&self) -> Vec<u8> {
        let mut json = [0; 4_096];
        base64::decode(self.header("x-imagxp-payload").as_bytes(), &mut json).expect("base64").to_vec()
    }

    fn signature(&self) -> Signature {
        let signature = hex::decode_array(self.header("x-imagxp-signature").as_bytes()).expect("hex");
        Signature::from_bytes(&signature).expect("r and s")
    }
}

/// A publisher whose caches are warm.
struct Site {
    policy: Vec<u64>,
    keys: Vec<u64>,
    replay: Vec<u64>,
    /// A worker's own, used again for every request.
    scratch: [u8; Request::SCRATCH],
}

fn agent(number: usize) -> String {
    format!("bot-{number}.example.com")
}

fn pair(number: usize) -> KeyPair {
    KeyPair::from_random(&[u8::try_from(number + 1).unwrap(); 32]).unwrap()
}

fn broker_pair() -> KeyPair {
    KeyPair::from_random(&[0x77; 32]).unwrap()
}

/// Signs every request; each is used once a round. The payload has some 290 bytes.
fn sign_all(with_visa: bool) -> Vec<Sent> {
    let pairs: Vec<KeyPair> = (0..AGENTS).map(pair).collect();
    let names: Vec<String> = (0..AGENTS).map(agent).collect();
    (0..REQUESTS)
        .map(|number| {
            let (pair, agent_id) = (&pairs[number % AGENTS], &names[number % AGENTS]);
            let target = format!("/articles/2026/11/a-title-that-is-somewhat-longer-than-most-{number:05}?page=1");
            let resource = format!("https://pub.example.com{target}");
            let claims = Claims { agent_id, resource: &resource, purpose: Purpose::RagRetrieval, ads_displayed: false };
            let mut nonce = [0; 16];
            nonce[..4].copy_from_slice(&(number as u32).to_be_bytes());
            let mut out = [0; SignedHeaders::BYTES_MAX];
            let headers = sign_request(pair, &claims, &nonce, NOW, Signing::default(), &mut out).unwrap();
            let mut lines: Vec<(String, String)> = headers.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            if with_visa {
                lines.push(("x-imagxp-credential".to_owned(), visa(pair, agent_id, number)));
            }
            let digest =
                *imagxp::agent::prepare(pair.public(), &claims, &nonce, NOW, &mut [0; 2_048]).unwrap().digest();
            Sent::new(&target, &lines, digest)
        })
        .collect()
}

fn visa(pair: &KeyPair, agent_id: &str, number: usize) -> String {
    let jti = format!("jti-{number}");
    let visa = Visa {
        issuer: "https://broker.example.com",
        audience: "pub.example.com",
        amount: 1_000,
        lifetime_s: 3_600,
        holder: Some(Holder { agent_id, key: pair.public().kid() }),
        jti: Some(&jti),
        purpose: None,
        currency: None,
    };
    let mut out = [0; 2_048];
    broker::issue_visa(&broker_pair(), "1", &visa, NOW, Signing::default(), &mut out).unwrap().to_owned()
}

impl Site {
    fn new(policy: &str) -> Self {
        let mut words = vec![0; Policy::WORDS];
        Policy::parse(policy.as_bytes(), &mut words).unwrap();
        let mut keys = vec![0; KeyCache::words(&SIZES)];
        KeyCache::new(&mut keys, &SIZES, &[1; 32]).unwrap();
        let replay = vec![0; ReplayCache::words(REQUESTS * 5 / 2)];
        let mut site = Self { policy: words, keys, replay, scratch: [0; Request::SCRATCH] };
        site.forget_nonces();
        site
    }

    fn forget_nonces(&mut self) {
        ReplayCache::new(&mut self.replay, &[2; 32], UnixMillis::EPOCH).unwrap();
    }

    /// Supplies what is asked for, and prepares every key that is hinted at.
    fn warm(&mut self, requests: &[Sent]) {
        for sent in requests.iter().take(AGENTS * 16) {
            let mut scratch = [0; Request::SCRATCH];
            let visit = visit(sent);
            let request = Request::parse(&visit, &mut scratch).unwrap();
            let policy = Policy::attach(&self.policy).unwrap();
            let mut cache = KeyCache::attach(&mut self.keys).unwrap();
            let verified = loop {
                match request.verify(&policy, &cache.read(), NOW).unwrap() {
                    Step::Verified(verified) => break verified,
                    Step::Need(need) => {
                        let body = document(need.url, need.host);
                        cache.supply(&need, Answer::Found { body: &body, max_age_s: None }, NOW).unwrap();
                    }
                }
            };
            let grant = verified.admit(&mut ReplayCache::attach(&mut self.replay).unwrap(), NOW).unwrap();
            let hint = grant.prepare;
            if let Some(id) = hint {
                cache.prepare(id, NOW).unwrap();
            }
        }
    }

    fn decide(&mut self, sent: &Sent) {
        let visit = visit(sent);
        let request = Request::parse(&visit, &mut self.scratch).unwrap();
        let policy = Policy::attach(&self.policy).unwrap();
        let keys = imagxp::Keys::attach(&self.keys).unwrap();
        let Ok(Step::Verified(verified)) = request.verify(&policy, &keys, NOW) else { panic!("verified") };
        verified.admit(&mut ReplayCache::attach(&mut self.replay).unwrap(), NOW).unwrap();
    }
}

fn visit(sent: &Sent) -> Visit<'_> {
    let mut headers = Headers::new();
    for (name, value) in &sent.lines {
        headers.add(sent.text[name.clone()].as_bytes(), sent.text[value.clone()].as_bytes()).unwrap();
    }
    let (scheme, authority) = ("https", "pub.example.com");
    Visit { method: "GET", scheme, authority, target: &sent.text[sent.target.clone()], vouched: 0, headers }
}

fn document(url: &str, host: &str) -> Vec<u8> {
    let mut out = [0; 8_192];
    if url == JWKS_URL {
        return broker::write_jwks(&[PublishedKey { kid: "1", key: broker_pair().public() }], &mut out)
            .unwrap()
            .as_bytes()
            .to_vec();
    }
    let number = (0..AGENTS).find(|number| agent(*number) == host).expect("a known agent");
    let key = pair(number);
    let manifest = Manifest { agent_id: host, public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
    write_manifest(&manifest, &mut out).unwrap().as_bytes().to_vec()
}

/// Requests of one kind, and the site that they go to.
struct Traffic {
    requests: Vec<Sent>,
    site: Site,
    samples: Vec<f64>,
}

impl Traffic {
    fn new(policy: &str, with_visa: bool) -> Self {
        let requests = sign_all(with_visa);
        let mut site = Site::new(policy);
        site.warm(&requests);
        Self { requests, site, samples: Vec::new() }
    }

    /// A slice's text is read before, untimed: a server has it in its cache, as the kernel has just written it there.
    fn slice(&mut self, number: usize) {
        for sent in &self.requests[number * SLICE..][..SLICE] {
            std::hint::black_box(sent.text.bytes().fold(0, |sum: u8, byte| sum ^ byte));
        }
        let started = Instant::now();
        for sent in &self.requests[number * SLICE..][..SLICE] {
            self.site.decide(sent);
        }
        self.samples.push(per_request(started));
    }
}

/// The verifications of these requests' signatures, with the same number of tables, and nothing else.
struct Bare {
    tables: Vec<Vec<u64>>,
    signed: Vec<([u8; 32], Signature)>,
    samples: Vec<f64>,
}

impl Bare {
    fn new(requests: &[Sent]) -> Self {
        let tables = (0..AGENTS).map(|number| {
            let mut table = vec![0; SIZES.shape.words()];
            let point = SecretScalar::from_bytes(&pair(number).to_scalar()).expect("a key").public();
            assert!(prepare(&point, SIZES.shape, &mut table));
            table
        });
        Self {
            tables: tables.collect(),
            signed: requests.iter().map(|sent| (sent.digest, sent.signature())).collect(),
            samples: Vec::new(),
        }
    }

    fn slice(&mut self, number: usize) {
        let started = Instant::now();
        for at in number * SLICE..(number + 1) * SLICE {
            let (digest, signature) = &self.signed[at];
            assert!(verify_prepared(&self.tables[at % AGENTS], SIZES.shape, digest, signature));
        }
        self.samples.push(per_request(started));
    }
}

fn per_request(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / SLICE as f64
}

fn cost(name: &str, samples: &mut [f64]) -> Cost {
    samples.sort_by(f64::total_cmp);
    Cost { name: name.to_owned(), min_us: samples[0], median_us: samples[samples.len() / 2] }
}

/// Where the time goes that is not the curve's.
fn parts(rounds: u32) {
    let requests = sign_all(false);
    let mut scratch = [0; Request::SCRATCH];
    let mut fastest = [f64::MAX; 2];
    for _ in 0..rounds {
        for slice in requests.chunks(SLICE) {
            let started = Instant::now();
            for sent in slice {
                std::hint::black_box(visit(sent));
            }
            fastest[0] = fastest[0].min(started.elapsed().as_secs_f64() * 1e6 / slice.len() as f64);
            let started = Instant::now();
            for sent in slice {
                std::hint::black_box(Request::parse(&visit(sent), &mut scratch).is_ok());
            }
            fastest[1] = fastest[1].min(started.elapsed().as_secs_f64() * 1e6 / slice.len() as f64);
        }
    }
    println!("  parts: headers {:.2} us, headers and parse {:.2} us", fastest[0], fastest[1]);
}

/// What [`run`] reports.
pub const ROWS: [&str; 2] = ["request_overhead", "visa_request_overhead"];

/// Measures, prints and reports: slices of each kind in turn, every request once a round, nonces forgotten in between.
pub fn run(report: &mut Report, rounds: u32) {
    println!();
    parts(rounds);
    let (mut open, mut paid) = (Traffic::new(OPEN, false), Traffic::new(PAID, true));
    let mut bare = Bare::new(&open.requests);
    for _ in 0..rounds {
        open.site.forget_nonces();
        paid.site.forget_nonces();
        for number in 0..REQUESTS / SLICE {
            open.slice(number);
            paid.slice(number);
            bare.slice(number);
        }
    }
    let payload = open.requests[0].payload().len();
    let request = cost("request", &mut open.samples);
    let paid = cost("request with visa", &mut paid.samples);
    let bare = cost("its bare prepared verification", &mut bare.samples);
    println!("  all but the curve: {:.2} us a request, payload of {payload} bytes", request.min_us - bare.min_us);
    println!("  with a visa: {:.2} us", paid.min_us - 2.0 * bare.min_us);
    report.row("request_overhead", Kind::Overhead, &request, &bare);
    report.row("visa_request_overhead", Kind::Overhead, &paid, &bare);
}
