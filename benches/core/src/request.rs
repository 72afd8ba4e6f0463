//! A whole request, parse to admit, beside the bare verification that it contains.

use std::ops::Range;
use std::time::Instant;

use imagxp::broker::{self, PublishedKey, Visa};
use imagxp::visa::Holder;
use imagxp::{
    Answer, Claims, Headers, KeyCache, KeyPair, Manifest, Policy, Purpose, ReplayCache, Request, Shape, SignedHeaders,
    Signing, Sizes, Step, UnixMillis, Visit, sign_request, write_manifest,
};

use crate::report::{Kind, Report};
use crate::rounds::Cost;

const REQUESTS: usize = 8_192;
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
}

impl Sent {
    fn new(target: &str, lines: &[(String, String)]) -> Self {
        let mut sent = Self { text: target.to_owned(), lines: Vec::new(), target: 0..target.len() };
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

    fn payload_len(&self) -> usize {
        self.lines[0].1.len() / 4 * 3
    }
}

/// A publisher whose caches are warm.
struct Site {
    policy: Vec<u64>,
    keys: Vec<u64>,
    replay: Vec<u64>,
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
            let target = format!("/articles/2026/11/a-title-of-ordinary-length-{number:05}?page=1");
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
            Sent::new(&target, &lines)
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
        let mut site = Self { policy: words, keys, replay: vec![0; ReplayCache::words(REQUESTS * 5 / 2)] };
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
        let mut scratch = [0; Request::SCRATCH];
        let visit = visit(sent);
        let request = Request::parse(&visit, &mut scratch).unwrap();
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

/// The cost of a decision: the fastest and the middle round of all requests, in slices, nonces forgotten in between.
fn decisions(name: &str, policy: &str, with_visa: bool, rounds: u32) -> Cost {
    let requests = sign_all(with_visa);
    let payload = requests[0].payload_len();
    println!("  {name}: payload of {payload} bytes");
    let mut site = Site::new(policy);
    site.warm(&requests);
    let mut samples = Vec::new();
    for _ in 0..rounds {
        site.forget_nonces();
        for slice in requests.chunks(256) {
            let started = Instant::now();
            slice.iter().for_each(|sent| site.decide(sent));
            samples.push(started.elapsed().as_secs_f64() * 1e6 / slice.len() as f64);
        }
    }
    samples.sort_by(f64::total_cmp);
    Cost { name: name.to_owned(), min_us: samples[0], median_us: samples[samples.len() / 2] }
}

/// Where the time goes that is not the curve's.
fn parts(rounds: u32) {
    let requests = sign_all(false);
    let mut fastest = [f64::MAX; 2];
    for _ in 0..rounds {
        for slice in requests.chunks(256) {
            let started = Instant::now();
            for sent in slice {
                std::hint::black_box(visit(sent));
            }
            fastest[0] = fastest[0].min(started.elapsed().as_secs_f64() * 1e6 / slice.len() as f64);
            let started = Instant::now();
            for sent in slice {
                let mut scratch = [0; Request::SCRATCH];
                std::hint::black_box(Request::parse(&visit(sent), &mut scratch).is_ok());
            }
            fastest[1] = fastest[1].min(started.elapsed().as_secs_f64() * 1e6 / slice.len() as f64);
        }
    }
    println!("  parts: headers {:.2} us, headers and parse {:.2} us", fastest[0], fastest[1]);
}

/// Measures, prints and reports.
pub fn run(report: &mut Report, bare: &Cost, rounds: u32) {
    println!();
    parts(rounds);
    let request = decisions("request", OPEN, false, rounds);
    let paid = decisions("request with visa", PAID, true, rounds);
    println!("  all but the curve: {:.2} us a request\n", request.min_us - bare.min_us);
    let bare = Cost { name: "bare prepared verification".to_owned(), ..bare.clone() };
    report.row("request_overhead", Kind::Overhead, &request, &bare);
    report.row("visa_request_overhead", Kind::Overhead, &paid, &bare);
}
