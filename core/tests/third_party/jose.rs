//! JOSE sets, by the rules of this library: ES256 only, compact, strict base64url.

use std::path::Path;

use imagxp::codec::base64;
use imagxp::codec::json::{Document, Limits, Node};
use imagxp::jose::jwk::{self, Jwk};
use imagxp::jose::jws;
use imagxp::{Error, KeyPair, PublicKey, spec};
use serde_json::Value;

use crate::cases::{Outcome, Run, Tally, equal, holds};

/// The key of a public JWK, if it may verify.
pub(crate) fn key(jwk: &Value) -> Option<PublicKey> {
    usable(jwk).map(|(key, _)| key)
}

/// A key that may verify, and its `kid`.
fn usable(jwk: &Value) -> Option<(PublicKey, Option<String>)> {
    let text = jwk.to_string();
    let mut nodes = [Node::default(); 64];
    let document = Document::parse(text.as_bytes(), &Limits::JWK, &mut nodes).ok()?;
    match jwk::read(&document.root()) {
        Ok(Jwk::Usable(key, kid)) => Some((key, kid.map(|kid| kid.chars().collect()))),
        _ => None,
    }
}

/// A token under the keys of a set: by `kid`, or the only key there is; two of one `kid` condemn the set.
fn verify(token: &str, keys: &[Value]) -> Result<(), Error> {
    let token = jws::Token::parse(token.as_bytes())?;
    let mut kid = [0; spec::jwt::KID_MAX];
    let header = token.header(&spec::jwt::TYPES, &mut kid)?;
    let usable: Vec<_> = keys.iter().filter_map(usable).collect();
    let is_named = |kid: &str, (_, other): &(PublicKey, Option<String>)| other.as_deref() == Some(kid);
    let names = usable.iter().filter_map(|(_, kid)| kid.as_deref());
    if names.into_iter().any(|kid| usable.iter().filter(|key| is_named(kid, key)).count() > 1) {
        return Err(Error::JwksDuplicateKid);
    }
    let key = match (header.kid, usable.as_slice()) {
        (Some(kid), _) => usable.iter().find(|key| is_named(kid, key)),
        (None, [only]) => Some(only),
        _ => None,
    };
    let (key, _) = key.ok_or(Error::JwtKeyUnknown)?;
    key.verify(&token.digest(), token.signature())
}

/// The members of a set, or the one key.
fn members(keys: &Value) -> Vec<Value> {
    let parsed = keys.as_str().and_then(|text| serde_json::from_str(text).ok());
    let keys = parsed.as_ref().unwrap_or(keys);
    keys["keys"].as_array().cloned().unwrap_or_else(|| vec![keys.clone()])
}

/// Private keys are turned into their public halves: a verifier is given those.
fn public(mut keys: Vec<Value>) -> Vec<Value> {
    keys.iter_mut().filter_map(Value::as_object_mut).for_each(|key| drop(key.remove("d")));
    keys
}

/// What is invalid is refused. What is valid is accepted if it is an ES256 token in our bounds; another algorithm is
/// refused with its code, and listed.
pub(crate) fn wycheproof(set: &Value, tally: &mut Tally) {
    let mut foreign = Vec::new();
    for group in set["testGroups"].as_array().into_iter().flatten() {
        let keys = ["public", "private"].into_iter().map(|name| &group[name]).find(|keys| !keys.is_null());
        let keys = public(members(keys.unwrap_or(&Value::Null)));
        for test in group["tests"].as_array().into_iter().flatten() {
            let id = format!("tcId {}", test["tcId"]);
            tally.case(&id, || {
                let verdict = verify(test["jws"].as_str().unwrap_or_default(), &keys);
                let valid = test["result"] == "valid";
                match verdict {
                    Ok(()) => holds(valid, "an invalid token was accepted"),
                    Err(error) if valid && is_foreign(test, &keys) => {
                        foreign.push(format!("{}:{}", test["tcId"], error.name()));
                        Ok(())
                    }
                    Err(error) => holds(!valid, &format!("a valid token was refused: {}", error.name())),
                }
            });
        }
    }
    tally.list("valid, and refused by the profile: not ES256, or a header that it forbids", &foreign);
}

/// Whether the profile knows no such token: another algorithm, a header that it forbids, or no key on P-256.
fn is_foreign(test: &Value, keys: &[Value]) -> bool {
    let token = test["jws"].as_str().unwrap_or_default();
    let header = token.split('.').next().unwrap_or_default();
    let mut json = vec![0; header.len() + 3];
    let json = base64::url_decode(header.as_bytes(), &mut json).unwrap_or_default();
    let header: Value = serde_json::from_slice(json).unwrap_or_default();
    let typed = header["typ"].as_str().is_some_and(|typ| !spec::jwt::TYPES.contains(&typ));
    let forbidden = spec::jwt::REFUSED.iter().any(|name| header.get(name).is_some());
    header["alg"] != spec::ALG || typed || forbidden || keys.iter().all(|key| key["crv"] != "P-256")
}

/// The cookbook of RFC 7520 and its kin: none of its examples is ES256 over P-256, so every one is refused, and keys
/// of other kinds are passed over.
pub(crate) fn run(run: &mut Run, folder: &Path) {
    let folder = folder.join("jose-cookbook");
    let Ok(groups) = std::fs::read_dir(&folder) else { return run.skip("jose-cookbook") };
    let mut groups: Vec<_> = groups.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    groups.sort();
    run.file("jose-cookbook", |tally| {
        for group in groups {
            for file in std::fs::read_dir(group).into_iter().flatten().flatten() {
                let name = file.file_name().to_string_lossy().into_owned();
                let document = std::fs::read(file.path()).ok().and_then(|text| serde_json::from_slice(&text).ok());
                tally.case(&name, || cookbook(&document.ok_or("not JSON")?));
            }
        }
    });
}

fn cookbook(document: &Value) -> Outcome {
    let key = if document["input"].is_object() { &document["input"]["key"] } else { document };
    let keys = if key.is_array() { key.as_array().cloned().unwrap_or_default() } else { vec![key.clone()] };
    for key in &keys {
        let ours = key["kty"] == "EC" && key["crv"] == "P-256";
        equal(self::key(&public(vec![key.clone()])[0]).is_some(), ours)?;
        equal(
            key["d"].is_string() && KeyPair::from_text(key.to_string().as_bytes()).is_ok(),
            ours && key["d"].is_string(),
        )?;
    }
    let es256 = document["input"]["alg"] == "ES256";
    document["output"]["compact"].as_str().map_or(Ok(()), |token| equal(verify(token, &public(keys)).is_ok(), es256))
}
