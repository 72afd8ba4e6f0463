//! Visas, key sets, policies and feedback, as a user runs them.
#![allow(missing_docs, reason = "tests")]

mod support;

use predicates::prelude::*;
use serde_json::Value;
use support::{Agent, imagxp, stdout};

const BROKER: &str = "https://broker.example.com";
const AT: [&str; 2] = ["--now", "2026-01-26T12:00:00Z"];

/// A folder with a broker's key set beside the agent's files.
fn shop() -> Agent {
    let shop = Agent::new("bot.example.com");
    for name in ["agent", "broker", "other"] {
        shop.imagxp().args(["keygen", "--pem", name]).assert().success();
    }
    shop.write("jwks.json", stdout(shop.imagxp().args(["jwks", "write", "1=broker.pub.pem", "other.pub.pem"])));
    shop
}

fn issue(shop: &Agent, arguments: &[&str]) -> String {
    let mut issue = shop.imagxp();
    issue.args(["visa", "issue", "--issuer", BROKER, "--audience", "nytimes.com", "--amount", "0.001", "--kid", "1"]);
    stdout(issue.args(["--key", "broker.key.pem"]).args(AT).args(arguments)).trim().to_owned()
}

fn verdict(shop: &Agent, arguments: &[&str]) -> (Value, i32) {
    let output = shop.imagxp().args(["visa", "verify"]).args(arguments).args(["--json"]).output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    (json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.code().unwrap())
}

const BOUND: [&str; 4] = ["--agent-id", "bot.example.com", "--agent-key", "agent.pub.pem"];
const WANTED: [&str; 6] = ["--issuer", BROKER, "--audience", "https://nytimes.com", "--jwks", "jwks.json"];

#[test]
fn a_visa_that_was_issued_is_good() {
    let shop = shop();
    for binding in [&BOUND[..], &["--bearer"]] {
        let visa = issue(&shop, binding);
        let (report, code) = verdict(&shop, &[&[&visa[..]], &WANTED[..], &BOUND, &AT].concat());
        assert_eq!((code, &report["code"]), (0, &"OK".into()), "{report}");
        assert_eq!((&report["issuer"], &report["amount"]), (&BROKER.into(), &"0.001".into()));
        assert_eq!(report["expires"], "2026-01-26T13:00:00.000Z");
        assert_eq!(report["bound"], binding.len() > 1);
        assert_eq!(report["jti"].as_str().unwrap().len(), 32);
        assert_eq!(report["not_checked"], serde_json::json!(["used before"]));
    }
    shop.write("visa.txt", issue(&shop, &BOUND));
    let mut verify = shop.imagxp();
    verify.args(["visa", "verify", "visa.txt"]).args(WANTED).args(AT);
    let shown = predicate::str::starts_with("VERIFIED: a good visa\n").and(predicate::str::contains("holder: nobody"));
    verify.assert().success().stdout(shown);
}

#[test]
fn refusals_have_their_code() {
    let shop = shop();
    let visa = issue(&shop, &BOUND);
    let changed = visa.replacen("eyJwYXlt", "eyJwYXlu", 1);
    let late = ["--now", "2026-01-26T13:00:05Z"];
    let early = ["--now", "2026-01-26T11:59:54Z"];
    let other = ["--agent-id", "bot.example.com", "--agent-key", "other.pub.pem"];
    let named = ["--agent-id", "bot.example.org", "--agent-key", "agent.pub.pem"];
    shop.write("one.json", stdout(shop.imagxp().args(["jwks", "write", "2=other.pub.pem"])));
    shop.write("swapped.json", stdout(shop.imagxp().args(["jwks", "write", "1=other.pub.pem"])));
    for (code, arguments) in [
        ("JWT_EXPIRED", [&[&visa[..]], &WANTED[..], &late].concat()),
        ("JWT_NOT_YET", [&[&visa[..]], &WANTED[..], &early].concat()),
        ("VISA_BINDING", [&[&visa[..]], &WANTED[..], &AT, &other].concat()),
        ("JWT_SUBJECT", [&[&visa[..]], &WANTED[..], &AT, &named].concat()),
        ("VISA_AMOUNT", [&[&visa[..]], &WANTED[..], &AT, &["--price", "0.002"]].concat()),
        (
            "JWT_AUDIENCE",
            [&[&visa[..]], &AT[..], &["--issuer", BROKER, "--audience", "a", "--jwks", "jwks.json"]].concat(),
        ),
        (
            "JWT_ISSUER",
            [&[&visa[..]], &AT[..], &["--issuer", "x", "--audience", "nytimes.com", "--jwks", "jwks.json"]].concat(),
        ),
        ("JWT_KEY_UNKNOWN", [&[&visa[..]], &AT[..], &WANTED[..5], &["one.json"]].concat()),
        ("SIGNATURE_INVALID", [&[&visa[..]], &AT[..], &WANTED[..5], &["swapped.json"]].concat()),
        ("JWT_FORMAT", [&["a.b.c"], &AT[..], &WANTED].concat()),
    ] {
        let (report, exit) = verdict(&shop, &arguments);
        assert_eq!((exit, &report["code"]), (1, &code.into()), "{report}");
        assert!(report["help"].as_str().unwrap().len() > 10);
    }
    let (report, exit) = verdict(&shop, &[&[&changed[..]], &WANTED[..], &AT].concat());
    assert_eq!(exit, 1, "{report}");
    let policy =
        r#"{"allowRAG":true,"audiences":["nytimes.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#;
    shop.write("policy.json", policy);
    let (report, exit) =
        verdict(&shop, &[&[&visa[..], "--policy", "policy.json", "--jwks", "jwks.json"][..], &AT].concat());
    assert_eq!(exit, 0, "{report}");
}

#[test]
fn mistakes_are_explained() {
    let shop = shop();
    let issue = ["visa", "issue", "--issuer", BROKER, "--audience", "a", "--key", "broker.key.pem", "--amount"];
    for (arguments, fix) in [
        ([&issue[..], &["0.001"]].concat(), "--agent-id"),
        ([&issue[..], &["0.0000001", "--bearer"]].concat(), "at most six places"),
        ([&issue[..], &["0", "--bearer"]].concat(), "above 0"),
        ([&issue[..], &["1", "--bearer", "--lifetime", "3601"]].concat(), "1 to 3600"),
        ([&issue[..], &["1", "--bearer", "--currency", "usd"]].concat(), "upper-case"),
        ([&issue[..], &["1", "--agent-id", "a b", "--agent-key", "agent.pub.pem"]].concat(), "bot.example.com"),
        ([&issue[..], &["1", "--agent-id", "a.example", "--agent-key", "jwks.json"]].concat(), "IMAGXP_PUBLIC_KEY"),
        (vec!["visa", "verify", "x"], "--issuer"),
        (vec!["visa", "verify", "x", "--issuer", "b", "--audience", "a"], "--jwks FILE"),
        (vec!["jwks", "write", "1=broker.pub.pem", "1=other.pub.pem"], "name of its own"),
        (vec!["visa", "verify", "x", "--issuer", "https://b", "--audience", "", "--offline"], "--audience: a name"),
        (vec!["jwks", "write", "nothing"], "can be read"),
    ] {
        shop.imagxp().args(&arguments).assert().code(2).stderr(predicate::str::contains(fix));
    }
}

#[test]
fn key_sets_key_by_key() {
    let shop = shop();
    let text = stdout(shop.imagxp().args(["jwks", "inspect", "jwks.json"]));
    assert!(text.starts_with("key set, 2 keys\n") && text.contains("1: usable, ES256"), "{text}");
    let good = std::fs::read_to_string(shop.folder.path().join("jwks.json")).unwrap();
    let set: Value = serde_json::from_str(&good).unwrap();
    let key = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut key = set["keys"][0].as_object().unwrap().clone();
        change(&mut key);
        Value::from(key)
    };
    let keys = [
        (key(&|_| {}), "usable", "ES256"),
        (key(&|key| drop(key.insert("d".into(), "secret".into()))), "private", "replace the key"),
        (key(&|key| drop(key.insert("alg".into(), "ES384".into()))), "passed over", "not ES256"),
        (key(&|key| drop(key.insert("use".into(), "enc".into()))), "passed over", "not sig"),
        (key(&|key| drop(key.remove("y"))), "passed over", "y is missing"),
        (key(&|key| drop(key.insert("x".into(), "AAAA".into()))), "passed over", "no point"),
        (serde_json::json!({"kty": "RSA", "n": "a", "e": "AQAB"}), "passed over", "not EC"),
    ];
    let all: Vec<_> = keys.iter().map(|(key, ..)| key).collect();
    shop.write("many.json", serde_json::json!({ "keys": all }).to_string());
    let shown = stdout(shop.imagxp().args(["jwks", "inspect", "many.json", "--json"]));
    assert!(!shown.contains("secret"));
    let report: Value = serde_json::from_str(&shown).unwrap();
    for (at, (_, state, why)) in keys.iter().enumerate() {
        assert_eq!(report["keys"][at]["state"], *state, "{report}");
        assert!(report["keys"][at]["why"].as_str().unwrap().contains(why), "{report}");
    }
    for (body, code) in [
        ("{}", "JWKS_INVALID"),
        ("{\"keys\":1}", "JWKS_INVALID"),
        ("{\"keys\":[]}", "JWT_KEY_UNKNOWN"),
        (&serde_json::json!({"keys": [set["keys"][0], set["keys"][0]]}).to_string(), "JWKS_DUPLICATE_KID"),
    ] {
        let mut inspect = imagxp();
        inspect.args(["jwks", "inspect"]).write_stdin(body);
        inspect.assert().code(1).stdout(predicate::str::contains(code));
    }
}

#[test]
fn policies_in_plain_words() {
    let check = |policy: &str, arguments: &[&str]| {
        let mut check = imagxp();
        check.args(["policy", "check", "-"]).args(arguments).write_stdin(policy);
        check.assert()
    };
    let paid = r#"{"allowRAG":true,"price":0.001,"audiences":["nytimes.com"],"strategy":"HYBRID",
        "monetization":{"brokerUrl":"https://broker.example.com"}}"#;
    let words = predicate::str::starts_with("good policy\n  admits         RAG_RETRIEVAL, SUMMARY, QUOTATION\n")
        .and(predicate::str::contains("a visa over 0.001"))
        .and(predicate::str::contains("https://broker.example.com/.well-known/jwks.json, fetched at start"))
        .and(predicate::str::contains("warning").not());
    check(paid, &[]).success().stdout(words);
    for (policy, warning) in [
        ("{}", "no agent is admitted"),
        (r#"{"allowRAG":true,"requiresPayment":true}"#, "no broker is named"),
        (r#"{"allowRAG":true,"monetization":{"brokerUrl":"https://b.example"}}"#, "no audiences"),
        (r#"{"allowRAG":true,"price":1}"#, "nothing asks for payment"),
        (r#"{"allowRAG":true,"allowAdSupportedAccess":true}"#, "without adNetwork"),
        (r#"{"allowRAG":true,"resource_binding":"off"}"#, "another site"),
        (r#"{"allowRAG":true,"development":true}"#, "development mode"),
    ] {
        check(policy, &[]).success().stdout(predicate::str::contains(warning));
    }
    let wrong = "{\n  \"allowRag\": true,\n  \"monetization\": {\"brokerUrl\": \"http://b.example\"}\n}";
    let places = predicate::str::contains("-:2:15: allowRag: no such member: did you mean allowRAG?")
        .and(predicate::str::contains("-:3:33: monetization.brokerUrl: an https URL"));
    check(wrong, &[]).code(1).stdout(places);
    let report = check(wrong, &["--json"]).code(1).get_output().stdout.clone();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!((&report["valid"], &report["wrong"][0]["line"]), (&false.into(), &2.into()));
    check("{\"allowRAG\":true,\n}", &[]).code(1).stdout(predicate::str::contains("-:2:1: the policy: JSON: "));
    let mut discovery = imagxp();
    discovery.args(["policy", "discovery", "-"]).write_stdin(paid);
    discovery
        .assert()
        .success()
        .stdout(predicate::str::contains("\"price\":0.001").and(predicate::str::contains("HYBRID").not()));
}

#[test]
fn feedback_is_signed_and_settles() {
    let shop = shop();
    let public = shop.write("agent.txt", &shop.public_key).display().to_string();
    let visa = issue(&shop, &["--bearer", "--jti", "v-1"]);
    shop.sign(&[]);
    let sign = |score: &str| {
        let mut sign = shop.imagxp();
        sign.args([
            "feedback",
            "sign",
            "--url",
            "https://pub.example.com/a",
            "--score",
            score,
            "--reason",
            "INACCURATE",
        ]);
        sign.args(["--audience", BROKER, "--request", "headers.txt", "--visa", &visa]).args(AT);
        stdout(&mut sign).trim().to_owned()
    };
    let verify = |text: &str, agent_id: &str, audience: &str| {
        let mut verify = shop.imagxp();
        verify.args([
            "feedback",
            "verify",
            text,
            "--agent-id",
            agent_id,
            "--agent-key",
            &public,
            "--audience",
            audience,
        ]);
        let output = verify.args(AT).arg("--json").output().unwrap();
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        (json, output.status.code().unwrap())
    };
    for (score, outcome) in [("0.500001", "RELEASE"), ("0.2", "WITHHOLD"), ("0.5", "UNCHANGED"), ("1", "RELEASE")] {
        let (report, code) = verify(&sign(score), "bot.example.com", BROKER);
        assert_eq!((code, &report["outcome"]), (0, &outcome.into()), "{report}");
        assert_eq!((&report["score"], &report["visa"]), (&score.into(), &"v-1".into()));
        assert_eq!(report["reasons"], serde_json::json!(["INACCURATE"]));
        assert_eq!(report["request"].as_str().unwrap().len(), 64);
    }
    let text = sign("0.2");
    let changed = text.replacen("eyJhZ2Vu", "eyJhZ2Vv", 1);
    for (text, agent, audience) in [
        (&changed[..], "bot.example.com", BROKER),
        (&text, "bot.example.org", BROKER),
        (&text, "bot.example.com", "https://other.example.com"),
        (&visa, "bot.example.com", BROKER),
    ] {
        let (report, code) = verify(text, agent, audience);
        assert_eq!((code, &report["code"]), (1, &"FEEDBACK_INVALID".into()), "{report}");
    }
    for (arguments, fix) in [
        (&["--score", "1.1", "--reason", "INACCURATE"][..], "0 to 1"),
        (&["--score", "1", "--reason", "BORING"], "SEO_SPAM"),
        (&["--score", "1", "--reason", "INACCURATE", "--request", "manifest.json"], "x-imagxp"),
        (&["--score", "1", "--reason", "INACCURATE", "--visa", "broker.key.pem"], "name a file with the token"),
    ] {
        let mut sign = shop.imagxp();
        sign.args(["feedback", "sign", "--url", "https://a.example", "--audience", "a"]).args(arguments);
        sign.assert().code(2).stderr(predicate::str::contains(fix));
    }
}
