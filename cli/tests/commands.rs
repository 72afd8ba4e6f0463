//! Every other subcommand, as a user runs it.
#![allow(missing_docs, reason = "tests")]

mod support;

use predicates::prelude::*;
use support::{Agent, PAGE, imagxp, stdout};

#[test]
fn help_has_examples_for_each() {
    let commands = [
        "keygen",
        "manifest",
        "serve-manifest",
        "sign",
        "fetch",
        "verify",
        "visa",
        "broker",
        "jwks",
        "policy",
        "feedback",
        "evidence",
        "inspect",
        "jcs",
        "size",
        "demo",
        "completions",
    ];
    let help = stdout(imagxp().arg("--help"));
    for command in commands {
        assert!(help.contains(command), "{command}");
        let help = stdout(imagxp().args([command, "--help"]));
        assert!(help.contains("Example"), "{command}: {help}");
        assert!(!help.contains('\u{1b}'), "no colours in a pipe");
    }
    for (command, part) in [
        ("visa", "buy"),
        ("visa", "issue"),
        ("broker", "credit"),
        ("broker", "payout"),
        ("broker", "settle"),
        ("broker", "audit"),
        ("visa", "verify"),
        ("jwks", "write"),
        ("jwks", "inspect"),
        ("policy", "check"),
        ("policy", "discovery"),
        ("feedback", "sign"),
        ("feedback", "verify"),
        ("evidence", "record"),
        ("evidence", "verify"),
    ] {
        let help = stdout(imagxp().args([command, part, "--help"]));
        assert!(help.contains("Example"), "{command} {part}: {help}");
    }
}

#[test]
fn keygen_prints_an_env_file() {
    let env = stdout(imagxp().arg("keygen"));
    let lines: Vec<_> = env.lines().collect();
    let [private, public] = lines[..] else { panic!("two lines") };
    assert!(private.starts_with("IMAGXP_PRIVATE_KEY=\"MIGH") && private.ends_with('"'));
    assert!(public.starts_with("IMAGXP_PUBLIC_KEY=\"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"));
    assert_ne!(env, stdout(imagxp().arg("keygen")));
}

#[test]
#[cfg(unix)]
fn keygen_writes_files_that_only_the_owner_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::TempDir::new().unwrap();
    let printed = stdout(imagxp().current_dir(folder.path()).args(["keygen", "--pem", "agent"]));
    let mode = |name| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("agent.key.pem"), mode("agent.pub.pem") & !0o022), (0o600, 0o644));
    let pem = std::fs::read_to_string(folder.path().join("agent.key.pem")).unwrap();
    assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert!(pem.lines().skip(1).take(2).all(|line| !printed.contains(line)), "no secret is printed");
    // Never over a key that is there.
    let mut again = imagxp();
    again.current_dir(folder.path()).args(["keygen", "--pem", "agent"]);
    again.assert().code(2).stderr(predicate::str::contains("never written over"));
    assert_eq!(std::fs::read_to_string(folder.path().join("agent.key.pem")).unwrap(), pem);

    let sign = |key: &str| {
        let mut sign = imagxp();
        sign.current_dir(folder.path()).args([
            "sign",
            PAGE,
            "--purpose",
            "SUMMARY",
            "--agent-id",
            "a.example.com",
            "--key",
            key,
        ]);
        sign.assert().success()
    };
    sign("agent.key.pem").stderr(predicate::str::is_empty());
    std::fs::set_permissions(folder.path().join("agent.key.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    sign("agent.key.pem").stderr(predicate::str::contains("chmod 600"));
}

#[test]
fn an_env_file_is_a_key_file() {
    let agent = Agent::new("bot.example.com");
    agent.write(
        ".env",
        format!("IMAGXP_PRIVATE_KEY=\"{}\"\nIMAGXP_PUBLIC_KEY=\"{}\"\n", agent.private_key, agent.public_key),
    );
    let mut manifest = imagxp();
    manifest.current_dir(agent.folder.path()).args(["manifest", "--agent-id", "bot.example.com", "--key", ".env"]);
    assert!(stdout(&mut manifest).contains(&agent.public_key));
}

/// Of all commands, keygen alone may show the private key.
#[test]
fn no_secret_is_ever_printed() {
    let agent = Agent::new("bot.example.com");
    agent.sign(&[]);
    agent.write("key.txt", &agent.private_key);
    let dev = ["sign", "http://localhost:1/", "--purpose", "SUMMARY", "--dev", "--agent-id", "localhost:1"];
    for arguments in [
        &["manifest"][..],
        &["sign", PAGE, "--purpose", "SUMMARY", "--curl"],
        &["sign", PAGE, "--purpose", "NOTHING"],
        &["verify", "headers.txt", "--offline"],
        &["inspect", "key.txt"],
        &["inspect", &agent.private_key],
        &["inspect", "headers.txt"],
        &["manifest", "--key", "headers.txt"],
        &["sign", "--help"],
        &["verify", "key.txt"],
        &dev,
    ] {
        let output = agent.imagxp().args(arguments).output().unwrap();
        let scalar = &agent.private_key[48..90];
        for stream in [&output.stdout, &output.stderr] {
            assert!(!String::from_utf8_lossy(stream).contains(scalar), "{arguments:?}");
        }
    }
}

#[test]
fn manifests() {
    let agent = Agent::new("bot.example.com");
    let next = Agent::new("next.example.com");
    agent.write("next.txt", &next.public_key);
    let kid = |agent: &Agent| {
        let shown = stdout(agent.imagxp().args(["inspect", &agent.public_key]));
        shown.split_whitespace().skip_while(|word| *word != "kid").nth(1).unwrap().to_owned()
    };
    let mut manifest = agent.imagxp();
    manifest.args(["manifest", "--contact", "a@example.com", "--next", "next.txt", "--revoke", &kid(&next)]);
    let document: serde_json::Value = serde_json::from_str(&stdout(&mut manifest)).unwrap();
    assert_eq!(document["agent_id"], "bot.example.com");
    assert_eq!(document["public_key"], agent.public_key);
    assert_eq!(document["contact_email"], "a@example.com");
    assert_eq!(document["keys"][0]["kid"], kid(&next));
    assert_eq!(document["revoked"][0]["kid"], kid(&next));

    for (arguments, fix) in [
        (&["manifest", "--agent-id", "localhost:1"][..], "--dev"),
        (&["manifest", "--agent-id", "https://a.example.com"], "without port, scheme"),
        (&["manifest", "--revoke", &kid(&agent)], "make a new key"),
        (&["manifest", "--revoke", "abc"], "43 characters"),
    ] {
        agent.imagxp().args(arguments).assert().code(2).stderr(predicate::str::contains(fix));
    }
    let mut bare = imagxp();
    bare.args(["manifest", "--agent-id", "a.example.com"]);
    bare.assert().code(2).stderr(predicate::str::contains("imagxp keygen"));
    let mut halves = agent.imagxp();
    halves.env("IMAGXP_PUBLIC_KEY", &next.public_key).arg("manifest");
    halves.assert().code(2).stderr(predicate::str::contains("not the public half"));
}

#[test]
fn curl_commands_quote() {
    let agent = Agent::new("bot.example.com");
    let url = "https://pub.example.com/it's?a=b&c=$HOME";
    let curl = stdout(agent.imagxp().args(["sign", url, "--purpose", "SUMMARY", "--curl"]));
    assert!(curl.starts_with("curl -A 'imagxp-cli/"), "{curl}");
    assert!(curl.contains(" IMAGXP/1.1' -H 'x-imagxp-payload: "), "{curl}");
    assert!(curl.trim_end().ends_with(r"'https://pub.example.com/it'\''s?a=b&c=$HOME'"), "{curl}");
}

#[test]
fn signing_what_cannot_be_sent() {
    let agent = Agent::new("bot.example.com");
    for (arguments, fix) in [
        (&["sign", "pub.example.com", "--purpose", "SUMMARY"][..], "https://"),
        (&["sign", "http://pub.example.com", "--purpose", "SUMMARY"], "use https"),
        (&["sign", "https://pub.example.com/ä", "--purpose", "SUMMARY"], "percent-encode"),
        (&["sign", PAGE], "--purpose"),
        (&["sign", PAGE, "--purpose", "SUMMARY", "--dev"], "leave out --dev"),
    ] {
        agent.imagxp().args(arguments).assert().code(2).stderr(predicate::str::contains(fix));
    }
}

#[test]
fn canonical_json() {
    assert_eq!(
        stdout(imagxp().arg("jcs").write_stdin("{\"b\":1e1, \"a\":[\"\\u00e4\"]}\n")),
        "{\"a\":[\"ä\"],\"b\":10}"
    );
    let sha = stdout(imagxp().args(["jcs", "{}", "--sha256"]));
    assert_eq!(sha, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\n");
    let deep = "[[[[[]]]]]";
    assert_eq!(stdout(imagxp().args(["jcs", deep])), deep);
    imagxp().args(["jcs", deep, "--payload"]).assert().code(1).stderr(predicate::str::contains("JSON_DEPTH"));
    imagxp().args(["jcs", "{\"a\":1,\"a\":2}"]).assert().code(1).stderr(predicate::str::contains("JSON_DUPLICATE_KEY"));
}

#[test]
fn sizes() {
    let text = stdout(imagxp().args(["size", "--rate", "1000"]));
    assert!(text.contains("450000"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&stdout(imagxp().args(["size", "--rate", "1", "--visas", "1", "--json"]))).unwrap();
    assert_eq!(json["replay_cache"]["slots"], 4_957);
    let words = imagxp::ReplayCache::words(4_957);
    assert_eq!(json["replay_cache"]["words"], words);
    assert_eq!(json["replay_cache"]["bytes"], words * 8);
    assert!(json["key_cache"]["words"].as_u64().unwrap() > 10_000);
    imagxp().args(["size", "--rate", "99999999999999999"]).assert().code(2);
}

#[test]
fn things_shown() {
    let agent = Agent::new("bot.example.com");
    let headers = agent.sign(&[]);
    agent.write(
        "jwks.json",
        r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"a","y":"b"},{"kty":"EC","d":"secret"}]}"#,
    );
    let value = |line: usize| headers.lines().nth(line).unwrap().split_once(": ").unwrap().1.to_owned();
    for (what, shown) in [
        ("headers.txt".to_owned(), "agent_id       bot.example.com"),
        (value(0), "\"purpose\":\"SUMMARY\""),
        (value(1), "r "),
        (value(2), "kid "),
        ("manifest.json".to_owned(), "good now"),
        ("jwks.json".to_owned(), "PRIVATE"),
        (
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwczovL2IuZXhhbXBsZSIsImV4cCI6MTc2OTQyODgwMH0.AAAA".to_owned(),
            "2026-01-26T12:00:00.000Z",
        ),
    ] {
        let text = stdout(agent.imagxp().args(["inspect", &what]));
        assert!(text.contains(shown), "{what}: {text}");
        assert!(!text.contains("secret"));
    }
    agent.imagxp().args(["inspect", "nothing"]).assert().code(2);
}

#[test]
fn shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(stdout(imagxp().args(["completions", shell])).contains("serve-manifest"), "{shell}");
    }
}

#[test]
fn the_demo() {
    let text = stdout(imagxp().arg("demo"));
    let codes = ["VISA_REQUIRED", "OK", "KEY_MISMATCH", "REPLAY_DETECTED", "TIMESTAMP_STALE", "RESOURCE_MISMATCH"];
    for code in codes {
        assert!(
            text.lines().any(|line| line.contains("=>")
                && line.contains(&format!(" {code} in "))
                && line.ends_with("as it should be")),
            "{code}"
        );
    }
    for told in [
        "| IMAGXP DNS | Identity CONFIRMED: localhost:",
        "| BROKER     | Payment RELEASED: visa ",
        "| BROKER     | Payment ACCEPTED: visa of http://localhost:",
        "| GOVERNANCE | Feedback of localhost:",
        "| BROKER     | Payment WITHHELD, as the feedback says",
        "| BROKER     | Payment REFUSED: the payment is refused to the publisher",
        "=> good content is paid: as it should be",
        "=> junk is not paid: as it should be",
        "=> one byte changed, and found: as it should be",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(text.contains("Every decision was right: "), "{text}");
    assert!(!text.contains('\u{1b}'), "colours on a terminal only");
}
