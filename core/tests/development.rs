//! Development mode is for this machine: at any other name it does not count (docs/protocol.md section 12).

mod cases;

use cases::request::{agent_key, payload_with, signed_value};
use cases::site::{Document, Site, Target};
use imagxp::{Error, UnixMillis};
use serde_json::{Value, json};

const NOW: UnixMillis = UnixMillis::from_ms(1_769_428_800_000);
const AGENT: &str = "localhost:8080";

/// A site in development, beside an agent's manifest on the same machine.
fn site(more: Value) -> Site {
    let mut policy = json!({ "development": true, "allowRAG": true, "resource_binding": "off" });
    for (name, value) in more.as_object().into_iter().flatten() {
        policy[name] = value.clone();
    }
    let mut site = Site::new(&policy).expect("a good policy");
    let manifest = json!({ "agent_id": AGENT, "public_key": agent_key().public().to_text().as_str() });
    let url = format!("http://{AGENT}/.well-known/imagxp-agent.json");
    site.documents.insert(url, Document::Found(manifest.to_string().into_bytes()));
    site
}

fn at(authority: &str) -> Target<'_> {
    Target { scheme: "http", authority, target: "/", vouched: 0 }
}

#[test]
fn a_localhost_name_counts_on_this_machine_alone() {
    let headers = signed_value(&payload_with(NOW, "agent_id", json!(AGENT)), &agent_key());
    for here in ["localhost", "localhost:3000", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:3000"] {
        assert_eq!(site(json!({})).judge(&headers, at(here), NOW).code(), "OK", "{here}");
    }
    for there in ["pub.example.com", "10.0.0.1", "localhost.example.com", "localhost:x", "127.0.0.1.example.com", ""] {
        let story = site(json!({})).judge(&headers, at(there), NOW);
        assert_eq!((story.code(), story.needs.len()), ("AGENT_ID_INVALID", 0), "{there}");
    }
}

#[test]
fn an_issuer_by_plain_http_counts_on_this_machine_alone() {
    let broker = "http://localhost:3000";
    let policy = json!({ "audiences": ["localhost"], "monetization": { "brokerUrl": broker } });
    let claims = json!({ "iss": broker, "aud": "localhost", "iat": NOW.s(), "exp": NOW.s() + 60 });
    let mut out = [0; 1_024];
    let token = imagxp::jose::jws::sign(
        &agent_key(),
        r#"{"alg":"ES256","kid":"1"}"#,
        &claims.to_string(),
        imagxp::Signing::default(),
        &mut out,
    );
    let public = Site::with_agent(site(policy.clone()));
    let mut headers = signed_value(&cases::request::payload(NOW), &agent_key());
    headers.push(("x-imagxp-credential".to_owned(), token.expect("it fits").as_bytes().to_vec()));
    let told = |mut site: Site, authority| {
        let story = site.judge(&headers, at(authority), NOW);
        (story.code(), story.needs.iter().any(|need| need.starts_with(broker)))
    };
    assert_eq!(told(public, "pub.example.com"), ("JWT_ISSUER", false));
    assert_eq!(told(Site::with_agent(site(policy)), "localhost"), ("JWKS_UNAVAILABLE", true), "nobody answers there");
}

#[test]
fn a_public_audience_and_development_exclude_each_other() {
    for audience in ["pub.example.com", "https://pub.example.com", "localhost.example.com", "http://10.0.0.1"] {
        let policy = json!({ "development": true, "audiences": ["localhost", audience] });
        assert_eq!(Site::new(&policy).err(), Some(Error::PolicyInvalid), "{audience}");
    }
    for audience in ["localhost", "http://localhost:3000", "https://127.0.0.1", "[::1]:80"] {
        assert!(Site::new(&json!({ "development": true, "audiences": [audience] })).is_ok(), "{audience}");
    }
}
