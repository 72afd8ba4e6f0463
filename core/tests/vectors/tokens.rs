//! Tokens: `profile/jwt.json` at their own layer, `interop/visas_*.json` as credentials of a signed request.

use std::path::Path;

use imagxp::key_cache::Sizes;
use imagxp::policy::Role;
use imagxp::visa::TokenStep;
use imagxp::{Answer, Error, KeyCache, Policy, UnixMillis, spec, visa};
use serde_json::{Value, json};

use super::interop::{document, verdict};
use super::listed::Listed;
use crate::cases::request::{Headers, agent_key, payload, signed_value, with};
use crate::cases::site::{Document, Site, Story, Target};
use crate::cases::{Outcome, Run, equal, rows, text};

const JWKS_URL: &str = "https://keys.example.com/jwks";

/// `profile/jwt.json`: the token layer, and the same token as the credential of a request.
pub(crate) fn profile(run: &mut Run, vectors: &Path) {
    run.json(vectors, "profile/jwt.json", |file, tally| {
        for (id, row) in rows(file) {
            // What a row states itself counts before what stands at the top.
            let mut file = file.clone();
            for name in ["now_ms", "jwks", "iss", "aud"] {
                if !row[name].is_null() {
                    file[name] = row[name].clone();
                }
            }
            let file = &file;
            tally.case(&id, || {
                equal(token_layer(file, row)?.map_or_else(Error::name, |()| "OK"), text(row, "expect")?)?;
                let story = credential(file, text(row, "jwt")?)?;
                story.check_order()
            });
        }
    });
}

/// An issuer of ad proofs: tokens without payment.
fn token_layer(file: &Value, row: &Value) -> Result<Result<(), Error>, String> {
    let policy = json!({
        "audiences": [file["aud"]],
        "monetization": { "adNetwork": { "jwksUrl": JWKS_URL, "issuer": file["iss"] } },
    });
    let now = UnixMillis::from_ms(file["now_ms"].as_i64().ok_or("no clock")?);
    let mut words = vec![0; Policy::WORDS];
    let policy = Policy::parse(policy.to_string().as_bytes(), &mut words).map_err(|error| error.to_string())?;
    let sizes = Sizes { names: 16, tables: 0, ..Sizes::EMBEDDED };
    let mut memory = vec![0; KeyCache::words(&sizes)];
    let mut cache = KeyCache::new(&mut memory, &sizes, &[1; 32]).map_err(|error| error.to_string())?;
    let need = policy.documents().next().ok_or("no document")?;
    let body = file["jwks"].to_string();
    let answer = Answer::Found { body: body.as_bytes(), max_age_s: None };
    cache.supply(&need, answer, now).map_err(|error| error.to_string())?;
    match visa::verify(text(row, "jwt")?.as_bytes(), Role::AdNetwork, None, &policy, &cache.read(), now) {
        Ok(TokenStep::Verified(_)) => Ok(Ok(())),
        Ok(TokenStep::Need(_)) => Err("a need, though the set is fresh".to_owned()),
        Err(error) => Ok(Err(error)),
    }
}

fn credential(file: &Value, token: &str) -> Result<Story, String> {
    let now = UnixMillis::from_ms(file["now_ms"].as_i64().ok_or("no clock")?);
    let config = json!({ "jwksUrl": JWKS_URL, "issuer": file["iss"] });
    let mut site = site(json!({ "paymentConfig": config }), &file["aud"]).map_err(|error| error.to_string())?;
    site.documents.insert(JWKS_URL.to_owned(), Document::Found(file["jwks"].to_string().into_bytes()));
    Ok(site.judge(&request(token, now), Target::PAGE, now))
}

/// `interop/visas_*.json`: the token pays a request of the cases' agent.
pub(crate) fn run(run: &mut Run, vectors: &Path, listed: &mut Listed) {
    for file in ["interop/visas_accepted.json", "interop/visas_rejected.json"] {
        run.json(vectors, file, |document, tally| {
            listed.tell(file, tally);
            for (id, row) in rows(document) {
                tally.case(&id, || visa_row(file, &id, row, listed));
            }
        });
    }
}

fn visa_row(file: &str, id: &str, row: &Value, listed: &mut Listed) -> Outcome {
    let now = UnixMillis::from_ms(row["now_ms"].as_i64().ok_or("the row has no clock")?);
    let audience = row["expected_audience"].as_str().unwrap_or("nytimes.com");
    let story = match site(json!({ "brokerUrl": row["broker_url"] }), &json!(audience)) {
        Err(error) => Story::refused(error),
        Ok(mut site) => {
            let answer = if row["jwks_http"].is_object() { row["jwks_http"].clone() } else { served(&row["jwks"]) };
            // The media type of a key set is the operator's affair: threats.md 4.5 asks one of manifests only.
            if let Some(set) = document(&answer, |_| true) {
                let usual = || format!("{}{}", row["broker_url"].as_str().unwrap_or_default(), spec::JWKS_PATH);
                site.documents.insert(row["jwks_url"].as_str().map_or_else(usual, str::to_owned), set);
            }
            site.judge(&request(text(row, "token")?, now), Target::PAGE, now)
        }
    };
    verdict(file, id, row, row, &story, listed)?;
    story.check_order()
}

/// A key set served as it should be; none is no answer.
fn served(jwks: &Value) -> Value {
    match jwks {
        Value::Null => Value::Null,
        Value::String(body) => json!({ "status": 200, "body": body }),
        jwks => json!({ "status": 200, "body": jwks.to_string() }),
    }
}

/// A publisher who wants a visa, and knows the agent.
fn site(monetization: Value, audience: &Value) -> Result<Site, Error> {
    let policy = json!({
        "allowTraining": true,
        "allowRAG": true,
        "requiresPayment": true,
        "resource_binding": "off",
        "audiences": [audience],
        "monetization": monetization,
    });
    Site::new(&policy).map(Site::with_agent)
}

fn request(token: &str, now: UnixMillis) -> Headers {
    with(signed_value(&payload(now), &agent_key()), "x-imagxp-credential", token.as_bytes())
}
