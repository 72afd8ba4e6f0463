//! Provenance: what is signed verifies, in its time; the reference's signatures verify where the time is known.

use imagxp::provenance::{Origin, ProvenanceHeaders, sign, verify, verify_at};
use imagxp::{Error, KeyPair, PublicKey, Signing, UnixMillis};
use serde_json::Value;

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);

fn key() -> KeyPair {
    KeyPair::from_random(&[1; 32]).unwrap()
}

fn judge(origin: &str, signature: &str, ts: &str, now: UnixMillis) -> Result<(Origin, UnixMillis), Error> {
    verify(key().public(), origin.as_bytes(), signature.as_bytes(), ts.as_bytes(), now, 300_000, 60_000)
}

#[test]
fn round_trip() {
    for origin in Origin::ALL {
        let mut out = [0; ProvenanceHeaders::BYTES_MAX];
        let headers = sign(&key(), origin, NOW, Signing::default(), &mut out).unwrap();
        assert_eq!(judge(headers.origin, headers.signature, headers.ts, NOW), Ok((origin, NOW)));
        let names: Vec<_> = headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["x-imagxp-content-origin", "x-imagxp-provenance-sig", "x-imagxp-provenance-ts"]);
    }
}

#[test]
fn refusals() {
    let mut out = [0; ProvenanceHeaders::BYTES_MAX];
    let good = sign(&key(), Origin::Human, NOW, Signing::default(), &mut out).unwrap();
    let flipped = good.signature.replace(&good.signature[..1], if good.signature.starts_with('0') { "1" } else { "0" });
    let upper = good.signature.to_uppercase();
    for (origin, signature, ts, now, error) in [
        ("", good.signature, good.ts, NOW, Error::FieldMissing),
        ("HUMAN", "", good.ts, NOW, Error::FieldMissing),
        ("HUMAN", good.signature, "", NOW, Error::FieldMissing),
        ("AI_GENERATED", good.signature, good.ts, NOW, Error::FieldType),
        ("human", good.signature, good.ts, NOW, Error::FieldType),
        ("SYNTHETIC", good.signature, good.ts, NOW, Error::SignatureInvalid),
        ("HUMAN", &flipped, good.ts, NOW, Error::SignatureInvalid),
        ("HUMAN", &upper, good.ts, NOW, Error::SignatureFormat),
        ("HUMAN", &good.signature[1..], good.ts, NOW, Error::SignatureFormat),
        ("HUMAN", good.signature, "1769428800001", NOW, Error::SignatureInvalid),
        ("HUMAN", good.signature, "01769428800000", NOW, Error::TimestampInvalid),
        ("HUMAN", good.signature, "1769428800000.0", NOW, Error::TimestampInvalid),
        ("HUMAN", good.signature, "-1", NOW, Error::TimestampInvalid),
        ("HUMAN", good.signature, "1e12", NOW, Error::TimestampInvalid),
        ("HUMAN", good.signature, "99999999999999999999", NOW, Error::TimestampInvalid),
        ("HUMAN", good.signature, good.ts, NOW.saturating_add(300_001), Error::TimestampStale),
        ("HUMAN", good.signature, good.ts, NOW.saturating_sub(60_001), Error::TimestampFuture),
    ] {
        assert_eq!(judge(origin, signature, ts, now), Err(error), "{origin} {ts}");
    }
    assert!(judge("HUMAN", good.signature, good.ts, NOW.saturating_add(300_000)).is_ok());
}

#[test]
fn short_buffers() {
    for short in 0..128 + 13 {
        let mut out = vec![7; short];
        let result = sign(&key(), Origin::Human, NOW, Signing::default(), &mut out).map(|_| ());
        assert_eq!(result, Err(Error::BufferTooSmall), "{short}");
    }
    assert!(sign(&key(), Origin::Human, NOW, Signing::default(), &mut [0; 128 + 13]).is_ok());
    let mut out = [0; 200];
    let at_zero = sign(&key(), Origin::Human, UnixMillis::EPOCH, Signing::default(), &mut out).map(|_| ());
    assert_eq!(at_zero, Err(Error::ClockUnknown));
}

#[test]
fn recorded_signatures() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors/interop/provenance.json");
    let text = std::fs::read_to_string(path).expect(path);
    let vectors: Value = serde_json::from_str(&text).unwrap();
    for row in vectors["vectors"].as_array().unwrap() {
        let result = &row["reference_result"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let headers = &result["headers"];
        let Ok(key) = PublicKey::from_text(text(&result["public_key"]).as_bytes()) else {
            assert_eq!(row["expect"], "reject");
            continue;
        };
        let (origin, signature) =
            (text(&headers["x-imagxp-content-origin"]), text(&headers["x-imagxp-provenance-sig"]));
        let ts = UnixMillis::from_ms(row["now_ms"].as_i64().unwrap());
        let verdict = verify_at(&key, origin.as_bytes(), signature.as_bytes(), ts);
        assert_eq!(verdict.is_ok(), row["expect"] == "accept", "{}: {verdict:?}", row["id"]);
    }
}
