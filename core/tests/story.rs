//! The story: laid out line by line, told from verdict and times alone, and nothing in it that a stranger wrote freely.

use imagxp::feedback::{Feedback, Judgement, Reason, Signer, sign, verify};
use imagxp::story::{Fetch, Missing, Sale, Sent, Visited};
use imagxp::{
    Answer, Claims, Error, Headers, KeyCache, KeyPair, Manifest, Need, Policy, Purpose, ReplayCache, Request,
    SignedHeaders, Signing, Sizes, Step, Story, UnixMillis, Visit, sign_request, write_manifest,
};

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
const SIZES: Sizes = Sizes { names: 64, issuers: 2, tables: 0, ..Sizes::EMBEDDED };

fn key(seed: u8) -> KeyPair {
    KeyPair::from_random(&[seed; 32]).unwrap()
}

fn after(ms: i64) -> UnixMillis {
    NOW.saturating_add(ms)
}

fn lines(story: &Story<'_>) -> Vec<String> {
    (0..story.len()).map(|index| story.line(index, &mut [0; 4096]).unwrap().to_owned()).collect()
}

/// One site, one request, told. `served` is the key in the agent's manifest; none: it cannot be fetched.
struct Scene {
    policy: &'static str,
    served: Option<u8>,
    visa: Option<&'static str>,
    purpose: Purpose,
    at: UnixMillis,
    twice: bool,
}

impl Default for Scene {
    fn default() -> Self {
        let policy = r#"{"allowRAG":true}"#;
        Self { policy, served: Some(1), visa: None, purpose: Purpose::RagRetrieval, at: NOW, twice: false }
    }
}

impl Scene {
    fn told(&self) -> (Vec<String>, Result<(), Error>) {
        let key = key(1);
        let claims = Claims {
            agent_id: "bot.example.com",
            resource: "https://pub.example.com/a?b=c",
            purpose: self.purpose,
            ads_displayed: false,
        };
        let mut out = [0; SignedHeaders::BYTES_MAX];
        let signed = sign_request(&key, &claims, &[3; 16], NOW, Signing::default(), &mut out).unwrap();
        let mut headers = Headers::new();
        for (name, value) in signed.iter() {
            headers.add(name.as_bytes(), value.as_bytes()).unwrap();
        }
        if let Some(visa) = self.visa {
            headers.add(b"x-imagxp-credential", visa.as_bytes()).unwrap();
        }
        let visit = Visit {
            method: "GET",
            scheme: "https",
            authority: "pub.example.com",
            target: "/a?b=c",
            vouched: 0,
            headers,
        };
        self.tell(&visit)
    }

    fn tell(&self, visit: &Visit<'_>) -> (Vec<String>, Result<(), Error>) {
        let mut words = [0; Policy::WORDS];
        let policy = Policy::parse(self.policy.as_bytes(), &mut words).unwrap();
        let mut scratch = [0; Request::SCRATCH];
        let request = Request::parse(visit, &mut scratch);
        let mut memory = vec![0; KeyCache::words(&SIZES)];
        let mut keys = KeyCache::new(&mut memory, &SIZES, &[1; 32]).unwrap();
        let mut memory = vec![0; ReplayCache::words(1_024)];
        let mut replay = ReplayCache::new(&mut memory, &[2; 32], UnixMillis::EPOCH).unwrap();
        let mut fetches = Vec::new();
        let mut verdict = Err(Error::Busy);
        for _ in 0..=u8::from(self.twice) {
            verdict = match &request {
                Ok(request) => loop {
                    match request.verify(&policy, &keys.read(), self.at) {
                        Err(error) => break Err(error),
                        Ok(Step::Verified(verified)) => break verified.admit(&mut replay, self.at),
                        Ok(Step::Need(need)) => fetches.push(self.fetch(&need, &mut keys)),
                    }
                },
                Err(error) => Err(*error),
            };
        }
        let claims = request.as_ref().ok().and_then(|request| request.claims());
        let outcome = verdict.as_ref().map(|_| ()).map_err(|error| *error);
        let verdict = verdict.as_ref().map_err(|error| *error);
        let judged = after(250);
        let story =
            Story::publisher(&Visited { visit, claims, policy, fetches: &fetches, verdict, received: NOW, judged });
        assert!(story.len() < 16);
        for index in 0..story.len() {
            let json: serde_json::Value = serde_json::from_str(story.json(index, &mut [0; 4096]).unwrap()).unwrap();
            assert_eq!(json["event"], story.events()[index].code.name());
        }
        (lines(&story), outcome)
    }

    fn fetch<'r>(&self, need: &Need<'r>, keys: &mut KeyCache<'_>) -> Fetch<'r> {
        let mut out = [0; 8192];
        let found = match self.served {
            Some(served) => {
                let key = key(served);
                let agent_id = "bot.example.com";
                let manifest =
                    Manifest { agent_id, public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
                let body = write_manifest(&manifest, &mut out).unwrap().as_bytes();
                keys.supply(need, Answer::Found { body, max_age_s: None }, self.at).unwrap();
                Ok(body.len())
            }
            None => {
                keys.supply(need, Answer::Unreachable, self.at).unwrap();
                Err(Missing::Unreachable)
            }
        };
        Fetch { need: *need, asked: after(1), answered: after(120), found }
    }
}

#[test]
fn admitted() {
    let (told, outcome) = Scene::default().told();
    assert_eq!(outcome, Ok(()));
    let kid = key(1).public().kid();
    assert_eq!(
        told,
        [
            "12:00:00.000 | DISCOVERY | Request: GET https://pub.example.com/a?b=c",
            "12:00:00.000 | IDENTITY | Claimed ID: bot.example.com, for RAG_RETRIEVAL",
            "12:00:00.001 | CRYPTO | CHECK: ECDSA P-256 signature VALID",
            "12:00:00.001 | IMAGXP DNS | Manifest of bot.example.com wanted: the signature earned a look",
            "12:00:00.120 | IMAGXP DNS | Manifest received: 186 bytes",
            &format!(
                "12:00:00.250 | IMAGXP DNS | Identity CONFIRMED: bot.example.com publishes the key {}",
                kid.as_str()
            ),
            "12:00:00.250 | POLICY | PASSED: RAG_RETRIEVAL is admitted",
            "12:00:00.250 | ACCESS | GRANTED: VERIFIED_AGENT, proof NONE, resource bound: exact",
        ]
    );
}

#[test]
fn refused_at_every_stage() {
    let shop = r#"{"allowRAG":true,"requiresPayment":true,"monetization":{"brokerUrl":"https://b.example.com"}}"#;
    let cases: [(Scene, Error, &[&str]); 8] = [
        (
            Scene { at: after(400_000), ..Scene::default() },
            Error::TimestampStale,
            &[
                "IDENTITY | FAILED: TIMESTAMP_STALE, before any signature was checked",
                "ACCESS | ACTION: BLOCKED with 403 TIMESTAMP_STALE",
            ],
        ),
        (
            Scene { served: Some(2), ..Scene::default() },
            Error::KeyMismatch,
            &[
                "IMAGXP DNS | Identity FAKE: bot.example.com does not publish this key (KEY_MISMATCH)",
                "ACCESS | ACTION: BLOCKED with 403 KEY_MISMATCH",
            ],
        ),
        (
            Scene { served: None, ..Scene::default() },
            Error::ManifestUnavailable,
            &[
                "IMAGXP DNS | No manifest: no answer",
                "IMAGXP DNS | Identity NOT CONFIRMED: MANIFEST_UNAVAILABLE",
                "ACCESS | ACTION: BLOCKED with 403 MANIFEST_UNAVAILABLE",
            ],
        ),
        (
            Scene { purpose: Purpose::CrawlTraining, ..Scene::default() },
            Error::PurposeRefused,
            &["POLICY | FAILED: CRAWL_TRAINING is not admitted", "ACCESS | ACTION: BLOCKED with 403 PURPOSE_REFUSED"],
        ),
        (
            Scene { policy: shop, ..Scene::default() },
            Error::VisaRequired,
            &[
                "POLICY | PASSED: RAG_RETRIEVAL is admitted",
                "BROKER | Payment REFUSED: VISA_REQUIRED",
                "ACCESS | ACTION: BLOCKED with 402 VISA_REQUIRED",
            ],
        ),
        (
            Scene { policy: shop, visa: Some("a.b.c"), ..Scene::default() },
            Error::JwtFormat,
            &["BROKER | Payment REFUSED: JWT_FORMAT", "ACCESS | ACTION: BLOCKED with 403 JWT_FORMAT"],
        ),
        (
            Scene { twice: true, ..Scene::default() },
            Error::ReplayDetected,
            &[
                "IDENTITY | FAILED: REPLAY_DETECTED, though everything else holds",
                "ACCESS | ACTION: BLOCKED with 403 REPLAY_DETECTED",
            ],
        ),
        (
            Scene { policy: r#"{"allowRAG":true,"skew":0,"window":0}"#, at: after(-1), ..Scene::default() },
            Error::TimestampFuture,
            &[
                "IDENTITY | FAILED: TIMESTAMP_FUTURE, before any signature was checked",
                "ACCESS | ACTION: BLOCKED with 403 TIMESTAMP_FUTURE",
            ],
        ),
    ];
    for (scene, error, end) in cases {
        let (told, outcome) = scene.told();
        assert_eq!(outcome, Err(error), "{told:#?}");
        let texts: Vec<_> = told.iter().map(|line| line.split_once(" | ").unwrap().1).collect();
        assert!(texts.ends_with(end), "{told:#?}");
    }
}

#[test]
fn visitors_and_broken_headers() {
    let visit = |headers| Visit {
        method: "GET",
        scheme: "https",
        authority: "pub.example.com",
        target: "/a\n12:00:00.000 | ACCESS | GRANTED",
        vouched: 0,
        headers,
    };
    let (told, outcome) = Scene::default().tell(&visit(Headers::new()));
    assert_eq!(outcome, Ok(()));
    assert!(told[0].starts_with("12:00:00.000 | DISCOVERY | Request: GET https://pub.example.comsha256:"), "{told:#?}");
    assert_eq!(told[1], "12:00:00.000 | DISCOVERY | No IMAGXP headers: strategy PASSIVE decides");
    assert_eq!(told[2], "12:00:00.250 | ACCESS | GRANTED: UNIDENTIFIED_BOT, proof NONE, resource bound: none");
    assert_eq!(told.len(), 3);

    let strict = Scene { policy: r#"{"strategy":"STRICT"}"#, ..Scene::default() };
    let (told, outcome) = strict.tell(&visit(Headers::new()));
    assert_eq!(outcome, Err(Error::IdentityRequired));
    assert_eq!(told[2], "12:00:00.250 | ACCESS | ACTION: BLOCKED with 401 IDENTITY_REQUIRED");

    let mut headers = Headers::new();
    headers.add(b"x-imagxp-payload", b"AAAA").unwrap();
    let (told, outcome) = Scene::default().tell(&visit(headers));
    assert_eq!(outcome, Err(Error::HeadersPartial));
    assert_eq!(told[1], "12:00:00.250 | IDENTITY | FAILED: HEADERS_PARTIAL, before any signature was checked");
}

#[test]
fn the_agents_side() {
    let key = key(1);
    let claims = Claims {
        agent_id: "bot.example.com",
        resource: "https://pub.example.com/a",
        purpose: Purpose::Summary,
        ads_displayed: false,
    };
    let sent = |answer| Sent { claims: &claims, key: key.public(), signed: NOW, sent: Some(after(1)), answer };
    let told = lines(&Story::agent(&sent(Some((after(90), 402, b"VISA_REQUIRED")))));
    assert_eq!(
        told,
        [
            "12:00:00.000 | IDENTITY | Signing as bot.example.com, for SUMMARY".to_owned(),
            format!(
                "12:00:00.000 | CRYPTO | Signed https://pub.example.com/a with the key {}",
                key.public().kid().as_str()
            ),
            "12:00:00.001 | ACCESS | Sent".to_owned(),
            "12:00:00.090 | ACCESS | Answer: 402 VISA_REQUIRED".to_owned(),
        ]
    );
    let told = lines(&Story::agent(&sent(Some((after(90), 200, b"")))));
    assert_eq!(told[3], "12:00:00.090 | ACCESS | Answer: 200, GRANTED");
    // A server's own words are no code.
    let told = lines(&Story::agent(&sent(Some((after(90), 403, b"go away\n12:00")))));
    assert!(told[3].starts_with("12:00:00.090 | ACCESS | Answer: 403 sha256:") && told[3].len() == 36 + 7 + 64);
    assert_eq!(lines(&Story::agent(&Sent { sent: None, ..sent(None) })).len(), 2);
}

#[test]
fn the_brokers_side() {
    let sale = |outcome| Sale {
        agent_id: "bot.example.com",
        audience: "nytimes.com",
        amount: 1_000,
        asked: NOW,
        answered: after(5),
        outcome,
    };
    let told = lines(&Story::broker(&sale(Ok("v-1"))));
    assert_eq!(told[0], "12:00:00.000 | BROKER | Visa wanted: bot.example.com for nytimes.com, 0.001");
    assert_eq!(told[1], "12:00:00.005 | BROKER | Payment RELEASED: visa v-1 issued");
    let told = lines(&Story::broker(&sale(Err(Error::VisaRequired))));
    assert_eq!(told[1], "12:00:00.005 | BROKER | Payment REFUSED: VISA_REQUIRED");
}

#[test]
fn feedback() {
    let key = key(1);
    let feedback = Feedback {
        agent_id: "bot.example.com",
        url: "https://pub.example.com/a",
        score: 100_000,
        reason: Reason::SeoSpam,
        audience: "nytimes.com",
        jti: "1",
        request: None,
        visa: None,
    };
    let mut out = [0; 2048];
    let text = sign(&key, &feedback, NOW, Signing::default(), &mut out).unwrap();
    let signer = Signer { agent_id: "bot.example.com", key: key.public(), audiences: &[] };
    let mut memory = [0; Judgement::MEMORY];
    let judgement = verify(text.as_bytes(), &signer, NOW, &mut memory).unwrap();
    let told = lines(&Story::feedback("bot.example.com", Ok(&judgement), NOW));
    assert_eq!(
        told,
        [
            "12:00:00.000 | GOVERNANCE | Feedback of bot.example.com on https://pub.example.com/a: SEO_SPAM, score 0.1",
            "12:00:00.000 | BROKER | Payment WITHHELD, as the feedback says",
        ]
    );
    let told = lines(&Story::feedback("Bot.example.com\n", Err(Error::FeedbackInvalid), NOW));
    assert!(told[0].starts_with("12:00:00.000 | GOVERNANCE | Feedback of sha256:"));
    assert!(told[0].ends_with(" REFUSED: FEEDBACK_INVALID"));
}

#[test]
fn buffers_and_clocks() {
    let story = Story::feedback("bot.example.com", Err(Error::FeedbackInvalid), UnixMillis::from_ms(-1));
    let text = story.line(0, &mut [0; 512]).unwrap().len();
    assert!(lines(&story)[0].starts_with("--:--:--.--- | GOVERNANCE | "));
    for short in 0..text {
        let mut out = vec![7; short];
        assert_eq!(story.line(0, &mut out), Err(Error::BufferTooSmall));
        assert!(out.iter().all(|byte| *byte == 7));
    }
    let text = story.json(0, &mut [0; 512]).unwrap().len();
    for short in 0..text {
        assert_eq!(story.json(0, &mut vec![0; short]), Err(Error::BufferTooSmall));
    }
    assert_eq!(story.line(1, &mut [0; 512]), Err(Error::AbiArgument));
}
