//! protocol.md section 11: visas that are refused here, and admitted by the reference.

use crate::*;

#[test]
pub(super) fn a_visa_names_the_publisher() {
    assert_eq!(said_to_visa(&header(), &claims_without("aud")), "JWT_AUDIENCE");
    assert_eq!(said_to_visa(&header(), &claims_with("aud", json!("other.example.org"))), "JWT_AUDIENCE");
    assert_eq!(said_to_visa(&header(), &claims_with("aud", json!("https://nytimes.com"))), "OK");
}

#[test]
fn a_visa_ends() {
    assert_eq!(said_to_visa(&header(), &claims_without("exp")), "JWT_CLAIMS");
    assert_eq!(said_to_visa(&header(), &claims_with("exp", json!(NOW.s() + 3_601))), "JWT_LIFETIME");
}

#[test]
fn a_visa_is_paid() {
    assert_eq!(said_to_visa(&header(), &claims_with("payment_status", json!("unpaid"))), "VISA_UNPAID");
    assert_eq!(said_to_visa(&header(), &claims_with("amount", json!(0))), "VISA_AMOUNT");
}

#[test]
pub(super) fn a_visa_is_es256() {
    for alg in ["none", "HS256", "ES384", "EdDSA", "es256"] {
        assert_eq!(said_to_visa(&json!({ "alg": alg, "kid": "1" }), &claims()), "JWT_ALG", "{alg}");
    }
}

#[test]
fn a_visa_has_no_foreign_header() {
    for (name, value) in [
        ("typ", json!("at+jwt")),
        ("jwk", json!({ "kty": "EC" })),
        ("jku", json!("https://evil.example.org/jwks")),
        ("x5u", json!("https://evil.example.org/x5u")),
        ("x5c", json!(["MII"])),
    ] {
        let mut header = header();
        header[name] = value;
        assert_eq!(said_to_visa(&header, &claims()), "JWT_HEADER", "{name}");
    }
}

#[test]
pub(super) fn a_visa_is_its_holders_own() {
    let cnf = |key: &KeyPair| json!({ "jkt": key.public().kid().as_str() });
    assert_eq!(said_to_visa(&header(), &claims_with("cnf", cnf(&agent_key()))), "OK");
    assert_eq!(said_to_visa(&header(), &claims_with("cnf", cnf(&strangers_key()))), "VISA_BINDING");
    assert_eq!(said_to_visa(&header(), &claims_with("cnf", json!({ "jwk": {} }))), "VISA_BINDING");
    assert_eq!(said_to_visa(&header(), &claims_with("sub", json!("other.example.org"))), "JWT_SUBJECT");
}

#[test]
fn a_visa_is_not_from_the_future() {
    assert_eq!(said_to_visa(&header(), &claims_with("iat", json!(NOW.s() + 6))), "JWT_NOT_YET");
}
