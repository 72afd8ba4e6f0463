//! protocol.md section 11: admitted here, refused by the reference.

use crate::*;

#[test]
fn the_alias_of_the_key_header_is_read() {
    let key = agent_key().public().to_text();
    let headers = with(good_request(), "x-imagxp-public-key", b"");
    assert_eq!(code(site(), &with(headers, "x-imagxp-key", key.as_str().as_bytes())), "OK");
}

#[test]
fn a_payload_is_utf_8() {
    assert_eq!(said_to_text(&payload_and("\"x\":\"caf\u{e9} \u{1F600}\"")), "OK");
}

#[test]
fn every_token_has_five_seconds() {
    assert_eq!(said_to_visa(&header(), &claims_with("exp", json!(NOW.s() - 4))), "OK");
    assert_eq!(said_to_visa(&header(), &claims_with("exp", json!(NOW.s() - 5))), "JWT_EXPIRED");
    assert_eq!(said_to_visa(&header(), &claims_with("iat", json!(NOW.s() + 5))), "OK");
    assert_eq!(said_to_visa(&header(), &claims_with("nbf", json!(NOW.s() + 5))), "OK");
}

#[test]
fn a_whitelist_stands_beside_a_broker() {
    let target = Target { vouched: vouched::WHITELISTED, ..Target::PAGE };
    let story = shop(json!({})).judge(&good_request(), target, NOW);
    assert_eq!(story.result.map(|admission| admission.proof), Ok(Proof::Whitelist));
    assert_eq!(code(shop(json!({})), &good_request()), "VISA_REQUIRED");
}
