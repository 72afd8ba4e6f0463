//! `imagxp verify`, as a user runs it: verdicts, explanations, exit codes.
#![allow(missing_docs, reason = "tests")]

mod support;

use predicates::prelude::*;
use support::{Agent, PAGE, stdout};

const MEMBERS: [&str; 18] = [
    "admitted",
    "code",
    "status",
    "visitor_type",
    "agent_id",
    "purpose",
    "resource",
    "kid",
    "bound",
    "proof_used",
    "public_code",
    "check",
    "found",
    "expected",
    "help",
    "needs",
    "not_checked",
    "now",
];

#[test]
fn what_was_signed_is_admitted() {
    let agent = Agent::new("bot.example.com");
    for form in [&[][..], &["--json"]] {
        agent.sign(form);
        let (verdict, code) = agent.verify(&["--url", PAGE]);
        assert_eq!(code, 0, "{verdict}");
        let members: Vec<_> = verdict.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(members, MEMBERS);
        assert_eq!(verdict["admitted"], true);
        assert_eq!(verdict["code"], "OK");
        assert_eq!(verdict["status"], 200);
        assert_eq!(verdict["visitor_type"], "VERIFIED_AGENT");
        assert_eq!(verdict["agent_id"], "bot.example.com");
        assert_eq!(verdict["purpose"], "SUMMARY");
        assert_eq!(verdict["bound"], "exact");
        assert_eq!(verdict["proof_used"], "NONE");
        assert_eq!(verdict["needs"][0]["kind"], "manifest");
        assert_eq!(verdict["needs"][0]["answer"], "file");
        assert_eq!(verdict["not_checked"], serde_json::json!(["replay"]));
    }
}

#[test]
fn a_pipe_does() {
    let agent = Agent::new("bot.example.com");
    let headers = agent.sign(&[]);
    let mut verify = agent.imagxp();
    verify.args(["verify", "--url", PAGE, "--manifest", "manifest.json"]).write_stdin(headers);
    verify.assert().success().stdout(predicate::str::starts_with("ADMITTED as VERIFIED_AGENT\n"));
}

#[test]
fn without_a_url_nothing_is_bound_and_the_verdict_says_so() {
    let agent = Agent::new("bot.example.com");
    agent.sign(&[]);
    let (verdict, code) = agent.verify(&[]);
    assert_eq!((code, &verdict["bound"]), (0, &"none".into()), "{verdict}");
    assert_eq!(verdict["not_checked"], serde_json::json!(["resource", "replay"]));
}

#[test]
fn refusals_are_explained() {
    let agent = Agent::new("bot.example.com");
    let other = Agent::new("bot.example.com");
    let at = ["--now", "2026-01-26T12:00:00Z"];
    agent.sign(&at);
    agent.write("foreign.json", std::fs::read(other.folder.path().join("manifest.json")).unwrap());
    agent.write("renamed.json", stdout(agent.imagxp().args(["manifest", "--agent-id", "other.example.com"])));
    agent.write("closed.json", r#"{"allowRAG":false,"allowTraining":true}"#);
    agent.write("paid.json", r#"{"allowRAG":true,"price":0.001,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#);
    for (arguments, code, check, found, expected) in [
        (
            &["--now", "2026-01-26T12:06:00Z"][..],
            "TIMESTAMP_STALE",
            "3 freshness",
            "6 min 0 s before now",
            "between 2026-01-26T12:01:00",
        ),
        (
            &["--now", "2026-01-26T11:58:00Z"],
            "TIMESTAMP_FUTURE",
            "3 freshness",
            "2 min 0 s after now",
            "and 2026-01-26T11:59:00",
        ),
        (&["--url", "https://pub.example.com/b"], "RESOURCE_MISMATCH", "4 resource", PAGE, "https://pub.example.com/b"),
        (&["--manifest", "foreign.json"], "KEY_MISMATCH", "6 identity", "", "a key of the manifest"),
        (&["--manifest", "renamed.json"], "MANIFEST_MISMATCH", "6 identity", "other.example.com", "bot.example.com"),
        (&["--policy", "closed.json"], "PURPOSE_REFUSED", "7 policy", "SUMMARY", "CRAWL_TRAINING"),
        (&["--policy", "paid.json"], "VISA_REQUIRED", "8 payment", "no visa", "0.001 from https://broker.example.com"),
    ] {
        let arguments = if arguments[0] == "--now" { arguments.to_vec() } else { [&at, arguments].concat() };
        let mut command = agent.imagxp();
        command.args(["verify", "headers.txt", "--offline", "--json"]);
        if !arguments.contains(&"--manifest") {
            command.args(["--manifest", "manifest.json"]);
        }
        let output = command.args(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{code}: {}", String::from_utf8_lossy(&output.stderr));
        let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(verdict["code"], code);
        assert_eq!(verdict["check"], check);
        // As the refusal's body tells it: who stood behind the identity check was verified.
        let (visitor, proof) = match code {
            "PURPOSE_REFUSED" => ("VERIFIED_AGENT", serde_json::Value::Null),
            "VISA_REQUIRED" => ("VERIFIED_AGENT", "NONE".into()),
            _ => ("UNIDENTIFIED_BOT", serde_json::Value::Null),
        };
        assert_eq!((&verdict["visitor_type"], &verdict["proof_used"]), (&visitor.into(), &proof), "{code}");
        assert!(verdict["found"].as_str().unwrap().contains(found), "{verdict}");
        assert!(verdict["expected"].as_str().unwrap().contains(expected), "{verdict}");
        assert!(verdict["help"].as_str().is_some_and(|help| help.len() > 10), "{verdict}");
    }
}

#[test]
fn damaged_headers_are_explained() {
    let agent = Agent::new("bot.example.com");
    let good = agent.sign(&[]);
    let lines: Vec<_> = good.lines().collect();
    let payload = |json: &str| {
        let mut out = vec![0; 4_096];
        let text = imagxp::codec::base64::encode(json.as_bytes(), &mut out).unwrap().to_owned();
        format!("x-imagxp-payload: {text}\n{}\n{}\n", lines[1], lines[2])
    };
    let flipped = lines[1].replace(": ", ": 0").chars().take(lines[1].len()).collect::<String>();
    for (headers, code, found) in [
        (lines[0].to_owned(), "HEADERS_PARTIAL", "x-imagxp-payload"),
        (format!("{good}{}\n", lines[0]), "HEADER_DUPLICATE", "x-imagxp-payload, "),
        (good.replace(lines[1], "x-imagxp-signature: abcd"), "SIGNATURE_FORMAT", "4 characters"),
        (good.replace(lines[1], &flipped), "SIGNATURE_INVALID", "key "),
        (good.replace("MFkw", "MFKw"), "KEY_FORMAT", "MFKw"),
        (payload(r#"{"v":"1.1"}"#), "FIELD_MISSING", "no ts, nonce"),
        (
            payload(r#"{"v":"2","ts":"x","nonce":"n","agent_id":"a","resource":"r","purpose":"p"}"#),
            "VERSION_UNSUPPORTED",
            "2",
        ),
        (
            payload(r#"{"v":"1.1","ts":"x","nonce":"n","agent_id":"127.0.0.1","resource":"r","purpose":"SUMMARY"}"#),
            "AGENT_ID_INVALID",
            "127.0.0.1",
        ),
        (
            payload(
                r#"{"v":"1.1","ts":"x","nonce":"n","agent_id":"a.example.com","resource":"r","purpose":"\u001b[31mx"}"#,
            ),
            "PURPOSE_UNKNOWN",
            "\\u{1b}[31mx",
        ),
        (
            payload(r#"{"v":"1.1","ts":1,"nonce":"n","agent_id":"a","resource":"r","purpose":"SUMMARY"}"#),
            "FIELD_TYPE",
            "ts is 1",
        ),
        (payload(r#"{"v":"1.1",}"#), "JSON_SYNTAX", "line 1 column"),
        (good.replace(lines[0], &format!("{}é", lines[0])), "HEADER_BYTES", "in x-imagxp-payload"),
        (format!("{good}x-imagxp-alg: RS256\n"), "HEADERS_CONTRADICT", "x-imagxp-alg"),
        (format!("{good}x-imagxp-credential: {}\n", "x".repeat(13_000)), "HEADERS_TOO_LARGE", "bytes"),
        (format!("{good}x-imagxp-credential: {}\n", "x".repeat(4_097)), "JWT_TOO_LARGE", "4097 characters"),
    ] {
        agent.write("headers.txt", headers);
        let (verdict, exit) = agent.verify(&["--url", PAGE]);
        assert_eq!((exit, &verdict["code"]), (1, &code.into()), "{verdict}");
        assert!(verdict["found"].as_str().unwrap().contains(found), "{verdict}");
        assert!(verdict["expected"].is_string(), "{verdict}");
    }
}

#[test]
fn damaged_visas_are_explained() {
    let agent = Agent::new("bot.example.com");
    agent.write("paid.json", r#"{"allowRAG":true,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#);
    let issue = |arguments: &[&str]| {
        let mut command = agent.imagxp();
        command.args(["visa", "issue", "--issuer", "https://broker.example.com", "--audience", "pub.example.com"]);
        stdout(command.args(["--amount", "1", "--bearer"]).args(arguments)).trim().to_owned()
    };
    agent.write("broker.pub", &agent.public_key);
    let set = stdout(agent.imagxp().args(["jwks", "write", "broker.pub"]));
    agent.write("jwks.json", set);
    let good = issue(&[]);
    let parts: Vec<_> = good.split('.').collect();
    let part = |json: &str| {
        let mut out = vec![0; 1_024];
        imagxp::codec::base64::url_encode(json.as_bytes(), &mut out).unwrap().to_owned()
    };
    let with_header = |json: &str| format!("{}.{}.{}", part(json), parts[1], parts[2]);
    for (visa, code, found, expected) in [
        (good.clone(), "OK", "", ""),
        ("a.b".to_owned(), "JWT_FORMAT", "parts of 1, 1 characters", "three parts"),
        (with_header(r#"{"alg":"HS256"}"#), "JWT_ALG", "HS256", "ES256"),
        (with_header(r#"{"alg":"ES256","jku":"x"}"#), "JWT_HEADER", "jku", "typ"),
        (issue(&["--kid", "other"]), "JWT_KEY_UNKNOWN", "other", "a kid of the key set"),
        (issue(&["--now", "2026-01-26T12:00:00Z"]), "JWT_EXPIRED", "", "after"),
    ] {
        agent.sign(&["--visa", &visa]);
        let (verdict, _) = agent.verify(&["--url", PAGE, "--policy", "paid.json", "--jwks", "jwks.json", "--offline"]);
        assert_eq!(verdict["code"], code, "{verdict}");
        if code != "OK" {
            assert_eq!(verdict["check"], "8 payment", "{verdict}");
            assert!(verdict["found"].as_str().unwrap().contains(found), "{verdict}");
            assert!(verdict["expected"].as_str().unwrap().contains(expected), "{verdict}");
        }
    }
}

#[test]
fn the_text_of_a_refusal() {
    let agent = Agent::new("bot.example.com");
    agent.sign(&["--now", "2026-01-26T12:00:00Z"]);
    let mut verify = agent.imagxp();
    verify.args([
        "verify",
        "headers.txt",
        "--manifest",
        "manifest.json",
        "--url",
        PAGE,
        "--now",
        "2026-01-26T12:10:00Z",
    ]);
    let text = String::from_utf8(verify.assert().code(1).get_output().stdout.clone()).unwrap();
    let golden = "\
REFUSED TIMESTAMP_STALE (HTTP 403)
  check          3 freshness
  found          2026-01-26T12:00:00.000Z, 10 min 0 s before now
  expected       between 2026-01-26T12:05:00.000Z and 2026-01-26T12:11:00.000Z (now is 2026-01-26T12:10:00.000Z)
  help           ts is older than the window: sign each request anew and check the clock
  agent          bot.example.com (claimed)
  purpose        SUMMARY
  resource       https://pub.example.com/a?b=c
  kid            ";
    assert!(text.starts_with(golden), "{text}");
}

#[test]
fn exit_code_2_is_the_commands_own() {
    let agent = Agent::new("bot.example.com");
    agent.sign(&[]);
    agent.write("bad.json", r#"{"allowRag":true}"#);
    agent.write("public.json", r#"{"allowRAG":true,"audiences":["pub.example.com"]}"#);
    agent.write("dev.json", r#"{"allowRAG":true,"development":true}"#);
    for (arguments, fix) in [
        (&["verify", "missing.txt"][..], "name a file"),
        (&["verify", "headers.txt", "--url", "pub.example.com/a"], "write it as https://"),
        (&["verify", "headers.txt", "--url", "http://pub.example.com/a"], "use https"),
        (&["verify", "headers.txt", "--offline", "--policy", "bad.json"], "unknown member"),
        (&["verify", "headers.txt", "--offline", "--policy", "public.json", "--dev"], "every audience is localhost"),
        (&["verify", "headers.txt", "--offline", "--policy", "dev.json"], "add --dev"),
        (&["verify", "headers.txt", "--offline", "--dev", "--url", PAGE], "leave out --dev"),
        (&["verify", "manifest.json", "--offline"], "one header a line"),
        (&["verify", "headers.txt", "--now", "yesterday"], "write it as 2026"),
        (&["verify", "--frob"], "--help"),
    ] {
        let refused = agent.imagxp().args(arguments).assert().code(2);
        let stderr = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(fix), "{arguments:?}: {stderr}");
        assert!(refused.get_output().stdout.is_empty());
    }
}

#[test]
fn a_visitor_without_headers() {
    let agent = Agent::new("bot.example.com");
    agent.write("headers.txt", "User-Agent: curl/8\nAccept: */*\n");
    agent.write("strict.json", r#"{"strategy":"STRICT"}"#);
    let (verdict, code) = agent.verify(&["--url", PAGE]);
    assert_eq!((code, &verdict["visitor_type"]), (0, &"UNIDENTIFIED_BOT".into()));
    assert_eq!(verdict["agent_id"], serde_json::Value::Null);
    let (verdict, code) = agent.verify(&["--url", PAGE, "--policy", "strict.json"]);
    assert_eq!((code, &verdict["code"]), (1, &"IDENTITY_REQUIRED".into()));
}

#[test]
fn private_addresses_are_not_asked_for_manifests() {
    let agent = Agent::new("localhost:9");
    let mut sign = agent.imagxp();
    let headers = stdout(sign.args(["sign", "http://localhost:1/a", "--purpose", "SUMMARY", "--dev"]));
    agent.write("headers.txt", headers);
    let (verdict, code) = agent.verify(&[]);
    assert_eq!((code, &verdict["code"]), (1, &"AGENT_ID_INVALID".into()), "{verdict}");
    let mut verify = agent.imagxp();
    verify.args(["verify", "headers.txt", "--dev", "--json"]);
    let refused = verify.assert().code(1).stderr(predicate::str::contains("development mode is ON"));
    let verdict: serde_json::Value = serde_json::from_slice(&refused.get_output().stdout).unwrap();
    assert_eq!(verdict["code"], "MANIFEST_UNAVAILABLE");
    assert_eq!(verdict["needs"][0]["url"], "http://localhost:9/.well-known/imagxp-agent.json");
}

#[test]
fn visas() {
    use imagxp::{KeyPair, PublishedKey, Signing, UnixMillis, broker::Visa, issue_visa, write_jwks};
    let agent = Agent::new("bot.example.com");
    let (key, at) = (KeyPair::from_random(&[9; 32]).unwrap(), "2026-01-26T12:00:00Z");
    let mut out = [0; 4_096];
    agent.write("jwks.json", write_jwks(&[PublishedKey { kid: "1", key: key.public() }], &mut out).unwrap());
    agent.write(
        "policy.json",
        r#"{"allowRAG":true,"price":0.001,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#,
    );
    for (audience, amount, code, found) in [
        ("pub.example.com", 1_000, "OK", None),
        ("other.example.com", 1_000, "JWT_AUDIENCE", Some("\"other.example.com\"")),
        ("pub.example.com", 999, "VISA_AMOUNT", Some("0.000999")),
    ] {
        let visa = Visa {
            issuer: "https://broker.example.com",
            audience,
            amount,
            lifetime_s: 600,
            holder: None,
            jti: None,
            purpose: None,
            currency: None,
        };
        let now = UnixMillis::parse(at.as_bytes()).unwrap();
        let visa = issue_visa(&key, "1", &visa, now, Signing::default(), &mut out).unwrap();
        agent.sign(&["--visa", visa, "--now", at]);
        let (verdict, _) =
            agent.verify(&["--url", PAGE, "--policy", "policy.json", "--jwks", "jwks.json", "--now", at]);
        assert_eq!(verdict["code"], code, "{verdict}");
        assert_eq!(verdict["found"].as_str(), found, "{verdict}");
        let proof = if code == "OK" { serde_json::json!("VISA") } else { serde_json::Value::Null };
        assert_eq!(verdict["proof_used"], proof, "{verdict}");
        assert_eq!(verdict["needs"][1]["kind"], "jwks");
    }
}
