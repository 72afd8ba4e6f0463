//! Evidence: what is written is read and proven; whatever is altered is found and named; a torn last line is recovered.

mod evidence {
    mod largest;
    mod tampering;
}

use imagxp::broker::{PublishedKey, Visa, issue_visa, write_jwks};
use imagxp::evidence::{
    Check, Decided, Decision, Document, Fault, Fetched, Finding, Findings, Head, Log, Record, Summary, Tables, Target,
    What, find_key, verify_checks, write_checkpoint, write_decision, write_document,
};
use imagxp::key::sha256;
use imagxp::visa::Holder;
use imagxp::{
    Answer, Claims, Error, Grant, Headers, KeyCache, KeyPair, Kind, Manifest, Need, Policy, PublicKey, Purpose,
    ReplayCache, Request, SignedHeaders, Signing, Sizes, Step, UnixMillis, Visit, sign_request, spec, write_manifest,
};

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
const SIZES: Sizes = Sizes { names: 64, issuers: 2, tables: 0, ..Sizes::EMBEDDED };
const AGENT: &str = "bot.example.com";
const BROKER: &str = "https://broker.example.com";
const SHOP: &str =
    r#"{"allowRAG":true,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#;
const OPEN: &str = r#"{"allowRAG":true}"#;

fn key(seed: u8) -> KeyPair {
    KeyPair::from_random(&[seed; 32]).unwrap()
}

fn publisher() -> PublicKey {
    *key(9).public()
}

/// A log in memory, and the publisher who writes it.
struct Book {
    text: String,
    head: Head,
}

impl Book {
    fn new() -> Self {
        Self { text: String::new(), head: Head::EMPTY }
    }

    fn append(&mut self, write: impl Fn(&Head, &mut [u8]) -> Result<usize, Error>) {
        let mut out = vec![0; spec::evidence::LINE_MAX];
        let len = write(&self.head, &mut out).unwrap();
        let line = core::str::from_utf8(&out[..len]).unwrap();
        assert!(line.ends_with('\n') && len <= spec::evidence::LINE_MAX);
        // Every shorter buffer is left as it is.
        for short in [0, 1, len / 2, len - 1] {
            let mut out = vec![7; short];
            assert_eq!(write(&self.head, &mut out), Err(Error::BufferTooSmall));
            assert!(out.iter().all(|byte| *byte == 7));
        }
        self.text.push_str(line);
        self.head = self.head.after(line);
    }

    fn document(&mut self, url: &str, body: &[u8], at: UnixMillis) {
        self.append(|head, out| write_document(&Fetched { url, body, at }, head, out).map(str::len));
    }

    fn checkpoint(&mut self, at: UnixMillis) {
        self.append(|head, out| write_checkpoint(&key(9), head, at, Signing::default(), out).map(str::len));
    }

    /// One request from the wire to the record, with the documents that it needs.
    fn decide(&mut self, scene: &Scene<'_>) -> Result<(), Error> {
        let lines = scene.headers();
        let mut headers = Headers::new();
        for (name, value) in &lines {
            headers.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        let visit = Visit {
            method: "GET",
            scheme: "https",
            authority: "pub.example.com",
            target: scene.target,
            vouched: 0,
            headers,
        };
        let mut words = [0; Policy::WORDS];
        let policy = Policy::parse(scene.policy.as_bytes(), &mut words).unwrap();
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(&visit, &mut scratch).unwrap();
        let (mut memory, mut nonces) = (vec![0; KeyCache::words(&SIZES)], vec![0; ReplayCache::words(64)]);
        let mut keys = KeyCache::new(&mut memory, &SIZES, &[1; 32]).unwrap();
        let mut replay = ReplayCache::new(&mut nonces, &[2; 32], UnixMillis::EPOCH).unwrap();
        let (mut documents, mut visa_key) = (Vec::new(), None);
        let verdict = loop {
            match request.verify(&policy, &keys.read(), scene.at) {
                Ok(Step::Need(need)) => {
                    let body = scene.body(&need);
                    keys.supply(&need, Answer::Found { body: body.as_bytes(), max_age_s: None }, scene.at).unwrap();
                    self.document(need.url, body.as_bytes(), scene.at);
                    documents.push(sha256(body.as_bytes()));
                    if need.kind == Kind::Jwks {
                        visa_key = find_key(body.as_bytes(), scene.visa.unwrap_or_default().as_bytes());
                    }
                }
                Ok(Step::Verified(verified)) => {
                    // The verdict names the documents that it rests on, and the key.
                    let Grant { manifest, visa, .. } = verified.grant();
                    assert!(manifest.iter().chain(visa.iter().map(|token| &token.jwks)).all(|d| documents.contains(d)));
                    assert_eq!(visa.as_ref().map(|token| token.key), visa_key);
                    break verified.admit(&mut replay, scene.at);
                }
                Err(error) => break Err(error),
            }
        };
        let verdict = verdict.as_ref().map_err(|error| *error);
        let decided = Decided {
            visit: &visit,
            received: scene.at,
            decided: scene.at.saturating_add(5),
            documents: &documents,
            visa_key: visa_key.as_ref(),
            verdict,
        };
        self.append(|head, out| write_decision(&decided, head, out).map(str::len));
        verdict.map(|_: &Grant<'_>| ())
    }
}

/// One request.
struct Scene<'a> {
    policy: &'a str,
    purpose: Purpose,
    target: &'a str,
    visa: Option<&'a str>,
    nonce: u8,
    at: UnixMillis,
    served: u8,
}

impl Default for Scene<'_> {
    fn default() -> Self {
        Self { policy: OPEN, purpose: Purpose::Summary, target: "/a", visa: None, nonce: 3, at: NOW, served: 1 }
    }
}

impl Scene<'_> {
    fn headers(&self) -> Vec<(String, String)> {
        let resource = format!("https://pub.example.com{}", self.target);
        let claims = Claims { agent_id: AGENT, resource: &resource, purpose: self.purpose, ads_displayed: false };
        let mut out = [0; SignedHeaders::BYTES_MAX];
        let signed = sign_request(&key(1), &claims, &[self.nonce; 16], self.at, Signing::default(), &mut out).unwrap();
        let mut lines: Vec<_> = signed.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        lines.extend(self.visa.map(|visa| ("x-imagxp-credential".to_owned(), visa.to_owned())));
        lines
    }

    fn body(&self, need: &Need<'_>) -> String {
        match need.kind {
            Kind::Manifest => manifest(self.served),
            Kind::Jwks => {
                let (one, two) = (key(5), key(6));
                let set = [PublishedKey { kid: "b", key: two.public() }, PublishedKey { kid: "1", key: one.public() }];
                write_jwks(&set, &mut [0; 1024]).unwrap().to_owned()
            }
        }
    }
}

fn manifest(seed: u8) -> String {
    let key = key(seed);
    let manifest = Manifest { agent_id: AGENT, public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
    write_manifest(&manifest, &mut [0; 8192]).unwrap().to_owned()
}

fn visa() -> String {
    let holder = Some(Holder { agent_id: AGENT, key: key(1).public().kid() });
    let visa = Visa {
        issuer: BROKER,
        audience: "pub.example.com",
        amount: 1_000,
        lifetime_s: 3_600,
        holder,
        jti: Some("v-1"),
        purpose: None,
        currency: None,
    };
    issue_visa(&key(5), "1", &visa, NOW, Signing::default(), &mut [0; 4096]).unwrap().to_owned()
}

/// A log with everything in it: an admission, a paid one, two refusals, and checkpoints in the middle and at the end.
fn book() -> Book {
    let mut book = Book::new();
    assert_eq!(book.decide(&Scene::default()), Ok(()));
    assert_eq!(book.decide(&Scene { policy: SHOP, visa: Some(&visa()), nonce: 4, ..Scene::default() }), Ok(()));
    book.checkpoint(NOW.saturating_add(1_000));
    let training = Scene { purpose: Purpose::CrawlTraining, nonce: 5, ..Scene::default() };
    assert_eq!(book.decide(&training), Err(Error::PurposeRefused));
    assert_eq!(book.decide(&Scene { served: 2, nonce: 6, ..Scene::default() }), Err(Error::KeyMismatch));
    book.checkpoint(NOW.saturating_add(2_000));
    book
}

/// The whole verification, as a tool does it: chain, checkpoints, and each decision with the documents before it.
fn audit(text: &[u8]) -> (Vec<Fault>, Summary) {
    let keys = [publisher()];
    let mut log = Log::new(&keys);
    let (whole, rest) = text.split_at(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1));
    let (mut faults, mut documents) = (Vec::new(), Vec::new());
    let mut scratch = vec![0; 65_536];
    for line in whole.split_inclusive(|byte| *byte == b'\n') {
        match log.line(&line[..line.len() - 1]) {
            Err(fault) => faults.push(fault),
            Ok(Record::Document(document)) => documents.push(document),
            Ok(Record::Checkpoint(_)) => {}
            Ok(Record::Decision(decision)) => {
                let findings = decision.prove(&documents, &mut scratch).unwrap();
                if let Err(what) = findings.bear_out(decision.outcome) {
                    faults.push(log.fault(what));
                }
            }
        }
    }
    let summary = log.finish(rest);
    assert_eq!(summary.faults, faults.len() as u64);
    (faults, summary)
}

/// So is any byte that was taken out or put in.
#[test]
fn every_removed_and_added_byte_is_found() {
    let text = book().text.into_bytes();
    for at in 0..text.len() {
        let line = 1 + text[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
        let mut removed = text.clone();
        removed.remove(at);
        let mut added = text.clone();
        added.insert(at, [b' ', b'\n', b'0', text[at]][at % 4]);
        for altered in [removed, added] {
            // Signatures only where nothing else shows it.
            let (mut faults, summary) = walk(&altered, false);
            if faults.is_empty() {
                (faults, _) = chain(&altered);
            }
            match faults.first() {
                Some(first) => assert!(first.line == line || first.line == line + 1, "byte {at}: {faults:?}"),
                // The very last newline was taken out: the checkpoint is torn.
                None => assert!(at + 1 == text.len() && summary.torn > 0 && summary.unsealed > 0, "byte {at}"),
            }
        }
    }
}

/// Wherever a log was torn, its whole lines are good, and the rest is no fault.
#[test]
fn a_log_torn_anywhere_is_recovered() {
    let text = book().text.into_bytes();
    for end in 0..text.len() {
        let whole = text[..end].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (faults, summary) = walk(&text[..end], false);
        assert!(faults.is_empty(), "torn at {end}: {faults:?}");
        assert_eq!((summary.bytes, summary.torn), (whole as u64, end - whole));
    }
}

/// Chain and checkpoints only.
fn chain(text: &[u8]) -> (Vec<Fault>, Summary) {
    walk(text, true)
}

/// The same, with or without the dear part.
fn walk(text: &[u8], signatures: bool) -> (Vec<Fault>, Summary) {
    let keys = [publisher()];
    let mut log = Log::new(&keys);
    let mut lines = text.split(|byte| *byte == b'\n').peekable();
    let mut faults = Vec::new();
    while let Some(line) = lines.next() {
        if lines.peek().is_none() {
            return (faults, log.finish(line));
        }
        faults.extend(if signatures { log.line(line).err() } else { log.line_unchecked(line).err() });
    }
    unreachable!()
}

fn decisions(text: &str) -> (Vec<Decision<'_>>, Vec<Document<'_>>) {
    let (mut decisions, mut documents) = (Vec::new(), Vec::new());
    for line in text.lines() {
        match Record::parse(line.as_bytes()).unwrap().0 {
            Record::Decision(decision) => decisions.push(decision),
            Record::Document(document) => documents.push(document),
            Record::Checkpoint(_) => {}
        }
    }
    (decisions, documents)
}

#[test]
fn a_whole_log_is_proven() {
    let book = book();
    let (faults, summary) = audit(book.text.as_bytes());
    assert_eq!(faults, []);
    let bytes = book.text.len() as u64;
    assert_eq!(summary, Summary { head: book.head, bytes, unsealed: 0, torn: 0, faults: 0 });
    for line in book.text.lines() {
        let mut nodes = [imagxp::codec::json::Node::default(); 128];
        let json =
            imagxp::codec::json::Document::parse(line.as_bytes(), &imagxp::codec::json::Limits::WIDE, &mut nodes);
        let mut out = vec![0; line.len()];
        let mut writer = imagxp::codec::writer::Writer::new(&mut out);
        imagxp::codec::jcs::write(&json.unwrap().root(), &mut writer).unwrap();
        assert_eq!(writer.finish().unwrap().0, line, "every line is its own canonical form");
    }
}

#[test]
fn what_each_decision_proves() {
    let book = book();
    let (decisions, documents) = decisions(&book.text);
    let findings: Vec<_> = decisions.iter().map(|d| d.prove(&documents, &mut [0; 65_536]).unwrap()).collect();
    let open = Findings {
        signature: Finding::Proven,
        manifest: Finding::Proven,
        visa: Finding::Absent,
        visa_key: Finding::Absent,
        bound: Finding::Proven,
    };
    assert_eq!(findings[0], open);
    assert_eq!(findings[1], Findings { visa: Finding::Proven, visa_key: Finding::Proven, ..open });
    assert_eq!(findings[2], Findings { bound: Finding::Absent, ..open });
    let mismatch = Finding::Refuted(Error::KeyMismatch);
    assert_eq!(findings[3], Findings { bound: Finding::Absent, manifest: mismatch, ..open });

    // Without the documents nothing is claimed of them, and nothing held against the record.
    let alone = decisions[1].prove(&[], &mut []).unwrap();
    assert_eq!((alone.manifest, alone.visa_key), (Finding::Unknown, Finding::Unknown));
    assert_eq!(alone.bear_out(decisions[1].outcome), Ok(()));
    assert_eq!(decisions[1].prove(&documents, &mut [0; 100]).err(), Some(Error::BufferTooSmall));

    // Against a copy from another archive.
    assert_eq!(decisions[0].check_manifest(manifest(1).as_bytes()), Finding::Proven);
    assert_eq!(decisions[0].check_manifest(manifest(2).as_bytes()), mismatch);
    assert_eq!(decisions[0].check_manifest(b"{}"), Finding::Refuted(Error::ManifestMismatch));
    let kid = key(1).public().kid();
    let revoked = |at| {
        manifest(1)
            .replace("\"version\"", &format!("\"revoked\":[{{\"kid\":\"{}\",\"at\":{at}}}],\"version\"", kid.as_str()))
    };
    assert_eq!(decisions[0].check_manifest(revoked(1_769_428_800).as_bytes()), Finding::Refuted(Error::KeyRevoked));
    assert_eq!(decisions[0].check_manifest(revoked(1_769_428_801).as_bytes()), Finding::Proven);

    // It was judged at a second between arrival and decision, which may lie apart when a document had to be fetched.
    let mut late = decisions[0].clone();
    late.decided = late.received.saturating_add(3_000);
    for at in [1_769_428_801, 1_769_428_803] {
        assert_eq!(late.check_manifest(revoked(at).as_bytes()), Finding::Proven, "revoked at {at}");
    }
    assert_eq!(late.check_manifest(revoked(1_769_428_800).as_bytes()), Finding::Refuted(Error::KeyRevoked));
}

/// Signature checks can be made by the caller, many at once.
#[test]
fn checks_in_a_batch() {
    let book = book();
    let (decisions, documents) = decisions(&book.text);
    let checks: Vec<Check> = decisions.iter().zip(1..).flat_map(|(decision, line)| decision.checks(line)).collect();
    assert_eq!(checks.iter().map(|check| check.line).collect::<Vec<_>>(), [1, 2, 2, 3, 4]);
    let mut bad = checks.clone();
    bad[3].digest[0] ^= 1;
    bad[4].signature = [0; 64];
    // No memory, too little, for one key, and for more than there are.
    for words in [0, 100, Tables::words(1), Tables::words(5)] {
        let mut memory = vec![7; words];
        let mut tables = Tables::new(&mut memory);
        for _ in 0..3 {
            let mut good = [false; 5];
            assert!(verify_checks(&checks, &mut tables, &mut good));
            assert!(!verify_checks(&bad, &mut tables, &mut good));
            assert_eq!(good, [true, true, true, false, false]);
            assert!(!verify_checks(&checks, &mut tables, &mut [false; 4]));
            assert!(verify_checks(&[], &mut tables, &mut []));
        }
    }
    let unchecked = decisions[1].prove_unchecked(&documents, &mut [0; 65_536]).unwrap();
    assert_eq!((unchecked.signature, unchecked.visa), (Finding::Unknown, Finding::Unknown));
    assert_eq!((unchecked.manifest, unchecked.visa_key), (Finding::Proven, Finding::Proven));
}
