//! Feedback: both forms verify, one code for every fault, and the exact score decides.

use imagxp::feedback::{Feedback, Judgement, Outcome, Reason, Signer, sign, verify};
use imagxp::jose::jws;
use imagxp::{Error, KeyPair, PublicKey, Signing, UnixMillis};
use serde_json::Value;

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);

fn key(seed: u8) -> KeyPair {
    KeyPair::from_random(&[seed; 32]).unwrap()
}

fn feedback() -> Feedback<'static> {
    Feedback {
        agent_id: "bot.example.com",
        url: "https://pub.example.com/a",
        score: 100_000,
        reason: Reason::SeoSpam,
        audience: "https://broker.example.com",
        jti: "f-1",
        request: Some(&[0xAB; 32]),
        visa: Some("v-1"),
    }
}

/// What a verifier makes of it, in short.
fn judge(text: &[u8], key: &PublicKey, agent_id: &str, now: UnixMillis) -> Result<(u32, Outcome), Error> {
    let signer = Signer { agent_id, key, audiences: &["https://broker.example.com"] };
    verify(text, &signer, now, &mut [0; Judgement::MEMORY]).map(|judgement| (judgement.score, judgement.outcome))
}

#[test]
fn round_trip() {
    let key = key(1);
    let mut out = [0; 2048];
    let text = sign(&key, &feedback(), NOW, Signing::default(), &mut out).unwrap();
    let signer = Signer { agent_id: "bot.example.com", key: key.public(), audiences: &[] };
    let mut memory = [0; Judgement::MEMORY];
    let read = verify(text.as_bytes(), &signer, NOW, &mut memory).unwrap();
    assert_eq!((read.url, read.score, read.outcome), ("https://pub.example.com/a", 100_000, Outcome::Withhold));
    assert_eq!((read.jti, read.request, read.visa), (Some("f-1"), Some([0xAB; 32]), Some("v-1")));
    assert_eq!((read.ts, read.reasons().collect::<Vec<_>>()), (NOW, vec![Reason::SeoSpam]));
}

#[test]
fn odd_texts_round_trip() {
    let url = "a\"\\\n\u{1}\u{65e5}\u{1f600}";
    for odd in
        [Feedback { url, ..feedback() }, Feedback { url: "", jti: url, visa: Some(url), request: None, ..feedback() }]
    {
        let mut out = [0; 2048];
        let key = key(1);
        let text = sign(&key, &odd, NOW, Signing::default(), &mut out).unwrap();
        let signer = Signer { agent_id: odd.agent_id, key: key.public(), audiences: &["broker.example.com"] };
        let mut memory = [0; Judgement::MEMORY];
        let read = verify(text.as_bytes(), &signer, NOW, &mut memory).unwrap();
        assert_eq!((read.url, read.jti, read.visa), (odd.url, Some(odd.jti), odd.visa));
    }
}

#[test]
fn the_exact_score_decides() {
    for (score, expected) in [
        ("0", Some((0, Outcome::Withhold))),
        ("-0", Some((0, Outcome::Withhold))),
        ("0.49999999999999999999999999", Some((499_999, Outcome::Withhold))),
        ("0.5", Some((500_000, Outcome::Unchanged))),
        ("5e-1", Some((500_000, Outcome::Unchanged))),
        ("0.50000000000000000000000000", Some((500_000, Outcome::Unchanged))),
        ("0.50000000000000000000000001", Some((500_000, Outcome::Release))),
        ("0.30000000000000004", Some((300_000, Outcome::Withhold))),
        ("1", Some((1_000_000, Outcome::Release))),
        ("1.0", Some((1_000_000, Outcome::Release))),
        ("1.00000000000000000000000001", None),
        ("1.1", None),
        ("2", None),
        ("-0.1", None),
        ("1e400", None),
        ("null", None),
        ("\"0.5\"", None),
    ] {
        let text = token(&claims(score), &header());
        assert_eq!(judge(text.as_bytes(), key(1).public(), "bot.example.com", NOW).ok(), expected, "{score}");
    }
}

fn header() -> String {
    format!(r#"{{"alg":"ES256","kid":"{}","typ":"imagxp-feedback+jwt"}}"#, key(1).public().kid().as_str())
}

fn claims(score: &str) -> String {
    format!(
        r#"{{"agent_id":"bot.example.com","url":"/a","quality_score":{score},"reason":"INACCURATE","timestamp":"2026-01-26T12:00:00.000Z","iss":"bot.example.com","aud":"broker.example.com","jti":"1","iat":1769428800}}"#
    )
}

fn token(claims: &str, header: &str) -> String {
    jws::sign(&key(1), header, claims, Signing::default(), &mut [0; 4096]).unwrap().to_owned()
}

#[test]
fn one_code_for_every_fault() {
    let good = claims("0.9");
    assert!(judge(token(&good, &header()).as_bytes(), key(1).public(), "bot.example.com", NOW).is_ok());
    let bad_claims = [
        good.replace("\"agent_id\":\"bot", "\"agent_id\":\"bad"),
        good.replace("\"iss\":\"bot", "\"iss\":\"bad"),
        good.replace("\"aud\":\"broker", "\"aud\":\"other"),
        good.replace("INACCURATE", "RUDE"),
        good.replace("12:00:00.000Z", "12:00:05.001Z"),
        good.replace("12:00:00.000Z", "12:00"),
        good.replace("1769428800", "1769428806"),
        good.replace("\"1769428800\"", "1769428800"),
        good.replace(",\"iat\":1769428800", ""),
        good.replace("\"jti\":\"1\"", "\"jti\":\"\""),
        good.replace("\"jti\":\"1\"", "\"jti\":1"),
        good.replace("\"jti\":\"1\"", "\"jti\":\"1\",\"req\":\"AB\""),
        good.replace("\"jti\":\"1\"", "\"jti\":\"1\",\"visa\":7"),
        good.replace("\"url\":\"/a\"", "\"url\":\"/a\",\"url\":\"/b\""),
        good.replace("\"url\":\"/a\",", ""),
        "[]".to_owned(),
        "{}".to_owned(),
    ];
    for claims in bad_claims.iter().filter(|claims| **claims != good) {
        let verdict = judge(token(claims, &header()).as_bytes(), key(1).public(), "bot.example.com", NOW);
        assert_eq!(verdict, Err(Error::FeedbackInvalid), "{claims}");
    }
    for header in [
        r#"{"alg":"ES256"}"#.to_owned(),
        r#"{"alg":"ES256","typ":"JWT"}"#.to_owned(),
        r#"{"alg":"ES256","typ":"imagxp-visa+jwt"}"#.to_owned(),
        r#"{"alg":"none","typ":"imagxp-feedback+jwt"}"#.to_owned(),
        r#"{"alg":"ES256","typ":"imagxp-feedback+jwt","kid":"other"}"#.to_owned(),
        header().replace("}", ",\"crit\":[\"b64\"]}"),
    ] {
        let verdict = judge(token(&good, &header).as_bytes(), key(1).public(), "bot.example.com", NOW);
        assert_eq!(verdict, Err(Error::FeedbackInvalid), "{header}");
    }
    for text in ["", ".", "a.b.c", "{}", "{\"signal\":{},\"signature\":\"\"}", "null"] {
        assert_eq!(judge(text.as_bytes(), key(1).public(), "bot.example.com", NOW), Err(Error::FeedbackInvalid));
    }
    let text = token(&good, &header());
    assert_eq!(judge(text.as_bytes(), key(2).public(), "bot.example.com", NOW), Err(Error::FeedbackInvalid));
    assert_eq!(judge(text.as_bytes(), key(1).public(), "other.example.com", NOW), Err(Error::FeedbackInvalid));
}

#[test]
fn every_flipped_bit_is_refused() {
    let text = token(&claims("0.9"), &header());
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let verdict = judge(&bytes, key(1).public(), "bot.example.com", NOW);
        assert_eq!(verdict, Err(Error::FeedbackInvalid), "{at}");
    }
}

#[test]
fn bounds() {
    let mut out = [0; 4096];
    let long = "a".repeat(2_048);
    let too_long = Feedback { url: &long, ..feedback() };
    assert_eq!(sign(&key(1), &too_long, NOW, Signing::default(), &mut out), Err(Error::FeedbackInvalid));
    for bad in [
        Feedback { score: 1_000_001, ..feedback() },
        Feedback { agent_id: "localhost.", ..feedback() },
        Feedback { jti: "", ..feedback() },
        Feedback { audience: "", ..feedback() },
        Feedback { visa: Some(""), ..feedback() },
    ] {
        assert_eq!(sign(&key(1), &bad, NOW, Signing::default(), &mut out), Err(Error::FeedbackInvalid), "{bad:?}");
    }
    // The longest that is signed is read again; one more character is not signed.
    let fits = |len: &usize| {
        let url = "a".repeat(*len);
        sign(&key(1), &Feedback { url: &url, ..feedback() }, NOW, Signing::default(), &mut [0; 4096]).is_ok()
    };
    let longest = (0..2_048).rev().find(fits).unwrap();
    let url = "a".repeat(longest);
    let text = sign(&key(1), &Feedback { url: &url, ..feedback() }, NOW, Signing::default(), &mut out).unwrap();
    assert!(text.len() > 2_040 && text.len() <= 2_048);
    assert!(judge(text.as_bytes(), key(1).public(), "bot.example.com", NOW).is_ok());

    let text = sign(&key(1), &feedback(), NOW, Signing::default(), &mut out).unwrap().len();
    for short in 0..text {
        let mut out = vec![7; short];
        let result = sign(&key(1), &feedback(), NOW, Signing::default(), &mut out);
        assert_eq!(result, Err(Error::BufferTooSmall));
        assert!(out.iter().all(|byte| *byte == 7));
    }
    let key = key(1);
    let signer = Signer { agent_id: "bot.example.com", key: key.public(), audiences: &[] };
    let mut short = [0; Judgement::MEMORY - 1];
    assert!(matches!(verify(b"", &signer, NOW, &mut short), Err(Error::BufferTooSmall)));
}

#[test]
fn recorded_feedback() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/interop/feedback.json");
    let text = std::fs::read_to_string(path).expect(path);
    let vectors: Value = serde_json::from_str(&text).unwrap();
    let mut signer_of_all = None;
    for row in vectors["vectors"].as_array().unwrap() {
        let result = &row["reference_result"];
        if let Some(text) = result["public_key"].as_str() {
            signer_of_all = Some(PublicKey::from_text(text.as_bytes()).unwrap());
        }
        let key = signer_of_all.unwrap();
        let accepted = row["expect"] == "accept";
        let (object, now) = match row["token"].as_str() {
            Some(token) => (token.to_owned(), 1_771_848_617_000),
            None => {
                let signal = result["signed_string"].as_str().unwrap();
                let signature = result["signature"].as_str().unwrap();
                (format!(r#"{{"signal":{signal},"signature":"{signature}"}}"#), row["now_ms"].as_i64().unwrap())
            }
        };
        let signer = Signer { agent_id: "bot.example.com", key: &key, audiences: &[] };
        let mut memory = [0; Judgement::MEMORY];
        let verdict = verify(object.as_bytes(), &signer, UnixMillis::from_ms(now), &mut memory);
        assert_eq!(verdict.is_ok(), accepted, "{} {}: {verdict:?}", row["id"], row["description"]);
        if let (Ok(judgement), Some(resource)) = (verdict, row["inputs"]["resource"].as_str()) {
            assert_eq!(judgement.url, resource);
            let flags: Vec<_> =
                result["signal"]["flags"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
            let mut read: Vec<_> = judgement.reasons().map(Reason::name).collect();
            let mut flags = flags;
            read.sort_unstable();
            flags.sort_unstable();
            assert_eq!(read, flags);
        }
    }
}

#[test]
fn the_order_of_the_signal_is_the_signers() {
    let signal = r#"{"timestamp":"2026-01-26T12:00:00.000Z","flags":["HIGH_QUALITY"],"agent_id":"bot.example.com","quality_score":0.75,"target_resource":"/a"}"#;
    let signature = key(1).sign(&imagxp::key::sha256(signal.as_bytes()), Signing::default()).unwrap();
    let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let spaced = signal.replace(',', " , ").replace("0.75", "7.50e-1");
    for signal in [signal, &spaced] {
        let text = format!(r#"{{ "signature":"{hex}", "signal":{signal} }}"#);
        let verdict = judge(text.as_bytes(), key(1).public(), "bot.example.com", NOW);
        assert_eq!(verdict, Ok((750_000, Outcome::Release)), "{text}");
    }
    let swapped = r#"{"flags":["HIGH_QUALITY"],"timestamp":"2026-01-26T12:00:00.000Z","agent_id":"bot.example.com","quality_score":0.75,"target_resource":"/a"}"#;
    let text = format!(r#"{{"signal":{swapped},"signature":"{hex}"}}"#);
    assert_eq!(judge(text.as_bytes(), key(1).public(), "bot.example.com", NOW), Err(Error::FeedbackInvalid));
}
