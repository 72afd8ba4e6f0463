//! `imagxp evidence`, as a user runs it: whatever is altered in a log is found and named.
#![allow(missing_docs, reason = "tests")]

mod support;

use predicates::prelude::*;
use serde_json::Value;
use support::{Agent, PAGE, stdout};

const AT: [&str; 2] = ["--now", "2026-01-26T12:00:00Z"];
const POLICY: &str =
    r#"{"allowRAG":true,"audiences":["pub.example.com"],"monetization":{"brokerUrl":"https://broker.example.com"}}"#;

/// A publisher's folder: its key, a broker's, a visa, and what it takes to record.
fn office() -> Agent {
    let office = Agent::new("bot.example.com");
    for name in ["publisher", "broker"] {
        office.imagxp().args(["keygen", "--pem", name]).assert().success();
    }
    office.write("policy.json", POLICY);
    office.write("agent.pub", &office.public_key);
    office.write("jwks.json", stdout(office.imagxp().args(["jwks", "write", "1=broker.pub.pem"])));
    let mut issue = office.imagxp();
    issue.args(["visa", "issue", "--issuer", "https://broker.example.com", "--audience", "pub.example.com"]);
    issue.args(["--amount", "1", "--kid", "1", "--key", "broker.key.pem", "--agent-id", "bot.example.com"]);
    office.write("visa.txt", stdout(issue.args(["--agent-key", "agent.pub"]).args(AT)));
    office
}

fn visa(office: &Agent) -> String {
    std::fs::read_to_string(office.folder.path().join("visa.txt")).unwrap().trim().to_owned()
}

/// Signs a request and records it.
fn record(office: &Agent, sign: &[&str], arguments: &[&str]) -> (Value, i32) {
    office.sign(&[&AT, sign].concat());
    let mut record = office.imagxp();
    record.args(["evidence", "record", "log.jsonl", "headers.txt", "--url", PAGE, "--manifest", "manifest.json"]);
    record.args(["--json", "--key", "publisher.key.pem"]).args(AT).args(arguments);
    let output = record.output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    (json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.code().unwrap())
}

const PAID: [&str; 4] = ["--policy", "policy.json", "--jwks", "jwks.json"];

/// A log with an admission, a paid one, a refusal, and a checkpoint behind each.
fn log(office: &Agent) -> Vec<u8> {
    let visa = visa(office);
    assert_eq!(record(office, &[], &[]).1, 0);
    assert_eq!(record(office, &["--visa", &visa], &PAID).1, 0);
    let (report, code) = record(office, &[], &PAID);
    assert_eq!((code, &report["code"], &report["recorded"]), (1, &"VISA_REQUIRED".into(), &true.into()), "{report}");
    std::fs::read(office.folder.path().join("log.jsonl")).unwrap()
}

fn verify(office: &Agent, log: &[u8], arguments: &[&str]) -> (Value, i32) {
    office.write("altered.jsonl", log);
    let mut verify = office.imagxp();
    verify.args(["evidence", "verify", "altered.jsonl", "--publisher", "publisher.pub.pem", "--json"]).args(arguments);
    let output = verify.output().unwrap();
    let json = serde_json::from_slice(&output.stdout);
    (json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.code().unwrap())
}

fn lines(log: &[u8]) -> Vec<&[u8]> {
    log.split_inclusive(|byte| *byte == b'\n').collect()
}

/// The lines that are blamed, in order.
fn blamed(report: &Value) -> Vec<(u64, String)> {
    let fault = |fault: &Value| (fault["line"].as_u64().unwrap(), fault["fault"].as_str().unwrap().to_owned());
    report["faults"].as_array().unwrap().iter().map(fault).collect()
}

#[test]
fn a_log_is_proven() {
    let office = office();
    let log = log(&office);
    let (report, code) = verify(&office, &log, &["--sealed"]);
    assert_eq!((code, &report["proven"]), (0, &true.into()), "{report}");
    assert_eq!((&report["documents"], &report["decisions"], &report["checkpoints"]), (&2.into(), &3.into(), &3.into()));
    assert_eq!((&report["unsealed"], &report["torn"], &report["unknown_documents"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(report["sealed"]["line"], 8);
    let mut piped = office.imagxp();
    piped.args(["evidence", "verify", "-", "--publisher", "publisher.pub.pem"]).write_stdin(log.clone());
    let said = predicate::str::starts_with("PROVEN: nothing before line 8 was altered")
        .and(predicate::str::contains("not proven"));
    piped.assert().success().stdout(said).stderr(predicate::str::is_empty());

    // What was kept elsewhere is held against it.
    let hash = report["head"]["hash"].as_str().unwrap();
    assert_eq!(verify(&office, &log, &["--head", &format!("8:{hash}")]).1, 0);
    let (report, code) = verify(&office, &log, &["--head", &format!("7:{hash}")]);
    assert_eq!((code, blamed(&report)), (1, vec![(7, "HEAD".into())]));
    let cut = lines(&log)[..6].concat();
    assert_eq!(verify(&office, &cut, &[]).1, 0, "a log may end with any checkpoint");
    let (report, code) = verify(&office, &cut, &["--head", &format!("8:{hash}")]);
    assert_eq!((code, blamed(&report)), (1, vec![(6, "END".into())]));
}

/// In each line some bytes, its first and its last and its newline among them, are changed in two ways.
#[test]
fn every_changed_byte_is_found_and_named() {
    let office = office();
    let log = log(&office);
    let mut start = 0;
    for (line, text) in (1..).zip(lines(&log)) {
        let inner = (1..12).map(|part| text.len() * part / 12);
        for at in [0, text.len() - 2, text.len() - 1].into_iter().chain(inner) {
            let mut altered = log.clone();
            altered[start + at] ^= 1;
            let (report, code) = verify(&office, &altered, &[]);
            let first = blamed(&report).first().cloned();
            assert_eq!(code, 1, "line {line}, byte {at}: {report}");
            // The line itself, or the one that no longer follows on it.
            assert!(
                first.is_some_and(|(named, _)| named == line || named == line + 1),
                "line {line}, byte {at}: {report}"
            );
        }
        start += text.len();
    }
}

#[test]
fn every_removed_added_and_swapped_record_is_found_and_named() {
    let office = office();
    let log = log(&office);
    let lines = lines(&log);
    let check = |changed: Vec<&[u8]>, near: usize, what: &str| {
        let (report, code) = verify(&office, &changed.concat(), &[]);
        let first = blamed(&report).first().map(|(line, _)| *line);
        assert_eq!(code, 1, "{what} {near}: {report}");
        assert!(first.is_some_and(|line| line.abs_diff(near as u64) <= 1), "{what} {near}: {report}");
    };
    for at in 0..lines.len() {
        if at + 1 < lines.len() {
            let mut removed = lines.clone();
            removed.remove(at);
            check(removed, at + 1, "removed");
            let mut swapped = lines.clone();
            swapped.swap(at, at + 1);
            check(swapped, at + 1, "swapped");
        }
        let mut added = lines.clone();
        added.insert(at, lines[at]);
        check(added, at + 2, "doubled");
    }
}

#[test]
fn without_the_last_checkpoint_it_says_so() {
    let office = office();
    let log = log(&office);
    let cut = lines(&log)[..7].concat();
    let (report, code) = verify(&office, &cut, &[]);
    assert_eq!((code, &report["unsealed"], &report["sealed"]["line"]), (0, &1.into(), &6.into()), "{report}");
    let (report, code) = verify(&office, &cut, &["--sealed"]);
    assert_eq!((code, blamed(&report)), (1, vec![(7, "UNSEALED".into())]));
    // Another's checkpoints are nobody's.
    office.imagxp().args(["keygen", "--pem", "stranger"]).assert().success();
    let mut verify = office.imagxp();
    verify.args(["evidence", "verify", "log.jsonl", "--publisher", "stranger.pub.pem"]);
    verify.assert().code(1).stdout(predicate::str::contains("line 3: KEY: "));
}

/// Signatures are checked in batches, long after their lines were read: one that is wrong seals nothing all the same.
#[test]
fn a_checkpoint_with_a_wrong_signature_seals_nothing() {
    let office = office();
    let mut altered = log(&office);
    let member = b"\"signature\":\"";
    let at = altered.windows(member.len()).rposition(|window| window == member).unwrap() + member.len() + 9;
    altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
    let (report, code) = verify(&office, &altered, &[]);
    assert_eq!((code, blamed(&report)), (1, vec![(8, "SIGNATURE".into())]), "{report}");
    assert_eq!((&report["unsealed"], &report["sealed"]["line"]), (&2.into(), &6.into()), "{report}");
}

#[test]
fn a_torn_line_is_recovered() {
    let office = office();
    let log = log(&office);
    let whole = log.len() - lines(&log)[7].len();
    for torn in [whole + 1, whole + 100, log.len() - 1] {
        let (report, code) = verify(&office, &log[..torn], &[]);
        assert_eq!((code, &report["torn"], &report["lines"]), (0, &(torn - whole).into(), &7.into()), "{report}");
        assert_eq!(verify(&office, &log[..torn], &["--sealed"]).1, 1);
        office.write("log.jsonl", &log[..torn]);
        let (report, _) = record(&office, &[], &[]);
        assert_eq!((&report["torn"], &report["head"]["count"]), (&(torn - whole).into(), &9.into()), "{report}");
        let grown = std::fs::read(office.folder.path().join("log.jsonl")).unwrap();
        assert_eq!(verify(&office, &grown, &["--sealed"]).1, 0);
    }
    // A damaged log is not gone on with.
    let mut altered = log.clone();
    altered[40] ^= 1;
    office.write("log.jsonl", &altered);
    let mut record = office.imagxp();
    record.args(["evidence", "record", "log.jsonl", "headers.txt", "--url", PAGE, "--manifest", "manifest.json"]);
    record
        .args(AT)
        .assert()
        .code(1)
        .stderr(predicate::str::contains("line 1").and(predicate::str::contains("evidence verify")));
    assert_eq!(std::fs::read(office.folder.path().join("log.jsonl")).unwrap(), altered);
}

#[test]
fn refusals_that_prove_nothing_are_left_out() {
    let office = office();
    let stale = ["--now", "2026-01-26T11:00:00Z"];
    office.sign(&stale);
    let run = |arguments: &[&str]| {
        let mut record = office.imagxp();
        record.args(["evidence", "record", "log.jsonl", "headers.txt", "--url", PAGE, "--manifest", "manifest.json"]);
        let output = record.args(["--json", "--key", "publisher.key.pem"]).args(AT).args(arguments).output().unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    // Its signature is good: that is worth a record.
    assert_eq!((&run(&[])["code"], &run(&[])["recorded"]), (&"TIMESTAMP_STALE".into(), &true.into()));
    let forged = office.sign(&AT).replace("x-imagxp-signature: ", "x-imagxp-signature: 00");
    let forged: String = forged
        .lines()
        .map(|line| if line.contains("signature") { &line[..148] } else { line })
        .flat_map(|line| [line, "\n"])
        .collect();
    office.write("headers.txt", forged);
    let report = run(&[]);
    assert_eq!((&report["code"], &report["recorded"]), (&"SIGNATURE_INVALID".into(), &false.into()), "{report}");
    assert_eq!(run(&["--all"])["recorded"], true);
    let log = std::fs::read(office.folder.path().join("log.jsonl")).unwrap();
    assert_eq!(verify(&office, &log, &["--sealed"]).1, 0);
}

#[test]
fn one_record_proves_what_it_proves() {
    let office = office();
    let other = Agent::new("bot.example.com");
    office.write("foreign.json", std::fs::read(other.folder.path().join("manifest.json")).unwrap());
    let log = log(&office);
    let prove = |file: &str, arguments: &[&str]| {
        let mut prove = office.imagxp();
        let output = prove.args(["evidence", "verify", file, "--json"]).args(arguments).output().unwrap();
        let json = serde_json::from_slice::<Value>(&output.stdout);
        (json.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))), output.status.code().unwrap())
    };
    let (report, code) = prove("log.jsonl", &["--record", &paid_line(&log), "--manifest", "manifest.json"]);
    assert_eq!((code, &report["proven"], &report["verdict"]), (0, &true.into(), &"OK".into()), "{report}");
    for question in ["signature", "manifest", "visa", "visa_key", "resource", "archive"] {
        assert_eq!(report[question], "proven", "{report}");
    }
    let (report, code) = prove("log.jsonl", &["--record", &paid_line(&log), "--manifest", "foreign.json"]);
    assert_eq!((code, &report["archive"]["refuted"]), (1, &"KEY_MISMATCH".into()), "{report}");

    // The record alone: what its documents would say is unknown, not refuted.
    let line: usize = paid_line(&log).parse().unwrap();
    office.write("alone.jsonl", lines(&log)[line - 1]);
    let (report, code) = prove("alone.jsonl", &["--record", "1"]);
    assert_eq!((code, &report["signature"], &report["manifest"]), (0, &"proven".into(), &"unknown".into()), "{report}");
    let text = String::from_utf8(lines(&log)[line - 1].to_vec()).unwrap();
    office.write("alone.jsonl", text.replace("/a?b=c", "/a?b=d"));
    let (report, code) = prove("alone.jsonl", &["--record", "1"]);
    assert_eq!(
        (code, &report["fault"], &report["resource"]["refuted"]),
        (1, &"DOCUMENT".into(), &"RESOURCE_MISMATCH".into())
    );
    let mut none = office.imagxp();
    none.args(["evidence", "verify", "log.jsonl", "--record", "1"]);
    none.assert().code(2).stderr(predicate::str::contains("is no decision"));
}

/// The line of the admission with a visa.
fn paid_line(log: &[u8]) -> String {
    let paid = |line: &&[u8]| String::from_utf8_lossy(line).contains("\"proof\":\"VISA\"");
    (lines(log).iter().position(paid).unwrap() + 1).to_string()
}

#[test]
fn mistakes_are_explained() {
    let office = office();
    log(&office);
    let mut bare = support::imagxp();
    bare.current_dir(office.folder.path()).args(["evidence", "verify", "log.jsonl"]);
    bare.assert().code(2).stderr(predicate::str::contains("--publisher FILE"));
    for (arguments, code, fix) in [
        (&["evidence", "verify", "nothing", "--publisher", "publisher.pub.pem"][..], 2, "name a log"),
        (&["evidence", "verify", "log.jsonl", "--record", "99"], 2, "it has 8 lines"),
        (&["evidence", "verify", "log.jsonl", "--head", "x"], 2, "COUNT:HASH"),
        (&["evidence", "record", "log.jsonl", "headers.txt"], 2, "--url"),
        (&["evidence", "record", ".", "headers.txt", "--url", PAGE, "--offline"], 2, "can be written"),
    ] {
        office.imagxp().args(arguments).assert().code(code).stderr(predicate::str::contains(fix));
    }
}
