//! How long an issuer's key set may be used, and what replaces it (threats.md 4.5 and section 8).

mod support;

use imagxp::jose::jws;
use imagxp::policy::Role;
use imagxp::visa::{self, TokenStep};
use imagxp::{Answer, Error, KeyCache, KeyPair, Keys, Policy, Signing, UnixMillis};
use serde_json::{Value, json};
use support::{NOW, SIZES, key};

const BROKER: &str = "https://broker.example.com";
const POLICY: &str = r#"{"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#;

fn at(s: i64) -> UnixMillis {
    NOW.saturating_add(s * 1_000)
}

fn jwk(key: &KeyPair, kid: &str) -> Value {
    let mut out = [0; 256];
    let mut jwk: Value = serde_json::from_str(key.public().to_jwk(&mut out).unwrap()).unwrap();
    jwk["kid"] = kid.into();
    jwk
}

fn private_jwk(key: &KeyPair) -> Value {
    let mut out = [0; 256];
    serde_json::from_str(key.to_jwk(&mut out).unwrap()).unwrap()
}

/// A visa that this key signs at second `s`.
fn token(key: &KeyPair, kid: &str, s: i64) -> String {
    let claims = json!({
        "iss": BROKER, "aud": "pub.example.com", "iat": at(s).s(), "exp": at(s).s() + 60, "payment_status": "paid", "amount": 1,
    });
    let header = json!({ "alg": "ES256", "kid": kid });
    let mut out = [0; 1_024];
    jws::sign(key, &header.to_string(), &claims.to_string(), Signing::default(), &mut out).unwrap().to_owned()
}

/// A verifier of visas that has fetched a set with one key, kid 1, in the first second.
struct Shop {
    policy: Vec<u64>,
    keys: Vec<u64>,
}

/// What it says.
#[derive(Debug, PartialEq)]
enum Said {
    Good,
    /// Good, and the set is due.
    GoodAndDue,
    /// Fetch the set first.
    Ask,
    Refused(Error),
}

impl Shop {
    fn new(policy: &str) -> Self {
        let (mut words, mut keys) = (vec![0; Policy::WORDS], vec![0; KeyCache::words(&SIZES)]);
        Policy::parse(policy.as_bytes(), &mut words).unwrap();
        KeyCache::new(&mut keys, &SIZES, &[1; 32]).unwrap();
        Self { policy: words, keys }
    }

    fn informed(max_age_s: Option<u32>) -> Self {
        let mut shop = Self::new(POLICY);
        shop.supply_keys(&[jwk(&key(1), "1")], max_age_s, 0);
        shop
    }

    fn supply(&mut self, answer: Answer<'_>, s: i64) {
        let policy = Policy::attach(&self.policy).unwrap();
        let need = policy.documents().next().unwrap();
        KeyCache::attach(&mut self.keys).unwrap().supply(&need, answer, at(s)).unwrap();
    }

    fn supply_keys(&mut self, keys: &[Value], max_age_s: Option<u32>, s: i64) {
        let body = json!({ "keys": keys }).to_string();
        self.supply(Answer::Found { body: body.as_bytes(), max_age_s }, s);
    }

    fn said(&self, key: &KeyPair, kid: &str, s: i64) -> Said {
        let (policy, keys) = (Policy::attach(&self.policy).unwrap(), Keys::attach(&self.keys).unwrap());
        match visa::verify(token(key, kid, s).as_bytes(), Role::Broker, None, &policy, &keys, at(s)) {
            Ok(TokenStep::Need(_)) => Said::Ask,
            Ok(TokenStep::Verified(token)) if token.refresh.is_some() => Said::GoodAndDue,
            Ok(TokenStep::Verified(_)) => Said::Good,
            Err(error) => Said::Refused(error),
        }
    }

    fn exposes(&self) -> bool {
        Keys::attach(&self.keys).unwrap().exposes_private_key(&format!("{BROKER}/.well-known/jwks.json"))
    }
}

#[test]
fn a_key_set_lives_for_its_max_age_within_bounds() {
    for (max_age_s, life_s) in [
        (None, 300),
        (Some(0), 300),
        (Some(301), 301),
        (Some(86_400), 86_400),
        (Some(86_401), 86_400),
        (Some(u32::MAX), 86_400),
    ] {
        let shop = Shop::informed(max_age_s);
        assert_eq!(shop.said(&key(1), "1", life_s - 1), Said::Good, "{max_age_s:?}");
        assert_eq!(shop.said(&key(1), "1", life_s), Said::GoodAndDue, "{max_age_s:?}");
        assert_eq!(shop.said(&key(1), "1", life_s + 3_599), Said::GoodAndDue, "{max_age_s:?}");
        assert_eq!(shop.said(&key(1), "1", life_s + 3_600), Said::Ask, "{max_age_s:?}");
    }
}

#[test]
fn an_unknown_kid_causes_one_fetch_each_30_s() {
    let mut shop = Shop::informed(Some(86_400));
    assert_eq!(shop.said(&key(2), "2", 29), Said::Refused(Error::JwtKeyUnknown));
    assert_eq!(shop.said(&key(2), "2", 30), Said::Ask);
    shop.supply_keys(&[jwk(&key(1), "1")], None, 30);
    assert_eq!(shop.said(&key(2), "2", 30), Said::Refused(Error::JwtKeyUnknown));
    assert_eq!(shop.said(&key(3), "3", 59), Said::Refused(Error::JwtKeyUnknown), "whatever the kid");
    assert_eq!(shop.said(&key(2), "2", 60), Said::Ask);
    shop.supply_keys(&[jwk(&key(1), "1"), jwk(&key(2), "2")], None, 60);
    assert_eq!(shop.said(&key(2), "2", 60), Said::Good);
    assert_eq!(shop.said(&key(1), "2", 60), Said::Refused(Error::SignatureInvalid));
}

#[test]
fn the_last_good_set_is_kept_whatever_comes_after_it() {
    let twice = json!({ "keys": [jwk(&key(1), "1"), jwk(&key(2), "1")] }).to_string();
    let rsa = json!({ "keys": [{ "kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1" }] }).to_string();
    let huge = " ".repeat(65_537);
    for (body, error) in [
        (None, Error::JwksUnavailable),
        (Some(""), Error::JwksInvalid),
        (Some("<html>"), Error::JwksInvalid),
        (Some("{}"), Error::JwksInvalid),
        (Some("{\"keys\":{}}"), Error::JwksInvalid),
        (Some("{\"keys\":[]}"), Error::JwksInvalid),
        (Some(&*rsa), Error::JwksInvalid),
        (Some(&*twice), Error::JwksDuplicateKid),
        (Some(&*huge), Error::JwksTooLarge),
    ] {
        let answer = body.map_or(Answer::NotThere, |body| Answer::Found { body: body.as_bytes(), max_age_s: None });
        let mut shop = Shop::informed(None);
        shop.supply(answer, 300);
        assert_eq!(shop.said(&key(1), "1", 301), Said::Good, "{body:?}: tried in vain, and good still");
        assert_eq!(shop.said(&key(2), "2", 301), Said::Refused(error), "{body:?}");
        assert_eq!(shop.said(&key(1), "1", 315), Said::GoodAndDue, "{body:?}: tried again after 15 s");
        assert!(!shop.exposes(), "{body:?}");

        // Without a set to keep there is none; one without a usable key is one that lacks the token's.
        let empty = body.is_some_and(|body| body.starts_with("{\"keys\":[")) && error == Error::JwksInvalid;
        let (error, retry) = if empty { (Error::JwtKeyUnknown, 30) } else { (error, 15) };
        let mut shop = Shop::new(POLICY);
        shop.supply(answer, 0);
        assert_eq!(shop.said(&key(1), "1", retry - 1), Said::Refused(error), "{body:?}");
        assert_eq!(shop.said(&key(1), "1", retry), Said::Ask, "{body:?}");
    }
}

#[test]
fn a_private_key_is_passed_over_and_reported() {
    let mut shop = Shop::new(POLICY);
    shop.supply_keys(&[jwk(&key(1), "1"), private_jwk(&key(2))], None, 0);
    assert!(shop.exposes());
    assert_eq!(shop.said(&key(1), "1", 0), Said::Good);
    shop.supply_keys(&[jwk(&key(1), "1")], None, 300);
    assert!(!shop.exposes(), "its owner has mended it");
}

/// Whoever reads `d` could sign visas: the key ends, whatever else becomes of the set.
#[test]
fn a_known_key_ends_when_its_private_half_is_published() {
    let (good, other) = (jwk(&key(1), "1"), jwk(&key(2), "2"));
    let mut named = private_jwk(&key(1));
    named["kid"] = "1".into();
    let renamed = private_jwk(&key(1));
    let mut without_point = named.clone();
    without_point.as_object_mut().unwrap().remove("x");
    for (keys, other_is_good) in [
        (json!([named]), true),
        (json!([renamed]), true),
        (json!([without_point]), true),
        (json!([{ "kty": "RSA" }, renamed]), true),
        (json!([renamed, other, other]), true),
        (json!([other, other, renamed]), true),
        (json!([renamed, 1]), true),
        (json!([1, renamed]), true),
        (json!([good, other, renamed]), true),
        (json!([renamed, good]), false),
    ] {
        let mut shop = Shop::new(POLICY);
        shop.supply_keys(&[jwk(&key(1), "1"), jwk(&key(2), "2")], None, 0);
        assert_eq!(shop.said(&key(1), "1", 1), Said::Good);
        shop.supply_keys(keys.as_array().unwrap(), None, 300);
        assert!(shop.exposes(), "{keys}");
        assert!(matches!(shop.said(&key(1), "1", 301), Said::Refused(_)), "{keys}");
        let other = shop.said(&key(2), "2", 301);
        assert_eq!(other == Said::Good, other_is_good, "{keys}: {other:?}");
        shop.supply(Answer::Unreachable, 331);
        assert!(matches!(shop.said(&key(1), "1", 332), Said::Refused(_)), "{keys}: silence brings it back");
    }
}

#[test]
fn a_clock_that_was_set_back_leaves_no_set_from_the_future() {
    let mut shop = Shop::new(POLICY);
    let year = 31_536_000;
    shop.supply_keys(&[jwk(&key(1), "1")], None, year);
    assert_eq!(shop.said(&key(1), "1", year - 30), Said::Good, "a fetch takes its time");
    assert_eq!(shop.said(&key(1), "1", 0), Said::Ask);
    shop.supply(Answer::Unreachable, 0);
    assert_eq!(shop.said(&key(1), "1", 1), Said::Good, "bridged");
    assert_eq!(shop.said(&key(1), "1", 15), Said::GoodAndDue);
    shop.supply(Answer::Unreachable, 86_390);
    assert_eq!(shop.said(&key(1), "1", 86_400), Said::Refused(Error::JwksUnavailable));
}

/// A place that goes to another issuer leaves its tables to whoever wants them, though the newcomer brings no keys.
#[cfg(feature = "ec")] // Without it there are no tables.
#[test]
fn an_issuer_that_is_pushed_out_by_silence_leaves_its_tables() {
    const OTHER: &str = r#"{"monetization":{"brokerUrl":"https://other.example.com"},"audiences":["pub.example.com"]}"#;
    let sizes = imagxp::Sizes { issuers: 1, tables: 1, ..SIZES };
    let mut shop = Shop::new(POLICY);
    shop.keys = vec![0; KeyCache::words(&sizes)];
    KeyCache::new(&mut shop.keys, &sizes, &[1; 32]).unwrap();
    shop.supply_keys(&[jwk(&key(1), "1")], None, 0);
    let without_end = |shop: &Shop| shop.keys.contains(&u64::MAX);
    assert!(without_end(&shop), "the lease of an issuer's key");
    shop.policy = Shop::new(OTHER).policy;
    shop.supply(Answer::Unreachable, 300);
    assert!(!without_end(&shop));
}

#[test]
fn the_last_good_set_is_kept_for_a_day() {
    let mut shop = Shop::informed(None);
    let day = 300 + 86_400;
    for s in [300, 4_000, 40_000, day - 2] {
        shop.supply(Answer::Unreachable, s);
        assert_eq!(shop.said(&key(1), "1", s + 1), Said::Good, "second {s}");
    }
    assert_eq!(shop.said(&key(1), "1", day), Said::Refused(Error::JwksUnavailable));
    shop.supply_keys(&[jwk(&key(1), "1")], None, day);
    assert_eq!(shop.said(&key(1), "1", day), Said::Good);
}

#[test]
fn require_fresh_takes_no_set_past_its_time() {
    let mut shop = Shop::informed(None);
    shop.policy = Shop::new(&POLICY.replacen("{", "{\"require_fresh\":true,", 1)).policy;
    assert_eq!(shop.said(&key(1), "1", 299), Said::Good);
    assert_eq!(shop.said(&key(1), "1", 300), Said::Ask);
    shop.supply(Answer::Unreachable, 300);
    assert_eq!(shop.said(&key(1), "1", 314), Said::Refused(Error::JwksUnavailable));
    assert_eq!(shop.said(&key(1), "1", 315), Said::Ask);
    shop.supply_keys(&[jwk(&key(1), "1")], None, 315);
    assert_eq!(shop.said(&key(1), "1", 315), Said::Good);
}
