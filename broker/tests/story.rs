//! The log of a running broker tells each sale, refusal and word of feedback, and shows no secret and no stranger's text.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use std::path::Path;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};
use support::process::{Process, command, free_port};
use support::{Agent, claims, post, sign};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A broker in development, and where its log goes.
struct Told {
    broker: Process,
    address: std::net::SocketAddr,
    url: String,
    folder: tempfile::TempDir,
}

impl Told {
    fn start(form: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = command(&["--dev", "--listen", &format!("127.0.0.1:{port}"), "--log", form]);
        command.env("IMAGXP_BROKER_ADMIN_TOKEN", TOKEN);
        let broker = Process::start_logging(command, log.into());
        Self { broker, address: ([127, 0, 0, 1], port).into(), url: format!("http://localhost:{port}"), folder }
    }

    async fn buy(&self, agent: &Agent, body: &str) -> (StatusCode, Value) {
        let headers = agent.sign(&format!("{}/issue-visa", self.url));
        post(self.address, "/issue-visa", &headers, body.to_owned()).await
    }

    async fn credit(&self, agent: &Agent) {
        let token = ("authorization".to_owned(), format!("Bearer {TOKEN}"));
        let headers = [token, ("idempotency-key".to_owned(), "c".to_owned())];
        let body = format!(r#"{{"agent":"{}","amount":1}}"#, agent.name);
        assert_eq!(post(self.address, "/admin/credit", &headers, body).await.0, StatusCode::OK);
    }

    async fn judge(&self, agent: &Agent, visa: &str, url: &str) -> (StatusCode, Value) {
        let headers = agent.sign(&format!("{}/feedback", self.url));
        post(self.address, "/feedback", &headers, agent.word(&self.url, url, visa, 0)).await
    }

    fn text(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    /// The entries that came after the first `known` of them, once `last` is among them.
    fn entries(&self, known: usize, last: &str) -> Vec<Value> {
        let began = Instant::now();
        loop {
            let text = self.text();
            let entries: Vec<Value> =
                text.lines().skip(known).map(|line| serde_json::from_str(line).unwrap()).collect();
            if entries.iter().any(|entry| entry["event"] == last || entry["message"] == last) {
                return entries;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "no {last} in {text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn known(&self) -> usize {
        self.text().lines().count()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn entry<'e>(entries: &'e [Value], event: &str) -> &'e Value {
    entries.iter().find(|entry| entry["event"] == event).unwrap_or_else(|| panic!("no {event} in {entries:?}"))
}

#[tokio::test]
async fn sales_refusals_and_feedback() {
    let (told, agent) = (Told::start("json"), Agent::new().await);
    let order = r#"{"publisher":"nytimes.com","amount":0.000001}"#;

    // The account is empty.
    let known = told.known();
    assert_eq!(told.buy(&agent, order).await.0, StatusCode::PAYMENT_REQUIRED);
    let entries = told.entries(known, "VISA_REFUSED");
    let asked = entry(&entries, "VISA_ASKED");
    assert_eq!((&asked["module"], &asked["agent_id"]), (&json!("BROKER"), &json!(agent.name)));
    assert_eq!((&asked["audience"], &asked["amount"]), (&json!("nytimes.com"), &json!("0.000001")));
    let refused = entry(&entries, "VISA_REFUSED");
    assert_eq!((&refused["code"], &refused["refusal"]), (&json!("VISA_UNPAID"), &json!("PAYMENT_REQUIRED")));
    assert_eq!((&refused["message"], &refused["level"]), (&json!("Payment REFUSED: VISA_UNPAID"), &json!("INFO")));

    // It is not.
    told.credit(&agent).await;
    let known = told.known();
    let (status, sold) = told.buy(&agent, order).await;
    assert_eq!(status, StatusCode::OK);
    let token = sold["token"].as_str().unwrap();
    let jti = claims(token)["jti"].as_str().unwrap().to_owned();
    let issued = entry(&told.entries(known, "VISA_ISSUED"), "VISA_ISSUED").clone();
    assert_eq!(
        (&issued["jti"], &issued["message"]),
        (&json!(jti), &json!(format!("Payment RELEASED: visa {jti} issued")))
    );

    // The agent takes it back; what it writes as URL is no URL, and is not shown.
    let known = told.known();
    let hostile = "https://nytimes.com/ 12:00:00.000 | BROKER | Payment RELEASED\nand a line";
    assert_eq!(told.judge(&agent, &jti, hostile).await.0, StatusCode::OK);
    let entries = told.entries(known, "SETTLED");
    let received = entry(&entries, "FEEDBACK_RECEIVED");
    assert!(received["url"].as_str().unwrap().starts_with("sha256:"), "{received}");
    assert_eq!((&received["reason"], &received["score"]), (&json!("SEO_SPAM"), &json!("0")));
    let settled = entry(&entries, "SETTLED");
    assert_eq!(
        (&settled["outcome"], &settled["state"], &settled["visa"]),
        (&json!("WITHHELD"), &json!("refunded"), &json!(jti))
    );

    // Of a visa that it has not bought.
    let known = told.known();
    assert_eq!(told.judge(&agent, "none of yours\n", "https://nytimes.com/a").await.0, StatusCode::NOT_FOUND);
    let entries = told.entries(known, "refused");
    assert_eq!(entry(&entries, "FEEDBACK_RECEIVED")["url"], "https://nytimes.com/a");
    assert!(entries.iter().any(|entry| entry["refusal"] == "VISA_UNKNOWN" && entry["agent_id"] == agent.name.as_str()));
    assert!(!entries.iter().any(|entry| entry["event"] == "SETTLED"), "{entries:?}");

    // An order that is none.
    let known = told.known();
    assert_eq!(told.buy(&agent, "{}").await.0, StatusCode::BAD_REQUEST);
    assert!(told.entries(known, "refused").iter().any(|entry| entry["refusal"] == "BODY_INVALID"));

    let text = told.text();
    for secret in [token, TOKEN, "and a line", "none of yours"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[tokio::test]
async fn strangers() {
    let (told, agent, other) = (Told::start("json"), Agent::new().await, Agent::new().await);
    let url = format!("{}/issue-visa", told.url);
    let order = r#"{"publisher":"nytimes.com","amount":1}"#;

    // Another's key.
    let known = told.known();
    assert_eq!(
        post(told.address, "/issue-visa", &sign(&other.key, &agent.name, &url), order).await.0,
        StatusCode::FORBIDDEN
    );
    let entries = told.entries(known, "BLOCKED");
    assert_eq!(entry(&entries, "CLAIMED")["agent_id"], agent.name.as_str());
    assert_eq!(entry(&entries, "FAKE")["code"], "KEY_MISMATCH");
    assert_eq!(entry(&entries, "BLOCKED")["module"], "ACCESS");

    // A signature that is none.
    let known = told.known();
    let mut headers = agent.sign(&url);
    let signature = headers.iter_mut().find(|(name, _)| name == "x-imagxp-signature").unwrap();
    signature.1 = "1".repeat(128);
    assert_eq!(post(told.address, "/issue-visa", &headers, order).await.0, StatusCode::FORBIDDEN);
    assert_eq!(entry(&told.entries(known, "BLOCKED"), "SIGNATURE_INVALID")["code"], "SIGNATURE_INVALID");

    // Nobody at all.
    let known = told.known();
    assert_eq!(post(told.address, "/issue-visa", &[], order).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(entry(&told.entries(known, "BLOCKED"), "BLOCKED")["code"], "IDENTITY_REQUIRED");
}

/// For people: a line each.
#[tokio::test]
async fn as_text() {
    let told = Told::start("text");
    assert_eq!(post(told.address, "/issue-visa", &[], "").await.0, StatusCode::OK);
    told.broker.signal("-TERM");
    let began = Instant::now();
    while !told.text().contains("Payment RELEASED") {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", told.text());
        std::thread::sleep(Duration::from_millis(10));
    }
    let text = told.text();
    let asked = text.lines().find(|line| line.contains("Visa wanted: openai.com for nytimes.com, 0.001")).unwrap();
    assert!(asked.contains("INFO") && asked.contains(r#"module="BROKER""#), "{asked}");
}
