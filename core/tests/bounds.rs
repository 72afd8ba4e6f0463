//! The two presets of bounds on a request: the wire's own, and half of it for a chip (threats.md G9).

mod cases;

use cases::bytes::base64;
use cases::request::{Headers, agent_key, payload, signed, with};
use imagxp::{Bounds, Error, Request, UnixMillis, Visit};
use serde_json::json;

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);

/// What reading the request within the bounds says, with just the scratch that they ask for.
fn read(headers: &Headers, bounds: &Bounds) -> Result<(), Error> {
    let mut taken = imagxp::Headers::new();
    headers.iter().try_for_each(|(name, value)| taken.add(name.as_bytes(), value))?;
    let visit = Visit {
        method: "GET",
        scheme: "https",
        authority: "pub.example.com",
        target: "/posts/a",
        vouched: 0,
        headers: taken,
    };
    let mut scratch = vec![0; bounds.scratch()];
    Request::parse_within(&visit, bounds, &mut scratch).map(|_| ())
}

/// A good payload that is this many bytes of JSON.
fn of_length(len: usize) -> Headers {
    let text = payload(NOW).to_string();
    let mut json = text.clone().into_bytes();
    json.resize(len.max(text.len()), b' ');
    signed(&json, &agent_key())
}

#[test]
fn a_preset_says_how_large_a_payload_may_be() {
    for (bounds, most) in [(Bounds::HOSTED, 3_072), (Bounds::EMBEDDED, 1_536)] {
        assert_eq!(read(&of_length(0), &bounds), Ok(()));
        assert_eq!(read(&of_length(most), &bounds), Ok(()));
        assert_eq!(read(&of_length(most + 1), &bounds), Err(Error::PayloadTooLarge));
    }
    assert_eq!(Bounds::HOSTED.scratch(), Request::SCRATCH);
    assert!(Bounds::EMBEDDED.scratch() < 4_096);
}

#[test]
fn a_preset_says_what_its_json_may_hold() {
    let with_more = |name: &str, value: serde_json::Value| {
        let mut payload = payload(NOW);
        payload[name] = value;
        signed(payload.to_string().as_bytes(), &agent_key())
    };
    let members = |count: usize| {
        let mut payload = payload(NOW);
        (payload.as_object().expect("an object").len()..count).for_each(|n| payload[format!("m{n}")] = n.into());
        signed(payload.to_string().as_bytes(), &agent_key())
    };
    let values = |count: usize| with_more("x", json!(vec![vec![0; 7]; count / 8]));
    for (request, hosted, embedded) in [
        (members(16), Ok(()), Ok(())),
        (members(17), Ok(()), Err(Error::JsonTooManyMembers)),
        (members(33), Err(Error::JsonTooManyMembers), Err(Error::JsonTooManyMembers)),
        (values(16), Ok(()), Ok(())),
        (values(32), Ok(()), Err(Error::JsonTooManyMembers)),
        (values(64), Err(Error::JsonTooManyMembers), Err(Error::JsonTooManyMembers)),
        (with_more("x", json!("a".repeat(1_024))), Ok(()), Ok(())),
        (with_more("x", json!("a".repeat(1_025))), Ok(()), Err(Error::JsonStringTooLong)),
    ] {
        assert_eq!((read(&request, &Bounds::HOSTED), read(&request, &Bounds::EMBEDDED)), (hosted, embedded));
    }
}

#[test]
fn the_order_of_checks_is_the_same() {
    let long = with(of_length(0), "x-imagxp-payload", base64(&[b' '; 1_537]).as_bytes());
    let long = with(long, "x-imagxp-signature", b"x");
    assert_eq!(read(&long, &Bounds::EMBEDDED), Err(Error::PayloadTooLarge), "lengths first");
    assert_eq!(read(&long, &Bounds::HOSTED), Err(Error::SignatureFormat));
}
