//! The broker: what it issues verifies, what a verifier would refuse it does not write, and refusals and the discovery
//! document say what they should.

use imagxp::broker::{PublishedKey, Visa, issue_visa, write_jwks};
use imagxp::policy::Role;
use imagxp::visa::{Holder, TokenStep, verify};
use imagxp::{
    Answer, Error, KeyCache, KeyPair, Policy, Purpose, Refusal, Signing, Sizes, UnixMillis, Visitor, discovery,
};
use serde_json::Value;

const ISSUER: &str = "https://broker.example.com";
const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);

fn key(seed: u8) -> KeyPair {
    KeyPair::from_random(&[seed; 32]).unwrap()
}

fn policy<'m>(json: &str, words: &'m mut [u64; Policy::WORDS]) -> Policy<'m> {
    Policy::parse(json.as_bytes(), words).unwrap()
}

fn visa<'a>(holder: Option<Holder<'a>>) -> Visa<'a> {
    Visa {
        issuer: ISSUER,
        audience: "nytimes.com",
        amount: 1_000,
        lifetime_s: 3_600,
        holder,
        jti: Some("v-1"),
        purpose: Some(Purpose::RagRetrieval),
        currency: Some("USD"),
    }
}

fn part(token: &str, index: usize) -> String {
    let mut out = [0; 4096];
    let bytes = imagxp::codec::base64::url_decode(token.split('.').nth(index).unwrap().as_bytes(), &mut out).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Verifies under a policy that names the issuer, with this key set, for this holder.
fn judge(token: &str, jwks: &str, holder: Option<Holder<'_>>, extra: &str, now: UnixMillis) -> Result<i64, Error> {
    let json = format!(
        r#"{{"allowRAG":true,"audiences":["https://nytimes.com"],"monetization":{{"brokerUrl":"{ISSUER}"}}{extra}}}"#
    );
    let mut words = [0; Policy::WORDS];
    let policy = policy(&json, &mut words);
    let sizes = Sizes { names: 64, issuers: 2, tables: 0, ..Sizes::EMBEDDED };
    let mut memory = vec![0; KeyCache::words(&sizes)];
    let mut keys = KeyCache::new(&mut memory, &sizes, &[1; 32]).unwrap();
    let need = policy.documents().next().unwrap();
    keys.supply(&need, Answer::Found { body: jwks.as_bytes(), max_age_s: None }, now).unwrap();
    match verify(token.as_bytes(), Role::Broker, holder, &policy, &keys.read(), now)? {
        TokenStep::Verified(token) => Ok(token.amount),
        TokenStep::Need(_) => panic!("the key set is there"),
    }
}

#[test]
fn issues_what_verifies() {
    let (broker, agent) = (key(1), key(2));
    let holder = Holder { agent_id: "bot.example.com", key: agent.public().kid() };
    let (mut out, mut set) = ([0; 4096], [0; 512]);
    let token = issue_visa(&broker, "1", &visa(Some(holder)), NOW, Signing::default(), &mut out).unwrap();
    let set = write_jwks(&[PublishedKey { kid: "1", key: broker.public() }], &mut set).unwrap();

    assert_eq!(part(token, 0), r#"{"alg":"ES256","kid":"1","typ":"imagxp-visa+jwt"}"#);
    let jkt = agent.public().kid();
    let expected = format!(
        r#"{{"payment_status":"paid","amount":0.001,"ver":"1.1","iat":1769428800,"iss":"{ISSUER}","aud":"nytimes.com","exp":1769432400,"sub":"bot.example.com","cnf":{{"jkt":"{}"}},"jti":"v-1","purpose":"RAG_RETRIEVAL","cur":"USD"}}"#,
        jkt.as_str()
    );
    assert_eq!(part(token, 1), expected);

    let require = r#","visa_binding":"require","visa_single_use":true,"price":"0.001""#;
    assert_eq!(judge(token, set, Some(holder), require, NOW), Ok(1_000));
    assert_eq!(judge(token, set, Some(holder), r#","price":"0.001001""#, NOW), Err(Error::VisaAmount));
    let thief = Holder { agent_id: "bot.example.com", key: key(3).public().kid() };
    assert_eq!(judge(token, set, Some(thief), "", NOW), Err(Error::VisaBinding));
    let other = Holder { agent_id: "other.example.com", ..holder };
    assert_eq!(judge(token, set, Some(other), "", NOW), Err(Error::JwtSubject));
    let (last, late) = (NOW.saturating_add(3_604_999), NOW.saturating_add(3_605_000));
    assert_eq!(judge(token, set, Some(holder), "", last), Ok(1_000));
    assert_eq!(judge(token, set, Some(holder), "", late), Err(Error::JwtExpired));
}

#[test]
fn the_introductions_members_come_first() {
    let plain = Visa { jti: None, purpose: None, currency: None, ..visa(None) };
    let mut out = [0; 4096];
    let token = issue_visa(&key(1), "1", &plain, NOW, Signing::default(), &mut out).unwrap();
    let seed = r#"{"payment_status":"paid","amount":0.001,"ver":"1.1","iat":1769428800,"iss":"https://broker.example.com","aud":"nytimes.com","exp":1769432400}"#;
    assert_eq!(part(token, 1), seed);
}

#[test]
fn writes_nothing_that_would_be_refused() {
    let long = "j".repeat(129);
    let wide = format!("https://{}.example.com", "a".repeat(300));
    let cases = [
        ("", visa(None), Error::JwtHeader),
        (long.as_str(), visa(None), Error::JwtHeader),
        ("1", Visa { issuer: "", ..visa(None) }, Error::JwtIssuer),
        ("1", Visa { issuer: "https://b.example.com/\"", ..visa(None) }, Error::JwtIssuer),
        ("1", Visa { issuer: "https://b\u{e9}.example.com", ..visa(None) }, Error::JwtIssuer),
        ("1", Visa { audience: "", ..visa(None) }, Error::JwtAudience),
        ("1", Visa { audience: &wide, ..visa(None) }, Error::JwtAudience),
        ("1", Visa { amount: 0, ..visa(None) }, Error::VisaAmount),
        ("1", Visa { amount: -1, ..visa(None) }, Error::VisaAmount),
        ("1", Visa { lifetime_s: 0, ..visa(None) }, Error::JwtLifetime),
        ("1", Visa { lifetime_s: 3_601, ..visa(None) }, Error::JwtLifetime),
        ("1", Visa { jti: Some(""), ..visa(None) }, Error::JwtClaims),
        ("1", Visa { jti: Some(&long), ..visa(None) }, Error::JwtClaims),
        ("1", Visa { currency: Some("us"), ..visa(None) }, Error::JwtClaims),
        ("1", Visa { currency: Some("U$D"), ..visa(None) }, Error::JwtClaims),
        ("1", visa(Some(Holder { agent_id: "10.0.0.1", key: key(2).public().kid() })), Error::AgentIdInvalid),
    ];
    for (kid, visa, error) in cases {
        let mut out = [0; 4096];
        assert_eq!(issue_visa(&key(1), kid, &visa, NOW, Signing::default(), &mut out), Err(error), "{visa:?}");
        assert_eq!(out, [0; 4096]);
    }
    let mut out = [0; 4096];
    let too_early = issue_visa(&key(1), "1", &visa(None), UnixMillis::EPOCH, Signing::default(), &mut out);
    assert_eq!(too_early, Err(Error::ClockUnknown));
}

/// Whatever is issued verifies, and whatever is not fits no verifier: with odd but allowed texts.
#[test]
fn issued_means_good() {
    let broker = key(1);
    let odd = "\u{1}\"\\\u{65e5}\u{1f600} ";
    let kid = odd.repeat(9);
    let jti = odd.repeat(9);
    let holder = Holder { agent_id: "bot.example.com", key: key(2).public().kid() };
    for amount in [1, 999_999, 1_000_000, 123_456_789_012, i64::MAX] {
        for lifetime_s in [1, 3_600] {
            let visa = Visa { amount, lifetime_s, jti: Some(&jti), ..visa(Some(holder)) };
            let (mut out, mut set) = ([0; 4096], [0; 2048]);
            let token = issue_visa(&broker, &kid, &visa, NOW, Signing { check: true, ..Signing::default() }, &mut out);
            let set = write_jwks(&[PublishedKey { kid: &kid, key: broker.public() }], &mut set).unwrap();
            assert_eq!(judge(token.unwrap(), set, Some(holder), r#","visa_single_use":true"#, NOW), Ok(amount));
        }
    }
}

#[test]
fn every_short_buffer_is_left_alone() {
    let broker = key(1);
    let mut out = [0; 4096];
    let len = issue_visa(&broker, "1", &visa(None), NOW, Signing::default(), &mut out).unwrap().len();
    for short in 0..len {
        let mut out = vec![7; short];
        let result = issue_visa(&broker, "1", &visa(None), NOW, Signing::default(), &mut out);
        assert_eq!(result, Err(Error::BufferTooSmall));
        assert!(out.iter().all(|byte| *byte == 7), "{short}");
    }
    let published = [PublishedKey { kid: "1", key: broker.public() }];
    let len = write_jwks(&published, &mut [0; 512]).unwrap().len();
    for short in 0..len {
        assert_eq!(write_jwks(&published, &mut vec![0; short]), Err(Error::BufferTooSmall));
    }
}

#[test]
fn key_sets() {
    let (one, two) = (key(1), key(2));
    let set = [PublishedKey { kid: "a", key: one.public() }, PublishedKey { kid: "b", key: two.public() }];
    let mut out = [0; 1024];
    let text = write_jwks(&set, &mut out).unwrap();
    let json: Value = serde_json::from_str(text).unwrap();
    assert_eq!(json["keys"][1]["kid"], "b");
    for (name, value) in [("use", "sig"), ("alg", "ES256"), ("kty", "EC"), ("crv", "P-256")] {
        assert_eq!(json["keys"][0][name], value);
    }
    let twins = [PublishedKey { kid: "a", key: one.public() }, PublishedKey { kid: "a", key: two.public() }];
    assert_eq!(write_jwks(&twins, &mut [0; 1024]), Err(Error::JwksDuplicateKid));
    assert_eq!(write_jwks(&[], &mut [0; 1024]), Err(Error::JwksInvalid));
    assert_eq!(write_jwks(&[PublishedKey { kid: "", key: one.public() }], &mut [0; 1024]), Err(Error::JwksInvalid));
    let names: Vec<_> = (0..33).map(|n| n.to_string()).collect();
    let many: Vec<_> = names.iter().map(|kid| PublishedKey { kid, key: one.public() }).collect();
    assert_eq!(write_jwks(&many, &mut [0; 16_384]), Err(Error::JwksInvalid));
    assert!(write_jwks(&many[..32], &mut [0; 16_384]).is_ok());
}

/// The reference's visas, judged as vectors/README.md says.
#[test]
fn recorded_visas() {
    for name in ["visas_accepted", "visas_rejected"] {
        let vectors = read(name);
        for row in vectors["vectors"].as_array().unwrap() {
            let text = |name: &str| row[name].as_str().unwrap_or_default();
            // Rows about HTTP are the host's.
            if row["jwks_http"].is_object() || row["jwks"].is_null() {
                continue;
            }
            let now = UnixMillis::from_ms(row["now_ms"].as_i64().unwrap());
            let json = format!(
                r#"{{"allowRAG":true,"audiences":["{}"],"monetization":{{"brokerUrl":"{}"}}}}"#,
                row["expected_audience"].as_str().unwrap_or("nytimes.com"),
                text("broker_url")
            );
            let mut words = [0; Policy::WORDS];
            let policy = policy(&json, &mut words);
            let sizes = Sizes { names: 64, issuers: 2, tables: 0, ..Sizes::EMBEDDED };
            let mut memory = vec![0; KeyCache::words(&sizes)];
            let mut keys = KeyCache::new(&mut memory, &sizes, &[1; 32]).unwrap();
            let need = policy.documents().next().unwrap();
            let body = row["jwks"].to_string();
            keys.supply(&need, Answer::Found { body: body.as_bytes(), max_age_s: None }, now).unwrap();
            let holder = Holder { agent_id: "bot.example.com", key: key(2).public().kid() };
            let verdict = verify(text("token").as_bytes(), Role::Broker, Some(holder), &policy, &keys.read(), now);
            let good = matches!(verdict, Ok(TokenStep::Verified(_)));
            assert_eq!(good, text("expect") == "accept", "{} {}: {verdict:?}", text("id"), text("description"));
        }
    }
}

fn read(name: &str) -> Value {
    let path = format!("{}/../vectors/interop/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).unwrap()
}

#[test]
fn refusals() {
    let mut words = [0; Policy::WORDS];
    let shop = policy(
        r#"{"allowRAG":true,"price":"0.0015","monetization":{"brokerUrl":"https://b.example.com"}}"#,
        &mut words,
    );
    let body = |error, policy: &Policy<'_>| {
        let mut out = [0; imagxp::spec::refusal::BODY_MAX];
        Refusal::new(error, policy).body(&mut out).unwrap().to_owned()
    };
    let paid = body(Error::VisaRequired, &shop);
    assert_eq!(paid, r#"{"error":"VISA_REQUIRED","visitor_type":"VERIFIED_AGENT","proof_used":"NONE"}"#);
    assert_eq!(body(Error::KeyMismatch, &shop), r#"{"error":"IDENTITY_UNVERIFIED","visitor_type":"UNIDENTIFIED_BOT"}"#);
    assert_eq!(body(Error::ReplayDetected, &shop), r#"{"error":"REPLAY_DETECTED","visitor_type":"VERIFIED_AGENT"}"#);
    assert_eq!(body(Error::VisitorRefused, &shop), r#"{"error":"VISITOR_REFUSED","visitor_type":"UNIDENTIFIED_BOT"}"#);

    let hints = Refusal::new(Error::VisaAmount, &shop).hints().unwrap();
    let headers: Vec<_> = hints.iter().collect();
    assert_eq!(headers, [("x-imagxp-broker", "https://b.example.com"), ("x-imagxp-price", "0.0015")]);
    for error in Error::ALL {
        let refusal = Refusal::new(*error, &shop);
        assert_eq!(refusal.hints().is_some(), refusal.status() == 402, "{error}");
        assert!(body(*error, &shop).len() <= imagxp::spec::refusal::BODY_MAX);
        assert_eq!(refusal.retry_after_s(), error.retry_after_s());
        for short in 0..body(*error, &shop).len() {
            assert_eq!(refusal.body(&mut vec![0; short]), Err(Error::BufferTooSmall));
        }
    }

    let mut words = [0; Policy::WORDS];
    let open = policy(r#"{"requireIdentityBinding":false,"requiresPayment":true}"#, &mut words);
    assert_eq!(Refusal::new(Error::VisaRequired, &open).visitor(), Visitor::UnidentifiedBot);
    assert_eq!(Refusal::new(Error::VisaRequired, &open).hints().unwrap().iter().count(), 0);
}

#[test]
fn whom_a_refusal_costs_something() {
    use Error::*;
    for error in
        [SignatureInvalid, KeyInvalid, IdentityPending, PurposeRefused, VisaRequired, JwtExpired, ReplayDetected]
    {
        assert!(error.is_behind_signature(), "{error}: the same message costs a verification each time");
    }
    for error in [HeadersPartial, TimestampStale, ResourceMismatch, KeyMismatch, IdentityRequired] {
        assert!(!error.is_behind_signature(), "{error}: found by text, or by what the cache knew");
    }
    for error in [RestartGuard, ReplayCacheFull, ReplayStoreDown] {
        assert!(!error.is_behind_signature(), "{error}: this site is to blame");
    }
}

#[test]
fn the_discovery_document() {
    let mut words = [0; Policy::WORDS];
    let json = r#"{"allowRAG":true,"strategy":"STRICT","price":0.001,"paymentPointer":"$wallet.example.com/p","window":120000,
        "audiences":["nytimes.com","https://www.nytimes.com"],"visa_binding":"require","monetization":{"brokerUrl":"https://b.example.com",
        "paymentConfig":{"jwksUrl":"https://keys.internal.example.com/jwks.json","issuer":"second"},
        "adNetwork":{"jwksUrl":"https://ads.example.com/jwks.json","issuer":"ads"}}}"#;
    let whole = policy(json, &mut words);
    let mut out = [0; 4096];
    let text = discovery::write(&whole, &mut out).unwrap();
    assert_eq!(
        text,
        r#"{"version":"1.1","allowTraining":false,"allowRAG":true,"attributionRequired":false,"allowAdSupportedAccess":false,"requiresPayment":true,"requireIdentityBinding":true,"visa_single_use":false,"resource_binding":"exact","visa_binding":"require","window":120000,"skew":60000,"audiences":["nytimes.com","https://www.nytimes.com"],"price":0.001,"paymentPointer":"$wallet.example.com/p","monetization":{"brokerUrl":"https://b.example.com","adNetwork":{"issuer":"ads"},"paymentConfig":{"issuer":"second"}}}"#
    );
    for short in 0..text.len() {
        assert_eq!(discovery::write(&whole, &mut vec![0; short]), Err(Error::BufferTooSmall));
    }

    // What has no other issuers is a policy again, and says the same.
    let mut words = [0; Policy::WORDS];
    let small = policy(r#"{"allowTraining":true,"monetization":{"brokerUrl":"https://b.example.com"}}"#, &mut words);
    let (mut first, mut second, mut words) = ([0; 4096], [0; 4096], [0; Policy::WORDS]);
    let text = discovery::write(&small, &mut first).unwrap();
    let again = policy(text, &mut words);
    assert_eq!(discovery::write(&again, &mut second).unwrap(), text);

    let mut words = [0; Policy::WORDS];
    let empty = policy("{}", &mut words);
    let text = discovery::write(&empty, &mut out).unwrap();
    assert!(serde_json::from_str::<Value>(text).is_ok(), "{text}");
}
