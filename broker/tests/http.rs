//! The broker as agents and its operator see it, on both databases.

#![allow(missing_docs, unreachable_pub, reason = "tests")]

mod support;

use http::StatusCode;
use imagxp::visa::{Holder, TokenStep, verify};
use imagxp::{Answer, KeyCache, Policy, Shape, Sizes};
use imagxp_broker::Broker;
use imagxp_host::system;
use serde_json::{Value, json};
use support::{Agent, admin, both, broker, broker_with, claims, get_json, get_text, post, sqlite};

const ORDER: &str = r#"{"publisher":"nytimes.com","amount":0.001}"#;

async fn credit(broker: &Broker, agent: &Agent, amount: &str) {
    let body = format!(r#"{{"agent":"{}","amount":{amount}}}"#, agent.name);
    let (status, _) = post(broker.address(), "/admin/credit", &admin(broker, &format!("c-{}", agent.name)), body).await;
    assert_eq!(status, StatusCode::OK);
}

/// What a publisher makes of a token: by this broker's key set, for this holder.
async fn verdict(broker: &Broker, token: &str, agent: &Agent, audience: &str) -> Result<i64, imagxp::Error> {
    let (_, jwks) = get_json(broker.address(), "/.well-known/jwks.json", &[]).await;
    let policy = format!(
        r#"{{"development":true,"allowRAG":true,"visa_binding":"require","audiences":["{audience}"],"monetization":{{"brokerUrl":"{}"}}}}"#,
        broker.url()
    );
    let mut words = vec![0; Policy::WORDS];
    let policy = Policy::parse(policy.as_bytes(), &mut words)?;
    let sizes = Sizes { names: 16, issuers: 1, tables: 0, shape: Shape::Kib8 };
    let mut words = vec![0; KeyCache::words(&sizes)];
    let mut keys = KeyCache::new(&mut words, &sizes, &[1; 32])?;
    let holder = Holder { agent_id: &agent.name, key: agent.key.public().kid() };
    let body = jwks.to_string();
    for _ in 0..2 {
        let role = imagxp::policy::Role::Broker;
        match verify(token.as_bytes(), role, Some(holder), &policy, &keys.read(), system::now())? {
            TokenStep::Need(need) => {
                keys.supply(&need, Answer::Found { body: body.as_bytes(), max_age_s: None }, system::now())?;
            }
            TokenStep::Verified(token) => return Ok(token.amount),
        }
    }
    unreachable!("one need")
}

#[tokio::test]
async fn a_visa_is_bought() {
    for books in both().await {
        let (broker, agent) = (broker(&books).await, Agent::new().await);
        let (status, body) = agent.buy(&broker, "nytimes.com", "0.001").await;
        assert_eq!((status, body), (StatusCode::PAYMENT_REQUIRED, json!({"error": "Payment Required"})));

        credit(&broker, &agent, "0.003").await;
        let (status, sold) = agent.buy(&broker, "localhost:9", "0.002").await;
        assert_eq!(status, StatusCode::OK, "{sold}");
        assert_eq!(sold["header_name"], "x-imagxp-credential");
        let token = sold["token"].as_str().unwrap();
        assert_eq!(verdict(&broker, token, &agent, "localhost:9").await, Ok(2_000));
        let said = claims(token);
        assert_eq!((&said["sub"], &said["aud"]), (&json!(agent.name), &json!("localhost:9")));
        assert_eq!(said["cnf"]["jkt"], agent.key.public().kid().as_str());
        assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3_600);
        // Somebody else's it is not.
        let other = Agent::new().await;
        assert_eq!(verdict(&broker, token, &other, "localhost:9").await, Err(imagxp::Error::JwtSubject));

        assert_eq!(agent.buy(&broker, "localhost:9", "0.002").await.0, StatusCode::PAYMENT_REQUIRED);
        assert_eq!(broker.ledger().balance(&agent.name).await.unwrap(), Some(1_000));
        broker.stop().await;
    }
}

#[tokio::test]
async fn a_retried_request_is_the_same_sale() {
    for books in both().await {
        let (broker, agent) = (broker(&books).await, Agent::new().await);
        credit(&broker, &agent, "1").await;
        let headers = agent.sign(&format!("{}/issue-visa", broker.url()));
        let (status, first) = post(broker.address(), "/issue-visa", &headers, ORDER).await;
        assert_eq!(status, StatusCode::OK);
        // Across seconds, so that a token made anew would differ.
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        let again = post(broker.address(), "/issue-visa", &headers, ORDER).await;
        assert_eq!(again, (StatusCode::OK, first.clone()));
        // The body is not signed: with another one the nonce buys nothing.
        for body in [r#"{"publisher":"nytimes.com","amount":0.002}"#, r#"{"publisher":"evil.com","amount":0.001}"#] {
            let (status, answer) = post(broker.address(), "/issue-visa", &headers, body).await;
            assert_eq!((status, &answer["error"]), (StatusCode::CONFLICT, &json!("SALE_CONFLICT")));
        }
        assert_eq!(broker.ledger().balance(&agent.name).await.unwrap(), Some(999_000));
        // After a start anew, with a key of its own, the same request: the token is signed by the present key then, and
        // is the same sale.
        let public_url = broker.url().to_owned();
        broker.stop().await;
        let anew = broker_with(&books, |config| config.public_url = public_url).await;
        let (status, other) = post(anew.address(), "/issue-visa", &headers, ORDER).await;
        assert_eq!(status, StatusCode::OK, "{other}");
        let said = |sold: &Value| claims(sold["token"].as_str().unwrap());
        assert!(other["token"] != first["token"] && said(&other) == said(&first));
        assert_eq!(anew.ledger().audit().await.unwrap().visas, 1);
        anew.stop().await;
    }
}

#[tokio::test]
async fn who_is_not_proven_buys_nothing() {
    let (books, agent, thief) = (sqlite(), Agent::new().await, Agent::new().await);
    let broker = broker(&books).await;
    credit(&broker, &agent, "1").await;
    let url = format!("{}/issue-visa", broker.url());
    let refused = async |headers: &[(String, String)], status: u16, code: &str| {
        let (got, body) = post(broker.address(), "/issue-visa", headers, ORDER).await;
        assert_eq!((got.as_u16(), body["error"].as_str().unwrap()), (status, code));
        assert!(body["message"].as_str().unwrap().len() > 20);
    };
    refused(&[], 401, "IDENTITY_REQUIRED").await;
    // The agent's name with another key, another URL's signature, a changed payload, half of the headers.
    refused(&support::sign(&thief.key, &agent.name, &url), 403, "IDENTITY_UNVERIFIED").await;
    refused(&agent.sign("http://localhost:1/issue-visa"), 403, "RESOURCE_MISMATCH").await;
    refused(&agent.sign(&format!("{}/feedback", broker.url())), 403, "RESOURCE_MISMATCH").await;
    let mut changed = agent.sign(&url);
    changed.iter_mut().find(|(name, _)| name == "x-imagxp-signature").unwrap().1.replace_range(0..1, "f");
    let (status, _) = post(broker.address(), "/issue-visa", &changed, ORDER).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    refused(&agent.sign(&url)[..1], 401, "HEADERS_PARTIAL").await;
    assert_eq!(broker.ledger().audit().await.unwrap().visas, 0);
}

#[tokio::test]
async fn orders_that_cannot_be() {
    let (books, agent) = (sqlite(), Agent::new().await);
    let broker = broker_with(&books, |config| config.amounts = 1_000..=5_000_000).await;
    credit(&broker, &agent, "100").await;
    let url = format!("{}/issue-visa", broker.url());
    for (body, status, code) in [
        (String::new(), 400, "BODY_INVALID"),
        ("{".to_owned(), 400, "BODY_INVALID"),
        ("x".repeat(5_000), 400, "BODY_INVALID"),
        (r#"{"publisher":"nytimes.com","amount":0.000999}"#.to_owned(), 400, "AMOUNT_INVALID"),
        (r#"{"publisher":"nytimes.com","amount":5.000001}"#.to_owned(), 400, "AMOUNT_INVALID"),
        (r#"{"publisher":"nytimes.com","amount":0.0010001}"#.to_owned(), 400, "AMOUNT_INVALID"),
        (r#"{"publisher":"NYTimes.com","amount":1}"#.to_owned(), 400, "PUBLISHER_INVALID"),
    ] {
        let (got, answer) = post(broker.address(), "/issue-visa", &agent.sign(&url), body).await;
        assert_eq!((got.as_u16(), answer["error"].as_str().unwrap()), (status, code));
    }
    for (path, status) in [("/", 404), ("/issue-visa", 405), ("/admin/audit", 401)] {
        assert_eq!(get_json(broker.address(), path, &[]).await.0.as_u16(), status, "{path}");
    }
}

fn word(agent: &Agent, broker: &Broker, token: &str, score: u32, audience: Option<&str>) -> String {
    let visa = claims(token)["jti"].as_str().unwrap().to_owned();
    agent.word(audience.unwrap_or(broker.url()), "https://nytimes.com/a", &visa, score)
}

#[tokio::test]
async fn feedback_settles() {
    for books in both().await {
        let (broker, agent, other) = (broker(&books).await, Agent::new().await, Agent::new().await);
        credit(&broker, &agent, "1").await;
        let url = format!("{}/feedback", broker.url());
        let say = async |who: &Agent, word: String| post(broker.address(), "/feedback", &who.sign(&url), word).await;
        let mut tokens = Vec::new();
        for _ in 0..3 {
            let (_, sold) = agent.buy(&broker, "nytimes.com", "0.1").await;
            tokens.push(sold["token"].as_str().unwrap().to_owned());
        }
        let words = |score| tokens.iter().map(|token| word(&agent, &broker, token, score, None)).collect::<Vec<_>>();
        let (low, half, high) = (words(499_999), words(500_000), words(500_001));

        let (status, answer) = say(&agent, low[0].clone()).await;
        assert_eq!((status, &answer["state"], &answer["amount"]), (StatusCode::OK, &json!("refunded"), &json!("0.1")));
        let (status, answer) = say(&agent, half[1].clone()).await;
        assert_eq!((status, &answer["state"]), (StatusCode::OK, &json!("held")));
        let (status, answer) = say(&agent, high[1].clone()).await;
        assert_eq!((status, &answer["state"]), (StatusCode::OK, &json!("released")));
        // Once: the same word is the same answer, another is refused.
        assert_eq!(say(&agent, low[0].clone()).await.1["state"], "refunded");
        assert_eq!(say(&agent, high[0].clone()).await.1["error"], "ALREADY_SETTLED");
        assert_eq!(say(&agent, low[1].clone()).await.0, StatusCode::CONFLICT);
        // Only the buyer's own word, for this broker, signed by its key, about a visa it bought here.
        assert_eq!(say(&other, low[2].clone()).await.1["error"], "FEEDBACK_INVALID");
        assert_eq!(say(&other, word(&other, &broker, &tokens[2], 1, None)).await.1["error"], "VISA_UNKNOWN");
        let elsewhere = word(&agent, &broker, &tokens[2], 1, Some("https://other.example.com"));
        assert_eq!(say(&agent, elsewhere).await.1["error"], "FEEDBACK_INVALID");
        let (status, _) = post(broker.address(), "/feedback", &[], low[2].clone()).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        // In the header as well.
        let mut headers = agent.sign(&url);
        headers.push(("x-imagxp-feedback".to_owned(), low[2].clone()));
        assert_eq!(post(broker.address(), "/feedback", &headers, "").await.1["state"], "refunded");

        // What it took its money back for, it is not given again.
        let headers = agent.sign(&format!("{}/issue-visa", broker.url()));
        let (_, sold) = post(broker.address(), "/issue-visa", &headers, ORDER).await;
        assert_eq!(
            say(&agent, word(&agent, &broker, sold["token"].as_str().unwrap(), 0, None)).await.0,
            StatusCode::OK
        );
        let (status, body) = post(broker.address(), "/issue-visa", &headers, ORDER).await;
        assert_eq!((status, body), (StatusCode::PAYMENT_REQUIRED, json!({"error": "Payment Required"})));
        let metrics = get_text(broker.address(), "/metrics").await;
        assert!(metrics.contains(r#"imagxp_broker_settled_total{state="refunded"} 3"#), "each once: {metrics}");

        assert_eq!(broker.ledger().balance(&agent.name).await.unwrap(), Some(900_000));
        let (_, report) =
            get_json(broker.address(), "/admin/settlement?publisher=nytimes.com", &admin(&broker, "")).await;
        let row = &report["publishers"][0];
        assert_eq!(
            (&row["released"], &row["refunded"], &row["payable"]),
            (&json!("0.1"), &json!("0.201"), &json!("0.1"))
        );
        let (_, audit) = get_json(broker.address(), "/admin/audit", &admin(&broker, "")).await;
        assert_eq!(audit["balances"], true, "{audit}");
    }
}

#[tokio::test]
async fn the_dispute_window_ends() {
    let (books, agent) = (sqlite(), Agent::new().await);
    let broker = broker_with(&books, |config| config.dispute_s = 1).await;
    credit(&broker, &agent, "1").await;
    let (_, sold) = agent.buy(&broker, "nytimes.com", "0.1").await;
    let mut state = json!(null);
    for _ in 0..60 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let (_, report) = get_json(broker.address(), "/admin/settlement", &admin(&broker, "")).await;
        state = report["publishers"][0]["payable"].clone();
        if state == "0.1" {
            break;
        }
    }
    assert_eq!(state, "0.1", "the sweeper releases it");
    let url = format!("{}/feedback", broker.url());
    let late = word(&agent, &broker, sold["token"].as_str().unwrap(), 0, None);
    let (status, _) = post(broker.address(), "/feedback", &agent.sign(&url), late).await;
    assert_eq!(status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn the_operators_part() {
    let (books, agent) = (sqlite(), Agent::new().await);
    let broker = broker(&books).await;
    let body = format!(r#"{{"agent":"{}","amount":10}}"#, agent.name);
    let credit = async |headers: &[(String, String)], body: &str| {
        post(broker.address(), "/admin/credit", headers, body.to_owned()).await
    };
    // Only with the token, the whole token.
    for token in ["", "Bearer ", "Bearer 0123456789abcdef0123456789abcdef", "Basic x"] {
        let headers = [("authorization".to_owned(), token.to_owned()), ("idempotency-key".to_owned(), "k".to_owned())];
        assert_eq!(credit(&headers, &body).await.0, StatusCode::UNAUTHORIZED, "{token}");
    }
    let short = format!("{}x", &admin(&broker, "k")[0].1);
    assert_eq!(credit(&[("authorization".to_owned(), short)], &body).await.0, StatusCode::UNAUTHORIZED);
    // A key of its own, and the same key once.
    assert_eq!(credit(&admin(&broker, "k")[..1], &body).await.1["error"], "IDEMPOTENCY_KEY_MISSING");
    assert_eq!(credit(&admin(&broker, "k"), &body).await.1["balance"], "10");
    assert_eq!(credit(&admin(&broker, "k"), &body).await.1["balance"], "10");
    let other = body.replace(":10", ":11");
    assert_eq!(credit(&admin(&broker, "k"), &other).await.1["error"], "IDEMPOTENCY_KEY_CONFLICT");
    let path = format!("/admin/balance?agent={}", agent.name);
    assert_eq!(get_json(broker.address(), &path, &admin(&broker, "")).await.1["balance"], "10");
    // Beyond what the books can hold.
    let huge = body.replace(":10", ":9223372036854");
    assert_eq!(credit(&admin(&broker, "huge"), &huge).await.1["error"], "BALANCE_REFUSED");

    assert_eq!(get_json(broker.address(), "/healthz", &[]).await, (StatusCode::OK, json!({"status": "ok"})));
    let metrics = get_text(broker.address(), "/metrics").await;
    assert!(metrics.contains(r#"imagxp_broker_requests_total{code="OK",path="/admin"}"#), "{metrics}");
}

#[tokio::test]
async fn limits() {
    let (books, agent) = (sqlite(), Agent::new().await);
    let broker = broker_with(&books, |config| config.rate_per_client = 5).await;
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(get_json(broker.address(), "/healthz", &[]).await.0.as_u16());
        // Publishers' look-ups are no part of it.
        assert_eq!(get_json(broker.address(), "/.well-known/jwks.json", &[]).await.0, StatusCode::OK);
    }
    assert!(codes[..10].iter().all(|code| *code == 200), "{codes:?}");
    assert!(codes.contains(&429), "{codes:?}");

    let broker = broker_with(&books, |config| config.rate_per_agent = 2).await;
    credit(&broker, &agent, "1").await;
    let mut codes = Vec::new();
    for _ in 0..10 {
        codes.push(agent.buy(&broker, "nytimes.com", "0.001").await.0.as_u16());
    }
    assert!(codes[..4].iter().all(|code| *code == 200) && codes.contains(&429), "{codes:?}");
}

/// A proxy that is trusted names the client; anybody else names nobody.
#[tokio::test]
async fn behind_a_proxy() {
    let books = sqlite();
    for (trusted, limited) in [(vec!["127.0.0.1".parse().unwrap()], false), (Vec::new(), true)] {
        let broker = broker_with(&books, |config| {
            config.rate_per_client = 2;
            config.trusted_proxies = trusted;
        })
        .await;
        let mut codes = Vec::new();
        for client in 0..20 {
            let headers = [("x-forwarded-for".to_owned(), format!("10.0.0.1, 192.0.2.{client}"))];
            codes.push(get_json(broker.address(), "/healthz", &headers).await.0.as_u16());
        }
        assert_eq!(codes.contains(&429), limited, "{codes:?}");
    }
}

/// What is under way at the end is answered; what comes later is not taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_in_peace() {
    let (books, agent) = (sqlite(), Agent::new().await);
    let broker = broker(&books).await;
    credit(&broker, &agent, "1").await;
    let (address, url) = (broker.address(), format!("{}/issue-visa", broker.url()));
    let buying: Vec<_> = (0..50)
        .map(|_| {
            let headers = agent.sign(&url);
            tokio::spawn(async move {
                support::send(address, http::Method::POST, "/issue-visa", &headers, ORDER.into()).await
            })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    broker.stop().await;
    let mut sold = 0;
    for bought in buying {
        if let Ok((status, ..)) = bought.await.unwrap() {
            assert_eq!(status, StatusCode::OK);
            sold += 1;
        }
    }
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let (ledger, _) = imagxp_broker::ledger::Ledger::open(&books.location()).await.unwrap();
    let audit = ledger.audit().await.unwrap();
    assert!(audit.balances() && audit.visas >= sold, "{sold} {audit:?}");
}
